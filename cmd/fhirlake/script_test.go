package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/store/blob/blobtest"
	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite what scripts compare with")

// TestScripts runs testdata/*.txtar. Each script is one behaviour of the command
// line, written as a user would type it. Beside testscript's own commands there
// are
//
//	exits N COMMAND...    the command must end with exit code N
//	ordinary N COMMAND... likewise, as a user who may not pass by permissions
//	figures PATH=VALUE... the last line of stdout is JSON and has these values; a
//	                      path is names and list indexes with dots between
//	keys PATH KEY...      the object at the path (. is the whole) has these keys and no other
//	gzip FILE...          makes FILE.gz of each; zstd likewise FILE.zst
//	damage HOW GLOB       HOW is flip (one bit), cut (half is lost) or remove, for the
//	                      one file that matches
//	tree DIR FILE         writes the names and contents of all files below DIR to FILE
//	await FILE            waits until another process has written FILE
//	serve FLAGS...        starts a server on a free port, $ADDRESS, that ends with the script
//	ready                 waits until the server is ready
//	get PATH              asks it; stdout is the status and the body
//	send METHOD PATH [FILE [TYPE]]  likewise, with the file as body
//	datastore NAME        makes /r4 in paths, and $BASE, that of a data store
//	stop INT|TERM         ends it with a signal; stdout is its log
//	stopped CODE INT|TERM|KILL  likewise, when it exits with another code
//	hup [PATH STATUS]     has it read its files again, and waits for a new certificate or
//	                      for the answer
//	certificate FILE KEY  makes a certificate
//	notes                 starts a service at $NOTES that reads notes, and writes what it answers to "asked"
//	unzstd GLOB FILE      decompresses the one file that matches
//
// and the conditions [ordinary], [unshare] and [full] for what the machine allows.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Condition:           condition,
		Setup:               setUpServer,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"ordinary": ordinary,
			"figures":  figures,
			"keys":     keys,
			"gzip": func(ts *testscript.TestScript, _ bool, files []string) {
				compress(ts, files, ".gz", func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
			},
			"zstd": func(ts *testscript.TestScript, _ bool, files []string) {
				compress(ts, files, ".zst", func(w io.Writer) io.WriteCloser {
					z, err := zstd.NewWriter(w)
					ts.Check(err)
					return z
				})
			},
			"damage": damage,
			"tree":   tree,
			"await":  await,
			"serve":  serveCommand,
			"ready":  readyCommand,
			"get":    getCommand,
			"send":   sendCommand,
			"stop":   stopCommand,

			"buckets": bucketsCommand,
			"notes":   notesCommand,
			"unzstd":  unzstdCommand,

			"datastore":   datastoreCommand,
			"stopped":     stoppedCommand,
			"hup":         hupCommand,
			"certificate": certificateCommand,
		},
	})
}

func condition(name string) (bool, error) {
	switch name {
	case "ordinary": // there is a way to be an ordinary user
		_, err := exec.LookPath("setpriv")
		return os.Getuid() != 0 || err == nil, nil
	case "unshare": // a script may mount file systems of its own
		return exec.Command("unshare", "-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt").Run() == nil, nil
	case "s3": // there is an S3 server; in CI there must be
		_, err := exec.LookPath("versitygw")
		if err != nil && os.Getenv("CI") != "" {
			return false, blobtest.ErrMissing
		}
		return err == nil, nil
	case "full":
		_, err := os.Stat("/dev/full")
		return err == nil, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// bucketsCommand starts an S3 server with some buckets, and has AWS clients find it.
func bucketsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: buckets NAME...")
	}
	dir := ts.MkAbs("buckets")
	ts.Check(os.Mkdir(dir, 0o755))
	s, stop, err := blobtest.Start(dir, args...)
	ts.Check(err)
	ts.Defer(stop)
	ts.Setenv("AWS_ENDPOINT_URL", s.URL)
	ts.Setenv("AWS_REGION", "us-east-1")
	ts.Setenv("AWS_ACCESS_KEY_ID", blobtest.AccessKey)
	ts.Setenv("AWS_SECRET_ACCESS_KEY", blobtest.SecretKey)
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		code = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// ordinary takes the superuser's powers away, when the test has them.
func ordinary(ts *testscript.TestScript, neg bool, args []string) {
	if os.Getuid() == 0 && len(args) > 1 {
		args = slices.Concat(args[:1], []string{"setpriv", "--inh-caps=-all", "--bounding-set=-all"}, args[1:])
	}
	exits(ts, neg, args)
}

// lastLine decodes the last line of the last command's standard output.
func lastLine(ts *testscript.TestScript) any {
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	var v any
	d := json.NewDecoder(strings.NewReader(lines[len(lines)-1]))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		ts.Fatalf("the last line of stdout is no JSON: %v", err)
	}
	return v
}

func at(ts *testscript.TestScript, v any, path string) any {
	for name := range strings.SplitSeq(strings.Trim(path, "."), ".") {
		if name == "" {
			break
		}
		switch in := v.(type) {
		case map[string]any:
			found, ok := in[name]
			if !ok {
				ts.Fatalf("%s: there is no %s", path, name)
			}
			v = found
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(in) {
				ts.Fatalf("%s: a list of %d has no element %s", path, len(in), name)
			}
			v = in[i]
		default:
			ts.Fatalf("%s: %s is below a plain value", path, name)
		}
	}
	return v
}

func figures(ts *testscript.TestScript, neg bool, args []string) {
	v := lastLine(ts)
	for _, a := range args {
		path, want, ok := strings.Cut(a, "=")
		if neg || !ok {
			ts.Fatalf("usage: figures PATH=VALUE...")
		}
		found := at(ts, v, path)
		text := fmt.Sprint(found)
		switch found.(type) {
		case map[string]any, []any, nil:
			b, err := json.Marshal(found)
			ts.Check(err)
			text = string(b)
		}
		if text != want {
			ts.Fatalf("%s is %s, want %s", path, text, want)
		}
	}
}

func keys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: keys PATH KEY...")
	}
	object, ok := at(ts, lastLine(ts), args[0]).(map[string]any)
	if !ok {
		ts.Fatalf("%s is no object", args[0])
	}
	got, want := slices.Sorted(maps.Keys(object)), slices.Sorted(slices.Values(args[1:]))
	if !slices.Equal(got, want) {
		ts.Fatalf("%s has the keys\n%v, want\n%v", args[0], got, want)
	}
}

func compress(ts *testscript.TestScript, files []string, suffix string, writer func(io.Writer) io.WriteCloser) {
	for _, name := range files {
		var b bytes.Buffer
		w := writer(&b)
		_, err := io.WriteString(w, ts.ReadFile(name))
		ts.Check(errors.Join(err, w.Close()))
		ts.Check(os.WriteFile(ts.MkAbs(name+suffix), b.Bytes(), 0o644))
	}
}

func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: damage flip|cut|remove GLOB")
	}
	found, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%s matches %d files: %v", args[1], len(found), found)
	}
	b, err := os.ReadFile(found[0])
	ts.Check(err)
	switch args[0] {
	case "flip":
		b[len(b)/2] ^= 1
		err = os.WriteFile(found[0], b, 0o644)
	case "cut":
		err = os.Truncate(found[0], int64(len(b)/2))
	case "remove":
		err = os.Remove(found[0])
	default:
		err = fmt.Errorf("damage %s: unknown", args[0])
	}
	ts.Check(err)
}

func tree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tree DIR FILE")
	}
	files, err := filesBelow(ts.MkAbs(args[0]))
	ts.Check(err)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "%s %s\n", name, files[name])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o644))
}

// await gives up with the deadline of the test run.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	for {
		if st, err := os.Stat(ts.MkAbs(args[0])); err == nil && st.Size() > 0 {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}
