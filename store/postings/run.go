package postings

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/fhirlake/fhirlake/fhir/search"
)

// Run is a set of rows on disk, on its way into an index: a Parquet file for each table
// that has rows, next to one another. Rows of values lie by their group in each part, so
// that who builds some of the groups skips most of the others.
type Run struct {
	base string
	// Rows has the number of rows by table name, and Groups those of values by group.
	Rows   map[string]int64
	Groups map[string]map[search.GroupID]int64
}

// Path gives the file of a table.
func (r *Run) Path(table string) string { return r.base + "." + table }

// Remove removes the files.
func (r *Run) Remove() {
	for _, t := range Tables {
		os.Remove(r.Path(t.Name)) // a leftover does no harm: the next owner sweeps it
	}
}

// runGroup is how many rows of a run are skipped at once.
const runGroup = 16 << 10

// WriteRun writes rows to files whose names begin with base; it changes their order.
func WriteRun(base string, r *Rows) (*Run, error) {
	w := NewRunWriter(base)
	if err := w.Add(r); err != nil {
		w.Discard()
		return nil, err
	}
	return w.Close()
}

// RunWriter writes a run part by part; in a part, not in the whole, rows are sorted by their
// group. Who made it calls Close or Discard. It belongs to one goroutine at a time.
type RunWriter struct {
	run   *Run
	files []*plainFile // by table; nil for one without rows yet
	parts int
}

// NewRunWriter makes a writer of files whose names begin with base.
func NewRunWriter(base string) *RunWriter {
	return &RunWriter{
		run:   &Run{base: base, Rows: map[string]int64{}, Groups: map[string]map[search.GroupID]int64{}},
		files: make([]*plainFile, len(Tables)),
	}
}

// Parts is how many parts were added.
func (w *RunWriter) Parts() int { return w.parts }

// Add writes rows as a part; it changes their order.
func (w *RunWriter) Add(r *Rows) error {
	byGroup(r.Tokens, func(x *Token) search.GroupID { return x.Group }, &r.order)
	byGroup(r.Strings, func(x *String) search.GroupID { return x.Group }, &r.order)
	byGroup(r.Dates, func(x *Date) search.GroupID { return x.Group }, &r.order)
	byGroup(r.Numbers, func(x *Number) search.GroupID { return x.Group }, &r.order)
	byGroup(r.Quantities, func(x *Quantity) search.GroupID { return x.Group }, &r.order)
	byGroup(r.References, func(x *Reference) search.GroupID { return x.Group }, &r.order)
	byGroup(r.URIs, func(x *URI) search.GroupID { return x.Group }, &r.order)
	w.parts++
	for i, t := range Tables {
		n := t.Rows(r)
		if n == 0 {
			continue
		}
		w.run.Rows[t.Name] += int64(n)
		if t.Grouped {
			if w.run.Groups[t.Name] == nil {
				w.run.Groups[t.Name] = map[search.GroupID]int64{}
			}
			t.countGroups(w.run.Groups[t.Name], r, n)
		}
		if w.files[i] == nil {
			f, err := newPlainFile(w.run.Path(t.Name), t)
			if err != nil {
				return fmt.Errorf("write run of the search index: %w", err)
			}
			w.files[i] = f
		}
		for from := 0; from < n; from += runGroup {
			r.page = w.files[i].write(r.page, r, from, min(from+runGroup, n))
		}
		if err := w.files[i].err; err != nil {
			return fmt.Errorf("write run of the search index: %w", err)
		}
	}
	return nil
}

// Close ends the files. After an error nothing is left.
func (w *RunWriter) Close() (*Run, error) {
	var err error
	for i, f := range w.files {
		if f == nil {
			continue
		}
		if e := f.close(); err == nil {
			err = e
		}
		w.files[i] = nil
	}
	if err != nil {
		w.run.Remove()
		return nil, fmt.Errorf("write run of the search index: %w", err)
	}
	return w.run, nil
}

// Discard closes and removes the files.
func (w *RunWriter) Discard() {
	for i, f := range w.files {
		if f != nil {
			f.f.Close()
			w.files[i] = nil
		}
	}
	w.run.Remove()
}

// byGroup orders rows by their groups, those of one group in any order. It counts
// instead of comparing, since there are a few hundred groups, and moves rows in place:
// a second copy of a run would be garbage of many megabytes each time. to is a buffer.
func byGroup[T any](rows []T, group func(*T) search.GroupID, to *[]uint32) {
	number := map[search.GroupID]uint32{} // of a group, as they come
	var counts []uint32
	dest := slices.Grow((*to)[:0], len(rows))[:len(rows)] // first the number, then the place of each row
	*to = dest
	for i := range rows {
		g := group(&rows[i])
		n, ok := number[g]
		if !ok {
			n = uint32(len(counts))
			number[g], counts = n, append(counts, 0)
		}
		dest[i] = n
		counts[n]++
	}
	at := uint32(0)
	for _, g := range slices.Sorted(maps.Keys(number)) { // counts become the next places
		n := number[g]
		at, counts[n] = at+counts[n], at
	}
	for i, n := range dest {
		dest[i] = counts[n]
		counts[n]++
	}
	for i := range dest {
		for j := dest[i]; j != uint32(i); j = dest[i] {
			rows[i], rows[j] = rows[j], rows[i]
			dest[i], dest[j] = dest[j], j
		}
	}
}

// countGroups adds the rows of each group to groups; r is sorted by it.
func (t *Table) countGroups(groups map[search.GroupID]int64, r *Rows, n int) {
	for from, i := 0, 1; i <= n; i++ {
		if g := t.integer[0](r, from); i == n || t.integer[0](r, i) != g {
			groups[search.GroupID(g)] += int64(i - from)
			from = i
		}
	}
}
