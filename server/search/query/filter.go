package query

import (
	"errors"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// filter reads a parameter that filters and adds it to each Select, and gives its value
// as far as it is honoured: alternatives that are empty are left out.
func (s *reader) filter(x pair) (kept string, err error) {
	if err := checkEscapes(x.value); err != nil {
		return "", err
	}
	alternatives := slices.DeleteFunc(split(x.value, ','), func(a string) bool { return strings.TrimSpace(a) == "" })
	if len(alternatives) == 0 {
		return "", malformed("its values are all empty")
	}
	kept = strings.Join(alternatives, ",")
	if kept != x.value {
		s.q.Issues = append(s.q.Issues, issue(fhir.Information, x.name, unsupported("some of its values are empty; they are left out")))
	}
	s.memo = map[memoKey]memo{}
	filters := make([]Filter, len(s.q.Selects))
	for i := range s.q.Selects {
		if filters[i], err = s.resolve(s.q.Selects[i].Type, x.name, alternatives, 0); err != nil {
			return "", err
		}
	}
	for i, f := range filters {
		s.q.Selects[i].Where = append(s.q.Selects[i].Where, f)
	}
	return kept, nil
}

// absent is a parameter that a type does not have, or not as a reference. The types that
// a chain leads to need not all have it.
type absent struct{ *problem }

func (a absent) Unwrap() error { return a.problem }

// present says of an error that it is not about the type at hand.
func present(err error) error {
	if a := (absent{}); errors.As(err, &a) {
		return a.problem
	}
	return err
}

func unknown(typ r4.TypeID, code string) error {
	return absent{unsupported("%s has no search parameter '%s'", typ, fhir.Cut(code))}
}

// resolve makes the filter that a name asks for of resources of a type.
func (s *reader) resolve(typ r4.TypeID, name string, alternatives []string, hops int) (Filter, error) {
	if hops > s.limits.Hops {
		return nil, costly("the chain has more than %d hops", s.limits.Hops)
	}
	if rest, ok := strings.CutPrefix(name, "_has:"); ok {
		return s.has(typ, rest, alternatives, hops)
	}
	head, tail, chained := strings.Cut(name, ".")
	code, modifier, modified := strings.Cut(head, ":")
	if modified && modifier == "" {
		return nil, malformed("nothing stands after the colon; expected a modifier")
	}
	if chained {
		return s.chain(typ, code, modifier, tail, alternatives, hops)
	}
	if code == "_list" {
		return s.list(typ, modifier, alternatives, hops)
	}
	p, err := s.named(typ, code)
	if err != nil {
		return nil, err
	}
	key := memoKey{p.SearchParameter, modifier}
	if m, ok := s.memo[key]; ok {
		return of(m.filter, p), m.err
	}
	if s.values += len(alternatives); s.values > s.limits.Values {
		return nil, costly("the search has more than %d values", s.limits.Values)
	}
	f, err := s.leaf(typ, p, modifier, alternatives)
	s.memo[key] = memo{f, err}
	return f, err
}

// of gives a filter on the same definition for the parameter of another type.
func of(f Filter, p *search.Parameter) Filter {
	switch f := f.(type) {
	case Match:
		f.Param = p
		return f
	case Missing:
		f.Param = p
		return f
	}
	return f
}

// chain reads `code:modifier.tail`.
func (s *reader) chain(typ r4.TypeID, code, modifier, tail string, alternatives []string, hops int) (Filter, error) {
	p, err := s.named(typ, code)
	if err != nil {
		return nil, err
	}
	targets, err := s.follow(typ, p)
	if err != nil {
		return nil, err
	}
	if tail == "" {
		return nil, malformed("nothing stands after the point; expected a parameter of what %s refers to", code)
	}
	if modifier != "" {
		t := r4.ResourceTypeByName([]byte(modifier))
		if t == 0 {
			return nil, malformed("'%s' is no resource type; a chain takes no other modifier before the point", fhir.Cut(modifier))
		}
		if !slices.Contains(targets, t) {
			return nil, malformed("%s of %s does not refer to %s", code, typ, t)
		}
		targets = []r4.TypeID{t}
	}
	c := Chain{Param: p}
	var missing error
	for _, t := range targets {
		if s.branches++; s.branches > s.limits.Branches {
			return nil, costly("the chains lead to more than %d types of resources; say which, as in %s:%s", s.limits.Branches, code, targets[0])
		}
		f, err := s.resolve(t, tail, alternatives, hops+1)
		if a := (absent{}); errors.As(err, &a) {
			missing = err
			continue
		}
		if err != nil {
			return nil, err
		}
		c.To = append(c.To, Select{Type: t, Where: []Filter{f}})
	}
	if len(c.To) == 0 {
		if len(targets) > 1 {
			missing = absent{unsupported("no type that %s of %s refers to has the parameter '%s'", code, typ, fhir.Cut(tail))}
		}
		return nil, missing
	}
	return c, nil
}

// follow gives the types that a reference parameter leads to.
func (s *reader) follow(typ r4.TypeID, p *search.Parameter) ([]r4.TypeID, error) {
	if p.Type != r4.SearchReference {
		return nil, absent{malformed("%s of %s is of type %s; only a reference can be followed", p.Code, typ, typeName(p.Type))}
	}
	if canonicalAlone(p) {
		return nil, absent{unsupported("%s of %s is a canonical, which is not followed", p.Code, typ)}
	}
	return targetsOf(p), nil
}

// has reads what stands after `_has:`.
func (s *reader) has(typ r4.TypeID, name string, alternatives []string, hops int) (Filter, error) {
	parts := strings.SplitN(name, ":", 3)
	if len(parts) < 3 || parts[2] == "" {
		return nil, malformed("expected _has:Type:reference:parameter")
	}
	from := r4.ResourceTypeByName([]byte(parts[0]))
	if from == 0 {
		return nil, malformed("'%s' is no resource type; expected _has:Type:reference:parameter", fhir.Cut(parts[0]))
	}
	p, err := s.named(from, parts[1])
	if err != nil {
		return nil, present(err)
	}
	targets, err := s.follow(from, p)
	if err != nil {
		return nil, present(err)
	}
	if !slices.Contains(targets, typ) {
		return nil, absent{malformed("%s of %s does not refer to %s", p.Code, from, typ)}
	}
	if s.branches++; s.branches > s.limits.Branches {
		return nil, costly("the chains lead to more than %d types of resources", s.limits.Branches)
	}
	f, err := s.resolve(from, parts[2], alternatives, hops+1)
	if err != nil {
		return nil, present(err)
	}
	return Has{Select{Type: from, Where: []Filter{f}}, p}, nil
}

// list reads _list: the resource is an item of a List (Searching by list).
func (s *reader) list(typ r4.TypeID, modifier string, alternatives []string, hops int) (Filter, error) {
	if modifier != "" {
		return nil, noSuchModifier(modifier, "none")
	}
	p := s.Parameters.Parameter(r4.TypeList, "item")
	if p == nil {
		return nil, unknown(typ, "_list")
	}
	ids := make([]string, len(alternatives))
	for i, a := range alternatives {
		if strings.HasPrefix(a, "$") {
			return nil, unsupported("which List is meant by its function, as by '%s', R4 leaves to the server, and this one does not choose; name the List by its id", fhir.Cut(a))
		}
		id := strings.TrimPrefix(unescape(a), "List/")
		if !isID(id) {
			return nil, malformed("'%s' is no logical id of a List", fhir.Cut(a))
		}
		ids[i] = id
	}
	if s.values += len(ids); s.values > s.limits.Values {
		return nil, costly("the search has more than %d values", s.limits.Values)
	}
	return Has{Select{Type: r4.TypeList, Where: []Filter{ID{IDs: ids}}}, p}, nil
}

// leaf makes the filter of a parameter, without chains.
func (s *reader) leaf(typ r4.TypeID, p *search.Parameter, modifier string, alternatives []string) (Filter, error) {
	switch p.Origin {
	case search.OriginQuery:
		return nil, unsupported("it is not offered")
	case search.OriginText:
		return s.words(Narrative, modifier, alternatives)
	case search.OriginContent:
		return s.words(Content, modifier, alternatives)
	}
	if p.Origin == search.OriginCreated && s.Features&FirstStored == 0 || p.Origin == search.OriginEntities && s.Features&Entities == 0 {
		return nil, unsupported("it is not offered")
	}
	if modifier == "missing" {
		return missing(p, alternatives)
	}
	switch p.Origin {
	case search.OriginID:
		return ids(modifier, alternatives)
	case search.OriginUpdated, search.OriginCreated:
		if modifier != "" {
			return nil, noSuchModifier(modifier, "missing")
		}
		f := Stored{First: p.Origin == search.OriginCreated}
		for _, a := range alternatives {
			d, err := date(a)
			if err != nil {
				return nil, err
			}
			f.Times = append(f.Times, d)
		}
		return f, nil
	}
	m, one, err := s.test(typ, p, modifier)
	if err != nil {
		return nil, err
	}
	m.Values = make([]Value, len(alternatives))
	for i, a := range alternatives {
		if m.Values[i], err = one(a); err != nil {
			return nil, err
		}
	}
	if p.Type == r4.SearchURI && p.Code == "url" && modifier == "" {
		return s.versioned(typ, m), nil
	}
	return m, nil
}

// missing reads the modifier :missing.
func missing(p *search.Parameter, alternatives []string) (Filter, error) {
	if p.Type == r4.SearchComposite {
		return nil, noSuchModifier("missing", "none")
	}
	if len(alternatives) != 1 || alternatives[0] != "true" && alternatives[0] != "false" {
		return nil, malformed(":missing is '%s'; expected true or false", fhir.Cut(strings.Join(alternatives, ",")))
	}
	want := alternatives[0] == "true"
	if p.Origin != search.OriginRows && p.Origin != search.OriginEntities {
		return Constant(!want), nil // each resource has an id and the times of storing
	}
	return Missing{p, want}, nil
}

// ids reads _id, a token without a system.
func ids(modifier string, alternatives []string) (Filter, error) {
	if modifier != "" && modifier != "not" {
		return nil, noSuchModifier(modifier, "missing", "not")
	}
	f := ID{Not: modifier == "not"}
	for _, a := range alternatives {
		id := unescape(a)
		if !isID(id) {
			return nil, malformed("'%s' is no logical id; expected up to 64 letters, digits, points and dashes", fhir.Cut(a))
		}
		f.IDs = append(f.IDs, id)
	}
	return f, nil
}

// isID tells whether s is an id (2.24.0.1).
func isID(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// versioned makes of url=u|v a search for the URL and the version of a resource, which
// are two parameters (uri: canonical references).
func (s *reader) versioned(typ r4.TypeID, m Match) Filter {
	version := s.Parameters.Parameter(typ, "version")
	if version == nil || version.Type != r4.SearchToken || version.Origin != search.OriginRows {
		return m
	}
	var whole []Value
	var any AnyOf
	for _, v := range m.Values {
		u := v.(URI)
		if u.Version == "" {
			whole = append(whole, u)
			continue
		}
		any = append(any, AllOf{
			Match{Param: m.Param, Values: []Value{URI{URL: u.URL}}},
			Match{Param: version, Values: []Value{codeToken(u.Version)}},
		})
	}
	if len(any) == 0 {
		return m
	}
	if len(whole) > 0 {
		any = append(any, Match{Param: m.Param, Values: whole})
	}
	if len(any) == 1 {
		return any[0]
	}
	return any
}
