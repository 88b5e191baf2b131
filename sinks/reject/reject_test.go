package reject

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/stages/parse"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// give passes a batch through the sink as a job does.
func give(t *testing.T, s *Sink, b *pipeline.Batch) {
	t.Helper()
	w, err := s.Prepare().NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

// example has two inputs of the same name: an accepted record, two rejected ones
// whose issues came from two stages, one unchanged record.
func example() *pipeline.Batch {
	a, b := &pipeline.File{Name: "a/Patient.ndjson.gz"}, &pipeline.File{Name: "b/Patient.ndjson", Index: 1}
	bt := &pipeline.Batch{Records: []pipeline.Record{
		{File: a, Line: 1, Type: r4.TypePatient, ID: []byte("p1"), Version: 1},
		{File: a, Line: 3, Offset: 100},
		{File: a, Line: 4, Offset: 200, Type: r4.TypePatient},
		{File: b, Line: 1, Type: r4.TypePatient, ID: []byte("p2"), Version: 2, Status: pipeline.Unchanged},
		{File: b, Line: 2, Type: r4.TypePatient, ID: []byte("p3"), Version: 3},
	}}
	bt.AddIssue(1, fhir.Issue{Severity: fhir.Fatal, Code: fhir.CodeInvalid, Column: 7, Diagnostics: "not JSON"})
	bt.AddIssue(2, fhir.Issue{Severity: fhir.Warning, Code: fhir.CodeValue, Expression: "Patient.name", Diagnostics: "odd"})
	bt.AddIssue(4, fhir.Issue{Severity: fhir.Warning, Code: fhir.CodeValue, Diagnostics: "not an error"})
	bt.AddIssue(2, fhir.Issue{Severity: fhir.Error, Code: fhir.CodeRequired, Expression: "Patient.id", Diagnostics: "missing id"})
	return bt
}

func readAll(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		files[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestReportHasHealthLakesLayout(t *testing.T) {
	dir := t.TempDir()
	s := New(dir, now)
	give(t, s, example())
	if err := s.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name := range readAll(t, dir) {
		if !strings.HasSuffix(name, ".part") {
			t.Errorf("%s is visible before Publish", name)
		}
	}
	if err := s.Publish(); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"SUCCESS/Patient.ndjson": `{"lineId":1,"UpdateResourceResponse":{"jsonBlob":{"resourceType":"Patient","id":"p1","meta":{"versionId":"1","lastUpdated":"2026-01-02T03:04:05.000Z"}},"statusCode":201}}` + "\n",
		"FAILURE/Patient.ndjson": `{"lineId":3,"UpdateResourceResponse":{"jsonBlob":{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"invalid","diagnostics":"not JSON (line 3, column 7, byte offset 100)"}]},"statusCode":400}}` + "\n" +
			`{"lineId":4,"UpdateResourceResponse":{"jsonBlob":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"value","diagnostics":"odd (line 4, byte offset 200)","expression":["Patient.name"]},{"severity":"error","code":"required","diagnostics":"missing id (line 4, byte offset 200)","expression":["Patient.id"]}]},"statusCode":400}}` + "\n",
		"SUCCESS/b-Patient.ndjson": `{"lineId":1,"UpdateResourceResponse":{"jsonBlob":{"resourceType":"Patient","id":"p2","meta":{"versionId":"2"}},"statusCode":200}}` + "\n" +
			`{"lineId":2,"UpdateResourceResponse":{"jsonBlob":{"resourceType":"Patient","id":"p3","meta":{"versionId":"3","lastUpdated":"2026-01-02T03:04:05.000Z"}},"statusCode":200}}` + "\n",
	}
	got := readAll(t, dir)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	for name, text := range got {
		for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s: not JSON: %s", name, line)
			}
		}
	}
	counts := []FileCount{{"a/Patient.ndjson.gz", 1, 0, 2}, {"b/Patient.ndjson", 2, 0, 0}}
	if diff := cmp.Diff(counts, s.Files()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if sample := s.Sample(); len(sample) != 2 || sample[1].Issue.Diagnostics != "missing id" {
		t.Errorf("sample %v, want both rejects, each with its first error", sample)
	}
}

func TestRecordsTakenWithErrorsHaveAFolderOfTheirOwn(t *testing.T) {
	f := &pipeline.File{Name: "in.ndjson"}
	b := &pipeline.Batch{Lenient: true, Records: []pipeline.Record{
		{File: f, Line: 1, Type: r4.TypePatient, ID: []byte("p1"), Version: 1},
		{File: f, Line: 2, Offset: 40, Type: r4.TypePatient, ID: []byte("p2"), Version: 1},
		{File: f, Line: 3, Offset: 80, Type: r4.TypePatient, ID: []byte("p3"), Version: 3, Status: pipeline.Unchanged},
		{File: f, Line: 4, Offset: 120, Type: r4.TypePatient, ID: []byte("p4"), Version: 2},
		{File: f, Line: 5, Offset: 160, Type: r4.TypePatient},
	}}
	b.AddIssue(1, fhir.Issue{Severity: fhir.Error, Code: fhir.CodeStructure, Expression: "Patient", Diagnostics: "odd"})
	b.AddIssue(2, fhir.Issue{Severity: fhir.Error, Code: fhir.CodeValue, Diagnostics: "odd too"})
	b.AddIssue(3, fhir.Issue{Severity: fhir.Warning, Code: fhir.CodeValue, Diagnostics: "a warning is no fault"})
	b.AddIssue(1, fhir.Issue{Severity: fhir.Warning, Code: fhir.CodeInvariant, Constraint: "dom-6", Diagnostics: "no narrative"})
	b.Reject(4, fhir.Issue{Severity: fhir.Error, Code: fhir.CodeRequired, Diagnostics: "missing id"})
	dir := t.TempDir()
	s := New(dir, now)
	give(t, s, b)
	if err := s.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(); err != nil {
		t.Fatal(err)
	}
	stored := `"lastUpdated":"2026-01-02T03:04:05.000Z"}}`
	want := map[string]string{
		"SUCCESS/in.ndjson": `{"lineId":1,"UpdateResourceResponse":{"jsonBlob":{"resourceType":"Patient","id":"p1","meta":{"versionId":"1",` + stored + `,"statusCode":201}}` + "\n" +
			`{"lineId":4,"UpdateResourceResponse":{"jsonBlob":{"resourceType":"Patient","id":"p4","meta":{"versionId":"2",` + stored + `,"statusCode":200}}` + "\n",
		"SUCCESS_WITH_SEARCH_VALIDATION_FAILURES/in.ndjson": `{"lineId":2,"UpdateResourceResponse":{"jsonBlob":{"resourceType":"OperationOutcome","issue":[` +
			`{"severity":"error","code":"structure","diagnostics":"odd (line 2, byte offset 40)","expression":["Patient"]},` +
			`{"severity":"warning","code":"invariant","details":{"text":"constraint dom-6"},"diagnostics":"no narrative (line 2, byte offset 40)"}]},"location":"Patient/p2/_history/1","statusCode":201}}` + "\n" +
			`{"lineId":3,"UpdateResourceResponse":{"jsonBlob":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"value","diagnostics":"odd too (line 3, byte offset 80)"}]},"location":"Patient/p3/_history/3","statusCode":200}}` + "\n",
		"FAILURE/in.ndjson": `{"lineId":5,"UpdateResourceResponse":{"jsonBlob":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"required","diagnostics":"missing id (line 5, byte offset 160)"}]},"statusCode":400}}` + "\n",
	}
	if diff := cmp.Diff(want, readAll(t, dir)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]FileCount{{"in.ndjson", 4, 2, 1}}, s.Files()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestWithoutFolderOnlyCounts(t *testing.T) {
	s := New("", now)
	give(t, s, example())
	if err := s.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if f := s.Files(); len(f) != 2 || f[0].Rejected != 2 {
		t.Errorf("counts %v", f)
	}
}

func TestDerivedResourcesHaveNoLine(t *testing.T) {
	var reports [2]map[string]string
	for i := range reports {
		dir := t.TempDir()
		s := New(dir, now)
		b := example()
		if i == 1 {
			b.Records = append(b.Records, pipeline.Record{File: b.Records[0].File, Line: 1, Type: r4.TypeCondition, ID: []byte("c"), Version: 1, Derived: true})
		}
		give(t, s, b)
		if err := s.Commit(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := s.Publish(); err != nil {
			t.Fatal(err)
		}
		reports[i] = readAll(t, dir)
	}
	if diff := cmp.Diff(reports[0], reports[1]); diff != "" {
		t.Error(diff)
	}
}

func TestCloseWithoutCommitLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	s := New(dir, now)
	give(t, s, example())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, dir); len(got) > 0 {
		t.Errorf("left %v", got)
	}
}

func TestDiscardAfterCommitLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	s := New(dir, now)
	give(t, s, example())
	if err := s.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Discard(); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, dir); len(got) > 0 {
		t.Errorf("left %v", got)
	}
}

func TestInputsOfOneNameGetDifferentFiles(t *testing.T) {
	s := New(t.TempDir(), now)
	var got []string
	for _, name := range []string{"Patient.ndjson", "Patient.ndjson.zst", "x/Patient.ndjson", "y/x/Patient.ndjson", "-", "Patient.json"} {
		got = append(got, s.baseName(name))
	}
	want := []string{"Patient", "Patient-2", "x-Patient", "x-Patient-2", "stdin", "Patient.json"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestOutcomesAreOneLineForEachRecordWithIssues(t *testing.T) {
	var out bytes.Buffer
	o := NewOutcomes(&out)
	if _, err := o.Write(context.Background(), example()); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || strings.Count(lines[1], `"severity"`) != 2 || !strings.Contains(lines[2], "b/Patient.ndjson, line 2") {
		t.Errorf("got %s", out.String())
	}
}

func TestContract(t *testing.T) {
	pipetest.TestSink(t, func(t *testing.T) pipetest.SinkSetup {
		dir := t.TempDir()
		return pipetest.SinkSetup{Sink: New(dir, now), Result: pipetest.Files(dir)}
	}, func(*testing.T) pipeline.Source {
		return pipetest.Lines("in.ndjson", strings.Repeat("{\"resourceType\":\"Patient\",\"id\":\"a\"}\n{}\n", 3000), 16<<10)
	}, parse.New())
}
