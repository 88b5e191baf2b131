//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// TestClientsSeeOneOrder has clients of a running server create, update, patch, delete,
// read and vread few resources, and looks whether what they saw has an order.
func TestClientsSeeOneOrder(t *testing.T) {
	t.Parallel()
	seenInOrder(t, 8, 120, 4)
}

// asked is what a client asks of one resource.
type asked struct {
	id      string
	method  string // GET, PUT, DELETE, PATCH
	version uint32 // of a vread; 0: the current one
	content int    // of a write, from 1
	ifMatch uint32 // 0: none
	single  bool   // If-None-Match: *
}

// told is the answer.
type told struct {
	status  int
	version uint32 // of the ETag; 0: none
	content int    // of the body; 0: none
}

// versions is the state of a resource in the model: the content of each version in a
// row, "0" for a deletion. A string, so that states compare.
type versions string

func (v versions) list() []string { return strings.Fields(string(v)) }

func (v versions) with(content int) versions { return v + versions(" "+strconv.Itoa(content)) }

// oneResource says what each request does at the one moment at which it acts.
var oneResource = porcupine.Model{
	Init: func() any { return versions("") },
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		byID := map[string][]porcupine.Operation{}
		for _, op := range history {
			id := op.Input.(asked).id
			byID[id] = append(byID[id], op)
		}
		for _, part := range byID {
			parts = append(parts, part)
		}
		return parts
	},
	Step: func(state, in, out any) (bool, any) {
		want, next := state.(versions).act(in.(asked))
		return want == out.(told), next
	},
	Equal:             func(a, b any) bool { return a == b },
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

// act gives the only right answer, and the state after it.
func (v versions) act(q asked) (told, versions) {
	all := v.list()
	last := uint32(len(all))
	at := func(n uint32) int { c, _ := strconv.Atoi(all[n-1]); return c }
	there := last > 0 && at(last) != 0
	switch {
	case q.method == http.MethodGet:
		n := q.version
		switch {
		case n == 0 && last == 0, n > last:
			return told{status: 404}, v
		case n == 0:
			n = last
		}
		if at(n) == 0 {
			return told{status: 410, version: n}, v
		}
		return told{200, n, at(n)}, v
	case q.single && last > 0, q.ifMatch != 0 && q.ifMatch != last:
		return told{status: 412}, v
	case q.method == http.MethodPatch && last == 0:
		return told{status: 404}, v
	case q.method == http.MethodPatch && !there:
		return told{status: 410, version: last}, v
	case q.method == http.MethodDelete && !there:
		return told{status: 204, version: last}, v
	case q.method == http.MethodDelete:
		return told{status: 204, version: last + 1}, v.with(0)
	}
	status := 200
	if last == 0 {
		status = 201
	}
	return told{status, last + 1, q.content}, v.with(q.content)
}

// seenInOrder starts a server and lets clients ask it, each so many times.
func seenInOrder(t *testing.T, clients, each, resources int) {
	r := newTestRoot(t)
	s := startReady(t, r)
	defer s.kill()
	base := r.base(s)
	var (
		mu    sync.Mutex
		ops   []porcupine.Operation
		all   sync.WaitGroup
		start = time.Now()
	)
	var done atomic.Bool
	var behind sync.WaitGroup
	behind.Go(func() { // what they write moves from delta to snapshot meanwhile
		c := repeated("compact")(r)
		for !done.Load() {
			c.run(&done)
		}
		t.Log(c)
	})
	for c := range clients {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(c), 3))
			seen := map[string]uint32{}
			for n := range each {
				q := asked{id: fmt.Sprintf("p%d", rng.IntN(resources)), method: http.MethodPut, content: 1 + c*each + n}
				last := seen[q.id]
				switch rng.IntN(10) {
				case 0:
					q.single = true
				case 1, 2:
					q.ifMatch = max(last, 1)
				case 3:
					q.method = http.MethodDelete
				case 4:
					q.method = http.MethodPatch
				case 5, 6, 7:
					q.method, q.content = http.MethodGet, 0
				case 8:
					q.method, q.content, q.version = http.MethodGet, 0, 1+rng.Uint32N(last+1)
				}
				from := time.Since(start)
				a, err := q.send(base)
				if err != nil {
					t.Error(err)
					return
				}
				op := porcupine.Operation{ClientId: c, Input: q, Output: a, Call: int64(from), Return: int64(time.Since(start))}
				seen[q.id] = max(seen[q.id], a.version)
				mu.Lock()
				ops = append(ops, op)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	done.Store(true)
	behind.Wait()
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v\n%s", err, s.log)
	}
	switch porcupine.CheckOperationsTimeout(oneResource, ops, time.Minute) {
	case porcupine.Illegal:
		t.Error("what clients saw has no order")
	case porcupine.Unknown:
		t.Log("the history was too long to be checked")
	}
	tally := map[int]int{}
	for _, op := range ops {
		tally[op.Output.(told).status]++
	}
	for _, status := range []int{200, 201, 204, 410, 412} {
		if tally[status] == 0 {
			t.Errorf("no answer was %d, so that was not tested: %v", status, tally)
		}
	}
	t.Logf("%d requests: %v", len(ops), tally)
}

// send asks a server.
func (q asked) send(base string) (told, error) {
	url, body := base+"/Patient/"+q.id, ""
	contentType := "application/fhir+json"
	switch q.method {
	case http.MethodPut:
		body = fmt.Sprintf(`{"resourceType":"Patient","id":"%s","multipleBirthInteger":%d}`, q.id, q.content)
	case http.MethodPatch:
		body = fmt.Sprintf(`[{"op":"add","path":"/multipleBirthInteger","value":%d}]`, q.content)
		contentType = "application/json-patch+json"
	}
	if q.version > 0 {
		url += "/_history/" + strconv.FormatUint(uint64(q.version), 10)
	}
	req, err := http.NewRequest(q.method, url, strings.NewReader(body))
	if err != nil {
		return told{}, err
	}
	req.Header.Set("Content-Type", contentType)
	if q.ifMatch > 0 {
		req.Header.Set("If-Match", fmt.Sprintf(`W/"%d"`, q.ifMatch))
	}
	if q.single {
		req.Header.Set("If-None-Match", "*")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return told{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return told{}, err
	}
	a := told{status: resp.StatusCode}
	if tag := resp.Header.Get("Etag"); tag != "" {
		if _, err := fmt.Sscanf(tag, `W/"%d"`, &a.version); err != nil {
			return told{}, fmt.Errorf("ETag %s: %w", tag, err)
		}
	}
	if resp.StatusCode == http.StatusNoContent {
		return a, nil
	}
	var p struct {
		ResourceType string
		ID           string
		Meta         struct {
			VersionID uint32 `json:",string"`
		}
		MultipleBirthInteger int
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return told{}, fmt.Errorf("status %d: %.200s: %w", a.status, text, err)
	}
	if a.content = p.MultipleBirthInteger; a.status < 300 && (p.ID != q.id || p.Meta.VersionID != a.version) {
		return told{}, fmt.Errorf("asked for %+v, got %d with %s: %s", q, a.status, resp.Header.Get("Etag"), text)
	}
	if a.status >= 400 && p.ResourceType != "OperationOutcome" {
		return told{}, fmt.Errorf("status %d: %s", a.status, text)
	}
	return a, nil
}

// TestOneCreateWins has 64 clients at once create one resource, which must not exist.
func TestOneCreateWins(t *testing.T) {
	t.Parallel()
	oneCreateWins(t, 64, 4)
}

func oneCreateWins(t *testing.T, clients, rounds int) {
	r := newTestRoot(t)
	s := startReady(t, r)
	defer s.kill()
	base := r.base(s)
	for round := range rounds {
		answers := make([]told, clients)
		begin := make(chan struct{})
		var all sync.WaitGroup
		for c := range clients {
			all.Go(func() {
				q := asked{id: fmt.Sprintf("single-%d", round), method: http.MethodPut, content: c + 1, single: true}
				<-begin
				var err error
				if answers[c], err = q.send(base); err != nil {
					t.Error(err)
				}
			})
		}
		close(begin)
		all.Wait()
		winner := slices.IndexFunc(answers, func(a told) bool { return a.status == 201 })
		for c, a := range answers {
			if c != winner && a.status != 412 {
				t.Errorf("client %d was told %+v, client %d that it won", c, a, winner)
			}
		}
		q := asked{id: fmt.Sprintf("single-%d", round), method: http.MethodGet}
		if got, err := q.send(base); err != nil || got != (told{200, 1, winner + 1}) {
			t.Errorf("there is %+v, %v, and client %d won", got, err, winner)
		}
	}
}

// base is the FHIR base of the only data store at a server.
func (r testRoot) base(s *server) string {
	r.t.Helper()
	return s.url + "/datastore/" + strings.TrimPrefix(r.datastore(), r.dir+"/datastores/") + "/r4"
}
