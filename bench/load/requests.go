package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// RequestRun is what some clients saw that each sent a request as soon as the one before
// was answered.
type RequestRun struct {
	Operation         string  `json:"operation"`
	Clients           int     `json:"clients"`
	Seconds           float64 `json:"seconds"`
	Requests          int64   `json:"requests"`
	RequestsPerSecond float64 `json:"requestsPerSecond"`
	Latency           Latency `json:"latencyMilliseconds"`
}

// Latency is a distribution, in milliseconds. The values are exact: every request is
// counted, from before it is sent until its answer is read.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// workload is a kind of request.
type workload struct {
	operation string
	status    int // that every answer must have
	// next gives the n-th request of all clients. It is called by many goroutines.
	next func(n int64) []byte
}

// measure has clients send requests, first some that do not count.
func (t target) measure(ctx context.Context, w workload, clients int, warmUp, duration time.Duration) (RequestRun, error) {
	begin := time.Now().Add(warmUp)
	end := begin.Add(duration)
	return t.run(ctx, w, clients, schedule{begin: begin, over: func(now time.Time) bool { return now.After(end) }})
}

// schedule is when clients send, and which of their requests count.
type schedule struct {
	begin time.Time                // answers before it do not count
	over  func(now time.Time) bool // no more requests; called by many goroutines
	pause time.Duration            // from one request of a client to its next; 0: none
}

// run has clients send requests. The rate is over the time until the last one was answered.
func (t target) run(ctx context.Context, w workload, clients int, when schedule) (RequestRun, error) {
	conns := make([]*conn, 0, clients)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range clients {
		c, err := t.dial(ctx)
		if err != nil {
			return RequestRun{}, fmt.Errorf("%s: %w", w.operation, err)
		}
		conns = append(conns, c)
	}
	group, ctx := errgroup.WithContext(ctx)
	took := make([][]time.Duration, clients)
	for i, c := range conns {
		group.Go(func() (err error) {
			took[i], err = c.send(ctx, w, int64(i), int64(clients), when)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return RequestRun{}, fmt.Errorf("%s: %w", w.operation, err)
	}
	duration := time.Since(when.begin)
	all := slices.Concat(took...)
	if len(all) == 0 {
		return RequestRun{}, fmt.Errorf("%s: no request was answered in %s", w.operation, duration)
	}
	slices.Sort(all)
	r := RequestRun{Operation: w.operation, Clients: clients, Seconds: duration.Seconds(), Requests: int64(len(all))}
	r.RequestsPerSecond = float64(r.Requests) / r.Seconds
	r.Latency = Latency{at(all, .5), at(all, .9), at(all, .99), at(all, .999), at(all, 1)}
	return r, nil
}

// send sends every clients-th request until it is over and gives the times of those that
// count.
func (c *conn) send(ctx context.Context, w workload, n, clients int64, when schedule) ([]time.Duration, error) {
	took := make([]time.Duration, 0, 1<<16)
	next := time.Now()
	for ; ; n += clients {
		request := w.next(n)
		if when.pause > 0 {
			time.Sleep(time.Until(next))
			next = next.Add(when.pause)
		}
		start := time.Now()
		if when.over(start) {
			return took, nil
		}
		if err := c.do(request, w.status); err != nil {
			return nil, errors.Join(err, ctx.Err())
		}
		answered := time.Now()
		if !answered.Before(when.begin) && !when.over(answered) {
			took = append(took, answered.Sub(start))
		}
	}
}

// at gives a quantile of sorted values in milliseconds.
func at(sorted []time.Duration, q float64) float64 {
	i := min(int(q*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[i]) / float64(time.Millisecond)
}
