package bulk

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/sinks/reject"
	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// minimal imports inputs as validation level minimal does, with a report in l.
func (l *fixture) minimal(inputs ...string) *ImportResult {
	l.t.Helper()
	l.opts.Level = validate.Minimal
	if l.opts.Report == "" {
		l.opts.Report = l.t.TempDir()
	}
	return l.load(inputs...)
}

// row is a stored resource with its address.
type row struct {
	at   snapshot.Address
	text string
}

// rows gives every row of the data store, current or not.
func (l *fixture) rows() []row {
	l.t.Helper()
	m, release, err := l.store.Current()
	if err != nil {
		l.t.Fatal(err)
	}
	defer release()
	d, err := snapshot.NewFrameReader()
	if err != nil {
		l.t.Fatal(err)
	}
	defer d.Close()
	var all []row
	for _, seg := range m.Segments {
		r, err := snapshot.OpenResources(l.store.Dir(), seg.Resources.Path)
		if err != nil {
			l.t.Fatal(err)
		}
		if err := d.Each(r, func(n int64, line []byte) error {
			all = append(all, row{snapshot.Address{Segment: seg.Ordinal, Row: uint32(n)}, string(line)})
			return nil
		}); err != nil {
			l.t.Fatal(err)
		}
		r.Close()
	}
	return all
}

// issues gives what is kept beside the rows, by address, and how many issues that is
// of the rows that are current. Some are read by their address, too.
func (l *fixture) issues() (kept map[snapshot.Address][]fhir.Issue, current int) {
	l.t.Helper()
	m, release, err := l.store.Current()
	if err != nil {
		l.t.Fatal(err)
	}
	defer release()
	d, err := snapshot.NewFrameReader()
	if err != nil {
		l.t.Fatal(err)
	}
	defer d.Close()
	kept = map[snapshot.Address][]fhir.Issue{}
	for i := range m.Segments {
		seg := &m.Segments[i]
		gone, err := l.store.Superseded(seg)
		if err != nil {
			l.t.Fatal(err)
		}
		file := seg.Annotation(snapshot.Issues)
		if file == nil {
			continue
		}
		a, err := snapshot.OpenAnnotations(l.store.Dir(), file.File.Path)
		if err != nil {
			l.t.Fatal(err)
		}
		texts := map[uint32]string{}
		err = d.EachAnnotation(a, func(row uint32, _, data []byte) error {
			issues, err := outcome.ParseIssues(data)
			kept[snapshot.Address{Segment: seg.Ordinal, Row: row}] = issues
			if gone == nil || !gone.Contains(row) {
				current += len(issues)
			}
			if len(texts) < 10 {
				texts[row] = string(data)
			}
			return err
		})
		if err != nil {
			l.t.Fatal(err)
		}
		for row, want := range texts {
			if got, ok, err := d.Annotation(a, row); err != nil || !ok || string(got) != want {
				l.t.Errorf("row %d of segment %d has %q, %v, %v, want %q", row, seg.Ordinal, got, ok, err, want)
			}
		}
		a.Close()
	}
	return kept, current
}

// received gives all bytes of a resource that are not the store's: all but
// meta.versionId and meta.lastUpdated.
func received(t *testing.T, p *parse.Parser, line string) string {
	t.Helper()
	tree := &fhir.Tree{}
	tree.Reset(append(make([]byte, 0, len(line)+16), line...))
	res := p.Parse(tree, 0, uint32(len(line)))
	if res.Root == fhir.NoNode {
		t.Fatalf("no resource: %.200s", line)
	}
	return string(fhir.AppendContent(nil, tree, res.Root))
}

// reported gives the line numbers in a folder of the report, by input.
func reported(t *testing.T, report, folder string) map[string]map[int64]failure {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(report, folder, "*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[int64]failure{}
	for _, name := range files {
		lines := map[int64]failure{}
		for _, f := range failures(t, name) {
			lines[f.LineID] = f
		}
		all[filepath.Base(name)] = lines
	}
	return all
}

// checkMinimal compares a minimal import of files with its input: what is not
// rejected is stored, every byte of it, with a row in SQL, and what is in the third
// folder of the report has its issues beside it and no other. It gives the rejected
// lines as file:line.
func checkMinimal(t *testing.T, l *fixture, files ...string) (rejected []string) {
	t.Helper()
	res := l.minimal(files...)
	failed, flawed := reported(t, l.opts.Report, reject.Failure), reported(t, l.opts.Report, reject.WithIssues)
	p := parse.NewParser()
	stored := map[string]row{}
	sum := map[string]int{}
	for _, r := range l.rows() {
		text := received(t, p, r.text)
		stored[text] = r
		sum[text]++
	}
	withIssues := int64(0)
	kept, current := l.issues()
	for _, name := range files {
		base := filepath.Base(name)
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
			n := int64(i + 1)
			if _, ok := failed[base][n]; ok {
				rejected = append(rejected, fmt.Sprintf("%s:%d", base, n))
				continue
			}
			line = strings.TrimSpace(line)
			if line == "" {
				continue
			}
			key := received(t, p, line)
			r, ok := stored[key]
			if !ok {
				t.Errorf("%s:%d is neither stored as received nor rejected: %.300s", base, n, line)
				continue
			}
			sum[key]--
			f, ok := flawed[base][n]
			issues := kept[r.at]
			if ok {
				withIssues++
			}
			if ok != (len(issues) > 0) {
				t.Errorf("%s:%d: %d issues are kept, the report has one: %v", base, n, len(issues), ok)
				continue
			}
			if ok && !strings.HasPrefix(f.UpdateResourceResponse.JSONBlob.Issue[0].Diagnostics, issues[0].Diagnostics) {
				t.Errorf("%s:%d: kept %q, reported %q", base, n, issues[0].Diagnostics, f.UpdateResourceResponse.JSONBlob.Issue[0].Diagnostics)
			}
		}
	}
	for text, n := range sum {
		if n != 0 {
			t.Errorf("%d rows more than lines of %.300s", n, text)
		}
	}
	if int64(len(rejected)) != res.Rejected || withIssues != res.WithIssues || res.Imported+res.Duplicates+res.Rejected != res.Resources {
		t.Errorf("%d lines rejected and %d with issues, but %s, with issues %d", len(rejected), withIssues, counts(res), res.WithIssues)
	}
	checkRowsInSQL(t, l, current)
	return rejected
}

// checkRowsInSQL looks that every current resource has its row, and that the view of
// issues has as many rows as there are issues.
func checkRowsInSQL(t *testing.T, l *fixture, issues int) {
	t.Helper()
	m, release, err := l.store.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	db, err := duck.Open(context.Background(), duck.Options{Store: l.store, Manifest: m, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	byType := map[string]map[string]map[string]any{}
	for key := range l.current() {
		typ, id, _ := strings.Cut(key, "/")
		if byType[typ] == nil {
			byType[typ] = rows(t, db, typ)
		}
		if _, ok := byType[typ][id]; !ok {
			t.Errorf("%s has no row in SQL", key)
		}
	}
	var out bytes.Buffer
	if _, err := db.Write(context.Background(), &out, `SELECT count(*) AS n FROM ValidationIssue`, duck.CSV, 0); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("n\n%d\n", issues); out.String() != want {
		t.Errorf("ValidationIssue has %q, want %q", out.String(), want)
	}
}

func TestMinimalKeepsTheMutants(t *testing.T) {
	file, err := os.Open(filepath.Join(corpus.Folder(t, "validation"), "mutated-r4.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Mutation string
		Resource json.RawMessage
	}
	if err := json.NewDecoder(z).Decode(&list); err != nil {
		t.Fatal(err)
	}
	var lines, want []string
	for i, m := range list {
		var r struct{ ID string }
		if err := json.Unmarshal(m.Resource, &r); err != nil {
			t.Fatal(err)
		}
		// Several are mutations of one resource: each gets an id of its own.
		id := fmt.Sprintf(`"id": "%s"`, r.ID)
		lines = append(lines, strings.Replace(string(m.Resource), id, fmt.Sprintf(`"id": "%d.%s"`, i, r.ID), 1))
		switch m.Mutation {
		case "badid", "longid", "restype": // these have no identity
			want = append(want, fmt.Sprintf("mutants.ndjson:%d", i+1))
		}
	}
	if len(list) != 117 {
		t.Errorf("%d mutants", len(list))
	}
	l := newLake(t)
	if diff := cmp.Diff(want, checkMinimal(t, l, write(t, "mutants.ndjson", lines...))); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
}

// notStored says which kinds of damage minimal cannot take; of some it depends on
// what they hit (docs/decisions/0015-what-minimal-takes.md).
var notStored = map[string]func(why string) bool{
	"missing-resource-type": always, "unknown-resource-type": always, "not-object": always,
	"missing-id": always, "invalid-id": always, "long-id": always,
	"truncated": always, "two-objects": always, "garbage-tail": always,
	"control-char": always, "lone-surrogate": always, "invalid-utf8": always,
	"wrong-type":    func(why string) bool { return strings.Contains(why, "missing id") || strings.Contains(why, "meta") },
	"duplicate-key": func(why string) bool { return strings.Contains(why, "which one counts") },
}

func always(string) bool { return true }

func TestMinimalKeepsDamagedLines(t *testing.T) {
	dir := amplified(t, "-fault", "all:3")
	text, err := os.ReadFile(filepath.Join(dir, "manifest.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "[A-Z]*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	l := newLake(t)
	refused := map[string]bool{}
	for _, key := range checkMinimal(t, l, files...) {
		refused[key] = true
	}
	failed := reported(t, l.opts.Report, reject.Failure)
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var f struct {
			File, Kind string
			Line       int64
		}
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("%s:%d", f.File, f.Line)
		why := ""
		for _, is := range failed[f.File][f.Line].UpdateResourceResponse.JSONBlob.Issue {
			why = is.Diagnostics
		}
		expected := notStored[f.Kind]
		if refused[key] && (expected == nil || !expected(why)) {
			t.Errorf("%s %s is rejected: %s", key, f.Kind, why)
		}
		if !refused[key] && expected != nil && expected("") {
			t.Errorf("%s %s is stored", key, f.Kind)
		}
		delete(refused, key)
	}
	for key := range refused {
		t.Errorf("%s is undamaged and was rejected", key)
	}
}

func TestMinimalKeepsTheExamplesThatAreRejectedElse(t *testing.T) {
	dir := corpus.Folder(t, "r4-examples")
	strict := newLake(t)
	strict.opts.Report = t.TempDir()
	strict.load(dir)
	failed := reported(t, strict.opts.Report, reject.Failure)
	var lines, want []string
	eachLine(t, dir, func(file string, n int, line []byte) {
		f, ok := failed[strings.TrimSuffix(file, ".gz")][int64(n)]
		if !ok {
			return
		}
		lines = append(lines, string(line))
		for _, is := range f.UpdateResourceResponse.JSONBlob.Issue {
			if strings.Contains(is.Diagnostics, "is not a valid id") && len(is.Expression) == 1 && strings.Count(is.Expression[0], ".") == 1 {
				want = append(want, fmt.Sprintf("examples.ndjson:%d", len(lines)))
			}
		}
	})
	if len(lines) == 0 {
		t.Fatal("no example is rejected")
	}
	if diff := cmp.Diff(want, checkMinimal(t, newLake(t), write(t, "examples.ndjson", lines...))); diff != "" {
		t.Errorf("not stored (-want +got):\n%s", diff)
	}
}

// TestShownResourceComesBackUnchanged is the way of a resource that has something beside it
// out of a store and in again.
func TestShownResourceComesBackUnchanged(t *testing.T) {
	const issues, found = fhir.ValidationIssueURL, fhir.DecorationURL
	const content = `"content":[{"attachment":{"contentType":"text/plain","data":"SGlzdG9yeSBvZiBhc3RobWEu"}}]`
	for name, tc := range map[string]struct {
		text string
		urls []string
	}{
		"an unknown element":  {`{"resourceType":"Patient","id":"a","gendr":"x"}`, []string{issues}},
		"an extension before": {`{"resourceType":"Patient","id":"a","extension":[{"url":"http://example.org/e","valueCode":"c"}],"birthDate":"yesterday"}`, []string{issues}},
		"a note":              {`{"resourceType":"DocumentReference","id":"a","status":"current",` + content + `}`, []string{found}},
		"a note and an extension": {
			`{"resourceType":"DocumentReference","extension":[{"url":"http://example.org/e","valueCode":"c"}],"id":"a","status":"current",` + content + `}`, []string{found},
		},
		"a note and a fault": {`{"resourceType":"DocumentReference","id":"a","status":"odd",` + content + `}`, []string{issues, found}},
		"nothing":            {`{"resourceType":"DocumentReference","id":"a","status":"current","content":[{"attachment":{"title":"x"}}]}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := newModel(t, 1)
			m.f.opts.Lake, m.f.opts.Notes = m.lake, readBy(notes.Builtin(nlp.CoreIndex()))
			m.f.minimal(write(t, "1.ndjson", tc.text))
			for _, format := range []ExportFormat{ExportNDJSON, ExportNDJSONZstd} {
				_, dir := m.export(ExportOptions{Format: format})
				for _, text := range exported(t, dir) {
					for _, url := range []string{issues, found} {
						if got := strings.Contains(text, `"url":"`+url+`"`); got != slices.Contains(tc.urls, url) {
							t.Errorf("%s has %s: %v", text, url, got)
						}
					}
				}
				expect(t, m.f.minimal(dir), "resources 1, imported 0, unchanged 1, duplicates 0, rejected 0; snapshot 1")
			}
		})
	}
}

// TestLevelsDifferInWhatTheyTake has a resource for each level that takes it.
func TestLevelsDifferInWhatTheyTake(t *testing.T) {
	for _, tc := range []struct {
		level validate.Level
		want  string
	}{
		{validate.Strict, "resources 3, imported 1, unchanged 0, duplicates 0, rejected 2; snapshot 1"},
		{validate.StructureOnly, "resources 3, imported 1, unchanged 0, duplicates 0, rejected 2; snapshot 1"},
		{validate.Minimal, "resources 3, imported 2, unchanged 0, duplicates 0, rejected 1; snapshot 1"},
	} {
		l := newLake(t)
		l.opts.Level = tc.level
		expect(t, l.load(write(t, "in.ndjson",
			`{"resourceType":"Patient","id":"sound"}`,
			`{"resourceType":"Patient","id":"breaks-an-invariant","contact":[{"gender":"male"}]}`,
			`{"resourceType":"Patient"}`)), tc.want)
		jobs, err := l.opts.Catalog.Jobs(l.opts.Datastore.ID)
		if err != nil || len(jobs) != 1 || jobs[0].ValidationLevel != tc.level.String() {
			t.Errorf("%s: jobs %+v, %v", tc.level, jobs, err)
		}
	}
}
