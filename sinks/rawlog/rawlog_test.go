package rawlog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const stamp = `"meta":{"versionId":"1","lastUpdated":"2026-01-02T03:04:05.000Z"}`

// batch parses lines into a batch of accepted records of version 1.
func batch(t testing.TB, lines ...string) *pipeline.Batch {
	t.Helper()
	text := strings.Join(lines, "\n")
	b := &pipeline.Batch{Data: append(make([]byte, 0, len(text)+16), text...)}
	at := 0
	for _, l := range lines {
		b.Records = append(b.Records, pipeline.Record{Start: uint32(at), End: uint32(at + len(l)), Version: 1, Updated: now.UnixMicro()})
		at += len(l) + 1
	}
	w, err := parse.New().NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	return b
}

// sequence numbers UUIDs.
func sequence() func() string {
	n := 0
	return func() string { n++; return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }
}

// place does what the columnar sink does before this one.
func place(builder *snapshot.Builder, b *pipeline.Batch) {
	for i := range b.Records {
		r := &b.Records[i]
		if r.Status == pipeline.Pending {
			s := builder.Open(r.Type.String())
			r.Segment, r.Row = s.Ordinal, uint32(s.Rows)
			s.Rows++
		}
	}
}

func TestLinesOfEachTypeAreTheRowsOfItsSegment(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	builder := snapshot.NewBuilder(dir, &snapshot.Manifest{}, sequence())
	s := New(builder)
	w, err := s.Compress().NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	var tasks []pipeline.Task
	give := func(lines ...string) {
		t.Helper()
		b := batch(t, lines...)
		if err := w.Process(ctx, b); err != nil {
			t.Fatal(err)
		}
		place(builder, b)
		more, err := s.Write(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, more...)
	}
	give(`{"resourceType":"Patient","id":"a"}`, `{"resourceType":"Basic","id":"x","code":{"text":"1"}}`, `not JSON`, `{"resourceType":"Patient","id":"b"}`)
	give(`{"resourceType":"Basic","id":"y","code":{"text":"2"}}`)
	builder.Roll("Patient")
	give(`{"resourceType":"Patient","id":"c"}`)
	more, err := s.Flush(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range append(tasks, more...) {
		if err := task.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	d, err := snapshot.NewFrameReader()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want := [][]string{
		{`{"resourceType":"Patient","id":"a",` + stamp + `}`, `{"resourceType":"Patient","id":"b",` + stamp + `}`},
		{`{"resourceType":"Basic","id":"x",` + stamp + `,"code":{"text":"1"}}`, `{"resourceType":"Basic","id":"y",` + stamp + `,"code":{"text":"2"}}`},
		{`{"resourceType":"Patient","id":"c",` + stamp + `}`},
	}
	for i, seg := range builder.Segments() {
		r, err := snapshot.OpenResources(dir, seg.Resources.Path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if r.Rows() != int64(len(want[i])) {
			t.Errorf("segment %d has %d rows, want %d", i, r.Rows(), len(want[i]))
		}
		for row, line := range want[i] {
			if got, err := d.Line(r, int64(row)); err != nil || string(got) != line {
				t.Errorf("segment %d row %d:\n got %s %v\nwant %s", i, row, got, err, line)
			}
		}
	}
}

func TestFramesEndAtTheirSize(t *testing.T) {
	var lines []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf(`{"resourceType":"Basic","id":"%d","code":{"text":"%s"}}`, i, strings.Repeat("text ", 100)))
	}
	b := batch(t, lines...)
	w, err := stage{}.NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	p := slot.Of(b)
	rows := uint32(0)
	for i, f := range p.frames {
		last := i == len(p.frames)-1
		if f.Uncompressed < FrameSize && !last || f.Uncompressed > FrameSize+1000 {
			t.Errorf("frame %d has %d bytes", i, f.Uncompressed)
		}
		if f.first != int(rows) || f.typ != r4.TypeBasic {
			t.Errorf("frame %d begins at record %d of type %v, want %d", i, f.first, f.typ, rows)
		}
		rows += f.Rows
	}
	if rows != 1000 || len(p.frames) < 4 {
		t.Errorf("%d rows in %d frames", rows, len(p.frames))
	}
}

func TestCloseWithoutCommitLeavesNoFile(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	builder := snapshot.NewBuilder(dir, &snapshot.Manifest{}, sequence())
	s := New(builder)
	b := batch(t, `{"resourceType":"Patient","id":"a"}`)
	w, err := s.Compress().NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Process(ctx, b); err != nil {
		t.Fatal(err)
	}
	place(builder, b)
	if _, err := s.Write(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "files", "Patient"))
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func BenchmarkCompress(b *testing.B) {
	var lines []string
	size := 0
	for i := range 2000 {
		l := fmt.Sprintf(`{"resourceType":"Observation","id":"%08x","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8302-%d","display":"Body Height"}]},"subject":{"reference":"Patient/%08x"},"effectiveDateTime":"2010-09-%02dT12:21:06+02:00","valueQuantity":{"value":%d.%d,"unit":"cm","system":"http://unitsofmeasure.org","code":"cm"}}`, i*2654435761, i%97, i*40503, 1+i%28, 100+i%80, i%10)
		size += len(l)
		lines = append(lines, l)
	}
	bt := batch(b, lines...)
	w, err := stage{}.NewWorker()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Process(context.Background(), bt); err != nil {
			b.Fatal(err)
		}
	}
}

// placed is the sink behind what gives records their rows.
type placed struct {
	*Sink
	builder *snapshot.Builder
}

func (p placed) Write(ctx context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	place(p.builder, b)
	return p.Sink.Write(ctx, b)
}

func TestContract(t *testing.T) {
	var text strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&text, `{"resourceType":"%s","id":"%d","language":"en"}`+"\n", []string{"Patient", "Group", "Person"}[i%3], i)
	}
	pipetest.TestSink(t, func(t *testing.T) pipetest.SinkSetup {
		dir := t.TempDir()
		builder := snapshot.NewBuilder(dir, &snapshot.Manifest{}, sequence())
		return pipetest.SinkSetup{
			Sink:   placed{New(builder), builder},
			Result: pipetest.Files(dir),
		}
	}, func(*testing.T) pipeline.Source { return pipetest.Lines("in.ndjson", text.String(), 16<<10) }, parse.New(), versioned{}, New(nil).Compress())
}

// versioned gives every record version 1 and the time of the job, as identify does in an empty store.
type versioned struct{}

func (versioned) Name() string                        { return "versioned" }
func (versioned) NewWorker() (pipeline.Worker, error) { return versioned{}, nil }
func (versioned) Process(_ context.Context, b *pipeline.Batch) error {
	for i := range b.Records {
		b.Records[i].Version, b.Records[i].Updated = 1, now.UnixMicro()
	}
	return nil
}
