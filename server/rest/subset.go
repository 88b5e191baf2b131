package rest

import (
	"net/url"
	"strings"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// subset is what _summary and _elements leave of a resource (FHIR R4, 3.1.1.5.8 and
// 3.1.1.5.9).
type subset struct {
	summary  summary
	elements []string // top-level elements to keep; nil: all
}

type summary uint8

const (
	summaryFalse summary = iota
	summaryTrue
	summaryText
	summaryData
	summaryCount
)

// readSubset reads the two parameters.
func readSubset(q url.Values) (s subset, err error) {
	switch v := q.Get("_summary"); v {
	case "", "false":
	case "true":
		s.summary = summaryTrue
	case "text":
		s.summary = summaryText
	case "data":
		s.summary = summaryData
	case "count":
		s.summary = summaryCount
	default:
		return s, outcome.Faultf(outcome.Malformed, "parameter _summary: '%s' is none of true, text, data, count, false", clip(v))
	}
	for _, list := range q["_elements"] {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name != "" {
				s.elements = append(s.elements, name)
			}
		}
	}
	if s.summary != summaryFalse && s.elements != nil {
		return s, outcome.Faultf(outcome.Malformed, "parameters _summary and _elements do not go together")
	}
	return s, nil
}

func (s *subset) all() bool { return s.summary == summaryFalse && s.elements == nil }

// reading is the memory to read one resource again.
type reading struct {
	parser *parse.Parser
	tree   fhir.Tree
}

var readings = sync.Pool{New: func() any { return &reading{parser: parse.NewParser()} }}

// read builds the tree of a stored resource. The caller calls release.
func readTree(text []byte) (r *reading, root fhir.NodeID, ok bool) {
	r = readings.Get().(*reading)
	r.tree.Reset(text)
	res := r.parser.Parse(&r.tree, 0, uint32(len(text)))
	return r, res.Root, res.Root != fhir.NoNode && res.Type != 0
}

func (r *reading) release() {
	r.tree.Data = nil
	if cap(r.tree.Nodes) <= keepWork/16 {
		readings.Put(r)
	}
}

// append appends what is left of a resource, tagged as SUBSETTED. Elements that are
// mandatory are always there, and id and meta; modifiers, too, but for _summary=text.
func (s *subset) append(dst, text []byte) []byte {
	r, root, ok := readTree(text)
	defer r.release()
	if !ok { // stored text is a resource
		return append(dst, text...)
	}
	p := projection{t: &r.tree, keep: s.keeps(r.tree.Nodes[root].Type), deep: s.summary == summaryTrue}
	dst, _ = p.object(dst, root, true)
	return dst
}

// keeps gives the rule for the elements of a resource type.
func (s *subset) keeps(t r4.TypeID) func(*r4.Element) bool {
	always := func(e *r4.Element) bool { return e.Name == "id" || e.Name == "meta" || e.Min > 0 || e.IsModifier }
	switch s.summary {
	case summaryTrue:
		return func(e *r4.Element) bool { return e.IsSummary || always(e) }
	case summaryText:
		return func(e *r4.Element) bool { return e.Name == "text" || e.Name == "id" || e.Name == "meta" || e.Min > 0 }
	case summaryData:
		return func(e *r4.Element) bool { return e.Name != "text" }
	}
	wanted := map[string]bool{}
	for _, name := range s.elements {
		name = strings.TrimPrefix(name, t.String()+".")
		name, _, _ = strings.Cut(name, ".")
		wanted[strings.TrimSuffix(name, "[x]")] = true
	}
	return func(e *r4.Element) bool {
		return wanted[e.Name] || e.Choice != "" && wanted[e.Choice] || always(e)
	}
}

// projection copies a part of a resource.
type projection struct {
	t    *fhir.Tree
	keep func(*r4.Element) bool
	deep bool // the rule holds for backbone elements, too
}

var (
	metaTag = r4.TypeMeta.ElementByName("tag")
	tagText = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`
)

// object appends an object with the members that are kept, and tells whether it has
// any.
func (p *projection) object(dst []byte, n fhir.NodeID, root bool) (_ []byte, some bool) {
	dst = append(dst, '{')
	for c := p.t.FirstChild(n); c != fhir.NoNode; c = p.t.NextSibling(n, c) {
		nd := &p.t.Nodes[c]
		typeName := root && nd.Element == 0 && string(p.t.Key(c)) == "resourceType"
		if !typeName && (nd.Element == 0 || !p.keep(r4.ElementAt(nd.Element)) && !(!root && r4.ElementAt(nd.Element).Name == "id")) {
			continue
		}
		before := len(dst)
		if some {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), p.t.Key(c)...), `":`...)
		ok := true
		switch {
		case root && nd.Element != 0 && r4.ElementAt(nd.Element).Name == "meta" && nd.Kind == fhir.KindObject:
			dst = p.meta(dst, c)
		default:
			dst, ok = p.value(dst, c)
		}
		if !ok {
			dst = dst[:before]
		}
		some = some || ok
	}
	return append(dst, '}'), some
}

// value appends a value, of backbone elements the part that is kept.
func (p *projection) value(dst []byte, n fhir.NodeID) (_ []byte, some bool) {
	nd := &p.t.Nodes[n]
	backbone := p.deep && nd.Element != 0 && nd.Flags&fhir.FlagTwin == 0 && r4.TypeAt(r4.ElementAt(nd.Element).Type).Kind == r4.KindBackbone
	switch {
	case backbone && nd.Kind == fhir.KindObject:
		return p.object(dst, n, false)
	case backbone && nd.Kind == fhir.KindArray:
		dst = append(dst, '[')
		for c := p.t.FirstChild(n); c != fhir.NoNode; c = p.t.NextSibling(n, c) {
			before := len(dst)
			if some {
				dst = append(dst, ',')
			}
			ok := false
			if dst, ok = p.value(dst, c); !ok {
				dst = dst[:before]
			}
			some = some || ok
		}
		return append(dst, ']'), some
	}
	return append(dst, p.t.JSON(n)...), true
}

// meta appends meta with the tag.
func (p *projection) meta(dst []byte, n fhir.NodeID) []byte {
	nd := &p.t.Nodes[n]
	tags := p.t.Child(n, metaTag)
	if tags != fhir.NoNode && p.t.Nodes[tags].Kind == fhir.KindArray {
		at := p.t.Nodes[tags].Start + 1
		dst = append(append(dst, p.t.Data[nd.Start:at]...), tagText...)
		if p.t.FirstChild(tags) != fhir.NoNode {
			dst = append(dst, ',')
		}
		return append(dst, p.t.Data[at:nd.End]...)
	}
	dst = append(append(dst, `{"tag":[`...), tagText...)
	dst = append(dst, ']')
	if p.t.FirstChild(n) != fhir.NoNode {
		dst = append(dst, ',')
	}
	return append(dst, p.t.Data[nd.Start+1:nd.End]...)
}
