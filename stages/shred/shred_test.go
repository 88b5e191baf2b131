package shred_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/shred"
)

// parsed gives lines as a parsed batch.
func parsed(tb testing.TB, lines ...string) *pipeline.Batch {
	tb.Helper()
	b := &pipeline.Batch{}
	for _, l := range lines {
		start := uint32(len(b.Data))
		b.Data = append(append(b.Data, l...), '\n')
		b.Records = append(b.Records, pipeline.Record{Start: start, End: start + uint32(len(l)), Version: 3, Updated: updated.UnixMicro(), Root: -1})
	}
	b.Pad()
	worker, err := parse.New().NewWorker()
	if err != nil {
		tb.Fatal(err)
	}
	if err := worker.Process(context.Background(), b); err != nil {
		tb.Fatal(err)
	}
	return b
}

// updated is the time of all records.
var updated = time.Date(2024, 1, 2, 3, 4, 5, 6e6, time.UTC)

func newWorker(tb testing.TB) pipeline.Worker {
	tb.Helper()
	w, err := shred.New().NewWorker()
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// column finds a column of a piece by the names on its path.
func column(tb testing.TB, p *columnar.Piece, path ...string) *columnar.Column {
	tb.Helper()
	for i := range p.Columns {
		n, k := p.Columns[i].Node, len(path)-1
		for ; n.Parent != nil && k >= 0 && n.Name == path[k]; k-- {
			n = n.Parent
		}
		if n.Parent == nil && k < 0 {
			return &p.Columns[i]
		}
	}
	tb.Fatalf("no column %v", path)
	return nil
}

func values(c *columnar.Column) (all []string) {
	c.Each(func(v []byte) { all = append(all, string(v)) })
	return all
}

func levels(c *columnar.Column) string {
	var s []byte
	for i := range c.Slots {
		rep, def := uint8(0), c.DefAll
		if c.Rep != nil {
			rep = c.Rep[i]
		}
		if c.Def != nil {
			def = c.Def[i]
		}
		s = fmt.Appendf(s, "%d%d ", rep, def)
	}
	return string(bytes.TrimSpace(s))
}

func TestLevels(t *testing.T) {
	b := parsed(t,
		`{"resourceType":"Patient","id":"a"}`,
		`{"resourceType":"Patient","id":"b","name":[{"given":["x","y"]},{"family":"f"}]}`,
		`{"resourceType":"Patient","id":"c","name":[{"given":["z"],"family":"g"}]}`,
		`{"resourceType":"Patient","id":"d"}`,
	)
	if err := newWorker(t).Process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	p := b.Columns[0]
	for _, test := range []struct {
		path         []string
		levels, want string
	}{
		{[]string{"id"}, "00 00 00 00", "[a b c d]"},
		{[]string{"name"}, "00 03 13 03 00", "[]"},
		{[]string{"name", "family"}, "00 03 14 04 00", "[f g]"},
		{[]string{"name", "given"}, "00 06 26 13 06 00", "[x y z]"},
		{[]string{"meta", "versionId"}, "02 02 02 02", "[3 3 3 3]"},
		{[]string{"meta", "lastUpdated"}, "02 02 02 02", "[2024-01-02T03:04:05.006Z 2024-01-02T03:04:05.006Z 2024-01-02T03:04:05.006Z 2024-01-02T03:04:05.006Z]"},
	} {
		c := column(t, p, test.path...)
		if levels(c) != test.levels || fmt.Sprint(values(c)) != test.want {
			t.Errorf("%v: %s %v; want %s %s", test.path, levels(c), values(c), test.levels, test.want)
		}
	}
}

func TestOnlyPendingRecordsAreShredded(t *testing.T) {
	b := parsed(t, `{"resourceType":"Patient","id":"a"}`, `{"resourceType":"Patient","id":"b"}`, `{"resourceType":"Basic","id":"c","code":{"text":"t"}}`)
	b.Records[0].Status, b.Records[2].Status = pipeline.Rejected, pipeline.Unchanged
	if err := newWorker(t).Process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	if len(b.Columns) != 1 || b.Columns[0].Rows != 1 || fmt.Sprint(values(column(t, b.Columns[0], "id"))) != "[b]" {
		t.Errorf("pieces: %v", b.Columns)
	}
}

// TestPiecesDoNotDependOnTheWorkersPast has a leaf that is plain in one batch
// and has a dictionary in the other.
func TestPiecesDoNotDependOnTheWorkersPast(t *testing.T) {
	var unique, equal []string
	for i := range 600 {
		unique = append(unique, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","language":"l%d","birthDate":"2000-01-01"}`, i, i))
		equal = append(equal, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","language":"l%d"}`, i, i%7))
	}
	worker := newWorker(t)
	for _, lines := range [][]string{unique, equal, unique} {
		used, fresh := parsed(t, lines...), parsed(t, lines...)
		if err := worker.Process(context.Background(), used); err != nil {
			t.Fatal(err)
		}
		if err := newWorker(t).Process(context.Background(), fresh); err != nil {
			t.Fatal(err)
		}
		a, b := used.Columns[0], fresh.Columns[0]
		if a.Bytes() != b.Bytes() || len(a.Columns) != len(b.Columns) {
			t.Fatalf("%d bytes in %d columns, want %d in %d", a.Bytes(), len(a.Columns), b.Bytes(), len(b.Columns))
		}
		for i := range a.Columns {
			x, y := &a.Columns[i], &b.Columns[i]
			if x.Node != y.Node || x.Plain != y.Plain || levels(x) != levels(y) || fmt.Sprint(values(x)) != fmt.Sprint(values(y)) {
				t.Errorf("column %s differs", x.Node.Name)
			}
		}
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	var lines []string
	for i := range 400 {
		lines = append(lines, fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":"final","code":{"coding":[{"system":"s","code":"c%d"}],"text":"a \"b\""},"subject":{"reference":"Patient/%d"},"effectiveDateTime":"2024-01-01","valueQuantity":{"value":%d.5}}`, i, i%9, i%50, i))
	}
	b := parsed(t, lines...)
	worker := newWorker(t)
	allocs := testing.AllocsPerRun(20, func() {
		if err := worker.Process(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		b.Columns = b.Columns[:0]
	})
	if allocs > 6 { // those of the piece that is handed on
		t.Errorf("%v allocations for a batch of 400 records", allocs)
	}
}

func TestContract(t *testing.T) {
	line := `{"resourceType":"Patient","id":"a","name":[{"family":"F","given":["x","y"]}],"birthDate":"1970"}` + "\n"
	pipetest.TestStage(t, shred.New(), func(*testing.T) pipeline.Source {
		return pipetest.Lines("in.ndjson", strings.Repeat(line+"{}\n", 500), 8<<10)
	}, parse.New())
}
