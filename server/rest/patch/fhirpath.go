package patch

import (
	"fmt"
	"regexp"
	"strconv"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhirpath"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// maxRead bounds the bytes that a FHIRPath Patch reads: each operation reads the
// resource again.
const maxRead = 64 << 20

// FHIRPath is a FHIRPath Patch (FHIR R4, "FHIRPath Patch"). Where the page leaves it
// open:
//
//   - An element that a deletion leaves without content goes with it, since there is no
//     such element.
//   - A value may come as any of value[x] that has the same JSON: a code may be a
//     valueString. Whether the result is valid is seen when it is there.
//   - add and replace find the variant of a choice by the type of the value.
//   - insert at 0 of a list that is not there makes it.
type FHIRPath struct {
	tree fhir.Tree // of the Parameters
	ops  []operation
}

type operation struct {
	kind        string
	path        *fhirpath.Program
	list        *fhirpath.Program // insert: where the list is a member, nil when that cannot be told
	name        string            // add: of the new element; insert: of the list
	value       fhir.NodeID       // the part that holds it
	index       int
	source      int
	destination int
}

var (
	elParameter  = r4.TypeParameters.ElementByName("parameter")
	parameter    = r4.ElementAt(elParameter).Type
	elName       = parameter.ElementByName("name")
	elPart       = parameter.ElementByName("part")
	elResource   = parameter.ElementByName("resource")
	elValueURI   = parameter.ElementByName("valueUri")
	elValueCode  = parameter.ElementByName("valueCode")
	elValueText  = parameter.ElementByName("valueString")
	elInteger    = parameter.ElementByName("valueInteger")
	elUnsigned   = parameter.ElementByName("valueUnsignedInt")
	elPositive   = parameter.ElementByName("valuePositiveInt")
	parsers      = sync.Pool{New: func() any { return parse.NewParser() }}
	evaluators   = sync.Pool{New: func() any { return fhirpath.NewEvaluator(fhirpath.Environment{MaxSteps: 1 << 20}) }}
	lastStep     = regexp.MustCompile(`^(.*)\.([A-Za-z]+)$`)
	parsePartOf  = map[string]bool{"type": true, "path": true, "name": true, "value": true, "index": true, "source": true, "destination": true}
	neededByKind = map[string][]string{
		"add":     {"path", "name", "value"},
		"insert":  {"path", "value", "index"},
		"delete":  {"path"},
		"replace": {"path", "value"},
		"move":    {"path", "source", "destination"},
	}
)

// ReadFHIRPath reads a FHIRPath Patch for a resource of type t. The error is an
// [*outcome.Fault] of kind [outcome.Malformed] or [outcome.TooCostly].
func ReadFHIRPath(text []byte, t r4.TypeID) (*FHIRPath, error) {
	p := &FHIRPath{}
	p.tree.Reset(append([]byte(nil), text...))
	parser := parsers.Get().(*parse.Parser)
	defer parsers.Put(parser)
	res := parser.Parse(&p.tree, 0, uint32(len(text)))
	switch {
	case res.Failed():
		return nil, outcome.Rejected(append([]fhir.Issue(nil), res.Issues...))
	case res.Type != r4.TypeParameters:
		return nil, outcome.Faultf(outcome.Malformed, "a FHIRPath Patch is a Parameters resource, found %s", res.Type)
	}
	list := p.tree.Child(res.Root, elParameter)
	if list == fhir.NoNode {
		return nil, outcome.Faultf(outcome.Malformed, "the Parameters have no operation")
	}
	n := 0
	for c := p.tree.FirstChild(list); c != fhir.NoNode; c = p.tree.NextSibling(list, c) {
		at := "Parameters.parameter[" + strconv.Itoa(n) + "]"
		if n++; n > maxOperations {
			return nil, outcome.Faultf(outcome.TooCostly, "the patch has more than %d operations", maxOperations)
		}
		if name := p.textOf(c, elName); name != "operation" {
			return nil, outcome.Faultf(outcome.Malformed, "parameter '%s' is not known; expected operation", clip(name)).At(at)
		}
		o, why := p.operation(c, t)
		if why != "" {
			return nil, outcome.Faultf(outcome.Malformed, "%s", why).At(at)
		}
		p.ops = append(p.ops, o)
	}
	return p, nil
}

// operation reads the parts of one operation.
func (p *FHIRPath) operation(n fhir.NodeID, t r4.TypeID) (o operation, why string) {
	parts := map[string]fhir.NodeID{}
	if list := p.tree.Child(n, elPart); list != fhir.NoNode {
		for c := p.tree.FirstChild(list); c != fhir.NoNode; c = p.tree.NextSibling(list, c) {
			name := p.textOf(c, elName)
			if !parsePartOf[name] {
				return o, fmt.Sprintf("part '%s' is not known", clip(name))
			}
			if _, twice := parts[name]; twice {
				return o, fmt.Sprintf("part '%s' occurs twice", name)
			}
			parts[name] = c
		}
	}
	if c, ok := parts["type"]; ok {
		o.kind = p.textOf(c, elValueCode, elValueText)
	}
	needed, ok := neededByKind[o.kind]
	if !ok {
		return o, "type is none of add, insert, delete, replace, move"
	}
	for _, name := range needed {
		if _, ok := parts[name]; !ok {
			return o, fmt.Sprintf("%s needs a part '%s'", o.kind, name)
		}
	}
	if o.value, ok = parts["value"]; !ok {
		o.value = fhir.NoNode
	}
	for name, to := range map[string]*int{"index": &o.index, "source": &o.source, "destination": &o.destination} {
		if c, ok := parts[name]; ok {
			if *to, ok = p.integerOf(c); !ok {
				return o, name + " is no valueInteger of 0 or more"
			}
		}
	}
	if c, ok := parts["name"]; ok && o.kind == "add" {
		if o.name = p.textOf(c, elValueText, elValueCode); o.name == "" {
			return o, "name is no valueString"
		}
	}
	path := p.textOf(parts["path"], elValueText, elValueCode, elValueURI)
	var err error
	if o.path, err = fhirpath.Compile(path, fhirpath.Options{Type: t}); err != nil {
		return o, "path is no FHIRPath expression: " + clip(err.Error())
	}
	if m := lastStep.FindStringSubmatch(path); m != nil && o.kind == "insert" {
		if o.list, err = fhirpath.Compile(m[1], fhirpath.Options{Type: t}); err == nil {
			o.name = m[2]
		}
	}
	return o, ""
}

// textOf gives the value of the first of these members, "" when none is a string.
func (p *FHIRPath) textOf(n fhir.NodeID, elements ...r4.ElementID) string {
	for _, e := range elements {
		if c := p.tree.Child(n, e); c != fhir.NoNode {
			return string(p.tree.String(c, nil))
		}
	}
	return ""
}

func (p *FHIRPath) integerOf(n fhir.NodeID) (int, bool) {
	for _, e := range [...]r4.ElementID{elInteger, elUnsigned, elPositive} {
		if c := p.tree.Child(n, e); c != fhir.NoNode {
			i, err := strconv.ParseInt(string(p.tree.Raw(c)), 10, 32)
			return int(i), err == nil && i >= 0
		}
	}
	return 0, false
}

// Apply does all operations in order, or none.
func (p *FHIRPath) Apply(resource []byte, limit int) ([]byte, error) {
	doc, err := readValue(resource)
	if err != nil {
		return nil, err
	}
	e := &edit{patch: p, doc: doc, parser: parsers.Get().(*parse.Parser), ev: evaluators.Get().(*fhirpath.Evaluator)}
	defer parsers.Put(e.parser)
	defer evaluators.Put(e.ev)
	text := append([]byte(nil), resource...)
	read := 0
	for i := range p.ops {
		o := &p.ops[i]
		at := "Parameters.parameter[" + strconv.Itoa(i) + "]"
		if read += len(text); read > maxRead {
			return nil, outcome.Faultf(outcome.TooCostly, "the patch takes too much work").At(at)
		}
		why := e.parse(text)
		if why == "" {
			why = e.do(o)
		}
		if why != "" {
			return nil, outcome.Faultf(outcome.Unprocessable, "%s at path '%s': %s", o.kind, clip(o.path.String()), why).At(at)
		}
		if text = doc.append(text[:0]); len(text) > len(resource)+limit {
			return nil, outcome.Faultf(outcome.TooLarge, "the patch makes the resource too big").At(at)
		}
	}
	return text, nil
}
