package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// RequestOptions say what to measure and against which server.
type RequestOptions struct {
	Program string   // the fhirlake binary, which serves
	Inputs  []string // files or folders of NDJSON: what is in the data store
	URL     string   // of a data store that is served already; "": a server is started
	Args    []string // more flags for serve
	Work    string   // folder for the root of the server that is started
	Clients []int
	Seconds float64
	WarmUp  float64 // seconds
	Report  func(RequestRun)

	files      []string // inputs that an import has while something else is measured
	root       string   // what is served; "": a new one in Work
	importArgs []string // more flags for the import
	datastore  string   // name or id; "": the default one
}

// RequestResult is what came out.
type RequestResult struct {
	Resources    int64        `json:"resources,omitempty"` // in the data store at the beginning
	Runs         []RequestRun `json:"runs"`
	PeakRSSBytes int64        `json:"peakRSSBytes,omitempty"` // of the server
}

// server is a `fhirlake serve` over a root of its own. Its log goes to a file, as it
// would elsewhere: reading it would cost the client what it measures.
type server struct {
	cmd  *exec.Cmd
	log  *os.File
	base string // URL of the data store
	root string
}

// serve imports the inputs, if there are any, and starts a server.
func serve(ctx context.Context, o *RequestOptions, res *RequestResult) (*server, error) {
	if err := os.MkdirAll(o.Work, 0o755); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	root := o.root
	if root == "" {
		root = filepath.Join(o.Work, "lake")
	}
	if len(o.Inputs) > 0 {
		out, _, err := runProcess(ctx, o.Program, slices.Concat([]string{"--root", root, "--json", "import", "--validation", "structure-only"}, o.importArgs, o.Inputs), 3)
		if err != nil {
			return nil, fmt.Errorf("import: %w", err)
		}
		var imported struct {
			Imported int64 `json:"imported"`
		}
		if err := json.Unmarshal(lastLine(out), &imported); err != nil {
			return nil, fmt.Errorf("import: result: %w", err)
		}
		res.Resources = imported.Imported
	}
	log, err := os.Create(filepath.Join(o.Work, "log"))
	if err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	s := &server{log: log, root: root}
	s.cmd = exec.CommandContext(ctx, o.Program, append([]string{"--root", root, "--json", "serve", "--listen", "127.0.0.1:0"}, o.Args...)...)
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(os.Interrupt) }
	s.cmd.Stderr = s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", errors.Join(err, log.Close()))
	}
	var hello struct {
		URL string `json:"url"`
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &hello)
	}
	if err == nil {
		s.base, err = s.datastore(ctx, o, hello.URL)
	}
	if err != nil {
		s.stop(res)
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("start the server: %w: %.1000s", err, said)
	}
	return s, nil
}

// datastore waits until there is the data store and gives its URL.
func (s *server) datastore(ctx context.Context, o *RequestOptions, url string) (string, error) {
	if err := awaitReady(ctx, url); err != nil {
		return "", err
	}
	args := []string{"--root", s.root, "--json", "datastore", "describe"}
	if o.datastore != "" {
		args = append(args, "--datastore", o.datastore)
	}
	out, _, err := runProcess(ctx, o.Program, args, 0)
	if err != nil {
		return "", err
	}
	var described struct {
		Properties struct {
			ID string `json:"DatastoreId"`
		} `json:"DatastoreProperties"`
	}
	if err := json.Unmarshal(lastLine(out), &described); err != nil {
		return "", err
	}
	return url + "/datastore/" + described.Properties.ID + "/r4", nil
}

// stop ends the server and takes down what it cost.
func (s *server) stop(res *RequestResult) {
	s.cmd.Process.Signal(os.Interrupt) // it may have ended
	s.cmd.Wait()
	s.log.Close()
	res.PeakRSSBytes = childPeakRSS(s.cmd.ProcessState)
}
