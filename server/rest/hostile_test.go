package rest_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/server/rest/capability"
)

// TestHostileBodies sends what is made to hurt: each is refused with an OperationOutcome,
// and the server goes on.
func TestHostileBodies(t *testing.T) {
	s := newServer(t, nil)
	const n = capability.MaxBody - 100
	bomb := func(size int64) string {
		var b strings.Builder
		z := gzip.NewWriter(&b)
		io.Copy(z, io.LimitReader(zeros{}, size))
		z.Close()
		return b.String()
	}
	nested := func(open, close string) string {
		k := n / (len(open) + len(close))
		return strings.Repeat(open, k) + "1" + strings.Repeat(close, k)
	}
	for _, c := range []struct {
		name, body string
		header     string
		status     int
	}{
		{"arrays in arrays", strings.Repeat("[", n), "", 400},
		{"arrays in arrays, closed", nested("[", "]"), "", 400},
		{"objects in objects", nested(`{"a":`, "}"), "", 400},
		{"arrays in an element", `{"resourceType":"Patient","name":` + nested("[", "]") + "}", "", 400},
		{"extensions in extensions", `{"resourceType":"Patient",` + strings.Repeat(`"extension":[{"url":"u",`, 100_000), "", 400},
		{"quotes", strings.Repeat(`"`, n), "", 400},
		{"a key without an end", `{"` + strings.Repeat(`\`, n), "", 400},
		{"one long id", `{"resourceType":"Patient","id":"` + strings.Repeat("a", n/2) + `"}`, "", 201},                                         // the server gives another
		{"a family name of 400,000 words", `{"resourceType":"Patient","name":[{"family":"` + strings.Repeat("a ", 400_000) + `a"}]}`, "", 201}, // each later word is a value of the index
		{"many members of the same name", `{"resourceType":"Patient"` + strings.Repeat(`,"a":1`, n/10) + "}", "", 400},
		{"many unknown members", "{" + manyMembers(n/20) + `"resourceType":"Patient"}`, "", 400},
		{"no UTF-8", "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\xff\xfe\"}]}", "", 400},
		{"a lone surrogate", `{"resourceType":"Patient","name":[{"family":"\ud800"}]}`, "", 400},
		{"NUL bytes", strings.Repeat("\x00", 1000), "", 400},
		{"a byte order mark", "\xef\xbb\xbf{\"resourceType\":\"Patient\"}", "", 400},
		{"a gzip bomb", bomb(64 << 20), "Content-Encoding: gzip", 413},
		{"gzip with something behind", bomb(10) + "x", "Content-Encoding: gzip", 400},
	} {
		var header []string
		if c.header != "" {
			header = append(header, c.header)
		}
		w := s.do(t, "POST", "/Patient", c.body, header...)
		if w.Code != c.status || c.status >= 400 && !strings.HasPrefix(w.Body.String(), `{"resourceType":"OperationOutcome"`) {
			t.Errorf("%s: %d %.300s, want %d", c.name, w.Code, w.Body, c.status)
		}
		if w.Body.Len() > 1<<20 && c.status >= 400 {
			t.Errorf("%s: the answer has %d bytes", c.name, w.Body.Len())
		}
		for _, as := range []string{`{"resourceType":"Bundle","type":"batch","entry":[{"resource":%s,"request":{"method":"POST","url":"Patient"}}]}`, `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":%s}]}`} {
			if c.header != "" || len(c.body) > capability.MaxBody-len(as) {
				continue
			}
			path := "/"
			if strings.Contains(as, "Parameters") {
				path = "/Patient/$validate"
			}
			if w := s.do(t, "POST", path, fmt.Sprintf(as, c.body)); w.Code >= 500 || w.Code == 0 {
				t.Errorf("%s in %.40s: %d %.300s", c.name, as, w.Code, w.Body)
			}
		}
	}
	if w := s.do(t, "GET", "/metadata", ""); w.Code != 200 {
		t.Errorf("afterwards: %d", w.Code)
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"m%d":%d,`, i, i)
	}
	return b.String()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestSlowClientsHoldNoTurn has more clients that send half of a request, or do not take
// their answer, than the server works on at once.
func TestSlowClientsHoldNoTurn(t *testing.T) {
	s := newServer(t, func(o *rest.Options) { o.Concurrent = 1 })
	srv := httptest.NewServer(s.handler)
	defer srv.Close()
	for name, sends := range map[string]string{
		"half a body":     "Content-Length: 100\r\n\r\n{",
		"half of a chunk": "Transfer-Encoding: chunked\r\n\r\n100\r\n{",
		"no body":         "Content-Length: 5000000\r\n\r\n",
	} {
		for range 3 {
			c, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprintf(c, "POST /datastore/ds/r4/Patient HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n%s", sends)
			// The server asks for the body, so it is at it.
			if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
				t.Fatalf("%s: %q, %v", name, line, err)
			}
		}
	}
	begun, release := make(chan struct{}), make(chan struct{})
	stuck := &unread{header: http.Header{}, begun: begun, release: release}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.handler.ServeHTTP(stuck, httptest.NewRequest("GET", "http://lake.test/datastore/ds/r4/metadata", nil))
	}()
	<-begun
	if w := s.do(t, "PUT", "/Patient/p", `{"resourceType":"Patient","id":"p"}`); w.Code != 201 {
		t.Errorf("another client: %d %s", w.Code, w.Body)
	}
	close(release)
	<-done
}

// unread is an answer that nobody reads before release.
type unread struct {
	header         http.Header
	begun, release chan struct{}
}

func (u *unread) Header() http.Header { return u.header }
func (u *unread) WriteHeader(int)     {}
func (u *unread) Write(b []byte) (int, error) {
	close(u.begun)
	<-u.release
	return len(b), nil
}

// TestMemoryOfBodiesIsBounded has clients that announce more than there is room for: what
// is not sent counts for nothing, what is sent beyond the limit is refused.
func TestMemoryOfBodiesIsBounded(t *testing.T) {
	s := newServer(t, func(o *rest.Options) { o.Bodies = 1 << 20 })
	srv := httptest.NewServer(s.handler)
	defer srv.Close()
	const head = "POST /datastore/ds/r4/Binary HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5000000\r\n"
	for range 20 {
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, head+"Expect: 100-continue\r\n\r\n")
		if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if w := s.do(t, "PUT", "/Patient/p", `{"resourceType":"Patient","id":"p"}`); w.Code != 201 {
		t.Errorf("a small body: %d %s", w.Code, w.Body)
	}
	if w := s.do(t, "POST", "/Binary", strings.Repeat("x", 2<<20), "Content-Type: text/plain"); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("beyond the limit: %d, Retry-After %q, want 503", w.Code, w.Header().Get("Retry-After"))
	}
	if w := s.do(t, "POST", "/Binary", strings.Repeat("x", 200<<10), "Content-Type: text/plain"); w.Code != 201 {
		t.Errorf("after that: %d %s", w.Code, w.Body)
	}
}

// TestExpectContinue: a request that is refused whatever its body says is not asked for it.
func TestExpectContinue(t *testing.T) {
	s := newServer(t, nil)
	srv := httptest.NewServer(s.handler)
	defer srv.Close()
	for _, c := range []struct{ request, want string }{
		{"POST /datastore/ds/r4/Patient HTTP/1.1\r\nContent-Length: 30\r\n", "HTTP/1.1 100 Continue"},
		{"POST /datastore/ds/r4/Patient HTTP/1.1\r\nContent-Length: 6000000\r\n", "HTTP/1.1 413 "},
		{"POST /datastore/ds/r4/Nothing HTTP/1.1\r\nContent-Length: 30\r\n", "HTTP/1.1 404 "},
		{"PUT /datastore/ds/r4/metadata HTTP/1.1\r\nContent-Length: 30\r\n", "HTTP/1.1 405 "},
		{"POST /datastore/ds/r4/Patient HTTP/1.1\r\nContent-Length: 30\r\nContent-Type: text/xml\r\n", "HTTP/1.1 415 "},
		{"POST /datastore/ds/r4/Patient HTTP/1.1\r\nContent-Length: 30\r\nAccept: text/xml\r\n", "HTTP/1.1 406 "},
		{"POST /datastore/ds/r4/Patient HTTP/1.1\r\nContent-Length: 30\r\nContent-Length: 31\r\n", "HTTP/1.1 400 "},
		{"POST /datastore/ds/r4/Patient HTTP/1.1\r\nContent-Length: 30\r\nTransfer-Encoding: chunked, chunked\r\n", "HTTP/1.1 501 "},
	} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, c.request+"Host: x\r\nExpect: 100-continue\r\n\r\n")
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, c.want) {
			t.Errorf("%q: %q, %v, want %s", c.request, line, err, c.want)
		}
		conn.Close()
	}
}
