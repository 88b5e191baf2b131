package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/server/auth"
	"github.com/fhirlake/fhirlake/server/rest/capability"
)

// # Answers that come later
//
// A batch or a transaction with Prefer: respond-async is answered with 202 and a
// Content-Location, at which its state and then its answer are found (FHIR R4, 3.1.6;
// the URL and the words are Amazon HealthLake's). Such requests are done two at a time,
// beside those that are answered at once, and without their limit of time.
//
// They lie in memory: 202 says that the request was read, not that it is durable. One
// that is answered at its URL is durable as every other. What was not answered when the
// process ends is done before the end of a shutdown, or not at all, which is why
// docs/fhir-support.md tells clients to look at what there is. Decision 0025 has why.

// The limits of answers that come later.
const (
	laterWorkers   = 2                // requests that are done at once
	laterTimeout   = 10 * time.Minute // of one
	reindexTimeout = 7 * 24 * time.Hour
	laterBytes     = 256 << 20 // of bodies and answers of all data stores
)

// ticket is a request that is answered later.
type ticket struct {
	datastore string
	access    *auth.Access // of who sent it
	cancel    context.CancelFunc
	state     ticketState
	size      int64 // bytes that it counts for
	answer    reply // when it is done
	expires   time.Time
}

type ticketState uint8

const (
	ticketSubmitted ticketState = iota
	ticketWorking
	ticketDone
)

// The words for the states are HealthLake's.
func (s ticketState) String() string {
	return [...]string{"SUBMITTED", "IN_PROGRESS", "COMPLETED"}[s]
}

// desk keeps the tickets of a handler.
type desk struct {
	turns   chan struct{} // holds one token for each request at work
	working sync.WaitGroup

	mu      sync.Mutex
	tickets map[string]*ticket // by id
	bytes   int64
	closed  bool
}

func newDesk() *desk {
	return &desk{turns: make(chan struct{}, laterWorkers), tickets: map[string]*ticket{}}
}

// Close waits for the requests that were to be answered later, and cancels them when ctx
// ends before; its error says so. Further ones are refused.
func (h *Handler) Close(ctx context.Context) error {
	d := h.desk
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	done := make(chan struct{})
	go func() { d.working.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	d.mu.Lock()
	for _, t := range d.tickets {
		t.cancel()
	}
	d.mu.Unlock()
	<-done // a commit that is under way is waited for
	return fmt.Errorf("requests that were to be answered later were cut off: %w", ctx.Err())
}

// later takes the request of the exchange to be answered later.
func (x *exchange) later() (*reply, error) {
	h, d := x.h, x.h.desk
	c := x.call // the exchange is used again before the call is run
	c.async, c.text, c.header = true, nil, c.header.Clone()
	x.body = nil
	timeout := laterTimeout
	if c.isReindex() { // it takes as long as there is to read
		timeout = reindexTimeout
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), timeout)
	c.ctx = ctx
	t := &ticket{datastore: x.r.PathValue("datastore"), access: c.access, cancel: cancel, size: int64(len(c.body))}
	id := h.o.NewID()
	if f := d.put(id, t, h.o.Now()); f != nil {
		cancel()
		return nil, f
	}
	go h.work(&c, t)
	return &reply{
		status: http.StatusAccepted, json: stateOf(ticketSubmitted),
		header: map[string]string{"Content-Location": c.base + "/" + laterPath + "/" + id, "Preference-Applied": "respond-async"},
	}, nil
}

// put keeps a new ticket, or says why it cannot.
func (d *desk) put(id string, t *ticket, now time.Time) *outcome.Fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep(now)
	pending := 0
	for _, o := range d.tickets {
		if o.datastore == t.datastore && o.state != ticketDone {
			pending++
		}
	}
	switch {
	case d.closed:
		return outcome.Faultf(outcome.Unavailable, "the server is shutting down")
	case pending >= capability.MaxPending:
		return outcome.Faultf(outcome.Throttled, "%d requests of this data store are to be answered later; wait for one to end", pending)
	case d.bytes+t.size > laterBytes:
		return outcome.Faultf(outcome.Unavailable, "requests that are to be answered later, and answers that are kept, have %d bytes; delete those that are no longer wanted", d.bytes)
	}
	d.tickets[id] = t
	d.bytes += t.size
	d.working.Add(1)
	return nil
}

// sweep forgets answers whose time is over.
func (d *desk) sweep(now time.Time) {
	for id, t := range d.tickets {
		if t.state == ticketDone && !now.Before(t.expires) {
			d.forget(id, t)
		}
	}
}

func (d *desk) forget(id string, t *ticket) {
	delete(d.tickets, id)
	d.bytes -= t.size
}

// work does a request and keeps its answer.
func (h *Handler) work(c *call, t *ticket) {
	d := h.desk
	defer d.working.Done()
	defer t.cancel()
	select {
	case d.turns <- struct{}{}:
		defer func() { <-d.turns }()
	case <-c.ctx.Done():
	}
	d.set(t, ticketWorking)
	answer := h.answerOf(c)
	d.mu.Lock()
	defer d.mu.Unlock()
	size := int64(len(answer.json))
	if d.bytes-t.size+size > laterBytes {
		f := outcome.Faultf(outcome.TooCostly, "the request was done with status %d, and its answer of %d bytes could not be kept", answer.status, size)
		answer = reply{status: f.Status(), json: f.Append(nil)}
		size = int64(len(answer.json))
	}
	t.answer, t.state, t.expires = answer, ticketDone, h.o.Now().Add(capability.KeepAnswers)
	for _, o := range d.tickets { // else it was deleted meanwhile
		if o == t {
			d.bytes += size - t.size
			t.size = size
		}
	}
}

func (d *desk) set(t *ticket, s ticketState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t.state = s
}

// answerOf runs a call and gives its answer, whole and in memory.
func (h *Handler) answerOf(c *call) (answer reply) {
	defer func() {
		if p := recover(); p != nil { // of our own making: there is no server around it
			h.logPanic(c.ctx, p)
			answer = refusal(h.faultOf(c.ctx, errPanic))
		}
	}()
	if err := c.ctx.Err(); err != nil {
		return refusal(h.faultOf(c.ctx, err))
	}
	out, err := c.run()
	if err != nil {
		return refusal(h.faultOf(c.ctx, err))
	}
	body, err := gather(out, maxGathered)
	if err != nil {
		return refusal(h.faultOf(c.ctx, err))
	}
	return reply{status: out.status, json: body}
}

var errPanic = errors.New("panic")

// logPanic tells of a panic without its text, which may have content of a resource.
func (h *Handler) logPanic(ctx context.Context, p any) {
	h.o.Log.ErrorContext(ctx, "panic", "fault", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
}

func refusal(f *outcome.Fault) reply { return reply{status: f.Status(), json: f.Append(nil)} }

// stateOf is what is said of a request that is not done.
func stateOf(s ticketState) []byte {
	return outcome.Append(nil, []fhir.Issue{{Severity: fhir.Information, Code: "informational", Diagnostics: s.String()}}, outcome.At{})
}

// poll gives the state of a request that is answered later, and its answer when it is
// done; with DELETE it is cancelled, and forgotten.
func (c *call) poll() (*reply, error) {
	d, id := c.h.desk, c.id
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep(c.h.o.Now())
	t := d.tickets[id]
	if t == nil || t.datastore != c.datastore || !c.access.Owns(t.access) {
		return nil, outcome.Faultf(outcome.NotFound, "there is no request '%s' to be answered later: answers are kept for %s, and not when the server ends", clip(id), capability.KeepAnswers)
	}
	if c.method == http.MethodDelete {
		t.cancel()
		d.forget(id, t)
		return &reply{status: http.StatusAccepted}, nil
	}
	if t.state != ticketDone {
		return &reply{
			status: http.StatusAccepted, json: stateOf(t.state),
			header: map[string]string{"X-Progress": t.state.String(), "Retry-After": "1"},
		}, nil
	}
	out := t.answer
	out.header = map[string]string{"Expires": t.expires.UTC().Format(http.TimeFormat)}
	return &out, nil
}
