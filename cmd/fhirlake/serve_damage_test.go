//go:build unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDamageIsNeverServed changes one bit of each file of a data store. fsck names it,
// and whoever reads gets what was written or an answer 500. With the tag slow it is done
// at many places of each file, files are cut, and there is a log to be read.
func TestDamageIsNeverServed(t *testing.T) {
	if testing.Short() {
		t.Skip("starts some twenty processes")
	}
	t.Parallel()
	damageFiles(t, 1, false)
}

// damageFiles tries so many places of each file, and with all whatever else can happen.
func damageFiles(t *testing.T, places int, all bool) {
	r := newTestRoot(t)
	s := startReady(t, r)
	defer s.kill()
	urls := fillStore(t, r, r.base(s))
	truth := readAll(t, r.base(s), urls)
	killed := r.copied() // as it would be found after a kill: with a log
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatalf("the server ended with %v\n%s", err, s.log)
	}
	damaged{t, "stopped", r, urls, truth}.try(places, all)
	if all {
		damaged{t, "killed", killed, urls, truth}.try(places, all)
	}
}

// fillStore writes resources that lie in all kinds of files, and gives the paths of all
// that can be read of them.
func fillStore(t *testing.T, r testRoot, base string) (paths []string) {
	t.Helper()
	write := func(method, id string, n int, level string) {
		body := ""
		if method == http.MethodPut {
			// Text that does not compress away, so that files have more than a table.
			body = fmt.Sprintf(`{"resourceType":"Patient","id":"%s","multipleBirthInteger":%d,"name":[{"family":"%x"}]}`, id, n, n*7919)
		}
		if level == "minimal" {
			body = strings.Replace(body, "multipleBirthInteger", "multipleBirthIntegers", 1)
		}
		req, err := http.NewRequest(method, base+"/Patient/"+id, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amzn-Healthlake-Fhir-Validation-Level", level)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if text, _ := io.ReadAll(resp.Body); resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %d %s", method, id, resp.StatusCode, text)
		}
	}
	load := func(from, to, version int) {
		file := filepath.Join(t.TempDir(), "in.ndjson")
		var text strings.Builder
		for n := from; n < to; n++ {
			fmt.Fprintf(&text, `{"resourceType":"Patient","id":"p%d","multipleBirthInteger":%d,"gendr":"x","name":[{"family":"%x"}]}`+"\n", n, version, n*7919*version)
		}
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		r.run("import", "--validation", "minimal", file)
	}
	load(0, 60, 1)
	load(20, 80, 2) // some rows of the first snapshot are superseded
	for n := 40; n < 120; n++ {
		if n == 60 {
			r.run("compact") // a layer that compaction made
		}
		write(http.MethodPut, fmt.Sprintf("p%d", n), 3, "strict")
	}
	for n := 100; n < 130; n += 3 {
		write(http.MethodPut, fmt.Sprintf("p%d", n), 4, "minimal")
	}
	for n := 0; n < 130; n += 11 {
		write(http.MethodDelete, fmt.Sprintf("p%d", n), 0, "")
	}
	for n := range 132 { // the last ones never existed
		p := fmt.Sprintf("/Patient/p%d", n)
		paths = append(paths, p, p+"/_history/1", p+"/_history/2", p+"/_history/3", p+"/_history")
	}
	return append(paths, "/_history?_count=1000")
}

// readAll gives the answers to reads.
func readAll(t *testing.T, base string, paths []string) (answers []string) {
	t.Helper()
	for _, p := range paths {
		resp, err := http.Get(base + p)
		if err != nil {
			answers = append(answers, "the connection ended") // a long answer cut off
			continue
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			answers = append(answers, "the connection ended")
			continue
		}
		// Links have the address of the server, which is another one each time.
		answers = append(answers, fmt.Sprintf("%d %s %s", resp.StatusCode, resp.Header.Get("Etag"), strings.ReplaceAll(string(text), base, "")))
	}
	return answers
}

// damaged is a root of which files are damaged, and what is true of it.
type damaged struct {
	t     *testing.T
	name  string
	sound testRoot
	paths []string
	truth []string
}

func (d damaged) try(places int, cut bool) {
	dir := d.sound.datastore()
	tally := map[string]int{}
	for _, name := range fileNames(d.t, dir) {
		named := d.mustBeNamed(name)
		if base := path.Base(name); base == "LOCK" || strings.HasPrefix(base, "OPTIONS") || strings.HasPrefix(base, "marker.") {
			continue // nothing of a resource depends on their content
		}
		if !named && !cut {
			continue
		}
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			d.t.Fatal(err)
		}
		size := st.Size()
		if size == 0 {
			continue
		}
		d.t.Run(d.name+"/"+path.Ext(name)+"/"+path.Base(name), func(t *testing.T) {
			for i := range places {
				at := (2*int64(i) + 1) * size / int64(2*places)
				if strings.HasSuffix(name, ".log") && (at > size/2 || size < 1000) {
					continue // the end of a log cannot be told from a write that never ended
				}
				d.one(t, name, named, fmt.Sprintf("bit %d of byte %d of %d", i%8, at, size), tally, func(b []byte) []byte {
					b[at] ^= 1 << (i % 8)
					return b
				})
			}
			if !cut || strings.HasSuffix(name, ".log") {
				return
			}
			d.one(t, name, named, "cut in the middle", tally, func(b []byte) []byte { return b[:size/2] })
		})
	}
	d.t.Logf("%s: %v", d.name, tally)
	for _, want := range []string{"refused to start", "answers 500"} {
		if tally[want] == 0 {
			d.t.Errorf("%s: no damage came to %q, so that was not tested: %v", d.name, want, tally)
		}
	}
}

// mustBeNamed tells whether fsck must find any damage of a file. An older manifest, the
// log of a store that was closed and the engine's own notes have parts that nothing
// depends on.
func (d damaged) mustBeNamed(name string) bool {
	current, err := os.ReadFile(filepath.Join(d.sound.datastore(), "CURRENT"))
	if err != nil {
		d.t.Fatal(err)
	}
	return name == "snapshot/"+strings.TrimSpace(string(current)) || strings.HasPrefix(name, "files/") || strings.HasPrefix(name, "index/") ||
		strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".log") && d.name == "killed"
}

// one damages one file at one place.
func (d damaged) one(t *testing.T, name string, named bool, what string, tally map[string]int, change func([]byte) []byte) {
	d.sound.t = t
	r := d.sound.copied()
	file := filepath.Join(r.datastore(), name)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, change(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := r.command("fsck", "--json").CombinedOutput()
	if found := strings.Contains(string(out), path.Base(name)) && err != nil; named && !found {
		t.Errorf("%s: fsck does not name it: %v\n%s", what, err, out)
	}
	s, err := startServer(r.bin, t.TempDir(), os.Environ(), "--root", r.dir)
	if err != nil {
		tally["refused to start"]++
		return
	}
	defer s.kill()
	if !s.becomesReady() {
		tally["refused to start"]++
		return
	}
	refused := 0
	for i, got := range readAll(t, r.base(s), d.paths) {
		switch want := d.truth[i]; {
		case got == want:
		case strings.HasPrefix(got, "500 ") && strings.Contains(got, `"resourceType":"OperationOutcome"`), got == "the connection ended":
			refused++
		default:
			t.Errorf("%s: %s gives\n%.500s\nwant\n%.500s", what, d.paths[i], got, want)
		}
	}
	if refused > 0 {
		tally["answers 500"]++
	} else {
		tally["all right"]++
	}
}

// becomesReady waits until a server has opened its data stores, and tells whether it
// could.
func (s *server) becomesReady() bool {
	for {
		resp, err := client.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return true
		}
		if !strings.Contains(string(text), "being opened") {
			return false
		}
	}
}
