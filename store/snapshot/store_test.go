package snapshot

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/store/disk"
)

var testNow = time.Date(2026, 1, 2, 3, 4, 5, 6000000, time.UTC)

// testIDs gives UUID-like names that tell their origin.
func testIDs(prefix string) func() string {
	n := 0
	return func() string { n++; return fmt.Sprintf("%s-%d", prefix, n) }
}

// addSegment writes a segment whose files hold text in place of real data. One of
// Patient has annotations.
func addSegment(t *testing.T, b *Builder, resourceType string, rows int64) *SegmentBuilder {
	t.Helper()
	s := b.Open(resourceType)
	b.Roll(resourceType)
	for _, kind := range []FileKind{ColumnsFile, ResourcesFile} {
		w, err := s.Create(kind)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(w, "%s %s%s", resourceType, s.ID, kind)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s.Rows = rows
	if resourceType == "Patient" {
		for _, kind := range []AnnotationKind{Entities, Issues, NLP} {
			a := Annotation{Kind: kind, Rows: 1}
			w, err := s.CreateAnnotations(a.Kind, 1, &a.File)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(w, "%s of %s", kind, s.ID)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			s.Annotations = append(s.Annotations, a)
		}
	}
	return s
}

func addIDs(t *testing.T, dir, name string) File {
	t.Helper()
	var f File
	w, err := CreateFile(dir, path.Join("index", name+".ids"), &f)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "ids")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return f
}

func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func current(t *testing.T, s *Store) *Manifest {
	t.Helper()
	m, release, err := s.Current()
	if err != nil {
		t.Fatal(err)
	}
	release()
	return m
}

func rows(n ...uint32) *roaring.Bitmap { return roaring.BitmapOf(n...) }

// twoLayers publishes Patient (3 rows) and Observation (5 rows), then another
// Patient segment that supersedes rows of the first.
func twoLayers(t *testing.T, s *Store) {
	t.Helper()
	b := NewBuilder(s.Dir(), current(t, s), testIDs("first"))
	addSegment(t, b, "Patient", 3)
	addSegment(t, b, "Observation", 5)
	addSegment(t, b, "Device", 0)
	if _, err := s.Publish(b, PublishOptions{JobID: "j1", Now: testNow, IDs: addIDs(t, s.Dir(), "1"), Entries: 8}); err != nil {
		t.Fatal(err)
	}
	b = NewBuilder(s.Dir(), current(t, s), testIDs("second"))
	addSegment(t, b, "Patient", 2)
	_, err := s.Publish(b, PublishOptions{
		JobID: "j2", Now: testNow, IDs: addIDs(t, s.Dir(), "2"), Entries: 2,
		Superseded: map[uint32]*roaring.Bitmap{0: rows(0, 2), 3: rows(1)},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPublish(t *testing.T) {
	s := openStore(t, t.TempDir())
	if m := current(t, s); m.Number != 0 || len(m.Segments) != 0 {
		t.Fatalf("empty store: %+v", m)
	}
	twoLayers(t, s)
	m := current(t, s)
	type seg struct {
		Ordinal       uint32
		ID            string
		Rows, Current int64
	}
	var got []seg
	for _, g := range m.Segments {
		got = append(got, seg{g.Ordinal, g.ID, g.Rows, g.Current})
	}
	want := []seg{{0, "first-1", 3, 1}, {1, "first-2", 5, 5}, {3, "second-1", 2, 1}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("segments (-want +got):\n%s", d)
	}
	if m.Number != 2 || m.NextSegment != 4 || len(m.Layers) != 2 || m.JobID != "j2" || !m.CreatedAt.Equal(testNow) {
		t.Errorf("manifest %+v", m)
	}
	bits, err := s.Superseded(&m.Segments[0])
	if err != nil || !bits.Equals(rows(0, 2)) {
		t.Errorf("superseded rows %v, %v", bits, err)
	}
	for _, f := range m.Files() {
		if err := s.Verify(&f); err != nil {
			t.Errorf("%s: %v", f.Path, err)
		}
	}
	if m.ByOrdinal(3).ID != "second-1" || m.ByOrdinal(2) != nil || m.ByOrdinal(9) != nil {
		t.Error("ByOrdinal finds the wrong segment")
	}
}

func TestPublishSupersedesWholeSegment(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprint("keep ", keep), func(t *testing.T) {
			s := openStore(t, t.TempDir())
			twoLayers(t, s)
			m, err := s.Publish(nil, PublishOptions{
				Now: testNow, KeepVersions: keep,
				Superseded: map[uint32]*roaring.Bitmap{0: rows(1)},
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := m.ByOrdinal(0) != nil; got != keep {
				t.Errorf("the segment without current rows is listed: %v", got)
			}
			removed, err := s.Sweep()
			if err != nil {
				t.Fatal(err)
			}
			gone := false
			for _, f := range removed {
				gone = gone || f == "files/Patient/first-1.parquet"
			}
			if gone == keep {
				t.Errorf("swept: %v", removed)
			}
		})
	}
}

func TestPublishRefuses(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	twoLayers(t, s)
	before := current(t, s)
	late := NewBuilder(dir, &Manifest{NextSegment: 1}, testIDs("late"))
	addSegment(t, late, "Patient", 1)
	unclosed := NewBuilder(dir, before, testIDs("unclosed"))
	unclosed.Open("Patient").Rows = 1
	tests := []struct {
		name string
		b    *Builder
		o    PublishOptions
		want string
	}{
		{"another publication in between", late, PublishOptions{}, ErrConflict.Error()},
		{"a segment without files", unclosed, PublishOptions{}, `path ""`},
		{"a row that is not there", nil, PublishOptions{Superseded: map[uint32]*roaring.Bitmap{1: rows(5)}}, "which has 5 rows"},
		{"a segment that is not there", nil, PublishOptions{Superseded: map[uint32]*roaring.Bitmap{9: rows(0)}}, "no such segment"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.Publish(tt.b, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if d := cmp.Diff(before, current(t, s)); d != "" {
		t.Errorf("a refused publication changed the state:\n%s", d)
	}
}

func TestSweepSparesReaders(t *testing.T) {
	s := openStore(t, t.TempDir())
	twoLayers(t, s)
	if _, err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	held, release, err := s.Current()
	if err != nil {
		t.Fatal(err)
	}
	if err := third(t, s, disk.OS{}, "third"); err != nil {
		t.Fatal(err)
	}
	// Another process is another open of the file, which is what locks go by.
	owner := openStore(t, s.Dir())
	removed, err := owner.Sweep()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string(nil), removed); d != "" {
		t.Errorf("swept under a reader:\n%s", d)
	}
	for _, f := range held.Files() {
		if err := s.Verify(&f); err != nil {
			t.Errorf("%s: %v", f.Path, err)
		}
	}
	release()
	release() // twice does no harm
	if removed, err = owner.Sweep(); err != nil || len(removed) == 0 {
		t.Errorf("after release: %v, %v", removed, err)
	}
}

func TestPruneSparesBuilders(t *testing.T) {
	s := openStore(t, t.TempDir())
	twoLayers(t, s)
	b := NewBuilder(s.Dir(), current(t, s), testIDs("building"))
	seg := addSegment(t, b, "Patient", 1)
	if _, err := s.Publish(nil, PublishOptions{Now: testNow, Superseded: map[uint32]*roaring.Bitmap{0: rows(1)}}); err != nil {
		t.Fatal(err)
	}
	removed, err := s.Prune()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"files/Patient/first-1.1.entities.parquet", "files/Patient/first-1.1.issues.zst", "files/Patient/first-1.1.nlp.zst", "files/Patient/first-1.2.superseded", "files/Patient/first-1.ndjson.zst", "files/Patient/first-1.parquet"}
	var files []string
	for _, r := range removed {
		if strings.HasPrefix(r, "files/") {
			files = append(files, r)
		}
	}
	if d := cmp.Diff(want, files); d != "" {
		t.Errorf("pruned (-want +got):\n%s", d)
	}
	if err := s.Verify(&seg.Columns); err != nil {
		t.Errorf("the builder's file: %v", err)
	}
}

func TestReadersDuringPublications(t *testing.T) {
	s := openStore(t, t.TempDir())
	twoLayers(t, s)
	stop, done := make(chan struct{}), make(chan error, 4)
	for range cap(done) {
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				m, release, err := s.Current()
				if err != nil {
					done <- err
					return
				}
				for _, f := range m.Files() {
					if err := s.Verify(&f); err != nil {
						release()
						done <- fmt.Errorf("manifest %d: %w", m.Number, err)
						return
					}
				}
				release()
			}
		}()
	}
	for i := range 20 {
		m := current(t, s)
		b := NewBuilder(s.Dir(), m, testIDs(fmt.Sprintf("round-%d", i)))
		addSegment(t, b, "Patient", 1)
		last := m.Segments[len(m.Segments)-1]
		o := PublishOptions{Now: testNow, Superseded: map[uint32]*roaring.Bitmap{last.Ordinal: rows(0)}}
		if _, err := s.Publish(b, o); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sweep(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestDamagedBitmap(t *testing.T) {
	s := openStore(t, t.TempDir())
	twoLayers(t, s)
	seg := current(t, s).Segments[0]
	name := s.Path(seg.Superseded)
	text, _ := os.ReadFile(name)
	for _, damaged := range [][]byte{nil, text[:len(text)-1], append([]byte{1}, text[1:]...)} {
		os.WriteFile(name, damaged, 0o644)
		if _, err := s.Superseded(&seg); err == nil {
			t.Errorf("%d bytes: no error", len(damaged))
		}
	}
}

func TestCurrentDamaged(t *testing.T) {
	tests := []struct{ name, text string }{
		{"empty", ""},
		{"no line end", "manifest-2.json"},
		{"a path", "../manifest-2.json\n"},
		{"missing manifest", "manifest-7.json\n"},
		{"number 0", "manifest-0.json\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t, t.TempDir())
			twoLayers(t, s)
			os.WriteFile(filepath.Join(s.Dir(), "CURRENT"), []byte(tt.text), 0o644)
			if _, _, err := s.Current(); err == nil || !strings.Contains(err.Error(), "CURRENT") {
				t.Errorf("got %v", err)
			}
			if _, err := s.Sweep(); err == nil {
				t.Error("a sweep without a readable state must not remove anything")
			}
		})
	}
}
