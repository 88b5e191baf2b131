package parse_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// decoded turns a subtree into what encoding/json makes of the same text.
func decoded(t *fhir.Tree, n fhir.NodeID) any {
	nd := &t.Nodes[n]
	switch nd.Kind {
	case fhir.KindNull:
		return nil
	case fhir.KindTrue, fhir.KindFalse:
		return nd.Kind == fhir.KindTrue
	case fhir.KindNumber:
		return json.Number(t.Raw(n))
	case fhir.KindString:
		return string(t.String(n, nil))
	case fhir.KindArray:
		list := []any{}
		for c := t.FirstChild(n); c != fhir.NoNode; c = t.NextSibling(n, c) {
			list = append(list, decoded(t, c))
		}
		return list
	}
	object := map[string]any{}
	for c := t.FirstChild(n); c != fhir.NoNode; c = t.NextSibling(n, c) {
		child := &t.Nodes[c]
		name := r4.ElementAt(child.Element).Name
		if child.Flags&fhir.FlagUnknown != 0 {
			name = string(fhir.AppendUnescaped(nil, parse.KeyBefore(t.Data, child)))
		} else if child.Flags&fhir.FlagTwin != 0 {
			name = "_" + name
		}
		object[name] = decoded(t, c)
	}
	return object
}

// checkTree checks the invariants of package fhir and of this package.
func checkTree(t *fhir.Tree, root fhir.NodeID, end uint32) error {
	if int(t.Nodes[root].Next) != len(t.Nodes) {
		return fmt.Errorf("root ends at %d of %d nodes", t.Nodes[root].Next, len(t.Nodes))
	}
	var walk func(n fhir.NodeID) error
	walk = func(n fhir.NodeID) error {
		nd := t.Nodes[n]
		if int(nd.Next) <= int(n) || nd.Start > nd.End || nd.End > end {
			return fmt.Errorf("node %d: %+v", n, nd)
		}
		if nd.Element != 0 && nd.Flags&fhir.FlagUnknown != 0 {
			return fmt.Errorf("node %d is unknown and has an element: %+v", n, nd)
		}
		if el := r4.ElementAt(nd.Element); nd.Element != 0 && nd.Flags&fhir.FlagTwin == 0 {
			if complexType := r4.TypeAt(el.Type).Primitive == r4.PrimitiveNone; nd.Kind != fhir.KindArray && nd.Kind != fhir.KindNull && complexType != (nd.Kind == fhir.KindObject) {
				return fmt.Errorf("node %d has kind %d for %s", n, nd.Kind, el.Path)
			}
		}
		at := n + 1
		for c := t.FirstChild(n); c != fhir.NoNode; c = t.NextSibling(n, c) {
			child := t.Nodes[c]
			if c != at || child.Next > nd.Next || child.Start < nd.Start || child.End > nd.End {
				return fmt.Errorf("node %d: child %d: %+v in %+v", n, c, child, nd)
			}
			if err := walk(c); err != nil {
				return err
			}
			at = fhir.NodeID(child.Next)
		}
		if uint32(at) != nd.Next {
			return fmt.Errorf("node %d: children end at %d, not %d", n, at, nd.Next)
		}
		return nil
	}
	return walk(root)
}

func standard(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

func fatal(res *parse.Result) bool {
	for _, is := range res.Issues {
		if is.Severity == fhir.Fatal {
			return true
		}
	}
	return false
}

func twice(res *parse.Result) bool {
	for _, is := range res.Issues {
		if strings.HasSuffix(is.Diagnostics, "occurs twice") || is.Severity == fhir.Information || strings.Contains(is.Diagnostics, "is given as") {
			return true
		}
	}
	return false
}

var surrogate = regexp.MustCompile(`\\u[dD][89a-fA-F]`)

// agree compares a parser's result for text with that of encoding/json.
func agree(p *parse.Parser, text []byte) error {
	const before = "\x00before" // the record does not begin at offset 0
	tree := fhir.Tree{Data: []byte(before + string(text) + `"}]`)}
	start, end := uint32(len(before)), uint32(len(before)+len(text))
	res := p.Parse(&tree, start, end)
	if res.Root == fhir.NoNode {
		if len(tree.Nodes) != 0 || len(res.Issues) == 0 {
			return fmt.Errorf("no tree, but %d nodes and %d issues", len(tree.Nodes), len(res.Issues))
		}
	} else if err := checkTree(&tree, res.Root, end); err != nil {
		return err
	}
	for _, is := range res.Issues {
		if !utf8.ValidString(is.Diagnostics) && utf8.Valid(text) || is.Diagnostics == "" || is.Column < 0 || int(is.Column) > len(text)+1 {
			return fmt.Errorf("bad issue: %+v", is)
		}
	}

	// Guesses must not change what is found.
	fresh := fhir.Tree{Data: tree.Data}
	res2 := parse.NewParser().Parse(&fresh, start, end)
	if res.Root != res2.Root || res.Type != res2.Type || !bytes.Equal(res.ID, res2.ID) || !slices.Equal(res.Issues, res2.Issues) {
		return fmt.Errorf("a new parser finds otherwise: %s", cmp.Diff(res, res2))
	}
	if !slices.Equal(tree.Nodes, fresh.Nodes) {
		return fmt.Errorf("a new parser makes other nodes: %s", cmp.Diff(tree.Nodes, fresh.Nodes))
	}

	valid := json.Valid(text)
	switch {
	case !valid && !fatal(&res):
		return fmt.Errorf("encoding/json refuses the text, the parser does not: %+v", res.Issues)
	case valid && fatal(&res):
		if utf8.Valid(text) && !surrogate.Match(text) {
			return fmt.Errorf("encoding/json takes the text, the parser does not: %+v", res.Issues)
		}
	case valid && res.Root != fhir.NoNode && !twice(&res):
		want, err := standard(text)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(want, decoded(&tree, res.Root)); diff != "" {
			return fmt.Errorf("the tree is not the text: %s", diff)
		}
	}
	return nil
}

// goldenInputs gives the resources of testdata/issues.
func goldenInputs(tb testing.TB) (list []string) {
	paths, err := filepath.Glob("testdata/issues/*.txt")
	if err != nil {
		tb.Fatal(err)
	}
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		input, _, _ := strings.Cut(string(file), "----\n")
		for line := range strings.Lines(input) {
			if line[0] != '#' {
				list = append(list, strings.TrimSuffix(line, "\n"))
			}
		}
	}
	return list
}

// TestEveryCut cuts the golden inputs at each byte, and changes each byte.
func TestEveryCut(t *testing.T) {
	p := parse.NewParser()
	inputs := goldenInputs(t)
	for n, text := range inputs {
		if testing.Short() && n%8 != 0 {
			continue
		}
		for i := range len(text) + 1 {
			if err := agree(p, []byte(text[:i])); err != nil {
				t.Fatalf("%q: %v", text[:i], err)
			}
			if i < len(text) {
				changed := []byte(text)
				changed[i] = `"\,:{}[]0n-e. _Z`[(i+n)%16]
				if err := agree(p, changed); err != nil {
					t.Fatalf("%q: %v", changed, err)
				}
			}
		}
	}
}

func TestTreeIsTheText(t *testing.T) {
	for _, set := range []string{"synthea-small", "r4-examples"} {
		t.Run(set, func(t *testing.T) {
			data := corpus.Files(t, corpus.Folder(t, set))
			p := parse.NewParser()
			every := 5
			if testing.Short() {
				every = 50
			}
			for _, name := range corpus.Names(data) {
				corpus.EachLine(data[name], func(line int, s, e uint32) {
					if line%every != 1 {
						return
					}
					if err := agree(p, data[name][s:e]); err != nil {
						t.Errorf("%s:%d: %v", name, line, err)
					}
				})
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range goldenInputs(f) {
		f.Add([]byte(text))
	}
	p := parse.NewParser()
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := agree(p, text); err != nil {
			t.Fatal(err)
		}
	})
}
