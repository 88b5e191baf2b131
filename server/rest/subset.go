package rest

import (
	"net/url"
	"strings"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	part "github.com/fhirlake/fhirlake/fhir/subset"
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
	p := part.Projection{Keep: s.keeps(r.tree.Nodes[root].Type), Deep: s.summary == summaryTrue}
	return p.Append(dst, &r.tree, root)
}

// keeps gives the rule for the elements of a resource type.
func (s *subset) keeps(t r4.TypeID) func(*r4.Element) bool {
	switch s.summary {
	case summaryTrue:
		return func(e *r4.Element) bool { return e.IsSummary || part.Always(e) }
	case summaryText:
		return func(e *r4.Element) bool { return e.Name == "text" || e.Name == "id" || e.Name == "meta" || e.Min > 0 }
	case summaryData:
		return func(e *r4.Element) bool { return e.Name != "text" }
	}
	return part.Elements(t, s.elements)
}
