package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/server/rest/capability"
)

const respondAsync = "Prefer: respond-async"

// submit sends a request to be answered later and gives where its answer will be.
func submit(t *testing.T, s *server, body string, header ...string) string {
	t.Helper()
	w := s.do(t, "POST", "/", body, append(header, respondAsync)...)
	at, ok := strings.CutPrefix(w.Header().Get("Content-Location"), "http://lake.test/datastore/ds/r4")
	if w.Code != 202 || !ok || !strings.Contains(w.Body.String(), "SUBMITTED") || w.Header().Get("Preference-Applied") != "respond-async" {
		t.Fatalf("%d %v %s, want 202 and a place of the answer", w.Code, w.Header(), w.Body)
	}
	return at
}

// collect polls until the answer is there.
func collect(t *testing.T, s *server, at string) *httptest.ResponseRecorder {
	t.Helper()
	for {
		w := s.do(t, "GET", at, "")
		if w.Code != 202 {
			return w
		}
		if p := w.Header().Get("X-Progress"); p != "SUBMITTED" && p != "IN_PROGRESS" || w.Header().Get("Retry-After") == "" {
			t.Fatalf("still at work: %v", w.Header())
		}
		time.Sleep(time.Millisecond)
	}
}

func entries(n int) string {
	return strings.TrimSuffix(strings.Repeat(`{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}},`, n), ",")
}

func TestAnswersThatComeLater(t *testing.T) {
	s := newServer(t, nil)
	const put = `{"resource":{"resourceType":"Patient","id":"p","active":true},"request":{"method":"PUT","url":"Patient/p"}}`
	for _, c := range []struct {
		name, body string
		header     []string
		status     int
		want       string
	}{
		{"transaction", `{"resourceType":"Bundle","type":"transaction","entry":[` + put + `]}`, nil, 200, `"type":"transaction-response","entry":[{"response":{"status":"201 Created","location":"Patient/p/_history/1"`},
		{"batch with resources", `{"resourceType":"Bundle","type":"batch","entry":[` + put + `]}`, []string{"Prefer: return=representation"}, 200, `"active":true`},
		{"of more entries than are done at once", `{"resourceType":"Bundle","type":"transaction","entry":[` + entries(capability.MaxAsyncTransaction) + `]}`, nil, 200, "201 Created"},
		{"of too many", `{"resourceType":"Bundle","type":"transaction","entry":[` + entries(capability.MaxAsyncTransaction+1) + `]}`, nil, 422, "OperationOutcome"},
		{"that is refused", `{"resourceType":"Bundle","type":"transaction","entry":[` + strings.Replace(put, "true", "1", 1) + `]}`, nil, 400, "Bundle.entry[0].resource.active"},
		{"no Bundle", `{"resourceType":"Patient"}`, nil, 400, "only a Bundle"},
	} {
		at := submit(t, s, c.body, c.header...)
		w := collect(t, s, at)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || !json.Valid(w.Body.Bytes()) || w.Header().Get("Expires") == "" {
			t.Errorf("%s: %d %.500s, want %d and %s", c.name, w.Code, w.Body, c.status, c.want)
		}
		if again := s.do(t, "GET", at+"?_pretty=true", ""); again.Code != c.status {
			t.Errorf("%s: asked again: %d", c.name, again.Code)
		}
		if w := s.do(t, "DELETE", at, ""); w.Code != 202 {
			t.Errorf("%s: deleted: %d", c.name, w.Code)
		}
		if w := s.do(t, "GET", at, ""); w.Code != 404 {
			t.Errorf("%s: after that: %d", c.name, w.Code)
		}
	}
	// Of other requests it is ignored, as FHIR allows.
	if w := s.do(t, "GET", "/Patient/p", "", respondAsync); w.Code != 200 {
		t.Errorf("a read: %d", w.Code)
	}
	for path, status := range map[string]int{"/Transaction/none": 404, "/Transaction": 404, "/Transaction/a/b": 404} {
		if w := s.do(t, "GET", path, ""); w.Code != status {
			t.Errorf("%s: %d, want %d", path, w.Code, status)
		}
	}
	if w := s.do(t, "PUT", "/Transaction/x", "{}"); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD, DELETE, OPTIONS" {
		t.Errorf("PUT: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestAnswersAreForgotten(t *testing.T) {
	var now atomic.Int64
	s := newServer(t, func(o *rest.Options) { o.Now = func() time.Time { return time.Unix(1767225600+now.Load(), 0) } })
	at := submit(t, s, `{"resourceType":"Bundle","type":"batch"}`)
	if w := collect(t, s, at); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	now.Add(int64(capability.KeepAnswers/time.Second) - 1)
	if w := s.do(t, "GET", at, ""); w.Code != 200 {
		t.Errorf("before its time: %d", w.Code)
	}
	now.Add(1)
	if w := s.do(t, "GET", at, ""); w.Code != 404 {
		t.Errorf("after its time: %d", w.Code)
	}
}

// begunTransaction is a Bundle that the store of a test makes wait.
const begunTransaction = `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/p"}}]}`

func TestLimitsOfLaterAnswersAndTheirEnd(t *testing.T) {
	f := &fake{wait: make(chan struct{})} // whose commits end with their context
	var h *rest.Handler
	handler := serverOf(t, f, new(atomic.Int64), nil)
	h = handler.(*rest.Handler)
	var places []string
	for range capability.MaxPending {
		w := do(t, h, "POST", "/", begunTransaction, respondAsync)
		if w.Code != 202 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		places = append(places, strings.TrimPrefix(w.Header().Get("Content-Location"), "http://lake.test/datastore/ds/r4"))
	}
	if w := do(t, h, "POST", "/", begunTransaction, respondAsync); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("one more: %d, Retry-After %q, want 429", w.Code, w.Header().Get("Retry-After"))
	}
	if w := do(t, h, "DELETE", places[1], ""); w.Code != 202 {
		t.Errorf("deleted: %d", w.Code)
	}
	if w := do(t, h, "POST", "/", begunTransaction, respondAsync); w.Code != 202 {
		t.Errorf("after one was deleted: %d", w.Code)
	}
	// The time to shut down is over: all are cancelled, and nobody waits for ever.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Close(ctx); err == nil {
		t.Error("Close says that all were done")
	}
	if w := do(t, h, "GET", places[0], ""); w.Code != 503 {
		t.Errorf("one that was cancelled: %d %s", w.Code, w.Body)
	}
	if w := do(t, h, "POST", "/", begunTransaction, respondAsync); w.Code != 503 {
		t.Errorf("after the end: %d", w.Code)
	}
}

func TestCloseWaitsForLaterAnswers(t *testing.T) {
	s := newServer(t, nil)
	var places []string
	for n := range 20 {
		body := fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient","id":"p%d"},"request":{"method":"PUT","url":"Patient/p%d"}}]}`, n, n)
		places = append(places, submit(t, s, body))
	}
	if err := s.handler.(*rest.Handler).Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n, at := range places {
		if w := s.do(t, "GET", at, ""); w.Code != 200 {
			t.Errorf("%d was not done: %d", n, w.Code)
		}
		if w := s.do(t, "GET", fmt.Sprintf("/Patient/p%d", n), ""); w.Code != 200 {
			t.Errorf("p%d is not there: %d", n, w.Code)
		}
	}
}
