package profiles

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// slicing compiles the slices of an element; nil when they ask for nothing.
func (k *compiler) slicing(e *profile.Element) *slicing {
	if e.Slicing == nil || len(e.Slices) == 0 && e.Slicing.Rules != "closed" {
		return nil
	}
	s := &slicing{ordered: e.Slicing.Ordered}
	switch e.Slicing.Rules {
	case "closed":
		s.rules = closed
	case "openAtEnd":
		s.rules = openAtEnd
	}
	for _, x := range e.Slices {
		sl := slice{name: x.SliceName, min: x.Range.Min, max: x.Range.Max, others: x.SliceName == "@default"}
		sl.rules = k.rules(x, e)
		if len(x.Slices) > 0 {
			sl.sub = k.slicing(x)
		}
		if !sl.others {
			for _, d := range e.Slicing.Discriminator {
				sl.matchers = append(sl.matchers, k.matcher(x, d))
			}
		}
		// A discriminator that the slice says nothing of tells nothing of it; the
		// others do. When there are none, what is in the slice cannot be told.
		if said := slices.DeleteFunc(slices.Clone(sl.matchers), func(m matcher) bool { return m.kind == matchUnknown }); len(said) > 0 {
			sl.matchers = said
		} else if !sl.others {
			sl.matchers = []matcher{{}}
		}
		s.slices = append(s.slices, sl)
	}
	if s.rules == open && !s.ordered && !slices.ContainsFunc(s.slices, func(sl slice) bool {
		return sl.min > 0 || sl.max < r4.Unbounded || sl.rules != nil || sl.sub != nil
	}) {
		return nil
	}
	s.byURL = urlSlices(e, s)
	return s
}

// urlSlices finds the slices of extensions by url, when that is what tells them
// apart.
func urlSlices(e *profile.Element, s *slicing) map[string]int {
	if d := e.Slicing.Discriminator; len(d) != 1 || d[0].Type != "value" && d[0].Type != "pattern" || d[0].Path != "url" ||
		e.Name != "extension" && e.Name != "modifierExtension" {
		return nil
	}
	m := map[string]int{}
	for i := range s.slices {
		ms := s.slices[i].matchers
		if len(ms) != 1 || ms[0].kind != matchPattern || len(ms[0].patterns) != 1 {
			return nil
		}
		p := ms[0].patterns[0].pattern
		if _, ok := m[string(p.text)]; ok || len(ms[0].patterns[0].steps) > 0 {
			return nil
		}
		m[string(p.text)] = i
	}
	return m
}

// place is what the definitions say of one place within a slice: those of the
// slice, of what it is a slice of, and of the profiles of their types.
type place struct {
	elements []*profile.Element
	types    []r4.TypeID
	targets  []string        // of a reference that was followed: the profiles of what it leads to
	value    json.RawMessage // what a fixed or pattern value further up says; nil for nothing
	exact    bool
}

// matcher compiles one discriminator for a slice.
func (k *compiler) matcher(x *profile.Element, d profile.Discriminator) matcher {
	path, err := profile.ParsePath(d.Path)
	if err != nil {
		k.fault(x, "%s", err)
		return matcher{}
	}
	at := place{elements: k.around([]*profile.Element{x}), types: x.ValueTypes()}
	if m, ok := extensionURL(x, at, path); ok {
		return m
	}
	if d.Type == "type" && len(path) == 0 && x.IsChoice() {
		return k.choiceMatcher(x)
	}
	m := matcher{}
	for _, s := range path {
		m.steps = append(m.steps, at.step(s))
		at = k.down(at, s)
	}
	switch d.Type {
	case "value", "pattern":
		k.valueMatcher(&m, at)
	case "exists":
		existsMatcher(&m, at)
	case "type":
		m.types = at.types
		if len(at.elements) > 0 || len(m.types) > 0 && path[len(path)-1].Kind == profile.StepResolve {
			m.kind = matchType
		}
	case "profile":
		k.profileMatcher(&m, at)
	}
	return m
}

// extensionURL makes the matcher of an extension slice by its url, which need not
// be said: it is that of the extension's definition, known here or not.
func extensionURL(x *profile.Element, at place, path []profile.Step) (matcher, bool) {
	if len(path) != 1 || path[0].Kind != profile.StepChild || path[0].Name != "url" || !slices.Equal(at.types, []r4.TypeID{r4.TypeExtension}) {
		return matcher{}, false
	}
	for _, e := range at.elements {
		if c := e.Child("url"); c != nil && c.Fixed != nil {
			return matcher{}, false
		}
	}
	ref := x.TypeRef(r4.TypeExtension)
	if ref == nil || len(ref.Profile) != 1 {
		return matcher{}, false
	}
	text, _ := json.Marshal(withoutVersion(ref.Profile[0]))
	p, err := newPattern(&profile.Value{Type: r4.TypeUri, JSON: text}, true)
	return matcher{kind: matchPattern, steps: []step{at.step(path[0])}, patterns: []partPattern{{pattern: p}}}, err == nil
}

// choiceMatcher tells the variants of a choice apart by the element that holds
// them.
func (k *compiler) choiceMatcher(x *profile.Element) matcher {
	types := x.ValueTypes()
	var list []r4.ElementID
	for _, p := range x.Props {
		if slices.Contains(types, r4.ElementAt(p).Type) {
			list = append(list, p)
		}
	}
	return matcher{kind: matchProps, props: newProps(list)}
}

// around adds to elements what they are slices of and the roots of the profiles
// of their types.
func (k *compiler) around(elements []*profile.Element) []*profile.Element {
	var out []*profile.Element
	add := func(e *profile.Element) {
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	for _, e := range elements {
		for ; e != nil; e = e.Outer() {
			add(e)
			for _, ref := range e.Types {
				if len(ref.Profile) != 1 {
					continue
				}
				// The compiled profile itself may be among them: it is expanded by now.
				if p, err := k.registry.Profile(ref.Profile[0]); err == nil {
					add(p.Root)
				}
			}
		}
	}
	return out
}

// step compiles a step that begins at a place.
func (at *place) step(s profile.Step) step {
	out := step{kind: s.Kind, typ: s.Type}
	switch s.Kind {
	case profile.StepExtension:
		out.url = s.Name
	case profile.StepChild:
		out.props = newProps(profile.PathProps(at.types, s.Name))
	}
	return out
}

// down goes one step.
func (k *compiler) down(at place, s profile.Step) place {
	var next place
	switch s.Kind {
	case profile.StepOfType:
		next = at
		next.types = []r4.TypeID{s.Type}
		return next
	case profile.StepResolve:
		return k.resolved(at)
	}
	var children []*profile.Element
	for _, e := range at.elements {
		if s.Kind == profile.StepExtension {
			children = append(children, extensionSlices(e, s.Name)...)
		} else if c := e.Child(s.Name); c != nil {
			children = append(children, c)
		}
	}
	next.elements = k.around(children)
	if s.Kind == profile.StepExtension {
		next.types = []r4.TypeID{r4.TypeExtension}
		return next
	}
	next.types = narrowest(children)
	if len(next.types) == 0 {
		for _, p := range profile.PathProps(at.types, s.Name) {
			if t := r4.ElementAt(p).Type; !slices.Contains(next.types, t) {
				next.types = append(next.types, t)
			}
		}
	}
	next.value, next.exact = inherited(at, s.Name)
	return next
}

// resolved gives the place that the references at a place lead to.
func (k *compiler) resolved(at place) place {
	var next place
	for _, e := range at.elements {
		if ref := e.TypeRef(r4.TypeReference); ref != nil && len(ref.TargetProfile) > 0 {
			next.targets = ref.TargetProfile
			break
		}
	}
	for _, url := range next.targets {
		t := k.registry.TypeOf(url)
		if t == 0 {
			return place{} // what is not known here tells nothing
		}
		next.types = append(next.types, t)
	}
	if len(next.targets) == 1 {
		if p, err := k.registry.Profile(next.targets[0]); err == nil {
			next.elements = append(next.elements, p.Root)
		}
	}
	return next
}

// narrowest gives the types of the element that allows the fewest.
func narrowest(elements []*profile.Element) []r4.TypeID {
	var out []r4.TypeID
	for _, e := range elements {
		if t := e.ValueTypes(); out == nil || len(t) < len(out) {
			out = t
		}
	}
	return out
}

func extensionSlices(e *profile.Element, url string) []*profile.Element {
	list := e.Child("extension")
	if list == nil {
		return nil
	}
	var out []*profile.Element
	for _, x := range list.Slices {
		if ref := x.TypeRef(r4.TypeExtension); ref != nil && len(ref.Profile) == 1 && withoutVersion(ref.Profile[0]) == url {
			out = append(out, x)
		} else if c := x.Child("url"); c != nil && c.Fixed != nil && string(c.Fixed.JSON) == `"`+url+`"` {
			out = append(out, x)
		}
	}
	return out
}

// inherited gives what a fixed or pattern value at a place says of a child.
func inherited(at place, name string) (json.RawMessage, bool) {
	value, exact := at.value, at.exact
	for _, e := range at.elements {
		if v := e.Fixed; v != nil {
			value, exact = v.JSON, true
			break
		}
		if v := e.Pattern; v != nil {
			value, exact = v.JSON, false
			break
		}
	}
	var items []map[string]json.RawMessage
	var one map[string]json.RawMessage
	if json.Unmarshal(value, &one) == nil {
		items = append(items, one)
	} else if json.Unmarshal(value, &items) != nil {
		return nil, false
	}
	for _, members := range items {
		for key, v := range members {
			if rest, ok := strings.CutPrefix(key, name); ok && (rest == "" || rest[0] >= 'A' && rest[0] <= 'Z') {
				return v, exact
			}
		}
	}
	return nil, false
}

// valueMatcher compiles what the value at a place must be: fixed or a pattern
// there, further up or in parts, or a required binding.
func (k *compiler) valueMatcher(m *matcher, at place) {
	for _, e := range at.elements {
		v, exact := e.Fixed, true
		if v == nil {
			v, exact = e.Pattern, false
		}
		if v == nil {
			continue
		}
		p, err := newPattern(v, exact)
		if err != nil {
			k.fault(e, "%s", err)
			return
		}
		m.kind, m.patterns = matchPattern, []partPattern{{pattern: p}}
		return
	}
	if at.value != nil && len(at.types) > 0 {
		if p, err := newPattern(&profile.Value{Type: at.types[0], JSON: at.value}, at.exact); err == nil {
			m.kind, m.patterns = matchPattern, []partPattern{{pattern: unlist(p)}}
			return
		}
	}
	for _, e := range at.elements {
		k.parts(m, e, nil, at.types)
	}
	if len(m.patterns) > 0 {
		m.kind = matchPattern
		return
	}
	for _, e := range at.elements {
		if e.Binding == nil || e.Binding.Strength != "required" {
			continue
		}
		if set := k.registry.ValueSet(e.Binding.ValueSet); set != nil {
			m.kind, m.set = matchBinding, set
			return
		}
	}
}

// unlist gives the single item of an array, since matchers ask item by item.
func unlist(p *pattern) *pattern {
	if len(p.items) == 1 {
		return p.items[0]
	}
	return p
}

// parts collects the fixed and pattern values below an element.
func (k *compiler) parts(m *matcher, e *profile.Element, path []step, types []r4.TypeID) {
	for _, c := range e.Children {
		below := append(slices.Clip(path), step{kind: profile.StepChild, props: newProps(c.Props)})
		v, exact := c.Fixed, true
		if v == nil {
			v, exact = c.Pattern, false
		}
		if v != nil {
			p, err := newPattern(v, exact)
			if err != nil {
				k.fault(c, "%s", err)
				return
			}
			m.patterns = append(m.patterns, partPattern{below, p})
			continue
		}
		k.parts(m, c, below, types)
		for _, s := range c.Slices {
			if s.Range.Min > 0 {
				k.parts(m, s, below, types)
			}
		}
	}
}

func existsMatcher(m *matcher, at place) {
	for _, e := range at.elements {
		switch {
		case e.Range.Max == 0:
			m.kind, m.exists = matchExists, false
			return
		case e.Range.Min > 0 && len(e.Props) > 0:
			m.kind, m.exists = matchExists, true
			return
		}
	}
}

// profileMatcher compiles the profiles that the value at a place must conform to.
func (k *compiler) profileMatcher(m *matcher, at place) {
	for _, e := range at.elements {
		for i := range e.Types {
			ref := &e.Types[i]
			t, ok := r4.TypeByName(ref.Code)
			if !ok || slices.Contains(m.types, t) {
				continue
			}
			m.kind, m.types = matchProfile, append(m.types, t)
			if len(ref.Profile) > 0 {
				m.profiles = append(m.profiles, typeProfiles{t, ref.Profile})
			}
		}
	}
	for i, url := range at.targets {
		m.kind, m.types = matchProfile, at.types
		tp := typeProfiles{typ: at.types[i]}
		if !profile.IsBase(url) {
			tp.urls = []string{url}
		}
		m.profiles = append(m.profiles, tp)
	}
}
