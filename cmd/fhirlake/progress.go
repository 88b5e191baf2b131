package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress is one look at long work.
type progress struct {
	Done      int64 `json:"done"`  // bytes of input
	Total     int64 `json:"total"` // bytes of input; 0 when unknown
	Bytes     int64 `json:"bytes"` // uncompressed
	Resources int64 `json:"resources"`
	Rejected  int64 `json:"rejected"`

	Unit string `json:"unit,omitempty"` // what Resources counts; empty: resources
}

// meter shows progress: a live bar on a terminal, else a line every few
// seconds. It belongs to one goroutine.
type meter struct {
	out   io.Writer
	live  bool
	width int
	start time.Time
	drawn bool
}

const (
	liveInterval = 100 * time.Millisecond
	lineInterval = 5 * time.Second
)

// newMeter makes a meter that writes to out, usually standard error.
func newMeter(out io.Writer) *meter {
	m := &meter{out: out, start: time.Now(), width: 80}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		m.live = true
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			m.width = w
		}
	}
	return m
}

// interval is how often show wants to be called.
func (m *meter) interval() time.Duration {
	if m.live {
		return liveInterval
	}
	return lineInterval
}

// show draws the state of the work.
func (m *meter) show(p progress) {
	elapsed := time.Since(m.start).Seconds()
	if elapsed <= 0 {
		return
	}
	s := fmt.Sprintf("%s  %.0f MB/s  %s %s  %s/s", formatBytes(p.Bytes), float64(p.Bytes)/1e6/elapsed,
		formatCount(p.Resources), cmp.Or(p.Unit, "resources"), formatCount(int64(float64(p.Resources)/elapsed)))
	if p.Rejected > 0 {
		s += fmt.Sprintf("  %s rejected", formatCount(p.Rejected))
	}
	if p.Total > 0 && p.Done > 0 {
		share := min(float64(p.Done)/float64(p.Total), 1)
		left := time.Duration(elapsed * (1 - share) / share * float64(time.Second))
		s = fmt.Sprintf("%3.0f%%  %s  ETA %s", share*100, s, left.Round(time.Second))
		if m.live {
			s = bar(share, m.width-len(s)-4) + s
		}
	}
	if !m.live {
		fmt.Fprintln(m.out, s)
		return
	}
	if len(s) > m.width-1 && m.width > 1 {
		s = s[:m.width-1]
	}
	fmt.Fprintf(m.out, "\r\x1b[K%s", s)
	m.drawn = true
}

// bar draws share of width cells in ASCII, or nothing when there is no room.
func bar(share float64, width int) string {
	width = min(width, 30)
	if width < 5 {
		return ""
	}
	n := int(share * float64(width))
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", width-n) + "]  "
}

// clear removes the live bar.
func (m *meter) clear() {
	if m.drawn {
		fmt.Fprint(m.out, "\r\x1b[K")
		m.drawn = false
	}
}

// watch shows the progress until stop is called; calling it again does nothing.
func watch(out io.Writer, now func() progress) (stop func()) {
	m := newMeter(out)
	end := every(m.interval(), func() { m.show(now()) })
	return sync.OnceFunc(func() {
		end()
		m.clear()
	})
}

// every calls f at an interval, in one goroutine, until stop is called, which waits for
// a call that is under way.
func every(interval time.Duration, f func()) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(interval)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				f()
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(done)
		<-ended
	})
}
