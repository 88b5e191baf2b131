// Package blobtest runs a real S3 server for tests, and a proxy before it that makes faults.
//
// Read [Serve] first.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/fhirlake/fhirlake/store/blob"
)

// The credentials of the server.
const (
	AccessKey = "test-access-key"
	SecretKey = "test-secret-key"
)

// Server is a running S3 server.
type Server struct {
	URL string
	// Dir has the objects as files: Dir/bucket/key.
	Dir string
}

// program is the S3 server, of the version that .ci/run installs.
const program = "versitygw"

// ErrMissing says that there is no S3 server on this machine, and how to get it.
var ErrMissing = errors.New("versitygw is not on the PATH: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")

// Serve starts a server with some buckets, which ends with the test. Without the program the
// test is skipped, but fails in CI.
func Serve(t testing.TB, buckets ...string) *Server {
	t.Helper()
	s, stop, err := Start(t.TempDir(), buckets...)
	if errors.Is(err, ErrMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s
}

// Start starts a server that keeps its buckets in a folder, until stop is called.
func Start(dir string, buckets ...string) (s *Server, stop func(), err error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, nil, ErrMissing
	}
	s = &Server{Dir: dir}
	for _, b := range buckets {
		if err := os.Mkdir(filepath.Join(s.Dir, b), 0o755); err != nil {
			return nil, nil, err
		}
	}
	for range 5 { // the port may be taken between our closing and its opening
		if stop, err = s.start(path); err == nil {
			return s, stop, nil
		}
	}
	return nil, nil, err
}

func (s *Server) start(path string) (stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	var out bytes.Buffer
	c := exec.Command(path, "--quiet", "--access", AccessKey, "--secret", SecretKey, "--port", address, "posix", s.Dir)
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { c.Wait(); close(ended) }()
	stop = func() { c.Process.Kill(); <-ended }
	s.URL = "http://" + address
	for range 1000 {
		select {
		case <-ended:
			return nil, fmt.Errorf("%s ended: %s", program, out.Bytes())
		case <-time.After(10 * time.Millisecond):
		}
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return stop, nil
		}
	}
	stop()
	return nil, fmt.Errorf("%s does not listen", program)
}

// Put makes an object.
func (s *Server) Put(t testing.TB, bucket, key string, content []byte) {
	t.Helper()
	c, err := minio.New(strings.TrimPrefix(s.URL, "http://"), &minio.Options{Creds: Options("").Credentials, Region: "us-east-1"})
	if err == nil {
		_, err = c.PutObject(context.Background(), bucket, key, bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Get reads an object.
func (s *Server) Get(t testing.TB, bucket, key string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.Dir, bucket, filepath.FromSlash(key)))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Options are those of a client of the server at a URL: its own or that of a [Proxy]. It
// gives up soon.
func Options(url string) blob.Options {
	return blob.Options{
		Endpoint: url, Region: "us-east-1", Credentials: credentials.NewStaticV4(AccessKey, SecretKey, ""),
		PartBytes: 5 << 20, Stall: 500 * time.Millisecond,
	}
}

// A Fault is what a proxy does to one request; nil lets it pass.
type Fault func(p *Proxy, w http.ResponseWriter, r *http.Request)

// Proxy stands before a server.
type Proxy struct {
	URL    string
	Faults atomic.Int64 // so far

	server string
	client *http.Client
}

// NewProxy starts a proxy. Choose is asked for each request, by many goroutines.
func NewProxy(t testing.TB, s *Server, choose func(r *http.Request) Fault) *Proxy {
	t.Helper()
	p := &Proxy{server: s.URL, client: &http.Client{Transport: &http.Transport{DisableCompression: true}}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.URL = "http://" + l.Addr().String()
	h := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := choose(r); f != nil {
			p.Faults.Add(1)
			f(p, w, r)
			return
		}
		p.pass(w, r, -1, true)
	})}
	ended := make(chan struct{})
	go func() { h.Serve(l); close(ended) }()
	t.Cleanup(func() { h.Close(); <-ended; p.client.CloseIdleConnections() })
	return p
}

// Forward hands a request on, with nothing wrong: for a Fault that only watches or waits.
func (p *Proxy) Forward(w http.ResponseWriter, r *http.Request) { p.pass(w, r, -1, true) }

// pass hands a request on, and of its answer at most n bytes; -1 is all. Told says that the
// length is that of the answer, not what is given.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request, n int64, told bool) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, p.server+r.URL.RequestURI(), r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	out.Header, out.Host, out.ContentLength = r.Header, r.Host, r.ContentLength
	in, err := p.client.Do(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer in.Body.Close()
	h := w.Header()
	for k, v := range in.Header {
		h[k] = v
	}
	if !told {
		h.Set("Content-Length", fmt.Sprint(min(n, in.ContentLength)))
	}
	w.WriteHeader(in.StatusCode)
	if n < 0 {
		io.Copy(w, in.Body)
		return
	}
	io.CopyN(w, in.Body, n)
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

// Status answers with an error of S3.
func Status(status int, code string) Fault {
	return func(_ *Proxy, w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>a fault</Message></Error>`, code)
	}
}

// Drop ends the connection without an answer.
func Drop(*Proxy, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// Pass hands a request on and lets nobody have the answer.
func (p *Proxy) Pass(r *http.Request) { p.pass(&nowhere{header: http.Header{}}, r, -1, true) }

// Lose hands the request on and drops the answer.
func Lose(p *Proxy, _ http.ResponseWriter, r *http.Request) {
	p.Pass(r)
	panic(http.ErrAbortHandler)
}

// Cut ends the connection after n bytes of the answer.
func Cut(n int64) Fault {
	return func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		p.pass(w, r, n, true)
		panic(http.ErrAbortHandler)
	}
}

// Short gives n bytes of the answer as if they were all.
func Short(n int64) Fault {
	return func(p *Proxy, w http.ResponseWriter, r *http.Request) { p.pass(w, r, n, false) }
}

// Stall gives n bytes of the answer, then nothing.
func Stall(n int64) Fault {
	return func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		p.pass(w, r, n, true)
		<-r.Context().Done()
	}
}

// Silent takes the request and says nothing.
func Silent(_ *Proxy, _ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n *nowhere) WriteHeader(int)             {}
