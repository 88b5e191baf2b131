//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestShutdownUnderLoad tells a server to end while clients write. It answers what it
// has accepted, and what it acknowledged is there at the next start.
func TestShutdownUnderLoad(t *testing.T) {
	t.Parallel()
	underLoad(t, 1, func(s *server) {
		if err := s.stop(syscall.SIGTERM); err != nil {
			t.Errorf("the server ended with %v\n%s", err, s.log)
		}
	})
}

// TestShutdownFinishesWhatIsAnsweredLater tells a server to end when it has taken
// transactions to be answered later. They are there at the next start.
func TestShutdownFinishesWhatIsAnsweredLater(t *testing.T) {
	t.Parallel()
	r := newTestRoot(t)
	s := startReady(t, r)
	defer func() { s.kill() }()
	w := &writer{t: t}
	const n = 50
	for i := range n {
		body := fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[%s]}`, putEntry(fmt.Sprintf("later-%d", i)))
		req, err := http.NewRequest(http.MethodPost, r.base(s), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Prefer", "respond-async")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted || !strings.HasPrefix(resp.Header.Get("Content-Location"), r.base(s)+"/Transaction/") {
			t.Fatalf("status %d, Content-Location %s", resp.StatusCode, resp.Header.Get("Content-Location"))
		}
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v\n%s", err, s.log)
	}
	s = startReady(t, r)
	for i := range n {
		if version, _ := w.read(r.base(s), fmt.Sprintf("later-%d", i)); version != 1 {
			t.Errorf("later-%d has version %d", i, version)
		}
	}
}

// TestKillUnderLoad kills a server while clients write; with the tag slow, many times.
func TestKillUnderLoad(t *testing.T) {
	t.Parallel()
	underLoad(t, 2, (*server).kill)
}

// startReady starts a server on a root and waits until it serves requests.
func startReady(t *testing.T, r testRoot) *server {
	t.Helper()
	s, err := startServer(r.bin, t.TempDir(), os.Environ(), "--root", r.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.awaitReady(); err != nil {
		s.kill()
		t.Fatal(err)
	}
	return s
}

// TestIdempotencyKeyIsKept: a create is done once, also when what it made was folded into
// a snapshot and the server was killed in between.
func TestIdempotencyKeyIsKept(t *testing.T) {
	t.Parallel()
	r := newTestRoot(t)
	s := startReady(t, r)
	defer func() { s.kill() }()
	create := func() (status int, location string) {
		req, err := http.NewRequest(http.MethodPost, r.base(s)+"/Patient", strings.NewReader(`{"resourceType":"Patient"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Fhir-Idempotency-Key", "5f3f1d0c-8d9c-4f43-a1c2-0d8a7c5b9e11")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode, strings.TrimPrefix(resp.Header.Get("Location"), r.base(s))
	}
	status, first := create()
	if status != http.StatusCreated || first == "" {
		t.Fatalf("status %d, Location %s", status, first)
	}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"sent again", func() {}},
		{"after a kill", func() { s.kill(); s = startReady(t, r) }},
		{"after a compaction", func() { r.run("compact") }},
		{"after another kill", func() { s.kill(); s = startReady(t, r) }},
	} {
		step.do()
		if status, location := create(); status != http.StatusConflict || location != first {
			t.Errorf("%s: status %d, Location %s, want 409 and %s", step.name, status, location, first)
		}
	}
}

// writers is how many clients write at once.
const writers = 8

// TestKillUnderLoadWithCommands does it while commands work beside the clients.
func TestKillUnderLoadWithCommands(t *testing.T) {
	t.Parallel()
	underLoad(t, 2, (*server).kill, newImporter, repeated("fsck"), repeated("compact"))
}

// underLoad starts a server, lets clients write and commands work, ends it, and looks at
// the next start what is there, so many times over the same root. What was acknowledged
// must be, and everything else whole or absent: a resource with another version than it
// says, or one of two resources of a transaction, would be neither.
func underLoad(t *testing.T, rounds int, end func(*server), commands ...func(testRoot) beside) {
	r := newTestRoot(t)
	var others []beside
	for _, command := range commands {
		others = append(others, command(r))
	}
	var clients [writers]*writer
	for i := range clients {
		clients[i] = &writer{t: t, name: fmt.Sprintf("w%d", i), acknowledged: map[string]int{}}
	}
	for round := range rounds + 1 {
		s := startReady(t, r)
		base := r.base(s)
		for _, c := range clients {
			c.check(base)
		}
		for _, o := range others {
			o.check(base)
		}
		if round == rounds {
			s.kill()
			break
		}
		var running sync.WaitGroup
		for _, c := range clients {
			running.Go(func() { c.write(base, round) })
		}
		var ending atomic.Bool
		for _, o := range others {
			running.Go(func() {
				for !ending.Load() {
					o.run(&ending)
				}
			})
		}
		for clients[0].progress.Load() < int64(round+1)*20 {
			time.Sleep(time.Millisecond)
		}
		if len(others) > 0 { // so that the end meets commands at all their moments
			time.Sleep(rand.N(400 * time.Millisecond))
		}
		ending.Store(true)
		end(s)
		running.Wait()
	}
	r.expectSound(false)
	n := 0
	for _, c := range clients {
		n += len(c.acknowledged)
	}
	t.Logf("%d resources were acknowledged", n)
	for _, o := range others {
		t.Log(o)
	}
}

// writer is one client. Its resources are its alone.
type writer struct {
	t            *testing.T
	name         string
	n            int
	progress     atomic.Int64   // acknowledged requests
	acknowledged map[string]int // version by id
	pairs        []string       // of transactions that were sent
}

// write writes until the server is gone: one resource again and again, and pairs of new
// ones.
func (w *writer) write(base string, round int) {
	for {
		w.n++
		body := fmt.Sprintf(`{"resourceType":"Patient","id":"%s","multipleBirthInteger":%d}`, w.name, w.n)
		if !w.send(http.MethodPut, base+"/Patient/"+w.name, body, w.name) {
			return
		}
		pair := fmt.Sprintf("%s-%d-%d", w.name, round, w.n)
		w.pairs = append(w.pairs, pair)
		body = fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[%s,%s]}`, putEntry(pair+"-a"), putEntry(pair+"-b"))
		if !w.send(http.MethodPost, base, body, pair+"-a", pair+"-b") {
			return
		}
	}
}

func putEntry(id string) string {
	return fmt.Sprintf(`{"resource":{"resourceType":"Patient","id":%q},"request":{"method":"PUT","url":"Patient/%s"}}`, id, id)
}

// send gives false when the server is gone. What it acknowledges is kept.
func (w *writer) send(method, url, body string, ids ...string) bool {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		w.t.Error(err)
		return false
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusServiceUnavailable {
		return false // it is shutting down
	}
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(resp.Body)
		w.t.Errorf("%s %s: %d %s", method, url, resp.StatusCode, text)
		return false
	}
	// The status is the acknowledgement, whether the body comes or not.
	for _, id := range ids {
		w.acknowledged[id]++
	}
	w.progress.Add(1)
	io.Copy(io.Discard, resp.Body)
	return true
}

// check compares what a server has with what was acknowledged.
func (w *writer) check(base string) {
	for id, version := range w.acknowledged {
		found, birth := w.read(base, id)
		if found < version {
			w.t.Errorf("Patient/%s has version %d, %d was acknowledged", id, found, version)
		}
		if id == w.name && birth != found {
			w.t.Errorf("Patient/%s has the content of version %d in version %d", id, birth, found)
		}
		w.acknowledged[id] = max(found, version)
	}
	// The next content is the one after what is there: some may have come through
	// without an answer.
	w.n, _ = w.read(base, w.name)
	for _, pair := range w.pairs {
		a, _ := w.read(base, pair+"-a")
		b, _ := w.read(base, pair+"-b")
		if a != b {
			w.t.Errorf("of the transaction %s one half is there", pair)
		}
	}
	w.pairs = nil
}

// read gives version and content of a resource; 0 when it is not there.
func (w *writer) read(base, id string) (version, birth int) {
	resp, err := http.Get(base + "/Patient/" + id)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return 0, 0
	}
	var p struct {
		ID   string
		Meta struct {
			VersionID int `json:",string"`
		}
		MultipleBirthInteger int
	}
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || p.ID != id || resp.StatusCode != http.StatusOK {
		w.t.Errorf("Patient/%s: status %d, %+v, %v", id, resp.StatusCode, p, err)
	}
	return p.Meta.VersionID, p.MultipleBirthInteger
}
