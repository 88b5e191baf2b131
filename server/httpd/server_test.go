package httpd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/server/httpd"
)

// running is a server of a test.
type running struct {
	t    *testing.T
	url  string
	addr string
	stop func() error // shuts down and gives what Serve gave
	log  *logged
}

// logged is a log that a test can read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, o httpd.Options, handlers map[string]http.HandlerFunc) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, addr: l.Addr().String(), url: "http://" + l.Addr().String(), log: &logged{}}
	o.Log = slog.New(slog.NewJSONHandler(r.log, nil))
	s := httpd.New(o)
	for pattern, h := range handlers {
		s.Handle(pattern, h)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *running) get(path string) (int, string) {
	r.t.Helper()
	resp, err := http.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestHealth(t *testing.T) {
	ready := make(chan error, 1)
	ready <- errors.New("data stores are being opened")
	r := start(t, httpd.Options{Ready: func() error {
		select {
		case err := <-ready:
			return err
		default:
			return nil
		}
	}}, nil)
	for _, tt := range []struct {
		path   string
		status int
		body   string
	}{
		{"/healthz", 200, "ok\n"},
		{"/readyz", 503, "data stores are being opened\n"},
		{"/readyz", 200, "ready\n"},
		{"/metrics", 404, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found","diagnostics":"nothing is served here; FHIR is at /datastore/<id>/r4/"}]}`},
	} {
		if status, body := r.get(tt.path); status != tt.status || body != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.path, status, body, tt.status, tt.body)
		}
	}
}

func TestPathsGoToHandlersAsTheyAre(t *testing.T) {
	r := start(t, httpd.Options{}, map[string]http.HandlerFunc{"/below/": func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.Path)
	}})
	for _, path := range []string{"/below/", "/below//a", "/below/a/../b", "/below/./a/"} {
		if status, body := r.get(path); status != 200 || body != path {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	for _, path := range []string{"/below", "//below/", "/healthz/"} {
		if status, _ := r.get(path); status != 404 {
			t.Errorf("%s: %d, want 404", path, status)
		}
	}
	resp, err := http.Post(r.url+"/healthz", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

func TestShutdownFinishesWhatWasAccepted(t *testing.T) {
	begun, release := make(chan bool), make(chan bool)
	r := start(t, httpd.Options{}, map[string]http.HandlerFunc{"/slow": func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		<-release
		if r.Context().Err() != nil {
			t.Error("the request was cancelled")
		}
		io.WriteString(w, "whole")
	}})
	answer := make(chan string)
	go func() {
		resp, err := http.Get(r.url + "/slow")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		answer <- string(b)
	}()
	<-begun
	stopped := make(chan error)
	go func() { stopped <- r.stop() }()
	// The listener is closed before the request ends.
	for {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			break
		}
		c.Close()
	}
	close(release)
	if got := <-answer; got != "whole" {
		t.Errorf("the accepted request got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func TestShutdownCutsOffWhatTakesTooLong(t *testing.T) {
	begun := make(chan bool)
	r := start(t, httpd.Options{ShutdownTimeout: time.Millisecond}, map[string]http.HandlerFunc{"/endless": func(_ http.ResponseWriter, r *http.Request) {
		begun <- true
		<-r.Context().Done()
	}})
	go func() {
		if resp, err := http.Get(r.url + "/endless"); err == nil {
			resp.Body.Close()
		}
	}()
	<-begun
	if err := r.stop(); !errors.Is(err, httpd.ErrCutOff) {
		t.Errorf("shutdown: %v, want ErrCutOff", err)
	}
}

// TestSlowClients do not get to hold a connection.
func TestSlowClients(t *testing.T) {
	soon := 20 * time.Millisecond
	for _, tt := range []struct {
		name, sends string
		options     httpd.Options
	}{
		{"no request", "", httpd.Options{HeaderTimeout: soon}},
		{"half a header", "GET / HTTP/1.1\r\nHost: x\r\n", httpd.Options{HeaderTimeout: soon}},
		{"half a body", "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345", httpd.Options{ReadTimeout: soon}},
		{"no next request", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", httpd.Options{IdleTimeout: soon}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, tt.options, map[string]http.HandlerFunc{"/body": func(_ http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
			}})
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, tt.sends); err != nil {
				t.Fatal(err)
			}
			// The server ends the connection; without that the test would not end.
			if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Error(err)
			}
		})
	}
}

func TestHeaderTooLong(t *testing.T) {
	r := start(t, httpd.Options{}, nil)
	req, err := http.NewRequest(http.MethodGet, r.url+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Long", strings.Repeat("x", 128<<10))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d, want 431", resp.StatusCode)
	}
}

func TestPanicIsAnAnswer(t *testing.T) {
	r := start(t, httpd.Options{}, map[string]http.HandlerFunc{"/panic": func(http.ResponseWriter, *http.Request) {
		panic("Mrs. Shaw has the flu")
	}})
	status, body := r.get("/panic")
	if status != 500 || !strings.Contains(body, `"code":"exception"`) {
		t.Errorf("%d %s", status, body)
	}
	r.stop()
	log := r.log.String()
	if !strings.Contains(log, "server_test.go") {
		t.Errorf("the log does not say where it was:\n%s", log)
	}
	if strings.Contains(log+body, "Shaw") {
		t.Errorf("what the panic says is shown:\n%s\n%s", log, body)
	}
}

func TestLogHasNoData(t *testing.T) {
	var seen []httpd.Exchange
	r := start(t, httpd.Options{Observe: func(e httpd.Exchange) { seen = append(seen, e) }}, map[string]http.HandlerFunc{
		"/datastore/": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, "Shaw")
		},
	})
	const store = "0123456789abcdef0123456789abcdef"
	req, err := http.NewRequest(http.MethodPut, r.url+"/datastore/"+store+"/r4/Patient/shaw?name=Shaw", strings.NewReader(`{"name":"Shaw"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Request-Id", "request-7")
	req.Header.Set("User-Agent", "Shaw")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("X-Request-Id"); got != "request-7" {
		t.Errorf("the answer has the id %q", got)
	}
	r.stop()
	log := r.log.String()
	if strings.Contains(strings.ToLower(log), "shaw") {
		t.Errorf("the log has data:\n%s", log)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(log), &line); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"msg": "request", "request": "request-7", "interaction": "update", "type": "Patient",
		"datastore": store, "status": 202.0, "received": 15.0, "sent": 4.0,
	} {
		if line[key] != want {
			t.Errorf("the log says %s %v, want %v", key, line[key], want)
		}
	}
	if len(seen) != 1 || seen[0].Interaction != "update" || seen[0].Received != 15 || seen[0].Sent != 4 {
		t.Errorf("observed %+v", seen)
	}
}

func TestRequestIDs(t *testing.T) {
	r := start(t, httpd.Options{}, nil)
	for _, tt := range []struct {
		name, id string
		kept     bool
	}{
		{"a UUID", "2f1c3a6e-0d53-4c0e-9a53-d1b5f5b1c111", true},
		{"none", "", false},
		{"too long", strings.Repeat("a", 65), false},
		{"free text", "Mrs. Shaw", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodGet, r.url+"/healthz", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Request-Id", tt.id)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			got := resp.Header.Get("X-Request-Id")
			if got == "" || (got == tt.id) != tt.kept {
				t.Errorf("%q became %q", tt.id, got)
			}
		})
	}
}
