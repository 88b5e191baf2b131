package owner

import (
	"bufio"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// maxParameters bounds the line of parameters: some thousand paths.
const maxParameters = 4 << 20

// aliveInterval is how often an operation that says nothing shows that it goes on.
const aliveInterval = 5 * time.Second

// An Operation does the work of one kind of request. What it gives is the result,
// encoded as JSON.
type Operation func(ctx context.Context, call *Call) (any, error)

// Call is one run of an operation. Its methods are safe for concurrent use.
type Call struct {
	Stdin  io.Reader // what the command has as standard input; empty when the operation does not ask for it
	params json.RawMessage
	out    *answer
}

// Params decodes the parameters into v.
func (c *Call) Params(v any) error {
	if err := json.Unmarshal(c.params, v); err != nil {
		return fmt.Errorf("parameters of the operation: %w", err)
	}
	return nil
}

// Progress shows the command how far the work is.
func (c *Call) Progress(v any) {
	if text, err := json.Marshal(v); err == nil {
		c.out.send(event{Progress: text})
	}
}

// Output writes what the command writes: its standard output, or a file. A command that
// reads slowly makes it wait, one that has gone gives an error.
func (c *Call) Output() io.Writer { return output{c.out} }

type output struct{ out *answer }

// outputSize is how many bytes one event carries at most.
const outputSize = 64 << 10

func (o output) Write(p []byte) (n int, err error) {
	for len(p) > n && err == nil {
		part := p[n:min(len(p), n+outputSize)]
		if err = o.out.send(event{Output: part}); err == nil {
			n += len(part)
		}
	}
	return n, err
}

// Note says something to the people at the command.
func (c *Call) Note(text string) { c.out.send(event{Note: text}) }

// HandlerOptions say who may ask, and what is done.
type HandlerOptions struct {
	Token      string
	Version    string
	Operations map[string]Operation
	Code       func(error) int // exit code of a command that ends with this error
}

// Handler answers the requests of commands. It is safe for concurrent use.
type Handler struct {
	o    HandlerOptions
	host string

	mu      sync.Mutex
	running map[string]context.CancelFunc // by what the command calls its run
}

// NewHandler makes the handler of a server that commands reach at the address host,
// which must be the one that the lock announces.
func NewHandler(host string, o HandlerOptions) *Handler {
	return &Handler{o: o, host: host, running: map[string]context.CancelFunc{}}
}

var _ http.Handler = (*Handler)(nil)

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if status, why := h.refuse(r); status != 0 {
		http.Error(w, why, status)
		return
	}
	w.Header().Set(versionHeader, h.o.Version)
	version, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Prefix), "/")
	if version != Protocol {
		http.Error(w, "another version of the protocol", http.StatusUpgradeRequired)
		return
	}
	run := r.Header.Get(operationHeader)
	if name == cancelName {
		h.cancel(run)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	op, ok := h.o.Operations[name]
	if !ok {
		http.Error(w, "no such operation", http.StatusUpgradeRequired)
		return
	}
	h.serve(w, r, run, op)
}

// refuse gives the status of a request that is not from a command of the root's user;
// 0 for one that is.
func (h *Handler) refuse(r *http.Request) (status int, why string) {
	switch {
	case !fromHere(r):
		return http.StatusForbidden, "only for commands on this machine"
	case r.Host != h.host:
		return http.StatusMisdirectedRequest, "the Host is not the address of the owner"
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
		return http.StatusForbidden, "not for web pages"
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(h.o.Token)) != 1 {
		return http.StatusUnauthorized, "the token is not the one of the lock"
	}
	switch {
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, "only POST"
	case r.Header.Get("Content-Type") != contentType:
		return http.StatusUnsupportedMediaType, "only " + contentType
	}
	return 0, ""
}

// fromHere tells whether a request comes from this machine: from the loopback, or from
// the very address that it was sent to.
func fromHere(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	if from.Addr().Unmap().IsLoopback() {
		return true
	}
	to, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	here, err := netip.ParseAddrPort(to.String())
	return err == nil && here.Addr().Unmap() == from.Addr().Unmap()
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, run string, op Operation) {
	c := http.NewResponseController(w)
	// An import takes as long as it takes, and its input comes while it answers.
	err := errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{}))
	if r.ProtoMajor == 1 {
		err = errors.Join(err, c.EnableFullDuplex())
	}
	if err != nil {
		http.Error(w, "the server cannot stream", http.StatusInternalServerError)
		return
	}
	body := bufio.NewReader(r.Body)
	params, err := readLine(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if run != "" {
		h.begin(run, cancel)
		defer h.end(run)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(http.StatusOK)
	out := &answer{w: w, c: c, broken: cancel}
	out.send(event{Alive: true})
	stop := out.keepAlive()
	result, err := op(ctx, &Call{Stdin: body, params: params, out: out})
	stop()
	out.send(h.last(result, err))
}

// last is the event that ends an answer.
func (h *Handler) last(result any, err error) event {
	if err == nil {
		var text []byte
		if text, err = json.Marshal(result); err == nil {
			return event{Result: text}
		}
	}
	return event{Failure: &Failure{Message: err.Error(), Code: h.o.Code(err)}}
}

func (h *Handler) begin(run string, cancel context.CancelFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running[run] = cancel
}

func (h *Handler) end(run string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.running, run)
}

func (h *Handler) cancel(run string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if stop, ok := h.running[run]; ok {
		stop()
	}
}

// readLine reads a line that may not be longer than parameters are.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxParameters:
			return nil, fmt.Errorf("the parameters have more than %d bytes", maxParameters)
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("read parameters: %w", err)
		}
	}
}

// answer writes events, one at a time, each at once. When the command is gone it calls
// broken.
type answer struct {
	mu     sync.Mutex
	w      io.Writer
	c      *http.ResponseController
	broken func()
}

func (a *answer) send(e event) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err // a RawMessage that json.Marshal made
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err = a.w.Write(append(text, '\n'))
	if err == nil {
		err = a.c.Flush()
	}
	if err != nil {
		a.broken()
		return fmt.Errorf("answer the command: %w", err)
	}
	return nil
}

// keepAlive lets the command see a living owner until stop is called.
func (a *answer) keepAlive() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(aliveInterval)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				a.send(event{Alive: true})
			}
		}
	}()
	return func() { close(done); <-ended }
}
