package entities_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	arrowfile "github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	"github.com/fhirlake/fhirlake/sinks/parquet/entities"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/shred"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// row is a row of a file, its columns by name; nulls are left out.
type row map[string]any

// twin makes the rows of a document in the plainest way.
func twin(t *testing.T, at int, typ, id, patient, data string) []row {
	t.Helper()
	type concept struct {
		Code, Description string
		Score             float64
	}
	var result struct {
		Texts []struct {
			Status   string
			Entities []struct {
				Text, Category, Type      string
				BeginOffset, EndOffset    int
				Score                     float64
				Traits                    []struct{ Name string }
				ICD10CM, RxNorm, SNOMEDCT []concept
			}
		}
	}
	if err := json.Unmarshal([]byte(data), &result); err != nil {
		t.Fatal(err)
	}
	begin := func(operation string) row {
		r := row{"row": at, "document_type": typ, "document_id": id, "operation": operation}
		if patient != "" {
			r["patient"] = patient
		}
		return r
	}
	status := "UNSUPPORTED"
	for _, text := range result.Texts {
		if text.Status == "VALIDATION_ERROR" || text.Status == "SUCCESS" && status == "UNSUPPORTED" {
			status = text.Status
		}
	}
	first := begin("status")
	first["type"] = status
	rows := []row{first}
	entity := 0
	for i, text := range result.Texts {
		for _, e := range text.Entities {
			of := func(operation string) row {
				r := begin(operation)
				r["attachment"], r["entity_id"] = i, entity
				r["text"], r["category"], r["type"], r["score"] = e.Text, e.Category, e.Type, e.Score
				r["begin_offset"], r["end_offset"] = e.BeginOffset, e.EndOffset
				var names []string
				for _, tr := range e.Traits {
					names = append(names, tr.Name)
				}
				if names != nil {
					r["traits"] = strings.Join(names, " ")
				}
				return r
			}
			rows = append(rows, of("detect-entities"))
			for _, o := range []struct {
				name, system string
				concepts     []concept
			}{
				{"infer-icd10", "http://hl7.org/fhir/sid/icd-10-cm", e.ICD10CM},
				{"infer-rxnorm", "http://www.nlm.nih.gov/research/umls/rxnorm", e.RxNorm},
				{"infer-snomedct", "http://snomed.info/sct", e.SNOMEDCT},
			} {
				for rank, c := range o.concepts[:min(len(o.concepts), 5)] {
					r := of(o.name)
					r["system"], r["code"], r["description"], r["concept_score"], r["concept_rank"] = o.system, c.Code, c.Description, c.Score, rank
					rows = append(rows, r)
				}
			}
			entity++
		}
	}
	return rows
}

// read reads a file back with arrow-go.
func read(t *testing.T, name string) (rows []row, groups int) {
	t.Helper()
	f, err := arrowfile.OpenParquetFile(name, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := r.ReadTable(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	rows = make([]row, table.NumRows())
	for i := range rows {
		rows[i] = row{}
	}
	for c := range int(table.NumCols()) {
		at, name := 0, table.Schema().Field(c).Name
		for _, part := range table.Column(c).Data().Chunks() {
			for i := range part.Len() {
				if v := value(t, part, i); v != nil {
					rows[at][name] = v
				}
				at++
			}
		}
	}
	checkStatistics(t, f, rows)
	return rows, f.NumRowGroups()
}

// checkStatistics compares the bounds of numbers, by which engines skip row groups, with the rows.
func checkStatistics(t *testing.T, f *arrowfile.Reader, rows []row) {
	t.Helper()
	for g := range f.NumRowGroups() {
		group := f.MetaData().RowGroup(g)
		mine := rows[:group.NumRows()]
		rows = rows[group.NumRows():]
		for c := range group.NumColumns() {
			chunk, err := group.ColumnChunk(c)
			if err != nil {
				t.Fatal(err)
			}
			st, err := chunk.Statistics()
			if err != nil {
				t.Fatal(err)
			}
			name, nulls := f.MetaData().Schema.Column(c).Name(), int64(0)
			var numbers []float64
			for _, r := range mine {
				switch v := r[name].(type) {
				case nil:
					nulls++
				case int:
					numbers = append(numbers, float64(v))
				case float64:
					numbers = append(numbers, v)
				}
			}
			var low, high float64
			switch st := st.(type) {
			case *metadata.Int32Statistics:
				low, high = float64(st.Min()), float64(st.Max())
			case *metadata.Float64Statistics:
				low, high = st.Min(), st.Max()
			default:
				continue
			}
			if st.NullCount() != nulls || st.HasMinMax() != (numbers != nil) || numbers != nil && (low != slices.Min(numbers) || high != slices.Max(numbers)) {
				t.Errorf("statistics of %s in row group %d: from %g to %g, %d nulls", name, g, low, high, st.NullCount())
			}
		}
	}
}

func value(t *testing.T, a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	switch a := a.(type) {
	case *array.String:
		return a.Value(i)
	case *array.Int32:
		return int(a.Value(i))
	case *array.Float64:
		return a.Value(i)
	}
	t.Fatalf("no value of %T", a)
	return nil
}

// input makes lines of documents of two types and of others between them, and what the
// rows of their segments are.
func input(n int) (lines []string, types []string, patients []string) {
	for i := range n {
		typ, subject, patient := "DocumentReference", fmt.Sprintf(`{"reference":"Patient/p-%d"}`, i%17), fmt.Sprintf("Patient/p-%d", i%17)
		switch {
		case i%7 == 3:
			typ = "DiagnosticReport"
		case i%11 == 5:
			typ = "Patient"
		case i%13 == 1:
			subject, patient = `{"display":"nobody"}`, ""
		case i%13 == 2:
			subject, patient = `{"reference":"urn:x:\u00e9\"y"}`, `urn:x:é"y`
		}
		if typ == "Patient" {
			lines = append(lines, fmt.Sprintf(`{"resourceType":"Patient","id":"d-%d"}`, i))
		} else {
			lines = append(lines, document(typ, fmt.Sprintf("d-%d", i), subject))
		}
		types, patients = append(types, typ), append(patients, patient)
	}
	return lines, types, patients
}

func TestRowsAreThoseOfTheAnnotations(t *testing.T) {
	const n = 700
	lines, types, patients := input(n)
	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprintf("stored=%v", stored), func(t *testing.T) {
			dir := t.TempDir()
			s := newBoth(dir, parquet.Options{FileRows: 150}, entities.Options{GroupRows: 1000})
			segments := write(t, s, notes{made, stored}, lines...)
			want := map[uint32][]row{}
			segmentOf := map[string][]*snapshot.SegmentBuilder{}
			for _, seg := range segments {
				segmentOf[seg.ResourceType] = append(segmentOf[seg.ResourceType], seg)
			}
			next := map[string]int64{}
			for i, typ := range types {
				seg := segmentOf[typ][0]
				at := next[typ]
				if next[typ]++; next[typ] == seg.Rows {
					segmentOf[typ], next[typ] = segmentOf[typ][1:], 0
				}
				id := fmt.Sprintf("d-%d", i)
				if data := made(id); data != "" && typ != "Patient" {
					want[seg.Ordinal] = append(want[seg.Ordinal], twin(t, int(at), typ, id, patients[i], data)...)
				}
			}
			most := 0
			for _, seg := range segments {
				a := seg.Annotation(snapshot.Entities)
				if a == nil {
					if len(want[seg.Ordinal]) > 0 {
						t.Errorf("segment %d has no file", seg.Ordinal)
					}
					continue
				}
				if name := fmt.Sprintf("files/%s/%s.3.entities.parquet", seg.ResourceType, seg.ID); a.File.Path != name {
					t.Errorf("path %s, want %s", a.File.Path, name)
				}
				got, groups := read(t, filepath.Join(dir, a.File.Path))
				most = max(most, groups)
				if len(got) != len(want[seg.Ordinal]) || int64(len(got)) != a.Rows {
					t.Fatalf("segment %d has %d rows, want %d; its annotation says %d", seg.Ordinal, len(got), len(want[seg.Ordinal]), a.Rows)
				}
				for i, w := range want[seg.Ordinal] {
					if !maps.Equal(w, got[i]) {
						t.Fatalf("segment %d, row %d (-want +got):\n%s", seg.Ordinal, i, cmp.Diff(w, got[i]))
					}
				}
			}
			if len(segments) < 5 || most < 2 {
				t.Errorf("%d segments and at most %d row groups: too few to tell", len(segments), most)
			}
		})
	}
}

func TestWhereNothingWasReadThereIsNoFile(t *testing.T) {
	dir := t.TempDir()
	lines, _, _ := input(50)
	for _, seg := range write(t, newBoth(dir, parquet.Options{}, entities.Options{}), notes{of: func(string) string { return "" }}, lines...) {
		if a := seg.Annotation(snapshot.Entities); a != nil {
			t.Errorf("%s has %v", seg.ResourceType, a)
		}
	}
	names, err := pipetest.Files(dir)()
	if err != nil || strings.Contains(names, "entities") {
		t.Errorf("%v: files %.200s", err, names)
	}
}

// A document that was rejected has no rows, and an annotation that cannot be read ends the job.
func TestFaults(t *testing.T) {
	broken := func(string) string { return `{"texts":[{"status":"SUCCESS","entities":[` }
	_, err := pipeline.Run(context.Background(), pipeline.Config{
		Source: pipetest.Lines("in.ndjson", document("DocumentReference", "a", `{"display":"x"}`), 100),
		Stages: []pipeline.Stage{parse.New(), notes{broken, true}, shred.New()},
		Sinks:  []pipeline.Sink{newBoth(t.TempDir(), parquet.Options{}, entities.Options{})},
	})
	if err == nil || !strings.Contains(err.Error(), "in.ndjson:1") {
		t.Errorf("error %v", err)
	}
	rejected := document("DocumentReference", "b", `"no object"`)
	all := func(string) string {
		return `{"texts":[{"status":"SUCCESS","entities":[{"text":"x","beginOffset":0,"endOffset":1,"score":1}]}]}`
	}
	dir := t.TempDir()
	segments := write(t, newBoth(dir, parquet.Options{}, entities.Options{}), notes{of: all}, rejected, document("DocumentReference", "c", `{"display":"x"}`))
	got, _ := read(t, filepath.Join(dir, segments[0].Annotation(snapshot.Entities).File.Path))
	want := []row{
		{"row": 0, "document_type": "DocumentReference", "document_id": "c", "operation": "status", "type": "SUCCESS"},
		{
			"row": 0, "document_type": "DocumentReference", "document_id": "c", "operation": "detect-entities", "attachment": 0, "entity_id": 0,
			"text": "x", "begin_offset": 0, "end_offset": 1, "score": 1.0,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestContract(t *testing.T) {
	lines, _, _ := input(1500)
	text := strings.Join(lines, "\n")
	pipetest.TestSink(t, func(t *testing.T) pipetest.SinkSetup {
		dir := t.TempDir()
		return pipetest.SinkSetup{
			Sink:   newBoth(dir, parquet.Options{GroupRows: 200, FileRows: 300}, entities.Options{GroupRows: 2000}),
			Result: pipetest.Files(dir),
		}
	}, func(*testing.T) pipeline.Source {
		return pipetest.Lines("in.ndjson", text, 100)
	}, parse.New(), notes{of: made}, shred.New())
}
