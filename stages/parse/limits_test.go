package parse_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/parse"
)

func TestDepth(t *testing.T) {
	extensions := func(n int) string {
		return `{"resourceType":"Patient","extension":[` +
			strings.Repeat(`{"url":"urn:x","extension":[`, n-1) + `{"url":"urn:x","valueInteger":1}` + strings.Repeat(`]}`, n-1) + `]}`
	}
	for _, c := range []struct {
		name, text string
		sound      bool
		issue      string // part of the last one
	}{
		{"1000 extensions", extensions(1000), true, ""},
		{"as deep as allowed", extensions(2047), true, ""},
		{"one too deep", extensions(2048), false, "more than 4096 levels"},
		{"100,000 extensions", extensions(100_000), false, "more than 4096 levels"},
		{"100,000 arrays", strings.Repeat("[", 100_000), false, "more than 4096 levels"},
		{"100,000 unknown objects", `{"resourceType":"Patient","a":` + strings.Repeat(`{"a":`, 100_000), false, "more than 4096 levels"},
		{"100,000 twins", `{"resourceType":"Patient","_gender":` + strings.Repeat(`{"extension":[{"_url":`, 100_000), false, "more than 4096 levels"},
		{"1,000 resources without first type", strings.Repeat(`{"contained":[`, 1000) + `{"resourceType":"Patient"}` + strings.Repeat(`],"resourceType":"Patient"}`, 1000), true, ""},
		{"100,000 resources without type", strings.Repeat(`{"contained":[`, 100_000), false, "more than 4096 levels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := parseText(parse.NewParser(), c.text)
			if c.sound != (len(res.Issues) == 0) {
				t.Fatalf("%+v", res.Issues)
			}
			if !c.sound && (!strings.Contains(res.Issues[len(res.Issues)-1].Diagnostics, c.issue) || res.Root != fhir.NoNode) {
				t.Fatalf("%+v", res.Issues)
			}
		})
	}
}

// TestHostile has texts that would take quadratic time if something were done twice:
// minutes for each, where linear time is some milliseconds.
func TestHostile(t *testing.T) {
	many := func(n int, item func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(item(i))
		}
		return b.String()
	}
	const n = 200_000
	for name, text := range map[string]string{
		"unknown members":    `{"resourceType":"Patient"` + many(n, func(i int) string { return fmt.Sprintf(`,"u%d":1`, i) }) + `}`,
		"same member":        `{"resourceType":"Patient"` + strings.Repeat(`,"gender":"male"`, n) + `}`,
		"same twin":          `{"resourceType":"Patient"` + strings.Repeat(`,"_gender":{"id":"a"}`, n) + `}`,
		"same twin array":    `{"resourceType":"Patient","name":[{"given":["a"]` + strings.Repeat(`,"_given":[{"id":"a"}]`, n) + `}]}`,
		"same resourceType":  `{"id":"a"` + strings.Repeat(`,"resourceType":"Patient"`, n) + `}`,
		"untyped members":    `{"a":{"x":1` + many(n, func(i int) string { return fmt.Sprintf(`,"u%d":1`, i%1000) }) + `}}`,
		"bad items":          `{"resourceType":"Patient","name":[1` + strings.Repeat(`,1`, n) + `]}`,
		"null items":         `{"resourceType":"Patient","name":[{"given":[null` + strings.Repeat(`,null`, n) + `]}]}`,
		"type after others":  `{"contained":[` + strings.Repeat(`{"id":"a","resourceType":"Patient"},`, n) + `{"resourceType":"Patient"}],"resourceType":"Patient"}`,
		"digits":             `{"resourceType":"Patient","extension":[{"url":"a","valueDecimal":` + strings.Repeat("9", n) + `}]}`,
		"digits of exponent": `{"resourceType":"Patient","extension":[{"url":"a","valueDecimal":1e` + strings.Repeat("9", 5*n) + `}]}`,
		"digits of fraction": `{"resourceType":"Patient","deceasedDateTime":"2020-01-01T00:00:00.` + strings.Repeat("9", n) + `Z"}`,
		"long key":           `{"resourceType":"Patient","` + strings.Repeat("k", n) + `":1}`,
		"long code":          `{"resourceType":"Patient","gender":"` + strings.Repeat("k", n) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			res := parseText(parse.NewParser(), text)
			if len(res.Issues) > 101 {
				t.Errorf("%d issues", len(res.Issues))
			}
			for _, is := range res.Issues {
				if len(is.Diagnostics) > 400 || len(is.Expression) > 400 {
					t.Errorf("long issue %+v", is)
				}
			}
		})
	}
}

func TestNoAllocation(t *testing.T) {
	const text = `{"resourceType":"Observation","id":"obs-1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8302-2","display":"K\u00f6rperl\u00e4nge"}]},` +
		`"subject":{"reference":"Patient/pat-1"},"effectiveDateTime":"2020-01-01T10:00:00+01:00","valueQuantity":{"value":180.5,"unit":"cm","_code":{"id":"a"}},"note":[{"text":"Größe"}]}` + "\n"
	b := &pipeline.Batch{Data: []byte(text + text)}
	for i := range 2 {
		s := uint32(i * len(text))
		b.Records = append(b.Records, pipeline.Record{Start: s, End: s + uint32(len(text)) - 1})
	}
	w, err := parse.New().NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	process := func() {
		if err := w.Process(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	process()
	for i, r := range b.Records {
		if r.Status != pipeline.Pending || string(r.ID) != "obs-1" || r.Type.String() != "Observation" || r.Root == fhir.NoNode {
			t.Fatalf("record %d: %+v, issues %+v", i, r, b.Issues)
		}
	}
	if n := testing.AllocsPerRun(100, process); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

func TestStage(t *testing.T) {
	lines := []string{
		`{"resourceType":"Patient","id":"pat-good"}`,
		`{"resourceType":"Patient","id":"pat-cut`,
		`{"resourceType":"Patient","id":"pat-unknown-element","famly":1}`,
		`{"resourceType":"Patient"}`,
		`{"resourceType":"Patient","id":"pat-esc\u0061ped"}`,
	}
	b := &pipeline.Batch{}
	for _, l := range lines {
		b.Records = append(b.Records, pipeline.Record{Start: uint32(len(b.Data)), End: uint32(len(b.Data) + len(l))})
		b.Data = append(append(b.Data, l...), '\n')
	}
	w, err := parse.New().NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, r := range b.Records {
		json := "none"
		if r.Root != fhir.NoNode {
			json = string(b.Tree.JSON(r.Root))
			if json != lines[i] {
				t.Errorf("record %d: tree of %s", i, json)
			}
		}
		got = append(got, fmt.Sprintf("%s %q %v %v", r.Type, r.ID, r.Status == pipeline.Rejected, json != "none"))
	}
	want := []string{`Patient "pat-good" false true`, ` "" true false`, `Patient "pat-unknown-element" true true`, `Patient "" false true`, `Patient "pat-escaped" false true`}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("record %d: %s, want %s", i, got[i], want[i])
		}
	}
	if b.Records[3].ID != nil {
		t.Error("id of a resource without id is not nil")
	}
	if len(b.Issues) != 2 || b.Issues[0].Record != 1 || b.Issues[1].Record != 2 {
		t.Errorf("%+v", b.Issues)
	}
}

// damagedSet makes a set with planted faults with the tool amplify.
func damagedSet(t *testing.T) string {
	source := corpus.Folder(t, "synthea-small")
	tool, err := exec.LookPath("amplify")
	if err != nil {
		dir, err := filepath.Abs("../../../shared/tools/amplify")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); err != nil {
			t.Skip("no tool amplify")
		}
		tool = filepath.Join(t.TempDir(), "amplify")
		build := exec.Command("go", "build", "-o", tool, ".")
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build amplify: %v: %s", err, out)
		}
	}
	out := t.TempDir()
	if msg, err := exec.Command(tool, "-in", source, "-out", out, "-fault", "all:10", "-huge-bytes", "2MB").CombinedOutput(); err != nil {
		t.Fatalf("amplify: %v: %s", err, msg)
	}
	return out
}

func TestDamagedSet(t *testing.T) {
	dir := damagedSet(t)
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	type fault struct {
		File                string
		Line                int
		Kind, Class, Expect string
		Path, Note          string
	}
	faults := map[string]fault{}
	for line := range bytes.Lines(manifest) {
		var f fault
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatal(err)
		}
		faults[fmt.Sprintf("%s:%d", strings.TrimSuffix(f.File, ".ndjson"), f.Line)] = f
	}
	p := parse.NewParser()
	var tree fhir.Tree
	rejected := map[string]int{}
	data := corpus.Files(t, dir)
	for _, name := range corpus.Names(data) {
		if name == "manifest" {
			continue
		}
		corpus.EachLine(data[name], func(line int, s, e uint32) {
			tree.Reset(data[name])
			res := p.Parse(&tree, s, e)
			at := fmt.Sprintf("%s:%d", name, line)
			f, damaged := faults[at]
			checked := f.Expect == "reject" && (f.Class == "json" || f.Class == "structure" || f.Class == "rule" || f.Class == "identity")
			switch {
			case !damaged && res.Failed():
				t.Errorf("%s: not damaged, but %+v", at, res.Issues)
			case damaged && checked != res.Failed():
				t.Errorf("%s: %s, expect %s, but %+v", at, f.Kind, f.Expect, res.Issues)
			case checked:
				rejected[f.Kind]++
			}
		})
	}
	t.Log(rejected)
}
