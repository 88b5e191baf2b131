package owner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/server/owner"
	"github.com/fhirlake/fhirlake/store/root"
)

const token = "the-token-of-the-lock"

var errUsage = errors.New("wrong command line")

// ended has the error of the context of an operation that a command has left.
var ended = make(chan error, 1)

// pattern reads all bytes in turn.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i)
	}
	return len(p), nil
}

// operations are what the owner of the tests can do.
var operations = map[string]owner.Operation{
	"greet": func(_ context.Context, call *owner.Call) (any, error) {
		var name string
		if err := call.Params(&name); err != nil {
			return nil, err
		}
		call.Note("somebody came")
		call.Progress(map[string]int{"done": 1})
		call.Progress(map[string]int{"done": 2})
		return "hello " + name, nil
	},
	"count": func(_ context.Context, call *owner.Call) (any, error) {
		return io.Copy(io.Discard, call.Stdin)
	},
	"write": func(_ context.Context, call *owner.Call) (any, error) {
		var n int
		if err := call.Params(&n); err != nil {
			return nil, err
		}
		return io.Copy(call.Output(), io.LimitReader(pattern{}, int64(n)))
	},
	"endless": func(ctx context.Context, call *owner.Call) (any, error) {
		defer func() { ended <- ctx.Err() }()
		return io.Copy(call.Output(), pattern{})
	},
	"fail":  func(context.Context, *owner.Call) (any, error) { return nil, errors.New("no space left") },
	"usage": func(context.Context, *owner.Call) (any, error) { return nil, errUsage },
	"wait": func(ctx context.Context, call *owner.Call) (any, error) {
		call.Progress("waiting")
		<-ctx.Done()
		return nil, fmt.Errorf("stopped: %w", ctx.Err())
	},
	"finish": func(ctx context.Context, call *owner.Call) (any, error) {
		call.Progress("finishing")
		<-ctx.Done()
		return "done all the same", nil
	},
}

func code(err error) int {
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

// serve starts an owner and gives it as a lock names it.
func serve(t *testing.T, withTLS bool) root.Owner {
	t.Helper()
	var h http.Handler
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	o := root.Owner{PID: 4711, Address: s.Listener.Addr().String(), Token: token}
	h = owner.NewHandler(o.Address, owner.HandlerOptions{Token: token, Version: "1.0", Operations: operations, Code: code})
	if withTLS {
		s.StartTLS()
		o.Certificate = owner.CertificateSum(s.Certificate().Raw)
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return o
}

func TestWorkIsDone(t *testing.T) {
	for _, withTLS := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", withTLS), func(t *testing.T) {
			c := owner.NewClient(serve(t, withTLS), "1.0")
			var heard []string
			var got string
			err := c.Do(t.Context(), owner.Request{
				Operation: "greet", Params: "Ada",
				Progress: func(p json.RawMessage) { heard = append(heard, string(p)) },
				Note:     func(s string) { heard = append(heard, s) },
			}, &got)
			if err != nil {
				t.Fatal(err)
			}
			if got != "hello Ada" {
				t.Errorf("result %q", got)
			}
			if diff := cmp.Diff([]string{"somebody came", `{"done":1}`, `{"done":2}`}, heard); diff != "" {
				t.Errorf("heard (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStandardInputIsStreamed(t *testing.T) {
	const size = 8 << 20
	c := owner.NewClient(serve(t, false), "1.0")
	var n int64
	in := io.LimitReader(strings.NewReader(strings.Repeat("x", size+1)), size)
	if err := c.Do(t.Context(), owner.Request{Operation: "count", Stdin: in}, &n); err != nil {
		t.Fatal(err)
	}
	if n != size {
		t.Errorf("the owner read %d bytes, want %d", n, size)
	}
}

func TestOutputIsStreamed(t *testing.T) {
	const size = 3<<20 + 17
	c := owner.NewClient(serve(t, false), "1.0")
	var n int64
	var got, want bytes.Buffer
	if err := c.Do(t.Context(), owner.Request{Operation: "write", Params: size, Output: &got}, &n); err != nil {
		t.Fatal(err)
	}
	io.Copy(&want, io.LimitReader(pattern{}, size))
	if n != size || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes were written and %d came, which are others", n, got.Len())
	}
}

// full takes some bytes and then none.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

var errFull = errors.New("no room")

// TestOutputThatCannotBeWritten has the work ended.
func TestOutputThatCannotBeWritten(t *testing.T) {
	c := owner.NewClient(serve(t, false), "1.0")
	var n int64
	err := c.Do(t.Context(), owner.Request{Operation: "endless", Output: &full{1 << 20}}, &n)
	var unavailable *owner.UnavailableError
	if !errors.Is(err, errFull) || errors.As(err, &unavailable) {
		t.Errorf("got %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the context of the work: %v", err)
	}
}

// TestResultBeforeTheInputEnds has a standard input that never ends.
func TestResultBeforeTheInputEnds(t *testing.T) {
	in, hold := io.Pipe()
	defer hold.Close()
	var got string
	c := owner.NewClient(serve(t, false), "1.0")
	if err := c.Do(t.Context(), owner.Request{Operation: "greet", Params: "Ada", Stdin: in}, &got); err != nil {
		t.Fatal(err)
	}
}

func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		operation string
		want      owner.Failure
	}{
		{"fail", owner.Failure{Message: "no space left", Code: 1}},
		{"usage", owner.Failure{Message: "wrong command line", Code: 2}},
	} {
		t.Run(tt.operation, func(t *testing.T) {
			c := owner.NewClient(serve(t, false), "1.0")
			var failure *owner.Failure
			err := c.Do(t.Context(), owner.Request{Operation: tt.operation}, nil)
			if !errors.As(err, &failure) || *failure != tt.want {
				t.Errorf("got %v, want %+v", err, tt.want)
			}
		})
	}
}

func TestInterrupt(t *testing.T) {
	for _, tt := range []struct{ operation, failure, result string }{
		{"wait", "stopped: context canceled", ""},
		{"finish", "", "done all the same"},
	} {
		t.Run(tt.operation, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			c := owner.NewClient(serve(t, false), "1.0")
			var result string
			err := c.Do(ctx, owner.Request{
				Operation: tt.operation,
				Progress:  func(json.RawMessage) { interrupt() },
			}, &result)
			failure := ""
			if err != nil {
				failure = err.Error()
			}
			if failure != tt.failure || result != tt.result {
				t.Errorf("got %q and %q, want %q and %q", failure, result, tt.failure, tt.result)
			}
		})
	}
}

func TestOwnerIsGone(t *testing.T) {
	o := serve(t, false)
	o.Address = "127.0.0.1:1"
	err := owner.NewClient(o, "1.0").Do(t.Context(), owner.Request{Operation: "greet"}, nil)
	var gone *owner.UnavailableError
	if !errors.As(err, &gone) || gone.Begun {
		t.Fatalf("got %v, want an UnavailableError before the work began", err)
	}
	if !strings.Contains(err.Error(), "the server of process 4711 at 127.0.0.1:1 owns the root and does not answer") {
		t.Errorf("unclear: %v", err)
	}
}

func TestOwnerEndsInTheMiddle(t *testing.T) {
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		io.WriteString(w, `{"alive":true}`+"\n")
		http.NewResponseController(w).Flush()
		s.CloseClientConnections()
	}))
	defer s.Close()
	o := root.Owner{PID: 1, Address: s.Listener.Addr().String()}
	var gone *owner.UnavailableError
	if err := owner.NewClient(o, "1.0").Do(t.Context(), owner.Request{Operation: "greet"}, nil); !errors.As(err, &gone) || !gone.Begun {
		t.Errorf("got %v, want an UnavailableError of work that began", err)
	}
}

func TestOtherVersion(t *testing.T) {
	err := owner.NewClient(serve(t, false), "2.0").Do(t.Context(), owner.Request{Operation: "compact"}, nil)
	var other *owner.VersionError
	if !errors.As(err, &other) || other.Theirs != "1.0" || other.Ours != "2.0" {
		t.Errorf("got %v, want a VersionError of 1.0 and 2.0", err)
	}
}

func TestOtherCertificate(t *testing.T) {
	o := serve(t, true)
	o.Certificate = strings.Repeat("00", 32)
	err := owner.NewClient(o, "1.0").Do(t.Context(), owner.Request{Operation: "greet", Params: "Ada"}, nil)
	if err == nil || !strings.Contains(err.Error(), "not the one that the lock names") {
		t.Errorf("got %v", err)
	}
}

// TestWhoMayAsk changes one thing of a request that would be answered.
func TestWhoMayAsk(t *testing.T) {
	h := owner.NewHandler("127.0.0.1:8080", owner.HandlerOptions{Token: token, Version: "1.0", Operations: operations, Code: code})
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		want   int
	}{
		{"a command", func(*http.Request) {}, http.StatusOK},
		{"no token", func(r *http.Request) { r.Header.Del("Authorization") }, http.StatusUnauthorized},
		{"another token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, http.StatusUnauthorized},
		{"an empty token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, http.StatusUnauthorized},
		{"another machine", func(r *http.Request) { r.RemoteAddr = "192.0.2.7:4000" }, http.StatusForbidden},
		{"a name that leads here", func(r *http.Request) { r.Host = "rebound.example.org:8080" }, http.StatusMisdirectedRequest},
		{"another name of here", func(r *http.Request) { r.Host = "localhost:8080" }, http.StatusMisdirectedRequest},
		{"a page", func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:8080") }, http.StatusForbidden},
		{"an image of a page", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		{"a form", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, http.StatusUnsupportedMediaType},
		{"reading", func(r *http.Request) { r.Method = http.MethodGet }, http.StatusMethodNotAllowed},
		{"asking before", func(r *http.Request) { r.Method = http.MethodOptions }, http.StatusMethodNotAllowed},
		{"another protocol", func(r *http.Request) { r.URL.Path = "/_owner/2/greet" }, http.StatusUpgradeRequired},
		{"no operation", func(r *http.Request) { r.URL.Path = "/_owner/1/" }, http.StatusUpgradeRequired},
		{"no parameters", func(r *http.Request) { r.Body = http.NoBody }, http.StatusBadRequest},
		{"endless parameters", func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(strings.Repeat(" ", 5<<20)))
		}, http.StatusBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080/_owner/1/greet", strings.NewReader("\"Ada\"\n"))
			r.RemoteAddr = "127.0.0.1:4000"
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", "application/x-ndjson")
			tt.change(r)
			w := streaming{httptest.NewRecorder()}
			h.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d: %s", w.Code, tt.want, w.Body)
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("pages of %s are let in", got)
			}
		})
	}
}

// streaming is a recorder that can do what a connection can.
type streaming struct{ *httptest.ResponseRecorder }

func (streaming) SetReadDeadline(time.Time) error  { return nil }
func (streaming) SetWriteDeadline(time.Time) error { return nil }
func (streaming) EnableFullDuplex() error          { return nil }
