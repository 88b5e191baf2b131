package lake

import (
	"errors"
	"fmt"
	"sort"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// span is the times of the first and the last row of a segment, UTC microseconds.
type span struct{ first, last int64 }

// spans remembers what segments span: finding it reads two frames.
type spans struct {
	mu        sync.Mutex
	byOrdinal map[uint32]span
}

func (s *spans) keep(live func(uint32) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.byOrdinal {
		if !live(n) {
			delete(s.byOrdinal, n)
		}
	}
}

func (l *Lake) span(seg *snapshot.Segment) (span, error) {
	l.spans.mu.Lock()
	s, ok := l.spans.byOrdinal[seg.Ordinal]
	l.spans.mu.Unlock()
	if ok {
		return s, nil
	}
	var err error
	if s.first, err = l.rowTime(seg, 0); err == nil {
		s.last, err = l.rowTime(seg, seg.Rows-1)
	}
	if err != nil {
		return span{}, err
	}
	l.spans.mu.Lock()
	defer l.spans.mu.Unlock()
	if l.spans.byOrdinal == nil {
		l.spans.byOrdinal = map[uint32]span{}
	}
	l.spans.byOrdinal[seg.Ordinal] = s
	return s, nil
}

// rowTime reads meta.lastUpdated of a row.
func (l *Lake) rowTime(seg *snapshot.Segment, row int64) (at int64, err error) {
	err = l.withLine(seg, row, func(line []byte) error {
		h, err := snapshot.ReadHead(line, true)
		if err == nil {
			at, err = h.Updated()
		}
		return err
	})
	if err != nil {
		return 0, rowError(seg, row, err)
	}
	return at, nil
}

func rowError(seg *snapshot.Segment, row int64, err error) error {
	if errors.Is(err, snapshot.ErrLine) {
		return fmt.Errorf("read %s: row %d: %w", seg.Resources.Path, row, err)
	}
	return err
}

// tail is the part of a segment that is still to be read: the rows before end.
type tail struct {
	l    *Lake
	seg  *snapshot.Segment
	typ  r4.TypeID
	span span
	end  int64
	at   int64 // time of row end-1
}

// before leaves the rows with times up to bound.
func (t *tail) before(bound int64) (err error) {
	switch {
	case t.end == 0 || t.at <= bound:
		return nil
	case t.span.first > bound: // all rows of most segments have one time
		t.end = 0
		return nil
	}
	// Row 0 stays and row end-1 does not: rows are in the order of time.
	t.end = int64(sort.Search(int(t.end-1), func(row int) bool {
		at, e := t.l.rowTime(t.seg, int64(row))
		if e != nil {
			err = e
		}
		return at > bound
	}))
	if err == nil {
		t.at, err = t.l.rowTime(t.seg, t.end-1)
	}
	return err
}
