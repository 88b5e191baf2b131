package events

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// WebhookOptions say where events go. Zero values but for URL are usable.
type WebhookOptions struct {
	URL      string
	Waiting  int           // events that may wait; further ones are dropped and counted; 0: 1000
	Attempts int           // for one event; 0: 8, over some two minutes
	Pause    time.Duration // after the first failure, twice as long after each further one; 0: 1 s
	Timeout  time.Duration // of one attempt; 0: 10 s
	Log      *slog.Logger  // nil: nowhere
}

// Webhook posts events to a URL, one after another in their order, each as one JSON object.
// It is safe for concurrent use, and holds up nobody: events wait in memory.
type Webhook struct {
	o       WebhookOptions
	client  *http.Client
	waiting chan []byte // has room for as many events as may wait
}

// NewWebhook makes a webhook. It sends nothing before Run.
func NewWebhook(o WebhookOptions) *Webhook {
	o.Waiting, o.Attempts = cmp.Or(o.Waiting, 1000), cmp.Or(o.Attempts, 8)
	o.Pause, o.Timeout = cmp.Or(o.Pause, time.Second), cmp.Or(o.Timeout, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Webhook{
		o: o, waiting: make(chan []byte, o.Waiting),
		client: &http.Client{Timeout: o.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// Send has an event sent. It never waits.
func (w *Webhook) Send(event []byte) {
	select {
	case w.waiting <- slices.Clone(event):
	default:
		w.o.Log.Error("webhook: an event was dropped, too many wait; the event log has it")
	}
}

// Run sends events until ctx ends; those that wait then are dropped.
func (w *Webhook) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-w.waiting:
			if err := w.deliver(ctx, event); err != nil && ctx.Err() == nil {
				w.o.Log.Error("webhook: an event was dropped; the event log has it", "attempts", w.o.Attempts, "error", err)
			}
		}
	}
}

func (w *Webhook) deliver(ctx context.Context, event []byte) error {
	pause := w.o.Pause
	for attempt := 1; ; attempt++ {
		err := w.post(ctx, event)
		if err == nil || attempt >= w.o.Attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause *= 2
		}
	}
}

func (w *Webhook) post(ctx context.Context, event []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.o.URL, bytes.NewReader(event))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the answer is %s", resp.Status)
	}
	return nil
}
