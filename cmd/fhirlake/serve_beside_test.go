//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// beside is a command that runs again and again while clients write to a server.
type beside interface {
	// run runs it once. It may fail only when ending is true: the server is going, or
	// gone.
	run(ending *atomic.Bool)
	// check looks at the next start of the server what is there.
	check(base string)
	String() string // what was done, for the log of the test
}

// command is one that must end well, whatever it does.
type command struct {
	r     testRoot
	args  []string
	ended int
}

// repeated gives a command that runs beside clients. What it does to the data store is
// checked by what the clients find.
func repeated(args ...string) func(testRoot) beside {
	return func(r testRoot) beside { return &command{r: r, args: args} }
}

func (c *command) run(ending *atomic.Bool) {
	cmd := c.r.command(c.args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if !ending.Load() {
			c.r.t.Errorf("%s beside a server: %v\n%s", c, err, &out)
			ending.Store(true) // it would fail for ever
		}
		return
	}
	c.ended++
}

func (c *command) check(string) {}

func (c *command) String() string {
	return fmt.Sprintf("%s ended well %d times", strings.Join(c.args, " "), c.ended)
}

// importer imports the same resources with other content each time. All of them are as
// one import left them, which is the last acknowledged one or one after it.
type importer struct {
	command
	acknowledged int // content of the last import that ended well
	client       writer
}

const importedResources = 300

func newImporter(r testRoot) beside {
	i := &importer{client: writer{t: r.t}}
	i.r, i.args = r, []string{"import", filepath.Join(r.t.TempDir(), "beside.ndjson")}
	return i
}

var imports atomic.Int64 // contents differ in the whole process

func (i *importer) run(ending *atomic.Bool) {
	content, ended := int(imports.Add(1)), i.ended
	var text strings.Builder
	for n := range importedResources {
		fmt.Fprintf(&text, `{"resourceType":"Patient","id":"imported-%d","multipleBirthInteger":%d}`+"\n", n, content)
	}
	if err := os.WriteFile(i.args[1], []byte(text.String()), 0o644); err != nil {
		i.r.t.Error(err)
		return
	}
	if i.command.run(ending); i.ended > ended {
		i.acknowledged = content
	}
}

func (i *importer) check(base string) {
	version, content := i.client.read(base, "imported-0")
	if version < i.ended || content < i.acknowledged {
		i.r.t.Errorf("there is version %d of import %d, and %d imports ended well, import %d the last", version, content, i.ended, i.acknowledged)
	}
	for n := range importedResources {
		id := fmt.Sprintf("imported-%d", n)
		if v, c := i.client.read(base, id); v != version || c != content {
			i.r.t.Errorf("Patient/%s has version %d of import %d, others have version %d of import %d", id, v, c, version, content)
		}
	}
	i.acknowledged = content
	i.ended = version
}
