package searchindex_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/sinks/searchindex"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// values is a stage that stands for all before the sink: it places the records and
// gives each a token, a string and a reference. Of the lines, "-" is rejected.
type values struct{}

var slot = pipeline.NewSlot[search.Values]()

func (values) Name() string                        { return "values" }
func (values) NewWorker() (pipeline.Worker, error) { return values{}, nil }
func (values) Process(_ context.Context, b *pipeline.Batch) error {
	v := slot.Of(b)
	v.Reset()
	for i := range b.Records {
		r := &b.Records[i]
		text := b.Line(r)
		if string(text) == "-" {
			r.Status = pipeline.Rejected
			continue
		}
		r.Type, r.ID, r.Version, r.Updated = r4.TypePatient, text, 1, r.Line
		r.Segment, r.Row = uint32(r.Line%3), uint32(r.Line/3)
		r.Key = [2]uint64{uint64(r.Line), 0}
		row := search.Row{Record: int32(i), Group: search.GroupID(r.Line % 5)}
		v.Tokens = append(v.Tokens, search.Token{Row: row, Code: v.Add(text)})
		v.Strings = append(v.Strings, search.String{Row: row, Folded: v.AddString("always the same")})
		v.References = append(v.References, search.Reference{Row: row, Type: r4.TypePatient, ID: v.Add(text)})
	}
	return nil
}

const secret = "0123456789abcdef0123456789abcdef"

func options(dir string) searchindex.Options {
	return searchindex.Options{
		Dir: dir, Name: "1-j", Secret: []byte(secret), RunBytes: 20 << 10,
		Values: func(b *pipeline.Batch) *search.Values { return slot.Of(b) },
		Build: func(ctx context.Context, runs []*postings.Run, path, tempDir string) error {
			return searchdb.Build(ctx, runs, searchdb.BuildOptions{Path: path, TempDir: tempDir, Threads: 2})
		},
	}
}

func newSink(t *testing.T, o searchindex.Options) *searchindex.Sink {
	t.Helper()
	s, err := searchindex.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func source(*testing.T) pipeline.Source {
	var text strings.Builder
	for i := range 3000 {
		if i%17 == 0 {
			text.WriteString("-\n")
			continue
		}
		fmt.Fprintf(&text, "pat-%d\n", i)
	}
	return pipetest.Lines("in.ndjson", text.String(), 4<<10)
}

// contents prints the rows of the index and the names of all other files.
func contents(dir string) (string, error) {
	var b strings.Builder
	path := filepath.Join(dir, "index", "1-j.duckdb")
	files, err := filepath.Glob(filepath.Join(dir, "index", "*"))
	if err != nil {
		return "", err
	}
	for _, f := range files {
		fmt.Fprintln(&b, filepath.Base(f))
	}
	if _, err := os.Stat(path); err != nil {
		return b.String(), nil
	}
	ctx := context.Background()
	db, err := searchdb.Open(ctx, searchdb.Options{})
	if err != nil {
		return "", err
	}
	defer db.Close()
	state, err := db.NewState(ctx, []string{path})
	if err != nil {
		return "", err
	}
	for _, t := range postings.Tables {
		rows, err := state.Query(ctx, `SELECT t::VARCHAR FROM `+state.Schema()+`."`+t.Name+`" t`)
		if err != nil {
			return "", err
		}
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return "", err
			}
			fmt.Fprintln(&b, t.Name, text)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func TestContract(t *testing.T) {
	pipetest.TestSink(t, func(t *testing.T) pipetest.SinkSetup {
		dir := t.TempDir()
		return pipetest.SinkSetup{Sink: newSink(t, options(dir)), Result: func() (string, error) { return contents(dir) }}
	}, source, values{})
}

func TestIndexCoversWhatTheJobStored(t *testing.T) {
	dir := t.TempDir()
	s := newSink(t, options(dir))
	if _, err := pipeline.Run(context.Background(), pipeline.Config{
		Source: source(t), Stages: []pipeline.Stage{values{}}, Sinks: []pipeline.Sink{s}, Workers: 2,
	}); err != nil {
		t.Fatal(err)
	}
	f, err := snapshot.DescribeFile(dir, "index/1-j.duckdb")
	if err != nil {
		t.Fatal(err)
	}
	want := &snapshot.SearchIndex{File: f, Version: postings.Version, Resources: 2823, Segments: []uint32{0, 1, 2}}
	if d := cmp.Diff(want, s.Result()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	text, err := contents(dir)
	if err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"resource": 2823, "token": 2823, "string": 2823, "reference": 2823, "value": 2823, "words": 1, "date": 0} {
		if got := strings.Count(text, "\n"+table+" "); got != want {
			t.Errorf("table %s has %d rows, want %d", table, got, want)
		}
	}
	if !strings.HasPrefix(text, "1-j.duckdb\nresource ") {
		t.Errorf("left behind: %.200s", text)
	}
}

func TestJobThatStoresNothingHasNoIndex(t *testing.T) {
	dir := t.TempDir()
	s := newSink(t, options(dir))
	if _, err := pipeline.Run(context.Background(), pipeline.Config{
		Source: pipetest.Lines("in.ndjson", "-\n-\n", 4<<10), Stages: []pipeline.Stage{values{}}, Sinks: []pipeline.Sink{s},
	}); err != nil {
		t.Fatal(err)
	}
	if s.Result() != nil {
		t.Errorf("got %+v", s.Result())
	}
}
