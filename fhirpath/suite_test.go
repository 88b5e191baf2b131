package fhirpath_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhirpath"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// suiteCase is one test of the official suite (FHIR/fhir-test-cases,
// r4/fhirpath), as cases.json has it.
type suiteCase struct {
	Group     string        `json:"group"`
	Name      string        `json:"name"`
	Input     string        `json:"input"` // name of the resource; "" for none
	Expr      string        `json:"expr"`
	Invalid   string        `json:"invalid"`   // syntax, semantic, execution: it must fail
	Predicate bool          `json:"predicate"` // the result is taken as a condition: whether there is any
	Mode      string        `json:"mode"`      // strict for the cases that only a strict engine must refuse
	Out       []suiteOutput `json:"out"`
	Ordered   string        `json:"ordered"` // false when the order of the result does not matter
}

// suiteOutput is one item of an expected result. A type may be missing: then the
// form of the value tells.
type suiteOutput struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

const failuresFile = "testdata/suite-failures.txt"

// TestOfficialSuite runs the official suite. Each expression is compiled strictly
// for the type of its input, since the suite wants semantic errors found, and the
// result must have the types and the texts that the suite names. What fails is in
// suite-failures.txt with its reason; the list may only become shorter.
func TestOfficialSuite(t *testing.T) {
	s := loadSuite(t)
	known := readFailures(t)
	failed := map[string]string{}
	var order []string
	passed, mustFail, caught := 0, 0, 0
	for _, c := range s.cases {
		key := c.Group + "/" + c.Name
		fault := s.check(c, true)
		if fault == "" {
			passed++
		}
		if c.Invalid != "" {
			mustFail++
			if fault == "" {
				caught++
			}
		}
		reason, listed := known[key]
		switch {
		case fault != "" && updateFailures():
			if !listed {
				reason = fault
			}
			order, failed[key] = append(order, key), reason
		case fault != "" && !listed:
			t.Errorf("%s: %s\n%s", key, c.Expr, fault)
		case fault == "" && listed && !updateFailures():
			t.Errorf("%s passes: remove it from %s (-update does)", key, failuresFile)
		}
		delete(known, key)
	}
	if updateFailures() {
		writeFailures(t, order, failed)
		return
	}
	for key := range known {
		t.Errorf("%s names %s, which the suite does not have", failuresFile, key)
	}
	t.Logf("%d cases, %d pass; %d of %d that must fail do", len(s.cases), passed, caught, mustFail)
}

// TestLenientAgreesWithStrict compares the two ways to compile: what a strict
// program gives, a lenient one that does not know its type gives too.
func TestLenientAgreesWithStrict(t *testing.T) {
	s := loadSuite(t)
	for _, c := range s.cases {
		if c.Invalid != "" || s.check(c, true) != "" {
			continue
		}
		if fault := s.check(c, false); fault != "" {
			t.Errorf("%s/%s: %s\n%s", c.Group, c.Name, c.Expr, fault)
		}
	}
}

type suite struct {
	cases  []suiteCase
	inputs map[string]fhirpath.Focus
	ev     *fhirpath.Evaluator
}

func loadSuite(t *testing.T) *suite {
	t.Helper()
	dir := corpus.Folder(t, "fhirpath-r4")
	b, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{inputs: map[string]fhirpath.Focus{}, ev: fhirpath.NewEvaluator(fhirpath.Environment{ConformsTo: conformsToBase})}
	if err := json.Unmarshal(b, &s.cases); err != nil {
		t.Fatal(err)
	}
	nothing := &fhir.Tree{}
	s.inputs[""] = fhirpath.Focus{Tree: nothing, Node: fhir.NoNode, Resource: fhir.NoNode, Root: fhir.NoNode, Bundle: fhir.NoNode}
	seen := map[string]int{}
	for i := range s.cases {
		c := &s.cases[i]
		if _, ok := s.inputs[c.Input]; !ok {
			s.inputs[c.Input] = readResource(t, filepath.Join(dir, "input-json", c.Input+".json"))
		}
		key := c.Group + "/" + c.Name
		if seen[key]++; seen[key] > 1 { // two cases share a name
			c.Name = fmt.Sprintf("%s-%d", c.Name, seen[key])
		}
	}
	return s
}

func readResource(t *testing.T, path string) fhirpath.Focus {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tree := &fhir.Tree{}
	tree.Reset(b)
	res := parse.NewParser().Parse(tree, 0, uint32(len(b)))
	if res.Root == fhir.NoNode {
		t.Fatalf("%s: %v", path, res.Issues)
	}
	return fhirpath.Focus{Tree: tree, Node: res.Root, Resource: res.Root, Root: res.Root, Bundle: fhir.NoNode}
}

// conformsToBase knows the definitions of R4's types, to which their instances
// conform.
func conformsToBase(v fhirpath.Value, profile string) (conforms, known bool) {
	name, ok := strings.CutPrefix(profile, "http://hl7.org/fhir/StructureDefinition/")
	if !ok {
		return false, false
	}
	if _, ok := r4.TypeByName(name); !ok {
		return false, false
	}
	return v.TypeName() == "FHIR."+name, true
}

// check runs a case and says what is wrong, "" for nothing.
func (s *suite) check(c suiteCase, strict bool) string {
	got, err := s.run(c, strict)
	switch {
	case err != nil && c.Invalid != "":
		return ""
	case err != nil:
		return "fails: " + err.Error()
	case c.Invalid != "":
		return fmt.Sprintf("gives %v; expected an error (%s)", got, c.Invalid)
	}
	want := make([]string, len(c.Out))
	for i, o := range c.Out {
		want[i] = o.String()
		if o.Type == "" && i < len(got) {
			want[i] = typeOf(got[i], o.Value) + " " + bareValue(o.Value)
		}
	}
	if c.Ordered == "false" {
		slices.Sort(got)
		slices.Sort(want)
	}
	if !slices.Equal(got, want) {
		return fmt.Sprintf("gives %q; expected %q", got, want)
	}
	return ""
}

func (s *suite) run(c suiteCase, strict bool) ([]string, error) {
	focus := s.inputs[c.Input]
	o := fhirpath.Options{Strict: strict}
	if strict && focus.Node != fhir.NoNode {
		o.Type = focus.Tree.Nodes[focus.Node].Type
	}
	p, err := fhirpath.Compile(c.Expr, o)
	if err != nil {
		if e := (*fhirpath.Error)(nil); !errors.As(err, &e) {
			return nil, fmt.Errorf("not a *fhirpath.Error: %w", err)
		}
		return nil, err
	}
	values, err := p.Eval(s.ev, focus)
	if err != nil {
		return nil, err
	}
	if c.Predicate {
		return []string{fmt.Sprintf("boolean %t", len(values) > 0)}, nil
	}
	got := make([]string, len(values))
	for i, v := range values {
		got[i] = suiteType(v.TypeName()) + " " + string(v.AppendString(nil))
	}
	return got, nil
}

// suiteType names a type as the suite does: FHIR.code and System.String are code
// and string, and Quantity has its capital in both.
func suiteType(name string) string {
	if fhirName, ok := strings.CutPrefix(name, "FHIR."); ok {
		return fhirName
	}
	name = strings.TrimPrefix(name, "System.")
	if name == "Quantity" {
		return name
	}
	return strings.ToLower(name[:1]) + name[1:]
}

// String writes an expected item as run does.
func (o suiteOutput) String() string { return o.Type + " " + bareValue(o.Value) }

// bareValue takes off what marks a literal: the suite writes dates with an @.
func bareValue(value string) string {
	if v, ok := strings.CutPrefix(value, "@T"); ok {
		return v
	}
	return strings.TrimPrefix(value, "@")
}

// typeOf is the type of an expected value without one: that which its form tells,
// else whatever the item has. Without a T, a value may be a date, or a date and
// time of lower precision.
func typeOf(item, value string) string {
	typ, _, _ := strings.Cut(item, " ")
	switch {
	case strings.HasPrefix(value, "@T"):
		return "time"
	case strings.HasPrefix(value, "@") && strings.Contains(value, "T"):
		return "dateTime"
	case strings.HasPrefix(value, "@") && typ != "dateTime":
		return "date"
	case strings.HasSuffix(value, "'"):
		return "Quantity"
	case value == "true" || value == "false":
		return "boolean"
	}
	return typ
}

// updateFailures is the flag that the package's other tests declare.
func updateFailures() bool { return flag.Lookup("update").Value.String() == "true" }

func readFailures(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile(failuresFile)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, reason, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("%s: no reason: %s", failuresFile, line)
		}
		known[key] = reason
	}
	return known
}

func writeFailures(t *testing.T, order []string, reasons map[string]string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("# Cases of the official suite that fail, as group/name: reason.\n")
	for _, key := range order {
		fmt.Fprintf(&b, "%s: %s\n", key, strings.ReplaceAll(reasons[key], "\n", " "))
	}
	if err := os.WriteFile(failuresFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
