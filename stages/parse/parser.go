package parse

import (
	"bytes"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// MaxDepth is how many levels of objects and arrays a resource may have.
const MaxDepth = 4096

// Parser builds element trees, one resource at a time. It belongs to one
// goroutine; its memory is used again, so keep it.
type Parser struct {
	d     []byte // the text up to the end of the record, so offsets are those of Tree.Data
	nodes []fhir.Node
	table *table

	follows []r4.ElementID // by element: the one that followed it last time
	firsts  []r4.ElementID // by type: the element that came first last time
	seconds []r4.ElementID // by type: the one that followed resourceType, which all types share

	depth  int
	start  int  // offset of the record
	root   int  // index of the record's first node
	nulls  bool // the last array of primitives had a null
	issues []fhir.Issue

	buf      []byte // decoded values
	keys     []span // keys of the objects without a type that are open
	types    []typeName
	typesEnd int // objects before this offset are in types
	stack    []uint32
}

type span struct{ start, end uint32 }

// typeName is an object whose member resourceType is not its first.
type typeName struct {
	object uint32
	name   span
}

// Result tells what one resource is. ID and Issues are valid until the next Parse.
type Result struct {
	Root   fhir.NodeID  // NoNode when the text is not well-formed JSON, is no object, or passes a limit
	Type   r4.TypeID    // 0 when unknown
	ID     []byte       // logical id, decoded, valid or not; nil without one
	Issues []fhir.Issue // in order of discovery; the text of a resource without is sound
}

// Failed tells whether any issue is an error or worse.
func (r *Result) Failed() bool {
	return slices.ContainsFunc(r.Issues, func(is fhir.Issue) bool { return is.Severity <= fhir.Error })
}

// NewParser makes a parser.
func NewParser() *Parser {
	t := tables()
	return &Parser{
		table:   t,
		follows: make([]r4.ElementID, len(t.members)),
		firsts:  make([]r4.ElementID, len(t.required)),
		seconds: make([]r4.ElementID, len(t.required)),
	}
}

// Parse reads the resource in t.Data[start:end] and appends its nodes to t. When
// the result has no root, t is as it was.
func (p *Parser) Parse(t *fhir.Tree, start, end uint32) Result {
	p.d, p.nodes = t.Data[:end], t.Nodes
	p.start, p.root = int(start), len(t.Nodes)
	p.depth, p.nulls = 0, false
	p.issues, p.keys = p.issues[:0], p.keys[:0]
	p.types, p.typesEnd = p.types[:0], 0

	res := Result{Root: fhir.NoNode}
	if p.document() {
		res.Root = fhir.NodeID(p.root)
		res.Type = p.nodes[p.root].Type
		res.ID = p.logicalID()
	} else {
		p.nodes = p.nodes[:p.root]
	}
	t.Nodes = p.nodes
	res.Issues = p.issues
	p.d, p.nodes = nil, nil
	return res
}

// document reads the whole record and tells whether it gave a tree.
func (p *Parser) document() bool {
	i := p.space(p.start)
	if i >= len(p.d) {
		p.fatal(i, "text is empty; expected a resource")
		return false
	}
	if bytes.HasPrefix(p.d[i:], []byte("\xEF\xBB\xBF")) {
		p.fatal(i, "text begins with a byte order mark; expected a resource")
		return false
	}
	object := p.d[i] == '{'
	if object {
		i = p.resource(i, 0)
	} else {
		if found := kindAt(p.d, i); found != "" {
			p.structure(i, 0, "found %s; expected a resource, which is an object", found)
		}
		i = p.untyped(i, fhir.FlagUnknown)
	}
	if i < 0 {
		return false
	}
	if i = p.space(i); i < len(p.d) {
		p.fatal(i, "found '%s' after the end of the resource", p.quote(i))
		return false
	}
	return object
}

// logicalID finds the id of the record's resource.
func (p *Parser) logicalID() []byte {
	typ := p.nodes[p.root].Type
	if typ == 0 {
		return nil
	}
	e := typ.ElementByName("id")
	end := p.nodes[p.root].Next
	for c := uint32(p.root) + 1; c < end; c = p.nodes[c].Next {
		if n := &p.nodes[c]; n.Element == e && n.Flags&fhir.FlagTwin == 0 {
			id := p.d[n.Start:n.End:n.End]
			if n.Flags&fhir.FlagEscaped != 0 {
				id = fhir.AppendUnescaped(nil, id)
			}
			return id
		}
	}
	return nil
}

// resource reads the object at i that names its own type.
func (p *Parser) resource(i int, e r4.ElementID) int {
	if typ := p.resourceType(i); typ != 0 {
		return p.object(i, e, typ, 0)
	}
	name, ok := p.typeNameOf(i)
	switch {
	case !ok:
		p.structure(i, e, "no resourceType; expected the name of a resource type")
	default:
		p.structure(i, e, "unknown resource type '%s'%s", fhir.Cut(name), suggestType(name))
	}
	return p.untyped(i, fhir.FlagUnknown)
}

// resourceType gives the type of the resource at i, or 0.
func (p *Parser) resourceType(i int) r4.TypeID {
	const key = `{"resourceType":"`
	d := p.d
	if i+len(key) <= len(d) && string(d[i:i+len(key)]) == key {
		s := i + len(key)
		for j := s; j < len(d); j++ {
			if d[j] == '"' {
				if typ := r4.ResourceTypeByName(d[s:j]); typ != 0 {
					return typ
				}
				break
			}
		}
	}
	name, _ := p.typeNameOf(i)
	return r4.ResourceTypeByName(name)
}

// typeNameOf finds the value of resourceType in the object at i, wherever it is
// among the members. The text is searched once, all objects inside included, so
// that resources within resources do not make it quadratic.
func (p *Parser) typeNameOf(i int) ([]byte, bool) {
	if i >= p.typesEnd {
		p.findTypes(i)
	}
	n, ok := slices.BinarySearchFunc(p.types, uint32(i), func(t typeName, at uint32) int { return int(t.object) - int(at) })
	if !ok {
		return nil, false
	}
	s := p.types[n].name
	return p.unescaped(p.d[s.start:s.end]), true
}

func (p *Parser) findTypes(i int) {
	d := p.d
	p.types, p.stack = p.types[:0], p.stack[:0]
	for i < len(d) {
		switch d[i] {
		case '{':
			p.stack = append(p.stack, uint32(i))
		case '}':
			p.stack = p.stack[:len(p.stack)-1]
		case '"':
			s := i + 1
			i = looseEnd(d, s)
			key := span{uint32(s), uint32(i)}
			if i = p.space(i + 1); i >= len(d) || d[i] != ':' {
				continue
			}
			if i = p.space(i + 1); i >= len(d) || d[i] != '"' || string(p.unescaped(d[key.start:key.end])) != "resourceType" {
				continue
			}
			s = i + 1
			i = looseEnd(d, s)
			p.types = append(p.types, typeName{p.stack[len(p.stack)-1], span{uint32(s), uint32(i)}})
		}
		i++
		if len(p.stack) == 0 {
			break
		}
	}
	p.typesEnd = i
	slices.SortStableFunc(p.types, func(a, b typeName) int { return int(a.object) - int(b.object) })
	p.types = slices.CompactFunc(p.types, func(a, b typeName) bool { return a.object == b.object })
}

// looseEnd finds the closing quote of a string, well formed or not, or the end.
func looseEnd(d []byte, i int) int {
	for ; i < len(d) && d[i] != '"'; i++ {
		if d[i] == '\\' {
			i++
		}
	}
	return min(i, len(d))
}

// unescaped gives the value of a string's text. It is valid until the next call.
func (p *Parser) unescaped(s []byte) []byte {
	for _, c := range s {
		if c == '\\' {
			p.buf = fhir.AppendUnescaped(p.buf[:0], s)
			return p.buf
		}
	}
	return s
}
