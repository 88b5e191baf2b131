package validate_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
)

const input = `{"resourceType":"Patient","id":"pat-good"}
{"resourceType":"Patient","id":"pat-contact","contact":[{"gender":"male"}]}
{"resourceType":"Patient","id":"pat-cut
{"resourceType":"Patient","id":"pat-both","famly":1,"contact":[{"gender":"male"}]}
  {"resourceType":"Questionnaire","id":"qst-warning","status":"draft","name":"x"}
`

func TestStage(t *testing.T) {
	stage, err := validate.New(validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pipetest.TestStage(t, stage, func(*testing.T) pipeline.Source { return pipetest.Lines("input", input, 2) }, parse.New())
}

// process parses and validates the input.
func process(t *testing.T, o validate.Options, lenient bool) *pipeline.Batch {
	t.Helper()
	stage, err := validate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	b := &pipeline.Batch{Lenient: lenient}
	for l := range strings.Lines(input) {
		l = strings.TrimSuffix(l, "\n")
		b.Records = append(b.Records, pipeline.Record{Start: uint32(len(b.Data)), End: uint32(len(b.Data) + len(l))})
		b.Data = append(append(b.Data, l...), '\n')
	}
	b.Pad()
	for _, s := range []pipeline.Stage{parse.New(), stage} {
		w, err := s.NewWorker()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Process(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestWhatBecomesOfRecords(t *testing.T) {
	for name, tc := range map[string]struct {
		level   validate.Level
		lenient bool
		want    string // rejected records
	}{
		"strict":         {validate.Strict, false, "[1 2 3]"},
		"structure-only": {validate.StructureOnly, false, "[1 2 3]"},
		"minimal":        {validate.Minimal, true, "[2]"},
	} {
		t.Run(name, func(t *testing.T) {
			b := process(t, validate.Options{Level: tc.level}, tc.lenient)
			var rejected []int
			for i, r := range b.Records {
				if r.Status == pipeline.Rejected {
					rejected = append(rejected, i)
				}
			}
			if got := fmt.Sprint(rejected); got != tc.want {
				t.Errorf("rejected %s, want %s", got, tc.want)
			}
			var got []string
			for _, is := range b.Issues {
				got = append(got, fmt.Sprintf("%d:%d %s", is.Record, is.Column, is.Code+is.Constraint))
			}
			slices.Sort(got)
			want := "1:57 invariantpat-1, 2:40 structure, 3:43 structure, 3:64 invariantpat-1, 4:3 invariantque-0"
			if s := strings.Join(got, ", "); s != want {
				t.Errorf("issues %s\n  want %s", s, want)
			}
		})
	}
}

func TestLevels(t *testing.T) {
	for _, name := range []string{"strict", "structure-only", "minimal"} {
		l, err := validate.ParseLevel(name)
		if err != nil || l.String() != name {
			t.Errorf("%s: %v, %v", name, l, err)
		}
	}
	if _, err := validate.ParseLevel("lax"); err == nil {
		t.Error("lax is no level")
	}
}

// claimed is a registry that notes what it is asked.
type claimed struct{ asked []string }

func (c *claimed) NewChecker() validate.Checker { return c }

func (c *claimed) Check(s validate.Subject, profiles []string, report func(fhir.Issue)) {
	path := s.Tree.AppendPath(nil, s.Record, s.Resource)
	c.asked = append(c.asked, fmt.Sprintf("%s in %d: %s", path, s.Bundle, strings.Join(profiles, " ")))
	report(fhir.Issue{Severity: fhir.Error, Code: fhir.CodeStructure, Expression: string(path)})
}

func TestProfilesThatAreAskedFor(t *testing.T) {
	const bundle = `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","meta":{"profile":["http://a.org/p","http://a.org/q"]},` +
		`"contained":[{"resourceType":"Patient","id":"a","meta":{"profile":["http://a.org/p"]}}],"link":[{"other":{"reference":"#a"},"type":"refer"}]}}]}`
	for name, tc := range map[string]struct {
		o    validate.Options
		want string
	}{
		"strict":                 {validate.Options{}, "Bundle.entry[0].resource.contained[0] in 0: http://a.org/p; Bundle.entry[0].resource in 0: http://a.org/p http://a.org/q; Bundle in -1: "},
		"structure-only":         {validate.Options{Level: validate.StructureOnly}, ""},
		"structure-only, always": {validate.Options{Level: validate.StructureOnly, Always: []string{"http://a.org/z"}}, "Bundle.entry[0].resource.contained[0] in 0: http://a.org/z; Bundle.entry[0].resource in 0: http://a.org/z; Bundle in -1: http://a.org/z"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &claimed{}
			tc.o.Profiles = c
			issues := newBoth(t, tc.o).text(bundle)
			if got := strings.Join(c.asked, "; "); got != tc.want {
				t.Errorf("asked for %s\n     want %s", got, tc.want)
			}
			if len(issues) != len(c.asked) {
				t.Errorf("%d issues of %d", len(issues), len(c.asked))
			}
		})
	}
}

func TestBestPracticesAreOff(t *testing.T) {
	const text = `{"resourceType":"Patient"}`
	if issues := newBoth(t, validate.Options{}).text(text); len(issues) != 0 {
		t.Error(issues)
	}
	issues := newBoth(t, validate.Options{BestPractices: true}).text(text)
	if len(issues) != 1 || issues[0].Constraint != "dom-6" || issues[0].Severity != fhir.Warning {
		t.Error(issues)
	}
}

// TestErrorsAreKeptBesideManyWarnings: a hundred warnings must not hide an error.
func TestErrorsAreKeptBesideManyWarnings(t *testing.T) {
	warning := `{"resource":{"resourceType":"Questionnaire","status":"draft","name":"x"}},`
	issues := newBoth(t, validate.Options{}).text(`{"resourceType":"Bundle","type":"collection","entry":[` + strings.Repeat(warning, 300) +
		`{"resource":{"resourceType":"Patient","contact":[{"gender":"male"}]}}]}`)
	if !failed(issues) || len(issues) > 101 {
		t.Errorf("%d issues, failed %v", len(issues), failed(issues))
	}
}

func TestNothingIsAllocatedForSoundResources(t *testing.T) {
	const text = `{"resourceType":"Observation","id":"obs-1","meta":{"profile":["http://a.org/p"]},"language":"en-US",` +
		`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"http://a.org/?b&amp;c\">K\u00f6rper</a></div>"},` +
		`"contained":[{"resourceType":"Patient","id":"pat","name":[{"_text":{"extension":[{"url":"http://a.org/x","valueCode":"y"}]}}]}],"status":"final",` +
		`"code":{"coding":[{"id":"c","system":"http://loinc.org","code":"8302-2"}]},"subject":{"reference":"#pat"},"performer":[{"reference":"Practitioner/1"}],` +
		`"effectivePeriod":{"start":"2020-01-01T10:00:00+01:00","end":"2020-01-01T10:00:00Z"},` +
		`"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8302-3"}]},"valueQuantity":{"value":180.5,"unit":"cm","system":"http://unitsofmeasure.org","code":"cm"}}],"valueString":"x"}`
	for name, o := range map[string]validate.Options{"base": {}, "with profiles": {Profiles: silent{}}} {
		t.Run(name, func(t *testing.T) {
			b := newBoth(t, o)
			b.tree.Reset([]byte(text))
			res := b.p.Parse(&b.tree, 0, uint32(len(text)))
			if res.Failed() {
				t.Fatal(res.Issues)
			}
			if n := testing.AllocsPerRun(100, func() {
				if issues := b.v.Validate(&b.tree, res.Root); len(issues) != 0 {
					t.Fatal(issues)
				}
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// silent knows every profile and finds nothing.
type silent struct{}

func (silent) NewChecker() validate.Checker                             { return silent{} }
func (silent) Check(validate.Subject, []string, func(issue fhir.Issue)) {}

func FuzzValidate(f *testing.F) {
	for _, text := range []string{
		input,
		`{"resourceType":"Bundle","type":"document","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Composition","section":[{"entry":[{"reference":"#a"}]}]}}]}`,
		`{"resourceType":"Patient","contained":[{"resourceType":"Patient","id":"a"},{"id":"a"}],"text":{"div":"<div><a href='b'>&amp;</a><!-- --></div>"},"_gender":{"id":"a"}}`,
		`{"resourceType":"StructureDefinition","type":"Patient","differential":{"element":[{"path":"Patient.name.given","max":"x","min":1}]},"snapshot":{"element":[{}]}}`,
		`{"resourceType":"Observation","valueQuantity":{"system":"http://unitsofmeasure.org","code":"m"},"component":[{"code":{"coding":[{}]}}],"code":{"coding":[{}]},"effectivePeriod":{"start":"2020","end":"2019"}}`,
		`{"resourceType":"Questionnaire","item":[{"linkId":"a","enableWhen":[{"operator":"exists"}]}],"contact":[{"telecom":[{"value":""}]}]}`,
		`{"resourceType":"Patient","photo":[{"size":1,"data":"AAAA","contentType":"a"}],"extension":[{"url":""},{"url":"a|b","valueMoney":{"currency":"EUR"}}]}`,
	} {
		f.Add([]byte(text))
	}
	p := parse.NewParser()
	v, err := validate.NewValidator(validate.Options{BestPractices: true})
	if err != nil {
		f.Fatal(err)
	}
	var tree fhir.Tree
	f.Fuzz(func(t *testing.T, data []byte) {
		for start := 0; start < len(data); {
			end := start + strings.IndexByte(string(data[start:])+"\n", '\n')
			tree.Reset(data)
			if res := p.Parse(&tree, uint32(start), uint32(end)); res.Root != fhir.NoNode {
				if issues := v.Validate(&tree, res.Root); len(issues) > 101 {
					t.Errorf("%d issues", len(issues))
				}
			}
			start = end + 1
		}
	})
}
