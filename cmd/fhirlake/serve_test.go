package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// server is a `fhirlake serve` that a test has started.
type server struct {
	cmd  *exec.Cmd
	url  string
	addr string
	log  *bytes.Buffer // to be read after wait
	wait func() error
}

// startServer starts a server on a free port and waits until it says which.
func startServer(bin, dir string, env []string, args ...string) (*server, error) {
	cmd := exec.Command(bin, append([]string{"serve", "--json", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Dir, cmd.Env = dir, env
	s := &server{cmd: cmd, log: &bytes.Buffer{}}
	cmd.Stderr = s.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.wait = sync.OnceValue(cmd.Wait)
	var hello struct{ URL, Address string }
	if err := json.NewDecoder(out).Decode(&hello); err != nil {
		s.kill()
		return nil, fmt.Errorf("the server does not say where it is: %w\n%s", err, s.log)
	}
	s.url, s.addr = hello.URL, hello.Address
	return s, nil
}

func (s *server) kill() {
	s.cmd.Process.Kill()
	s.wait()
}

// stop sends a signal and waits for the end.
func (s *server) stop(sig os.Signal) error {
	if err := s.cmd.Process.Signal(sig); err != nil {
		return err
	}
	return s.wait()
}

// awaitReady waits until requests are served; it gives up with the test run.
func (s *server) awaitReady() error {
	for {
		resp, err := http.Get(s.url + "/readyz")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		time.Sleep(2 * time.Millisecond)
	}
}

const serverKey = "server"

// serveCommand starts the server of a script: serve FLAGS... Its address is $ADDRESS
// then, and it ends with the script.
func serveCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: serve FLAGS...")
	}
	bin, err := exec.LookPath("fhirlake")
	ts.Check(err)
	env := append(os.Environ(), "HOME="+ts.Getenv("HOME"))
	s, err := startServer(bin, ts.MkAbs("."), env, args...)
	ts.Check(err)
	ts.Setenv("ADDRESS", s.addr)
	current(ts).server = s
	ts.Defer(s.kill)
}

// scriptState is what the commands of one script share.
type scriptState struct{ server *server }

func current(ts *testscript.TestScript) *scriptState { return ts.Value(serverKey).(*scriptState) }

func setUpServer(env *testscript.Env) error {
	env.Values[serverKey] = &scriptState{}
	return nil
}

func readyCommand(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(current(ts).server.awaitReady())
}

// getCommand asks the server: get PATH. Its standard output is the status and the body.
func getCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: get PATH")
	}
	request(ts, http.MethodGet, args[0], "", "")
}

// sendCommand sends a file: send METHOD PATH [FILE [CONTENT-TYPE]].
func sendCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 4 {
		ts.Fatalf("usage: send METHOD PATH [FILE [CONTENT-TYPE]]")
	}
	body, contentType := "", "application/fhir+json"
	if len(args) > 2 {
		body = ts.ReadFile(args[2])
	}
	if len(args) > 3 {
		contentType = args[3]
	}
	request(ts, args[0], args[1], body, contentType)
}

func request(ts *testscript.TestScript, method, path, body, contentType string) {
	req, err := http.NewRequest(method, current(ts).server.url+path, strings.NewReader(body))
	ts.Check(err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d %s", resp.StatusCode, text)
}

// stopCommand ends the server with a signal: stop INT|TERM. It must exit with 0; its log
// is the standard output.
func stopCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: stop INT|TERM")
	}
	sig := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM}[args[0]]
	s := current(ts).server
	if err := s.stop(sig); err != nil {
		ts.Fatalf("the server ended with %v\n%s", err, s.log)
	}
	ts.Check(os.WriteFile(ts.MkAbs("server.log"), s.log.Bytes(), 0o644))
	fmt.Fprint(ts.Stdout(), s.log)
}
