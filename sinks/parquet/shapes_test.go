package parquet_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	"github.com/fhirlake/fhirlake/stages/shred"
)

// force makes every record that could be parsed pending, whatever is wrong with it.
func force(all []*pipeline.Batch) {
	for _, b := range all {
		for i := range b.Records {
			if r := &b.Records[i]; r.Root != fhir.NoNode && r.Type != 0 {
				r.Status = pipeline.Pending
			}
		}
	}
}

func TestOddShapes(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string // a batch each
	}{
		{"nulls in primitive arrays", []string{
			`{"resourceType":"Patient","id":"a","name":[{"given":["x",null,"y"],"_given":[null,{"id":"g"},null]},{"family":"f"}]}`,
			`{"resourceType":"Patient","id":"b","name":[{"given":[null,null],"_given":[{"id":"g"},{"id":"h"}]}]}`,
		}},
		{"lists in lists, some empty of this or that", []string{
			`{"resourceType":"Patient","id":"a","contact":[{"telecom":[{"value":"1"},{"value":"2","rank":3}]},{"gender":"male"},{"telecom":[{"rank":1}]}]}`,
			`{"resourceType":"Patient","id":"b"}`,
			`{"resourceType":"Patient","id":"c","contact":[{"relationship":[{"coding":[{"code":"c1"},{"code":"c2"}]},{"text":"t"},{"coding":[{"code":"c3"}]}]}]}`,
		}},
		{"a leaf that comes first in a later piece", []string{
			`{"resourceType":"Observation","id":"a","status":"final","code":{"text":"x"}}`,
			`{"resourceType":"Observation","id":"b","status":"final","code":{"text":"x"},"component":[{"code":{"text":"p"},"valueInteger":7},{"code":{"text":"q"},"valueBoolean":false}]}`,
			`{"resourceType":"Observation","id":"c","status":"final","code":{"text":"x"}}`,
		}},
		{"twins that some values lack", []string{
			`{"resourceType":"Observation","id":"a","status":"final","code":{"text":"x"},"subject":{"reference":"#p"},"focus":[{"reference":"Patient/1"},{"reference":"urn:uuid:1"},{"display":"d"},{"reference":"http://x.org/Group/g/_history/1"}],"valueQuantity":{"value":1.00000001}}`,
			`{"resourceType":"Observation","id":"b","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.50},"effectiveDateTime":"2024-02"}`,
			`{"resourceType":"Observation","id":"c","status":"final","code":{"text":"x"},"valueQuantity":{"value":1e2},"effectiveTiming":{"event":["2024","2024-01-02T03:04:05.678+01:00"]}}`,
		}},
		{"extensions", []string{
			`{"resourceType":"Patient","id":"a","extension":[{"url":"u","valueString":"s"},{"url":"v","extension":[{"url":"w","valueCode":"c"}]},{"id":"i","url":"x","valueDecimal":1.25},{"url":"y","valueAddress":{"city":"c"}},{"url":"z","valueReference":{"reference":"Patient/1"}}],"modifierExtension":[{"url":"m","valueBoolean":true}],"birthDate":"2000","_birthDate":{"extension":[{"url":"b","valueTime":"10:00:00"}]},"maritalStatus":{"extension":[{"url":"n","valueString":"s"}],"text":"t"}}`,
		}},
		{"contained, nested resources, recursion", []string{
			`{"resourceType":"Bundle","id":"a","type":"collection","entry":[{"fullUrl":"urn:x","resource":{"resourceType":"Patient","id":"p"}},{"resource":{"resourceType":"Basic","code":{"text":"b"}}}]}`,
			`{"resourceType":"Questionnaire","id":"a","status":"draft","item":[{"linkId":"1","type":"group","item":[{"linkId":"1.1","type":"group","item":[{"linkId":"1.1.1","type":"string"}]}]}]}`,
			`{"resourceType":"Patient","id":"a","contained":[{"resourceType":"Organization","id":"o","name":"n"}],"managingOrganization":{"reference":"#o","identifier":{"value":"1","assigner":{"identifier":{"value":"2","assigner":{"identifier":{"value":"3"}}}}}}}`,
		}},
		{"strings with escapes", []string{
			`{"resourceType":"Patient","id":"a","name":[{"text":"line\nbreak \"quoted\" \u00e9\ud83d\ude00 \/","family":""},{"text":"line\nbreak \"quoted\" \u00e9\ud83d\ude00 \/"}]}`,
		}},
		{"what no column can take", []string{
			`{"resourceType":"Patient","id":"a","gender":["male"],"name":{"family":"f"},"active":"true","multipleBirthInteger":99999999999,"colour":"red","address":[{"city":5,"odd key \" here":{"x":[1]}},"none"]}`,
			`{"resourceType":"Patient","id":"b","telecom":[],"contact":[{},{"gender":"male"}],"maritalStatus":{},"meta":{"versionId":"17","lastUpdated":"2001-01-01T00:00:00Z","source":"s"},"multipleBirthInteger":-0}`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, opts := range []parquet.Options{{}, {GroupRows: 1}} {
				var all []*pipeline.Batch
				for _, line := range test.lines {
					all = append(all, batches(t, []byte(line+"\n"), 1)...)
				}
				force(all)
				check(t, write(t, all, opts, inOrder(t)), all)
			}
		})
	}
}

// fabricate makes a resource of random elements: odd shapes that no one thought of.
type fabricator struct {
	r      *rand.Rand
	sparse int // one of so many elements is there
	depth  int
}

func (f fabricator) object(t r4.TypeID, depth int) string {
	var members []string
	seen := map[string]bool{}
	elements := slices.Clone(r4.Elements(t))
	f.r.Shuffle(len(elements), func(i, j int) { elements[i], elements[j] = elements[j], elements[i] })
	for _, el := range elements {
		group := el.Name
		if el.Choice != "" {
			group = el.Choice
		}
		if el.Name == "id" || el.Name == "meta" || seen[group] || f.r.IntN(f.sparse) > 0 || strings.HasPrefix(el.Name, "modifierExt") {
			continue
		}
		if v := f.element(&el, depth); v != "" {
			members = append(members, fmt.Sprintf("%q:%s", el.Name, v))
			seen[group] = true
		}
	}
	return strings.Join(members, ",")
}

func (f fabricator) element(el *r4.Element, depth int) string {
	if !el.Repeats() {
		return f.value(el, depth)
	}
	var items []string
	for range 1 + f.r.IntN(3) {
		if v := f.value(el, depth); v != "" {
			items = append(items, v)
		}
	}
	if len(items) == 0 {
		return ""
	}
	return "[" + strings.Join(items, ",") + "]"
}

func (f fabricator) value(el *r4.Element, depth int) string {
	t := r4.TypeAt(el.Type)
	pick := func(s ...string) string { return s[f.r.IntN(len(s))] }
	switch {
	case t.Kind == r4.KindResource:
		return `{"resourceType":"Basic","code":{"text":"c"}}`
	case t.Kind != r4.KindPrimitive:
		if depth == 0 {
			return ""
		}
		if v := f.object(el.Type, depth-1); v != "" {
			return "{" + v + "}"
		}
		return ""
	}
	switch t.Primitive {
	case r4.PrimitiveBoolean:
		return pick("true", "false")
	case r4.PrimitiveInteger, r4.PrimitiveUnsignedInt, r4.PrimitivePositiveInt:
		return pick("1", "2", "2147483647", "77")
	case r4.PrimitiveDecimal:
		return pick("1.0", "-2.50", "1e3", "0.00000000001", fmt.Sprint(f.r.IntN(1e6)))
	case r4.PrimitiveDate:
		return pick(`"2024"`, `"2024-02"`, `"2024-02-29"`, fmt.Sprintf(`"20%02d-01-01"`, f.r.IntN(100)))
	case r4.PrimitiveDateTime, r4.PrimitiveInstant:
		return fmt.Sprintf(`"20%02d-01-01T%02d:00:00.5+01:00"`, f.r.IntN(100), f.r.IntN(24))
	}
	if el.Name == "reference" {
		return pick(`"#x"`, `"Patient/1"`, fmt.Sprintf(`"Observation/%d"`, f.r.IntN(1e6)), `"http://x/y/Group/2"`)
	}
	return pick(`"a"`, `"\u00fc"`, `"some longer text, the same each time"`, fmt.Sprintf(`"%x"`, f.r.Uint64()))
}

func fabricated(seed uint64, n int, types ...string) []byte {
	return fabricator{rand.New(rand.NewPCG(seed, 1)), 3, 4}.resources(n, types...)
}

func (f fabricator) resources(n int, types ...string) []byte {
	var text bytes.Buffer
	for i := range n {
		name := types[i%len(types)]
		t, _ := r4.TypeByName(name)
		fmt.Fprintf(&text, "{\"resourceType\":%q,\"id\":\"r%d\"", name, i)
		if v := f.object(t, f.depth); v != "" {
			fmt.Fprintf(&text, ",%s", v)
		}
		text.WriteString("}\n")
	}
	return text.Bytes()
}

func TestFabricatedResources(t *testing.T) {
	text := fabricated(7, 600, "Patient", "Observation", "Questionnaire", "Claim")
	all := batches(t, text, 40_000)
	force(all)
	st := write(t, all, parquet.Options{GroupRows: 70}, inOrder(t))
	t.Logf("%d leaves, %d segments", check(t, st, all), len(st.builder.Segments()))
}

// inParallel runs tasks all at once and calls Done in order.
func inParallel(tb testing.TB) func([]pipeline.Task) {
	return func(tasks []pipeline.Task) {
		var wg sync.WaitGroup
		for _, t := range tasks {
			if t.Run != nil {
				wg.Go(func() {
					if err := t.Run(context.Background()); err != nil {
						tb.Error(err)
					}
				})
			}
		}
		wg.Wait()
		for _, t := range tasks {
			if t.Done != nil {
				if err := t.Done(); err != nil {
					tb.Fatal(err)
				}
			}
		}
	}
}

func TestSameBytesWithAnyNumberOfWorkers(t *testing.T) {
	text := fabricated(8, 2000, "Observation", "Patient", "Encounter")
	opts := parquet.Options{GroupRows: 150, FileRows: 500}
	one := batches(t, text, 20_000)
	force(one)
	want := write(t, one, opts, inOrder(t))

	many := batches(t, text, 20_000)
	force(many)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			worker, err := shred.New().NewWorker()
			if err != nil {
				t.Error(err)
				return
			}
			for i := len(many) - 1 - w; i >= 0; i -= 4 {
				if err := worker.Process(context.Background(), many[i]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	st := newStore(t, opts)
	run := inParallel(t)
	for _, b := range many {
		tasks, err := st.sink.Write(context.Background(), b)
		if err != nil {
			t.Fatal(err)
		}
		run(tasks)
	}
	st.finish(t, run)
	sameFiles(t, want, st)
}

func sameFiles(t *testing.T, want, have *store) {
	t.Helper()
	a, b := want.builder.Segments(), have.builder.Segments()
	if len(a) != len(b) || len(a) < 4 {
		t.Fatalf("%d segments, want %d", len(b), len(a))
	}
	for i := range a {
		x, _ := os.ReadFile(filepath.Join(want.dir, a[i].Columns.Path))
		y, _ := os.ReadFile(filepath.Join(have.dir, b[i].Columns.Path))
		if len(x) == 0 || !bytes.Equal(x, y) {
			t.Errorf("%s differs", a[i].Columns.Path)
		}
	}
}

func TestSegmentsEndWhereTheInputSays(t *testing.T) {
	patient := func(id, more string) string {
		return fmt.Sprintf("{\"resourceType\":\"Patient\",\"id\":%q%s}\n", id, more)
	}
	lines := []string{
		patient("p1", ``) + patient("p2", `,"gender":"male"`),
		patient("p3", `,"active":true`), // ends the row group
		patient("p4", ``),
		patient("p5", `,"language":"de"`), // a new leaf after it: a new file
		patient("p6", ``),
	}
	var all []*pipeline.Batch
	for _, l := range lines {
		all = append(all, batches(t, []byte(l), len(l))...)
	}
	all[0].Records[1].Status = pipeline.Rejected
	st := write(t, all, parquet.Options{GroupRows: 2}, inOrder(t))
	var rows []int64
	for _, s := range st.builder.Segments() {
		rows = append(rows, s.Rows)
	}
	if !slices.Equal(rows, []int64{3, 2}) {
		t.Errorf("segments of %v rows", rows)
	}
	if r := all[4].Records[0]; r.Segment != 8 || r.Row != 1 {
		t.Errorf("p6 is at %d/%d", r.Segment, r.Row)
	}
	check(t, st, all)
}

func TestLeafBudget(t *testing.T) {
	f := fabricator{rand.New(rand.NewPCG(9, 1)), 1, 5}
	text := f.resources(6, "ExplanationOfBenefit")
	all := batches(t, text, len(text))
	force(all)
	st := write(t, all, parquet.Options{}, inOrder(t))
	check(t, st, all)
	if len(rowsWith(t, st, "overflow__json")) == 0 {
		t.Error("nothing exceeds the budget")
	}
}

func rowsWith(t *testing.T, st *store, column string) (found []map[string]any) {
	for _, s := range st.builder.Segments() {
		for _, r := range rows(t, filepath.Join(st.dir, s.Columns.Path)) {
			if r[column] != nil {
				found = append(found, r)
			}
		}
	}
	return found
}

func TestCloseWithoutCommitLeavesNoTrace(t *testing.T) {
	all := batches(t, fabricated(10, 100, "Patient"), 5_000)
	force(all)
	st := newStore(t, parquet.Options{GroupRows: 20})
	worker, _ := shred.New().NewWorker()
	for _, b := range all {
		if err := worker.Process(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		tasks, err := st.sink.Write(context.Background(), b)
		if err != nil {
			t.Fatal(err)
		}
		inOrder(t)(tasks[:len(tasks):len(tasks)])
	}
	if err := st.sink.Close(); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(st.dir, "files", "*", "*"))
	for _, s := range st.builder.Segments() {
		left = slices.DeleteFunc(left, func(name string) bool { return s.Columns.Path != "" && strings.HasSuffix(name, s.Columns.Path) })
	}
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Values of 12 MB make pages that are compressed into their place: one that
// shrinks, one that does not, small ones around them in the same column.
func TestLargePages(t *testing.T) {
	noise := make([]byte, 9<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	var text bytes.Buffer
	for i, data := range [][]byte{noise[:300], bytes.Repeat([]byte("abc"), 3<<20), noise, noise[:30], noise[3:]} {
		fmt.Fprintf(&text, `{"resourceType":"Binary","id":"b%d","contentType":"a/b","data":"%s"}`+"\n", i, base64.StdEncoding.EncodeToString(data))
	}
	for _, size := range []int{1, 100 << 20} { // batches of one record, and all in one
		all := batches(t, text.Bytes(), size)
		st := write(t, all, parquet.Options{}, inOrder(t))
		check(t, st, all)
	}
}
