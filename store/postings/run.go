package postings

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/fhirlake/fhirlake/fhir/search"
)

// Run is a set of rows on disk, on its way into an index: a Parquet file for each table
// that has rows, next to one another. Rows of values are sorted by their group, so that
// who builds a part of the groups reads little else.
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
	byGroup(r.Tokens, func(x *Token) search.GroupID { return x.Group }, &r.order)
	byGroup(r.Strings, func(x *String) search.GroupID { return x.Group }, &r.order)
	byGroup(r.Dates, func(x *Date) search.GroupID { return x.Group }, &r.order)
	byGroup(r.Numbers, func(x *Number) search.GroupID { return x.Group }, &r.order)
	byGroup(r.Quantities, func(x *Quantity) search.GroupID { return x.Group }, &r.order)
	byGroup(r.References, func(x *Reference) search.GroupID { return x.Group }, &r.order)
	byGroup(r.URIs, func(x *URI) search.GroupID { return x.Group }, &r.order)
	run := &Run{base: base, Rows: map[string]int64{}, Groups: map[string]map[search.GroupID]int64{}}
	for _, t := range Tables {
		n := t.Rows(r)
		if n == 0 {
			continue
		}
		run.Rows[t.Name] = int64(n)
		if t.Grouped {
			run.Groups[t.Name] = t.groups(r, n)
		}
		if err := t.write(run.Path(t.Name), r, n); err != nil {
			run.Remove()
			return nil, fmt.Errorf("write run of the search index: %w", err)
		}
	}
	return run, nil
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

// groups counts the rows of each group; r is sorted by it.
func (t *Table) groups(r *Rows, n int) map[search.GroupID]int64 {
	groups := map[search.GroupID]int64{}
	for from, i := 0, 1; i <= n; i++ {
		if g := t.integer[0](r, from); i == n || t.integer[0](r, i) != g {
			groups[search.GroupID(g)] = int64(i - from)
			from = i
		}
	}
	return groups
}

func (t *Table) write(name string, r *Rows, n int) error {
	f, err := newPlainFile(name, t, r.page)
	if err != nil {
		return err
	}
	for from := 0; from < n; from += runGroup {
		f.write(r, from, min(from+runGroup, n))
	}
	err = f.close()
	r.page = f.buf
	return err
}
