package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// progress is one look at long work.
type progress struct {
	done, total int64 // bytes of input; total 0 when unknown
	bytes       int64 // uncompressed
	resources   int64
	rejected    int64
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
	s := fmt.Sprintf("%s  %.0f MB/s  %s resources  %s/s", formatBytes(p.bytes), float64(p.bytes)/1e6/elapsed,
		formatCount(p.resources), formatCount(int64(float64(p.resources)/elapsed)))
	if p.rejected > 0 {
		s += fmt.Sprintf("  %s rejected", formatCount(p.rejected))
	}
	if p.total > 0 && p.done > 0 {
		share := min(float64(p.done)/float64(p.total), 1)
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
