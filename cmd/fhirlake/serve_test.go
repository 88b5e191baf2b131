package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"strconv"
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
		resp, err := client.Get(s.url + "/readyz")
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

// client takes the certificates that tests make.
var client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

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
type scriptState struct {
	server    *server
	datastore string // what /r4 stands for; "" for nothing
}

func current(ts *testscript.TestScript) *scriptState { return ts.Value(serverKey).(*scriptState) }

// setUpServer makes the state of a script.
func setUpServer(env *testscript.Env) error {
	env.Values[serverKey] = &scriptState{}
	return nil
}

// datastoreCommand says which data store requests to /r4 go to, and sets $BASE to its
// URL: datastore NAME.
func datastoreCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: datastore NAME")
	}
	ts.Check(ts.Exec("fhirlake", "datastore", "describe", "--json", args[0]))
	state := current(ts)
	state.datastore = fmt.Sprint(at(ts, lastLine(ts), "DatastoreProperties.DatastoreId"))
	ts.Setenv("BASE", state.server.url+"/datastore/"+state.datastore+"/r4")
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
	state := current(ts)
	if strings.HasPrefix(path, "/r4") || path == "/sql" {
		path = "/datastore/" + state.datastore + path
	}
	req, err := http.NewRequest(method, state.server.url+path, strings.NewReader(body))
	ts.Check(err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
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
	stoppedCommand(ts, false, []string{"0", args[0]})
}

// stoppedCommand is stop for a server that exits with another code; -1 is that of one
// that was killed.
func stoppedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: stopped CODE INT|TERM|KILL")
	}
	sig := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "KILL": os.Kill}[args[1]]
	s := current(ts).server
	if err := s.stop(sig); strconv.Itoa(s.cmd.ProcessState.ExitCode()) != args[0] {
		ts.Fatalf("the server ended with %v, want exit code %s\n%s", err, args[0], s.log)
	}
	fmt.Fprint(ts.Stdout(), s.log)
}

// hupCommand has the server read its files again: hup [PATH STATUS]. It waits until the
// path is answered with the status, or without one until there is another certificate.
func hupCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 && len(args) != 2 {
		ts.Fatalf("usage: hup [PATH STATUS]")
	}
	s := current(ts).server
	name := ts.MkAbs("fhirlake-data/lock")
	before := ts.ReadFile(name)
	done := func() bool {
		now := ts.ReadFile(name)
		return now != before && strings.HasSuffix(now, "}\n")
	}
	if len(args) == 2 {
		done = func() bool {
			resp, err := client.Get(s.url + args[0])
			ts.Check(err)
			resp.Body.Close()
			return strconv.Itoa(resp.StatusCode) == args[1]
		}
	}
	ts.Check(s.cmd.Process.Signal(syscall.SIGHUP))
	for !done() {
		time.Sleep(2 * time.Millisecond)
	}
}

// certificateCommand makes a certificate that signs itself: certificate FILE KEY-FILE.
func certificateCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: certificate FILE KEY-FILE")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	ts.Check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}
