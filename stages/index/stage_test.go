package index_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/stages/index"
	"github.com/fhirlake/fhirlake/stages/parse"
)

func worker(tb testing.TB, table *search.Table) pipeline.Worker {
	tb.Helper()
	w, err := index.New(table).NewWorker()
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// lenient parses lines as level minimal does.
func lenient(tb testing.TB, lines ...string) *pipeline.Batch {
	tb.Helper()
	b := &pipeline.Batch{Lenient: true}
	for i, l := range lines {
		start := uint32(len(b.Data))
		b.Data = append(append(b.Data, l...), '\n')
		b.Records = append(b.Records, pipeline.Record{Line: int64(i + 1), Start: start, End: start + uint32(len(l)), Entry: -1, Root: -1})
	}
	b.Pad()
	w, err := parse.New().NewWorker()
	if err != nil {
		tb.Fatal(err)
	}
	if err := w.Process(context.Background(), b); err != nil {
		tb.Fatal(err)
	}
	return b
}

// found lists the values of a record by parameter.
func found(table *search.Table, typ r4.TypeID, rows []rowText) []string {
	var out []string
	for _, p := range table.Parameters(typ) {
		if p.Origin == search.OriginRows {
			for _, v := range actual(p, rows) {
				out = append(out, p.Code+": "+v)
			}
		}
	}
	return out
}

// TestValues runs the stage on each resource of testdata/values.txt. A block is a
// remark, the resource, ----, and its values by parameter.
func TestValues(t *testing.T) {
	const file = "testdata/values.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := worker(t, search.R4())
	var out bytes.Buffer
	for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		head, _, _ := strings.Cut(block, "\n----")
		fmt.Fprintf(&out, "%s\n----\n", head)
		b := lenient(t, head[strings.Index(head, "{"):])
		if b.Records[0].Status != pipeline.Pending {
			t.Errorf("%s\nis rejected: %v", head, b.Issues)
		}
		if err := w.Process(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		for _, v := range found(search.R4(), b.Records[0].Type, rowsOf(b)[0]) {
			fmt.Fprintln(&out, v)
		}
		fmt.Fprintln(&out)
	}
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(text), out.String()); diff != "" && !*update {
		t.Error(diff)
	}
}

func TestEveryTypeCompiles(t *testing.T) {
	w := worker(t, search.R4())
	for _, typ := range r4.ResourceTypes() {
		b := lenient(t, `{"resourceType":"`+typ.String()+`","id":"x"}`)
		if err := w.Process(context.Background(), b); err != nil {
			t.Error(err)
		}
		for _, g := range search.R4().Groups(typ) {
			if err := index.Check(typ, g); err != nil {
				t.Errorf("%s %s: %v", typ, g.Path, err)
			}
		}
	}
}

var sample = []string{
	`{"resourceType":"Observation","id":"a","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1-8"}],"text":"Größe"},"valueQuantity":{"value":1.8234567890123456,"system":"http://unitsofmeasure.org","code":"mmol/L"},"component":[{"code":{"text":"x"},"valueQuantity":{"value":37.5,"system":"http://unitsofmeasure.org","code":"Cel"}}]}`,
	`{"resourceType":"Patient","id":"b","name":[{"family":"De \"la\" Cruz","given":["Ann"]}],"birthDate":"1970-01-02"}`,
	`{"resourceType":"Observation","id":"c","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]},"subject":{"reference":"Patient/b"}}`,
}

func TestStageContract(t *testing.T) {
	pipetest.TestStage(t, index.New(search.R4()), func(*testing.T) pipeline.Source {
		return pipetest.Lines("in.ndjson", strings.Repeat(strings.Join(sample, "\n")+"\n{}\n", 300), 8<<10)
	}, parse.New())
}

// A batch of one gives the rows that the record has within any other (invariant 1).
func TestRowsDependOnTheRecordAlone(t *testing.T) {
	w := worker(t, search.R4())
	all := lenient(t, sample...)
	if err := w.Process(context.Background(), all); err != nil {
		t.Fatal(err)
	}
	together := rowsOf(all)
	for i, line := range sample {
		one := lenient(t, line)
		if err := w.Process(context.Background(), one); err != nil {
			t.Fatal(err)
		}
		if alone := rowsOf(one)[0]; !slices.Equal(alone, together[int32(i)]) || len(alone) == 0 {
			t.Errorf("%s\nalone    %v\ntogether %v", line, alone, together[int32(i)])
		}
	}
}

func TestNoAllocations(t *testing.T) {
	w := worker(t, search.R4())
	b := lenient(t, sample...)
	if n := testing.AllocsPerRun(20, func() {
		if err := w.Process(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

// What a resource gives to the index is no more than a multiple of its size, however it is
// made: here a name of a megabyte, and many names, of words of one letter.
func TestRowsAreLinearInTheResource(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("a ", 1<<19))
	for name, names := range map[string]string{
		"one long name":    `{"family":"` + long + `"}`,
		"many short names": strings.TrimSuffix(strings.Repeat(`{"family":"a b c d e f g h i j k l m n o p q r s t u v w x y z"},`, 1<<14), ","),
		"many wide names":  strings.TrimSuffix(strings.Repeat(`{"family":"`+long[:1<<10]+`"},`, 1<<10), ","),
	} {
		t.Run(name, func(t *testing.T) {
			b := lenient(t, `{"resourceType":"Patient","id":"pat-long","name":[`+names+`]}`)
			if b.Records[0].Status != pipeline.Pending {
				t.Fatal(b.Issues)
			}
			if err := worker(t, search.R4()).Process(context.Background(), b); err != nil {
				t.Fatal(err)
			}
			texts := 0 // what a sink of the index hashes and keeps
			v := pipeline.SearchValues.Of(b)
			for _, s := range v.Strings {
				texts += len(v.Text(s.Folded)) + len(v.Text(s.Exact))
			}
			if most := 32 * len(b.Data); texts > most || len(v.Strings) > len(b.Data) {
				t.Errorf("%d strings of %d bytes for a resource of %d bytes, want %d bytes at most", len(v.Strings), texts, len(b.Data), most)
			}
		})
	}
}

func TestOnlyPendingRecordsHaveRows(t *testing.T) {
	b := lenient(t, sample...)
	b.Records[0].Status, b.Records[2].Status = pipeline.Rejected, pipeline.Unchanged
	if err := worker(t, search.R4()).Process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	if rows := rowsOf(b); len(rows) != 1 || len(rows[1]) == 0 {
		t.Errorf("%v", rows)
	}
}

func TestCustomParameters(t *testing.T) {
	custom := []r4.SearchParameter{
		{Code: "eye", URL: "http://example.org/eye", Base: r4.TypePatient, Type: r4.SearchToken, Expression: "Patient.extension.where(url='http://example.org/eye').value.ofType(code)"},
		{Code: "contact-pair", URL: "http://example.org/pair", Base: r4.TypePatient, Type: r4.SearchComposite, Expression: "Patient.contact", Components: []r4.SearchComponent{
			{URL: "http://hl7.org/fhir/SearchParameter/individual-gender", Expression: "gender"},
			{URL: "http://hl7.org/fhir/SearchParameter/individual-family", Expression: "name.family"},
		}},
		{Code: "several", URL: "http://example.org/several", Base: r4.TypePatient, Type: r4.SearchToken, Expression: "Patient.name.given.single()"},
		{Code: "syntax", URL: "http://example.org/syntax", Base: r4.TypePatient, Type: r4.SearchToken, Expression: "Patient.name.("},
		{Code: "unknown", URL: "http://example.org/unknown", Base: r4.TypePatient, Type: r4.SearchToken, Expression: "Patient.nam"},
	}
	table, faults := search.NewTable(custom, index.Check)
	var told []string
	for _, f := range faults {
		told = append(told, f.Error())
	}
	want := []string{
		"search parameter http://example.org/syntax (syntax): ",
		"search parameter http://example.org/unknown (unknown): ",
	}
	if len(told) != len(want) {
		t.Fatalf("faults %q", told)
	}
	for i := range want {
		if !strings.HasPrefix(told[i], want[i]) || told[i] == want[i] {
			t.Errorf("told %q, want the reason after %q", told[i], want[i])
		}
	}
	if table.Parameter(r4.TypePatient, "unknown") != nil {
		t.Error("a parameter at fault is offered")
	}
	b := lenient(t, `{"resourceType":"Patient","id":"x","extension":[{"url":"http://example.org/eye","valueCode":"blue"}],"name":[{"given":["a","b"]}],"contact":[{"gender":"male","name":{"family":"A"}},{"gender":"female"}]}`)
	if err := worker(t, table).Process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range found(table, r4.TypePatient, rowsOf(b)[0]) {
		if strings.HasPrefix(v, "eye") || strings.HasPrefix(v, "contact-pair") || strings.HasPrefix(v, "given") {
			got = append(got, v)
		}
	}
	if diff := cmp.Diff([]string{
		`contact-pair: ["implied http://hl7.org/fhir/administrative-gender|female"] with []`,
		`contact-pair: ["implied http://hl7.org/fhir/administrative-gender|male"] with ["string a|A"]`,
		"eye: token |blue",
		"given: string a|a", "given: string b|b",
	}, got); diff != "" {
		t.Error(diff)
	}
	// single() of two given names is an error of the evaluation. The others go on.
	if len(b.Issues) != 1 || b.Records[0].Status != pipeline.Pending || !strings.Contains(b.Issues[0].Diagnostics, "several items") {
		t.Errorf("issues %v", b.Issues)
	}
}

func FuzzStage(f *testing.F) {
	text, err := os.ReadFile("testdata/values.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.HasPrefix(line, "{") {
			f.Add(line)
		}
	}
	w := worker(f, search.R4())
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\n\r") {
			return
		}
		b := lenient(t, line)
		if err := w.Process(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		first := rowsOf(b)
		if err := w.Process(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, rowsOf(b), cmp.AllowUnexported(rowText{})); diff != "" {
			t.Error(diff)
		}
	})
}
