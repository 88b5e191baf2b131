package fhirpath_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/temporal"
	"github.com/fhirlake/fhirlake/fhirpath"
)

// viewFile is a file of the test suite of SQL on FHIR.
type viewFile struct {
	Resources []json.RawMessage
	Tests     []struct {
		Title       string
		View        json.RawMessage
		Expect      []map[string]any
		ExpectError bool
	}
}

// view is what of a ViewDefinition has to do with FHIRPath.
type view struct {
	viewSelect
	Resource string
	Constant []map[string]any
	Where    []struct{ Path string }
}

type viewSelect struct {
	Column []struct {
		Name, Path string
		Collection bool
	}
	ForEach       string
	ForEachOrNull string
	Repeat        []string
	Select        []viewSelect
	UnionAll      []viewSelect
}

// notAboutExpressions are the cases whose fault is in the view, with what it is.
var notAboutExpressions = map[string]string{
	"incorrect constant definition": "a constant without a value",
	"column mismatch":               "a union of unlike columns",
	"column order mismatch":         "a union of unlike columns",
	"empty":                         "a view without anything",
	"missing resource":              "a view without a resource type",
	"resource not specified":        "a view without a resource type",
}

// TestViews evaluates the expressions of the SQL on FHIR suite as its views use
// them: columns, conditions, loops, constants, and the functions that it adds.
func TestViews(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus.Folder(t, "sql-on-fhir-tests"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file viewFile
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, tt := range file.Tests {
			t.Run(filepath.Base(name)+"/"+tt.Title, func(t *testing.T) {
				if reason := notAboutExpressions[tt.Title]; reason != "" {
					t.Skip(reason)
				}
				var v view
				err := json.Unmarshal(tt.View, &v)
				var rows []map[string]any
				if err == nil {
					rows, err = newViewRunner(t, &v).run(t, &v, file.Resources)
				}
				switch {
				case tt.ExpectError && err == nil:
					t.Error("no error")
				case tt.ExpectError:
				case err != nil:
					t.Error(err)
				case tt.Expect != nil:
					if diff := cmp.Diff(sortedRows(tt.Expect), sortedRows(rows)); diff != "" {
						t.Error(diff)
					}
				}
			})
		}
	}
}

// sortedRows gives rows as texts: their order means nothing.
func sortedRows(rows []map[string]any) (texts []string) {
	for _, r := range rows {
		texts = append(texts, fmt.Sprint(r))
	}
	slices.Sort(texts)
	return texts
}

// viewFunctions are getResourceKey and getReferenceKey, which views add to FHIRPath,
// and join, which of nothing gives nothing in FHIRPath and the empty text in views.
var viewFunctions = []fhirpath.Function{{
	Name: "getResourceKey",
	Call: func(_ *fhirpath.Evaluator, input []fhirpath.Value, _ [][]fhirpath.Value) ([]fhirpath.Value, error) {
		var keys []fhirpath.Value
		for _, v := range input {
			tree, n := v.Node()
			id := tree.Child(n, v.Type().ElementByName("id"))
			keys = append(keys, fhirpath.String(v.Type().String()+"/"+string(tree.Raw(id))))
		}
		return keys, nil
	},
}, {
	Name: "getReferenceKey", MaxArgs: 1, TypeArgs: true,
	Call: func(_ *fhirpath.Evaluator, input []fhirpath.Value, args [][]fhirpath.Value) ([]fhirpath.Value, error) {
		var keys []fhirpath.Value
		for _, v := range input {
			tree, n := v.Node()
			key := tree.Raw(tree.Child(n, r4.TypeReference.ElementByName("reference")))
			if len(args) == 1 && !bytes.HasPrefix(key, append(args[0][0].AppendString(nil), '/')) {
				continue
			}
			keys = append(keys, fhirpath.String(string(key)))
		}
		return keys, nil
	},
}, {
	Name: "join", MaxArgs: 1,
	Call: func(_ *fhirpath.Evaluator, input []fhirpath.Value, args [][]fhirpath.Value) ([]fhirpath.Value, error) {
		var separator []byte
		if len(args) == 1 && len(args[0]) == 1 {
			separator = args[0][0].AppendString(nil)
		}
		var parts [][]byte
		for _, v := range input {
			parts = append(parts, v.AppendString(nil))
		}
		return []fhirpath.Value{fhirpath.String(string(bytes.Join(parts, separator)))}, nil
	},
}}

type viewRunner struct {
	o        fhirpath.Options
	ev       *fhirpath.Evaluator
	programs map[viewProgram]*fhirpath.Program
}

type viewProgram struct {
	path string
	typ  r4.TypeID
}

func newViewRunner(t *testing.T, v *view) *viewRunner {
	t.Helper()
	r := &viewRunner{
		o:        fhirpath.Options{Type: r4.ResourceTypeByName([]byte(v.Resource)), Functions: viewFunctions, Variables: []string{"rowIndex"}},
		programs: map[viewProgram]*fhirpath.Program{},
	}
	values := map[string][]fhirpath.Value{}
	for _, c := range v.Constant {
		name := c["name"].(string)
		for key, value := range c {
			if key != "name" {
				values[name] = []fhirpath.Value{constantValue(t, key, value)}
			}
		}
		r.o.Variables = append(r.o.Variables, name)
	}
	r.ev = fhirpath.NewEvaluator(fhirpath.Environment{Variables: values})
	return r
}

func (r *viewRunner) run(t *testing.T, v *view, resources []json.RawMessage) (rows []map[string]any, err error) {
	for _, text := range resources {
		f := parsed(t, string(text))
		if f.Tree.Nodes[f.Node].Type != r.o.Type {
			continue
		}
		keep := true
		for _, w := range v.Where {
			items, err := r.eval(w.Path, f)
			if err != nil {
				return nil, err
			}
			if len(items) > 1 || len(items) == 1 && !isBoolean(items[0]) {
				return nil, fmt.Errorf("the condition %s is no boolean", w.Path)
			}
			b := false
			if len(items) == 1 {
				b, _ = items[0].Boolean()
			}
			keep = keep && b
		}
		if !keep {
			continue
		}
		more, err := r.rows(&v.viewSelect, f, 0)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func isBoolean(v fhirpath.Value) bool {
	_, ok := v.Boolean()
	return ok || v.Type() == r4.TypeBoolean
}

// eval gives the items of a path, copied where the next evaluation would overwrite.
func (r *viewRunner) eval(path string, f fhirpath.Focus) ([]fhirpath.Value, error) {
	o := r.o
	if f.Node != f.Root {
		o.Type = 0
	}
	key := viewProgram{path, o.Type}
	p := r.programs[key]
	if p == nil {
		var err error
		if p, err = fhirpath.Compile(path, o); err != nil {
			return nil, err
		}
		r.programs[key] = p
	}
	items, err := p.Eval(r.ev, f)
	return append([]fhirpath.Value(nil), items...), err
}

// foci gives the elements that a select runs on. None is the row of nulls that
// forEachOrNull asks for.
func (r *viewRunner) foci(s *viewSelect, f fhirpath.Focus) (foci []fhirpath.Focus, err error) {
	path := s.ForEach + s.ForEachOrNull
	if path == "" && len(s.Repeat) == 0 {
		return []fhirpath.Focus{f}, nil
	}
	on := func(path string, f fhirpath.Focus) (found []fhirpath.Focus, err error) {
		items, err := r.eval(path, f)
		for _, v := range items {
			g := f
			if _, g.Node = v.Node(); g.Node == fhir.NoNode {
				return nil, errors.New("a loop over what is no element")
			}
			found = append(found, g)
		}
		return found, err
	}
	if path != "" {
		foci, err = on(path, f)
	}
	var follow func(f fhirpath.Focus) error
	follow = func(f fhirpath.Focus) error {
		for _, path := range s.Repeat {
			found, err := on(path, f)
			if err != nil {
				return err
			}
			for _, g := range found {
				foci = append(foci, g)
				if err := follow(g); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err == nil {
		err = follow(f)
	}
	if len(foci) == 0 && s.ForEachOrNull != "" {
		g := f
		g.Node = fhir.NoNode
		foci = append(foci, g)
	}
	return foci, err
}

// rows gives the rows of a select: the product of its columns, its selects and the
// rows of its union.
func (r *viewRunner) rows(s *viewSelect, f fhirpath.Focus, index int) (rows []map[string]any, err error) {
	foci, err := r.foci(s, f)
	if err != nil {
		return nil, err
	}
	for i, g := range foci {
		if s.ForEach+s.ForEachOrNull == "" && len(s.Repeat) == 0 {
			i = index
		}
		r.ev.Environment().Variables["rowIndex"] = []fhirpath.Value{fhirpath.Integer(int64(i))}
		row := map[string]any{}
		for _, c := range s.Column {
			if row[c.Name], err = r.column(c.Path, c.Collection, g); err != nil {
				return nil, err
			}
		}
		some := []map[string]any{row}
		for k := range s.Select {
			more, err := r.rows(&s.Select[k], g, i)
			if err != nil {
				return nil, err
			}
			some = product(some, more)
		}
		if len(s.UnionAll) > 0 {
			var union []map[string]any
			for k := range s.UnionAll {
				more, err := r.rows(&s.UnionAll[k], g, i)
				if err != nil {
					return nil, err
				}
				union = append(union, more...)
			}
			some = product(some, union)
		}
		rows = append(rows, some...)
	}
	return rows, nil
}

func product(a, b []map[string]any) (rows []map[string]any) {
	for _, x := range a {
		for _, y := range b {
			row := map[string]any{}
			for _, m := range []map[string]any{x, y} {
				for k, v := range m {
					row[k] = v
				}
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func (r *viewRunner) column(path string, collection bool, f fhirpath.Focus) (any, error) {
	items, err := r.eval(path, f)
	if err != nil {
		return nil, err
	}
	values := []any{}
	for _, v := range items {
		var x any
		if err := json.Unmarshal(v.AppendJSON(nil), &x); err != nil {
			return nil, err
		}
		values = append(values, x)
	}
	switch {
	case collection:
		return values, nil
	case len(values) > 1:
		return nil, fmt.Errorf("%s has %d items", path, len(values))
	case len(values) == 0:
		return nil, nil
	}
	return values[0], nil
}

// constantValue gives the System value of a constant such as valueDate.
func constantValue(t *testing.T, key string, value any) fhirpath.Value {
	t.Helper()
	kind := map[string]temporal.Kind{
		"valueDate": temporal.Date, "valueDateTime": temporal.DateTime, "valueInstant": temporal.DateTime, "valueTime": temporal.Time,
	}[key]
	text := fmt.Sprint(value)
	switch x := value.(type) {
	case bool:
		return fhirpath.Boolean(x)
	case float64:
		if d, ok := decimal.FromFloat(x); ok && key == "valueDecimal" {
			return fhirpath.Decimal(d)
		}
		return fhirpath.Integer(int64(x))
	}
	if kind == 0 {
		return fhirpath.String(text)
	}
	v, ok := temporal.Parse(kind, []byte(text))
	if !ok {
		t.Fatalf("constant %s", text)
	}
	return fhirpath.Temporal(v)
}
