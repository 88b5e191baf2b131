// Package fsck checks that what is on disk is what manifests and catalog say:
// every file there and whole, every count equal wherever it is written. It
// changes nothing. How to make it right is said in docs/operations.md.
//
// Read [Root], [Store] and [Report] first.
package fsck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/root"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Severity tells harm from harmless.
type Severity string

// The severities. A leftover is what a crash leaves and the next owner sweeps; what is
// unchecked belongs to a process that uses it now.
const (
	Damage    Severity = "damage"
	Leftover  Severity = "leftover"
	Unchecked Severity = "unchecked"
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Severity Severity `json:"severity"`
	Path     string   `json:"path"` // below the root, or below the data store's folder
	Found    string   `json:"found"`
	Expected string   `json:"expected,omitempty"`
}

func (f Finding) String() string {
	s := fmt.Sprintf("%s: %s: %s", f.Severity, f.Path, f.Found)
	if f.Expected != "" {
		s += ", expected " + f.Expected
	}
	return s
}

// Report is what a check found.
type Report struct {
	DataStores int       `json:"dataStores"`
	Files      int       `json:"files"`
	Bytes      int64     `json:"bytes"`
	Rows       int64     `json:"rows"`     // current ones of the snapshots
	Versions   int64     `json:"versions"` // of the deltas
	Findings   []Finding `json:"findings"`
}

// OK tells whether nothing is damaged; leftovers are no harm.
func (r *Report) OK() bool {
	for _, f := range r.Findings {
		if f.Severity == Damage {
			return false
		}
	}
	return true
}

func (r *Report) damage(path, found, expected string) {
	r.Findings = append(r.Findings, Finding{Damage, path, found, expected})
}

func (r *Report) failed(path string, err error) {
	found := err.Error()
	if errors.Is(err, fs.ErrNotExist) {
		found = "the file is missing"
	}
	r.damage(path, found, "")
}

func (r *Report) compare(path, what string, found, expected int64, by string) {
	if found != expected {
		r.damage(path, fmt.Sprintf("%d %s", found, what), fmt.Sprintf("%d by %s", expected, by))
	}
}

// Root checks the catalog and all data stores of a root, or the one whose id is
// given. open gives the delta of a data store that this process has open, nil for
// another one; open itself is nil when there are none. An error means that the check
// itself could not go on.
func Root(ctx context.Context, r *root.Root, c *catalog.Catalog, id string, open func(id string) *delta.Store) (*Report, error) {
	rep := &Report{Findings: []Finding{}} // an empty list in JSON, not null
	known := map[string]bool{}
	for _, dir := range c.Dirs() {
		if err := rep.catalogDir(r, dir, known); err != nil {
			return nil, err
		}
	}
	folders, err := os.ReadDir(filepath.Dir(r.DatastoreDir("x")))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("fsck: %w", err)
	}
	for _, f := range folders {
		if id != "" && f.Name() != id {
			continue
		}
		if !known[f.Name()] {
			rep.Findings = append(rep.Findings, Finding{Leftover, "datastores/" + f.Name(), "the catalog has no such data store", ""})
			continue
		}
		s, err := snapshot.Open(r.DatastoreDir(f.Name()))
		if err != nil {
			return nil, fmt.Errorf("fsck: %w", err)
		}
		one, err := Store(ctx, s)
		if err != nil {
			return nil, err
		}
		var own *delta.Store
		if open != nil {
			own = open(f.Name())
		}
		if err := one.delta(ctx, r.DatastoreDir(f.Name()), own); err != nil {
			return nil, err
		}
		rep.add(one, "datastores/"+f.Name()+"/")
	}
	for ds := range known {
		if id == "" || ds == id {
			rep.lastSnapshot(r, c, ds)
		}
	}
	if rep.DataStores = len(known); id != "" {
		rep.DataStores = 1
	}
	return rep, nil
}

// lastSnapshot looks whether what the jobs published is still there: a folder that
// is gone, or has lost its CURRENT, looks like a data store without content.
func (r *Report) lastSnapshot(rt *root.Root, c *catalog.Catalog, id string) {
	want, err := c.LastSnapshot(id)
	if err != nil {
		return // a record that cannot be read was reported with the catalog
	}
	s, err := snapshot.Open(rt.DatastoreDir(id))
	if err != nil {
		return // reported with the data store
	}
	m, release, err := s.Current()
	if err != nil {
		return
	}
	defer release()
	if m.Number < want {
		r.damage("datastores/"+id+"/CURRENT", fmt.Sprintf("snapshot %d is the last one", m.Number), fmt.Sprintf("%d by the jobs", want))
	}
}

func (r *Report) add(o *Report, prefix string) {
	r.Files, r.Bytes, r.Rows, r.Versions = r.Files+o.Files, r.Bytes+o.Bytes, r.Rows+o.Rows, r.Versions+o.Versions
	for _, f := range o.Findings {
		f.Path = prefix + f.Path
		r.Findings = append(r.Findings, f)
	}
}

// catalogDir checks the records of one folder and adds the ids of living data
// stores to known.
func (r *Report) catalogDir(rt *root.Root, dir string, known map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("fsck: %w", err)
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		rel, err := filepath.Rel(rt.Dir(), name)
		if err != nil {
			return fmt.Errorf("fsck: %w", err)
		}
		rel = filepath.ToSlash(rel)
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || !catalog.IsID(id) {
			r.Findings = append(r.Findings, Finding{Leftover, rel, "not a record of the catalog", ""})
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			r.failed(rel, err)
			continue
		}
		r.Files++
		r.Bytes += int64(len(text))
		var record struct {
			Datastore string `json:"DatastoreId"`
			Job       string `json:"JobId"`
			Status    string `json:"DatastoreStatus"`
		}
		if err := json.Unmarshal(text, &record); err != nil {
			r.damage(rel, "not JSON: "+err.Error(), "")
			if filepath.Base(dir) == "datastores" {
				known[id] = true // its folder is not a leftover for that
			}
			continue
		}
		if filepath.Base(dir) != "datastores" {
			if record.Job != id {
				r.damage(rel, fmt.Sprintf("JobId %q", record.Job), id)
			}
			continue
		}
		if record.Datastore != id {
			r.damage(rel, fmt.Sprintf("DatastoreId %q", record.Datastore), id)
		}
		if record.Status == catalog.StatusActive {
			known[id] = true
		}
	}
	return nil
}

// Store checks one data store.
func Store(ctx context.Context, s *snapshot.Store) (*Report, error) {
	r := &Report{}
	m, release, err := s.Current()
	if err != nil {
		r.damage("CURRENT", err.Error(), "a readable manifest")
		return r, nil
	}
	defer release()
	c := &check{Report: r, s: s, m: m}
	for _, f := range m.Files() {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("fsck: %w", err)
		}
		r.Files++
		r.Bytes += f.Bytes
		if err := s.Verify(&f); err != nil {
			r.failed(f.Path, err)
			c.bad = append(c.bad, f.Path)
		}
	}
	for i := range m.Segments {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("fsck: %w", err)
		}
		c.segment(&m.Segments[i])
	}
	if err := c.layers(ctx); err != nil {
		return nil, err
	}
	if err := c.searches(ctx); err != nil {
		return nil, err
	}
	left, err := s.Unreferenced(m)
	if err != nil {
		return nil, fmt.Errorf("fsck: %w", err)
	}
	for _, f := range left {
		r.Findings = append(r.Findings, Finding{Leftover, f, "no manifest in use names this file, or a reader or a job still does", ""})
	}
	return r, nil
}

// check is the check of one data store.
type check struct {
	*Report
	s   *snapshot.Store
	m   *snapshot.Manifest
	bad []string // files whose content is not what the manifest says: reported once
}

func (c *check) isBad(f *snapshot.File) bool {
	for _, p := range c.bad {
		if p == f.Path {
			return true
		}
	}
	return false
}

func (c *check) segment(seg *snapshot.Segment) {
	c.Rows += seg.Current
	if !c.isBad(&seg.Columns) {
		n, err := parquetRows(c.s.Path(&seg.Columns))
		if err != nil {
			c.failed(seg.Columns.Path, err)
		} else {
			c.compare(seg.Columns.Path, "rows", n, seg.Rows, "the manifest")
		}
	}
	if !c.isBad(&seg.Resources) {
		n, err := lines(c.s.Dir(), seg.Resources.Path)
		if err != nil {
			c.failed(seg.Resources.Path, err)
		} else {
			c.compare(seg.Resources.Path, "lines", n, seg.Rows, "the manifest")
		}
	}
	if seg.Superseded != nil && !c.isBad(seg.Superseded) {
		if _, err := c.s.Superseded(seg); err != nil { // range and count are its checks
			c.failed(seg.Superseded.Path, err)
		}
	}
	for i := range seg.Annotations {
		c.annotations(seg, &seg.Annotations[i])
	}
}

// annotations checks a file of annotations: its lines are JSON, as many as the
// manifest says, of rows that rise and are there. A table has its number of rows.
func (c *check) annotations(seg *snapshot.Segment, a *snapshot.Annotation) {
	if c.isBad(&a.File) {
		return
	}
	if a.IsTable() {
		n, err := parquetRows(c.s.Path(&a.File))
		if err != nil {
			c.failed(a.File.Path, err)
		} else {
			c.compare(a.File.Path, "rows", n, a.Rows, "the manifest")
		}
		return
	}
	n, err := annotatedRows(c.s.Dir(), seg, a)
	if err != nil {
		c.failed(a.File.Path, err)
		return
	}
	c.compare(a.File.Path, "annotated rows", n, a.Rows, "the manifest")
}

func annotatedRows(dir string, seg *snapshot.Segment, a *snapshot.Annotation) (n int64, err error) {
	f, err := snapshot.OpenAnnotations(dir, a.File.Path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	d, err := snapshot.NewFrameReader()
	if err != nil {
		return 0, err
	}
	defer d.Close()
	err = d.EachAnnotation(f, func(row uint32, line, _ []byte) error {
		n++
		switch {
		case int64(row) >= seg.Rows:
			return fmt.Errorf("row %d is annotated, and the segment has %d", row, seg.Rows)
		case !json.Valid(line):
			return fmt.Errorf("the line of row %d is not JSON", row)
		}
		return nil
	})
	return n, err
}

func parquetRows(name string) (int64, error) {
	f, err := file.OpenParquetFile(name, false)
	if err != nil {
		return 0, fmt.Errorf("not a Parquet file: %w", err)
	}
	defer f.Close()
	return f.NumRows(), nil
}

// lines decompresses all frames, whose own checksums are checked on the way.
func lines(dir, rel string) (n int64, err error) {
	r, err := snapshot.OpenResources(dir, rel)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	d, err := snapshot.NewFrameReader()
	if err != nil {
		return 0, err
	}
	defer d.Close()
	err = d.Each(r, func(int64, []byte) error { n++; return nil })
	return n, err
}

// layers checks the id indexes: each has the entries that the manifest says, in
// order, they name every current row, and no row of a deletion is current.
func (c *check) layers(ctx context.Context) error {
	named, deletions := rowSets{}, rowSets{}
	for i := range c.m.Layers {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("fsck: %w", err)
		}
		l := &c.m.Layers[i]
		if c.isBad(&l.IDs) {
			return nil
		}
		n, err := c.layer(l, named, deletions)
		if err != nil {
			c.failed(l.IDs.Path, err)
			return nil
		}
		c.compare(l.IDs.Path, "entries", n, l.Entries, "the manifest")
	}
	for i := range c.m.Segments {
		seg := &c.m.Segments[i]
		rows, deleted := named.of(seg.Ordinal), deletions.of(seg.Ordinal)
		if superseded, err := c.s.Superseded(seg); err != nil {
			continue // reported with the segment
		} else if superseded != nil {
			rows.AndNot(superseded)
			deleted.AndNot(superseded)
		}
		if !deleted.IsEmpty() {
			c.damage(seg.Resources.Path, fmt.Sprintf("%d deletions count as current", deleted.GetCardinality()), "none")
		}
		c.compare(seg.Columns.Path, "current rows in the id index", int64(rows.GetCardinality()), seg.Current, "the manifest")
	}
	return nil
}

// rowSets has rows by the ordinal of their segment.
type rowSets map[uint32]*roaring.Bitmap

func (s rowSets) of(ordinal uint32) *roaring.Bitmap {
	if s[ordinal] == nil {
		s[ordinal] = roaring.New()
	}
	return s[ordinal]
}

func (c *check) layer(l *snapshot.Layer, named, deletions rowSets) (n int64, err error) {
	ids, err := snapshot.OpenIDs(c.s.Dir(), l.IDs.Path)
	if err != nil {
		return 0, err
	}
	defer ids.Close()
	var last snapshot.Entry
	outside := 0
	err = ids.Each(func(e *snapshot.Entry) error {
		if n > 0 && !last.Key.Less(e.Key) && (last.Key != e.Key || last.Version <= e.Version) {
			return fmt.Errorf("entry %d is out of order", n)
		}
		last = *e
		n++
		if e.Withdrawn {
			return nil // it names no row
		}
		seg := c.m.ByOrdinal(e.Address.Segment)
		switch {
		case e.Address.Segment >= c.m.NextSegment || seg != nil && int64(e.Address.Row) >= seg.Rows:
			outside++
		case seg != nil: // else an old version, whose segment is gone
			named.of(seg.Ordinal).Add(e.Address.Row)
			if e.Deleted {
				deletions.of(seg.Ordinal).Add(e.Address.Row)
			}
		}
		return nil
	})
	if outside > 0 {
		c.damage(l.IDs.Path, fmt.Sprintf("%d entries name rows that are not there", outside), "")
	}
	return n, err
}
