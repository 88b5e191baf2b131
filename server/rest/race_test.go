package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/fhirlake/fhirlake/server/rest"
)

// contest sends a request of each of 64 clients over HTTP at once, and counts the
// answers by status. request gives what client i sends: a method, a path, a body and
// header lines.
func contest(t *testing.T, s *server, request func(i int) []string) map[int]int {
	t.Helper()
	srv := httptest.NewServer(s.handler)
	defer srv.Close()
	const clients = 64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	start := make(chan struct{})
	count := map[int]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			x := request(i)
			r, err := http.NewRequest(x[0], srv.URL+"/datastore/ds/r4"+x[1], strings.NewReader(x[2]))
			if err != nil {
				t.Error(err)
				return
			}
			for _, line := range x[3:] {
				name, value, _ := strings.Cut(line, ": ")
				r.Header.Set(name, value)
			}
			<-start
			res, err := client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			mu.Lock()
			count[res.StatusCode]++
			mu.Unlock()
		})
	}
	close(start)
	all.Wait()
	return count
}

// total asks how many resources a search finds.
func (s *server) total(t *testing.T, search string) int {
	t.Helper()
	w := s.do(t, "GET", search+"&_summary=count", "")
	var b struct{ Total int }
	if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil || w.Code != 200 {
		t.Fatalf("%s: %d %s", search, w.Code, w.Body)
	}
	return b.Total
}

// TestConditionalWritesAreSingle: of 64 clients that do the same at once, one wins.
func TestConditionalWritesAreSingle(t *testing.T) {
	const one = `{"resourceType":"Patient","identifier":[{"system":"http://x.test","value":"1"}]}`
	entry := func(request string) string {
		return `{"resourceType":"Bundle","type":"transaction","entry":[
{"resource":` + one + `,"request":` + request + `},
{"resource":{"resourceType":"Patient","identifier":[{"system":"http://x.test","value":"2"}]},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=http://x.test|2"}}]}`
	}
	for _, c := range []struct {
		name    string
		before  string // is there before; "" for nothing
		request func(i int) []string
		want    map[int]int
		left    int // resources that match at the end
	}{
		{
			"create", "", func(int) []string {
				return []string{"POST", "/Patient", one, "If-None-Exist: identifier=http://x.test|1"}
			},
			map[int]int{201: 1, 200: 63},
			1,
		},
		{
			"create, the criteria written in two ways", "", func(i int) []string {
				text := "identifier=http://x.test|1&active:missing=true"
				if i%2 == 0 {
					text = "active:missing=true&identifier=http%3A%2F%2Fx.test%7C1"
				}
				return []string{"POST", "/Patient", one, "If-None-Exist: " + text}
			},
			map[int]int{201: 1, 200: 63},
			1,
		},
		{
			"update", "", func(i int) []string {
				return []string{"PUT", "/Patient?identifier=http://x.test%7C1", strings.Replace(one, "Patient\"", fmt.Sprintf(`Patient","multipleBirthInteger":%d`, i), 1)}
			},
			map[int]int{201: 1, 200: 63},
			1,
		},
		{
			"patch that can be done once", one, func(int) []string {
				return []string{
					"PATCH", "/Patient?identifier=http://x.test%7C1", `[{"op":"test","path":"/identifier/0/value","value":"1"},{"op":"replace","path":"/identifier/0/value","value":"taken"}]`,
					"Content-Type: application/json-patch+json",
				}
			},
			map[int]int{200: 1, 404: 63},
			0,
		},
		{
			"delete", one, func(int) []string { return []string{"DELETE", "/Patient?identifier=http://x.test%7C1", ""} },
			map[int]int{204: 1, 404: 63},
			0,
		},
		{
			"transactions and single ones, which lock in different orders", "", func(i int) []string {
				switch i % 3 {
				case 0:
					return []string{"POST", "/", entry(`{"method":"POST","url":"Patient","ifNoneExist":"identifier=http://x.test|1"}`)}
				case 1:
					return []string{"POST", "/", entry(`{"method":"PUT","url":"Patient?identifier=http://x.test|1"}`)}
				}
				return []string{"PUT", "/Patient?identifier=http://x.test%7C1", one}
			},
			nil, 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, func(o *rest.Options) { o.NewID = nil })
			if c.before != "" {
				if w := s.do(t, "POST", "/Patient", c.before); w.Code != 201 {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			got := contest(t, s, c.request)
			if c.want != nil && fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("answers by status: %v, want %v", got, c.want)
			}
			if c.want == nil && (got[200]+got[201] != 64) {
				t.Errorf("answers by status: %v, want 64 of 200 and 201", got)
			}
			if n := s.total(t, "/Patient?identifier=http://x.test|1"); n != c.left {
				t.Errorf("%d resources match at the end, want %d", n, c.left)
			}
			if n := s.total(t, "/Patient?identifier=http://x.test|2"); n > 1 {
				t.Errorf("%d resources match the second criteria, want 1 at most", n)
			}
		})
	}
}

// TestConditionalUpdateBesideOtherWrites: what a plain update does to the resource that
// was found, before the conditional one is committed, makes that decide again: an update
// of what no longer matches never happens.
func TestConditionalUpdateBesideOtherWrites(t *testing.T) {
	s := newServer(t, func(o *rest.Options) { o.NewID = nil })
	contest(t, s, func(i int) []string {
		if i%2 == 0 {
			return []string{"PUT", "/Patient/p", fmt.Sprintf(`{"resourceType":"Patient","id":"p","active":%t,"multipleBirthInteger":%d}`, i%4 == 0, i)}
		}
		return []string{
			"PATCH", "/Patient?_id=p&active=true", `[{"op":"test","path":"/active","value":true},{"op":"add","path":"/gender","value":"male"}]`,
			"Content-Type: application/json-patch+json",
		}
	})
	w := s.do(t, "GET", "/Patient/p/_history?_count=1000", "")
	var b struct {
		Entry []struct {
			Resource struct {
				Active bool
				Gender string
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil || len(b.Entry) < 32 {
		t.Fatalf("%d versions, want 32 at least: %v", len(b.Entry), err)
	}
	for i, e := range b.Entry {
		if e.Resource.Gender != "" && !e.Resource.Active {
			t.Errorf("version %d from the end was patched and did not match", i)
		}
	}
}
