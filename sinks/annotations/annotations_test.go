package annotations

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// placed does what the columnar sink does before this one: a segment has some rows.
type placed struct {
	*Sink
	builder *snapshot.Builder
	perFile int64
}

func newPlaced(dir string, perFile int64, kind Kind) *placed {
	n := 0
	b := snapshot.NewBuilder(dir, &snapshot.Manifest{}, func() string { n++; return fmt.Sprintf("u-%d", n) })
	return &placed{New(b, kind, 1), b, perFile}
}

func (p *placed) Write(ctx context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	for i := range b.Records {
		r := &b.Records[i]
		if r.Status != pipeline.Pending {
			continue
		}
		s := p.builder.Open(r.Type.String())
		r.Segment, r.Row = s.Ordinal, uint32(s.Rows)
		if s.Rows++; s.Rows == p.perFile {
			p.builder.Roll(r.Type.String())
		}
	}
	return p.Sink.Write(ctx, b)
}

// versions does what identify does.
type versions struct{}

func (versions) Name() string                        { return "versions" }
func (versions) NewWorker() (pipeline.Worker, error) { return versions{}, nil }
func (versions) Process(_ context.Context, b *pipeline.Batch) error {
	for i := range b.Records {
		b.Records[i].Version = 1
	}
	return nil
}

// write runs lines through the sink and gives the segments.
func write(t *testing.T, dir string, perFile int64, lines ...string) []*snapshot.SegmentBuilder {
	t.Helper()
	p := newPlaced(dir, perFile, Issues)
	if _, err := pipeline.Run(context.Background(), pipeline.Config{
		Source: pipetest.Lines("in.ndjson", strings.Join(lines, "\n"), 100),
		Stages: []pipeline.Stage{parse.New(), versions{}}, Sinks: []pipeline.Sink{p}, Lenient: true, Workers: 2,
	}); err != nil {
		t.Fatal(err)
	}
	return p.builder.Segments()
}

func TestIssuesAreFoundAtTheAddressesOfTheirRecords(t *testing.T) {
	dir := t.TempDir()
	var lines []string
	want := map[string]string{} // id -> the first diagnostics
	for i := range 5000 {
		switch {
		case i%3 == 0:
			lines = append(lines, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","odd%d":1}`, i, i))
			want[fmt.Sprintf("p%d", i)] = fmt.Sprintf("unknown element 'odd%d'", i)
		case i%3 == 1:
			lines = append(lines, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, i))
		case i%30 == 2:
			lines = append(lines, fmt.Sprintf(`{"resourceType":"Basic","id":"b%d"}`, i))
			want[fmt.Sprintf("b%d", i)] = "element 'code' is missing; expected at least 1"
		default:
			lines = append(lines, `not JSON`)
		}
	}
	segments := write(t, dir, 1000, lines...)
	d, err := snapshot.NewFrameReader()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	frames := 0
	for _, s := range segments {
		kept := s.Annotation(snapshot.Issues)
		if kept == nil {
			t.Errorf("segment %d has no issues", s.Ordinal)
			continue
		}
		a, err := snapshot.OpenAnnotations(dir, kept.File.Path)
		if err != nil {
			t.Fatal(err)
		}
		frames += a.Frames()
		if a.Rows() != kept.Rows {
			t.Errorf("%s has %d rows, its segment says %d", kept.File.Path, a.Rows(), kept.Rows)
		}
		err = d.EachAnnotation(a, func(row uint32, line, data []byte) error {
			_, after, _ := strings.Cut(string(line), `"id":"`)
			id, _, _ := strings.Cut(after, `"`)
			issues, err := outcome.ParseIssues(data)
			if err != nil {
				return err
			}
			if issues[0].Diagnostics != want[id] || !strings.Contains(string(line), `"versionId":"1"`) {
				t.Errorf("%s: %s, want %q", id, line, want[id])
			}
			delete(want, id)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
	}
	if len(want) > 0 || frames < 6 {
		t.Errorf("%d records have lost their issues; %d frames", len(want), frames)
	}
}

func TestSoundResourcesMakeNoFile(t *testing.T) {
	dir := t.TempDir()
	for _, s := range write(t, dir, 1000, `{"resourceType":"Patient","id":"a"}`, `{"resourceType":"Patien","id":"rejected"}`, `{"resourceType":"Basic","id":"faulty"}`) {
		if got := s.Annotation(snapshot.Issues) != nil; got != (s.ResourceType == "Basic") {
			t.Errorf("%s: has issues: %v", s.ResourceType, got)
		}
	}
	names, err := pipetest.Files(dir)()
	if err != nil || strings.Count(names, ".issues.zst") != 1 {
		t.Errorf("files %q, %v", names, err)
	}
}

func TestIssuesOfARecordAreBounded(t *testing.T) {
	b := &pipeline.Batch{Lenient: true, Records: make([]pipeline.Record, 2)}
	for range 10 {
		b.AddIssue(0, fhir.Issue{Severity: fhir.Error, Expression: strings.Repeat("x", 20<<10)})
	}
	b.AddIssue(1, fhir.Issue{Severity: fhir.Warning, Diagnostics: "no reason to keep it"})
	p := Issues.payload()
	p.Start(b)
	issues, err := outcome.ParseIssues(p.Append(nil, 0))
	if err != nil {
		t.Fatal(err)
	}
	want := "the text of the issues is longer than 65536 bytes; 7 others are left out"
	if diff := cmp.Diff(want, issues[len(issues)-1].Diagnostics); len(issues) != 4 || diff != "" {
		t.Errorf("%d issues, want 3 and (-want +got):\n%s", len(issues), diff)
	}
	if got := p.Append(nil, 1); len(got) > 0 {
		t.Errorf("a warning alone was kept: %s", got)
	}
}

func TestContract(t *testing.T) {
	text := strings.Repeat(`{"resourceType":"Patient","id":"a","odd":1}`+"\n"+`{"resourceType":"Basic","id":"b"}`+"\n", 3000)
	for _, kind := range Kinds {
		t.Run(string(kind.name), func(t *testing.T) {
			pipetest.TestSink(t, func(t *testing.T) pipetest.SinkSetup {
				dir := t.TempDir()
				return pipetest.SinkSetup{Sink: newPlaced(dir, 2000, kind), Result: pipetest.Files(dir)}
			}, func(*testing.T) pipeline.Source {
				return pipetest.Lines("in.ndjson", text, 500)
			}, lenient{}, parse.New(), versions{}, reader{})
		})
	}
}

// reader does what the stage that reads notes does: it finds something in every third
// record.
type reader struct{}

func (reader) Name() string                        { return "reader" }
func (reader) NewWorker() (pipeline.Worker, error) { return reader{}, nil }
func (reader) Process(_ context.Context, b *pipeline.Batch) error {
	all := pipeline.Notes.Of(b)
	all.Reset()
	for i := range b.Records {
		if r := &b.Records[i]; r.Status == pipeline.Pending && r.Line%3 == 0 {
			start := uint32(len(all.Data))
			all.Data = fmt.Appendf(all.Data, `{"line":%d}`, r.Line)
			all.Of = append(all.Of, pipeline.NoteResult{Record: i, Start: start, End: uint32(len(all.Data))})
		}
	}
	return nil
}

// read gives the data of a kind by the ids of resources.
func read(t *testing.T, dir string, segments []*snapshot.SegmentBuilder, kind snapshot.AnnotationKind) map[string]string {
	t.Helper()
	d, err := snapshot.NewFrameReader()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	all := map[string]string{}
	for _, s := range segments {
		kept := s.Annotation(kind)
		if kept == nil {
			continue
		}
		a, err := snapshot.OpenAnnotations(dir, kept.File.Path)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.EachAnnotation(a, func(_ uint32, line, data []byte) error {
			_, after, _ := strings.Cut(string(line), `"id":"`)
			id, _, _ := strings.Cut(after, `"`)
			all[id] = string(data)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		a.Close()
	}
	return all
}

func TestWhatWasFoundInNotesIsKept(t *testing.T) {
	dir := t.TempDir()
	p := newPlaced(dir, 1000, NLP)
	var lines []string
	want := map[string]string{}
	for i := range 4000 {
		line := fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, i)
		if i%7 == 0 {
			line = "not JSON"
		}
		lines = append(lines, line)
		if n := i + 1; n%3 == 0 && i%7 > 0 {
			want[fmt.Sprintf("p%d", i)] = fmt.Sprintf(`{"line":%d}`, n)
		}
	}
	if _, err := pipeline.Run(context.Background(), pipeline.Config{
		Source: pipetest.Lines("in.ndjson", strings.Join(lines, "\n"), 100),
		Stages: []pipeline.Stage{parse.New(), versions{}, reader{}}, Sinks: []pipeline.Sink{p}, Workers: 2,
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read(t, dir, p.builder.Segments(), snapshot.NLP)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// stored makes batches those of a data store, which keeps things beside some records.
type stored struct{}

func (stored) Name() string                        { return "stored" }
func (stored) NewWorker() (pipeline.Worker, error) { return stored{}, nil }
func (stored) Process(_ context.Context, b *pipeline.Batch) error {
	b.Stored = true
	for i := range b.Records {
		n := b.Records[i].Line
		var kept beside.Values
		if n%2 == 0 {
			kept = append(kept, beside.Value{Kind: beside.Issues, Data: fmt.Appendf(nil, `["%d"]`, n)})
		}
		if n%3 == 0 {
			kept = append(kept, beside.Value{Kind: beside.NLP, Data: fmt.Appendf(nil, `{"of":%d}`, n)})
		}
		if n%5 == 0 {
			kept = append(kept, beside.Value{Kind: "other", Data: []byte("1")})
		}
		b.Keep(i, kept)
	}
	return nil
}

// TestWhatADataStoreKeptIsKept has stages that leave something else, which counts for
// nothing.
func TestWhatADataStoreKeptIsKept(t *testing.T) {
	var lines []string
	want := map[snapshot.AnnotationKind]map[string]string{snapshot.Issues: {}, snapshot.NLP: {}}
	for n := 1; n <= 300; n++ {
		lines = append(lines, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","odd":1}`, n))
		if id := fmt.Sprintf("p%d", n); n%2 == 0 {
			want[snapshot.Issues][id] = fmt.Sprintf(`["%d"]`, n)
		}
		if id := fmt.Sprintf("p%d", n); n%3 == 0 {
			want[snapshot.NLP][id] = fmt.Sprintf(`{"of":%d}`, n)
		}
	}
	for _, kind := range Kinds {
		dir := t.TempDir()
		p := newPlaced(dir, 100, kind)
		if _, err := pipeline.Run(context.Background(), pipeline.Config{
			Source: pipetest.Lines("in.ndjson", strings.Join(lines, "\n"), 100),
			Stages: []pipeline.Stage{parse.New(), versions{}, reader{}, stored{}}, Sinks: []pipeline.Sink{p}, Lenient: true, Workers: 2,
		}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[kind.name], read(t, dir, p.builder.Segments(), kind.name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind.name, diff)
		}
	}
}

// lenient makes batches so that the suite's jobs keep faulty records.
type lenient struct{}

func (lenient) Name() string                        { return "lenient" }
func (lenient) NewWorker() (pipeline.Worker, error) { return lenient{}, nil }
func (lenient) Process(_ context.Context, b *pipeline.Batch) error {
	b.Lenient = true
	return nil
}
