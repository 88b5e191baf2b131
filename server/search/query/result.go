package query

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// once reads a parameter of the result that is there once.
func (s *reader) once(x pair) error {
	if s.given[x.name] {
		return malformed("it is given twice")
	}
	s.given[x.name] = true
	switch x.name {
	case "_count":
		n, err := strconv.ParseUint(x.value, 10, 31)
		if err != nil || int(n) > s.limits.PageSize {
			return malformed("'%s' is no page size; expected 0 to %d", fhir.Cut(x.value), s.limits.PageSize)
		}
		s.q.Count = int(n)
		return nil
	case "_total":
		return pick(&s.q.Total, x.value, TotalNone, "none", "estimate", "accurate")
	case "_summary":
		return pick(&s.q.Summary, x.value, SummaryFalse, "false", "true", "text", "data", "count")
	case "_contained":
		var c Contained
		if err := pick(&c, x.value, ContainedNone, "false", "true", "both"); err != nil {
			return err
		}
		if c != ContainedNone && s.Features&Inside == 0 {
			return unsupported("contained resources are not searched")
		}
		s.q.Contained = c
		return nil
	}
	var asContained uint8
	if err := pick(&asContained, x.value, 0, "container", "contained"); err != nil {
		return err
	}
	if asContained != 0 && s.Features&Inside == 0 {
		return unsupported("contained resources are not searched")
	}
	s.q.AsContained = asContained != 0
	return nil
}

// pick sets v to the one that text names; the first name is that of first.
func pick[T ~uint8](v *T, text string, first T, names ...string) error {
	i := slices.Index(names, text)
	if i < 0 {
		return malformed("'%s' is none of %s", fhir.Cut(text), strings.Join(names, ", "))
	}
	*v = first + T(i)
	return nil
}

// elements reads _elements and gives the names that there are.
func (s *reader) elements(x pair) (kept string, err error) {
	var names []string
	for name := range strings.SplitSeq(x.value, ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "":
		case !s.isElement(name):
			s.refuse(x.name, unsupported("what is searched has no element '%s'", fhir.Cut(name)))
		default:
			names = append(names, name)
		}
	}
	s.q.Elements = append(s.q.Elements, names...)
	return strings.Join(names, ","), nil
}

// isElement tells whether any of the types has a top-level element of that name.
func (s *reader) isElement(name string) bool {
	for i := range s.q.Selects {
		t := s.q.Selects[i].Type
		if t.ElementByName(name) != 0 || len(search.Children([]r4.TypeID{t}, name)) > 0 {
			return true
		}
	}
	return false
}

// sort reads _sort and gives the keys that are honoured.
func (s *reader) sort(x pair) (kept string, err error) {
	var keys []string
	for key := range strings.SplitSeq(x.value, ",") {
		if key = strings.TrimSpace(key); key == "" {
			continue
		}
		if len(s.q.Selects[0].Sort) >= s.limits.SortKeys {
			return "", costly("the search has more than %d keys to sort by", s.limits.SortKeys)
		}
		if err := s.sortKey(key); err != nil {
			s.refuse(x.name, err)
			continue
		}
		keys = append(keys, key)
	}
	return strings.Join(keys, ","), nil
}

// sortKey adds one key to all Selects.
func (s *reader) sortKey(key string) error {
	code, descending := strings.CutPrefix(key, "-")
	params := make([]*search.Parameter, len(s.q.Selects))
	for i := range s.q.Selects {
		typ := s.q.Selects[i].Type
		p, err := s.named(typ, code)
		if err != nil {
			return err
		}
		if !s.sortable(p) {
			return unsupported("results are not sorted by '%s', which is of type %s", fhir.Cut(code), typeName(p.Type))
		}
		if i > 0 && p.Type != params[0].Type {
			return unsupported("'%s' is not of the same type for %s and %s", fhir.Cut(code), s.q.Selects[0].Type, typ)
		}
		params[i] = p
	}
	for i, p := range params {
		s.q.Selects[i].Sort = append(s.q.Selects[i].Sort, SortKey{p, descending})
	}
	return nil
}

func (s *reader) sortable(p *search.Parameter) bool {
	switch p.Origin {
	case search.OriginID, search.OriginUpdated:
		return true
	case search.OriginCreated:
		return s.Features&FirstStored != 0
	case search.OriginRows:
		if p.Type == r4.SearchReference && s.Features&ReferenceOrder == 0 {
			return false
		}
		return search.KindOf(p.Type) != search.KindNone
	}
	return false
}

// include reads _include and _revinclude: `*` or Type:parameter[:Type].
func (s *reader) include(x pair, reverse bool) error {
	i := Include{Reverse: reverse}
	if _, modifier, ok := strings.Cut(x.name, ":"); ok {
		if modifier != "iterate" {
			return noSuchModifier(modifier, "iterate")
		}
		i.Iterate = true
	}
	if x.value == "*" {
		s.q.Includes = append(s.q.Includes, i)
		return nil
	}
	parts := strings.Split(x.value, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return malformed("'%s' names no parameter; expected Type:parameter, Type:parameter:Type, Type:* or *", fhir.Cut(x.value))
	}
	if i.Source = r4.ResourceTypeByName([]byte(parts[0])); i.Source == 0 {
		return malformed("'%s' is no resource type", fhir.Cut(parts[0]))
	}
	if len(parts) == 3 {
		if i.Target = r4.ResourceTypeByName([]byte(parts[2])); i.Target == 0 {
			return malformed("'%s' is no resource type", fhir.Cut(parts[2]))
		}
	}
	if parts[1] != "*" {
		p, err := s.named(i.Source, parts[1])
		if err != nil {
			return err
		}
		targets, err := s.follow(i.Source, p)
		if err != nil {
			return err
		}
		if i.Target != 0 && !slices.Contains(targets, i.Target) {
			return malformed("%s of %s does not refer to %s", p.Code, i.Source, i.Target)
		}
		i.Params = []*search.Parameter{p}
	}
	s.q.Includes = append(s.q.Includes, i)
	return nil
}

// together refuses what does not go together.
func (s *reader) together() {
	q := s.q
	if len(q.Elements) > 0 && q.Summary > SummaryFalse {
		s.fault("parameters _summary and _elements do not go together")
	}
	if q.Summary == SummaryText && len(q.Includes) > 0 {
		s.fault("parameters _include and _revinclude do not go together with _summary=text")
	}
}

func (s *reader) fault(text string) {
	s.faults = append(s.faults, fhir.Issue{Severity: fhir.Error, Code: outcome.Malformed.Code(), Diagnostics: text})
}
