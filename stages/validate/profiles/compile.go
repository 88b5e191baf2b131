package profiles

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhirpath"
)

// compiler makes the plan of one profile.
type compiler struct {
	registry *profile.Registry
	profile  *profile.Profile
	err      error   // the profile cannot be used
	notes    []error // a part of it is left out
}

func newCompiler(r *profile.Registry, p *profile.Profile) *compiler {
	return &compiler{registry: r, profile: p}
}

// fault keeps the first fault.
func (k *compiler) fault(e *profile.Element, format string, args ...any) {
	if k.err == nil {
		k.err = k.at(e, format, args...)
	}
}

func (k *compiler) at(e *profile.Element, format string, args ...any) error {
	return &profile.DefinitionError{Resource: k.profile.Resource, Element: e.ID, Reason: fmt.Sprintf(format, args...)}
}

func (k *compiler) plan() (*plan, error) {
	p := &plan{url: k.profile.URL, typ: k.profile.Type, context: k.profile.Definition.Context}
	p.root = k.rules(k.profile.Root, &profile.Element{})
	if p.root == nil {
		p.root = &rules{}
	}
	return p, k.err
}

// rules compiles what an element asks of its values; nil for nothing beyond base
// R4 and beyond over. That is the element which e is a slice of, or the same child
// of it: values are held to it too, and snapshots repeat in a slice what it says.
func (k *compiler) rules(e, over *profile.Element) *rules {
	r := &rules{}
	if e.MaxLength != over.MaxLength {
		r.maxLength = e.MaxLength
	}
	var err error
	if !sameValue(e.Fixed, over.Fixed) {
		if r.fixed, err = newPattern(e.Fixed, true); err != nil {
			k.fault(e, "%s", err)
		}
	}
	if !sameValue(e.Pattern, over.Pattern) {
		if r.pattern, err = newPattern(e.Pattern, false); err != nil {
			k.fault(e, "%s", err)
		}
	}
	k.limits(e, r)
	if b := e.Binding; over.Binding == nil || b == nil || b.Strength != over.Binding.Strength || b.ValueSet != over.Binding.ValueSet {
		r.bindings = newBindings(k.registry, b, k.baseBinding(e))
	}
	if e != k.profile.Root && !sameTypes(e.Types, over.Types) {
		k.types(e, r)
	}
	r.invariants = k.invariants(e, over)
	for _, c := range e.Children {
		below := over.Child(c.Name)
		if below == nil {
			below = &profile.Element{Range: c.Base}
		}
		if f := k.field(c, below); f != nil {
			r.fields = append(r.fields, *f)
		}
	}
	r.indexFields()
	if r.fixed == nil && r.pattern == nil && len(r.limits) == 0 && r.maxLength == 0 && len(r.bindings) == 0 && r.targets == nil &&
		len(r.types) == 0 && len(r.profiles) == 0 && len(r.invariants) == 0 && len(r.fields) == 0 {
		return nil
	}
	return r
}

func (k *compiler) limits(e *profile.Element, r *rules) {
	for i, v := range []*profile.Value{e.MinValue, e.MaxValue} {
		if v == nil {
			continue
		}
		l, err := newLimit(v, i == 1)
		if err != nil {
			k.fault(e, "%s", err)
		}
		r.limits = append(r.limits, l)
	}
}

func sameValue(a, b *profile.Value) bool {
	return a == nil || b != nil && bytes.Equal(a.JSON, b.JSON)
}

func sameTypes(a, b []profile.TypeRef) bool {
	return slices.EqualFunc(a, b, func(a, b profile.TypeRef) bool {
		return a.Code == b.Code && slices.Equal(a.Profile, b.Profile) && slices.Equal(a.TargetProfile, b.TargetProfile) && slices.Equal(a.Aggregation, b.Aggregation)
	})
}

func (k *compiler) baseBinding(e *profile.Element) *r4.Binding {
	if len(e.Props) == 0 {
		return &r4.Binding{}
	}
	return &r4.ElementAt(e.Props[0]).Binding
}

// types compiles what an element says of types, profiles on them and targets.
func (k *compiler) types(e *profile.Element, r *rules) {
	for i := range e.Types {
		ref := &e.Types[i]
		t, ok := r4.TypeByName(ref.Code)
		if !ok {
			continue
		}
		if r4.TypeAt(t).Kind == r4.KindResource && t != r4.TypeResource {
			r.types = append(r.types, t)
		}
		var urls []string
		for _, url := range ref.Profile {
			if !profile.IsBase(url) && k.registry.Structure(url) != nil {
				urls = append(urls, url)
			}
		}
		// With one that is not known here, it cannot be told that none fits.
		if len(urls) > 0 && len(urls) == len(ref.Profile) {
			r.profiles = append(r.profiles, typeProfiles{t, urls})
		}
		if t == r4.TypeReference {
			r.targets = newTargets(k.registry, ref, baseTargets(e))
		}
	}
	if slices.ContainsFunc(e.Types, func(t profile.TypeRef) bool { return t.Code == "Resource" }) {
		r.types = nil
	}
}

func baseTargets(e *profile.Element) []r4.TypeID {
	for _, p := range e.Props {
		if el := r4.ElementAt(p); el.Type == r4.TypeReference {
			return el.Targets
		}
	}
	return nil
}

// field compiles a child; nil for nothing beyond base R4 and beyond over.
func (k *compiler) field(e, over *profile.Element) *field {
	f := &field{name: strings.TrimSuffix(e.Name, "[x]"), props: newProps(e.Props), max: r4.Unbounded}
	if e.Range.Min > e.Base.Min && e.Range.Min > over.Range.Min {
		f.min = e.Range.Min
	}
	if e.Range.Max < e.Base.Max && e.Range.Max < over.Range.Max {
		f.max = e.Range.Max
	}
	if e.IsChoice() && len(e.Types) > 0 && !sameTypes(e.Types, over.Types) {
		types := e.ValueTypes()
		var allowed []r4.ElementID
		for _, p := range e.Props {
			if slices.Contains(types, r4.ElementAt(p).Type) {
				allowed = append(allowed, p)
			}
		}
		if len(allowed) < len(e.Props) {
			f.allowed, f.narrow = newProps(allowed), true
		}
	}
	f.rules = k.rules(e, over)
	f.slicing = k.slicing(e)
	if f.min == 0 && f.max == r4.Unbounded && !f.narrow && f.rules == nil && f.slicing == nil {
		return nil
	}
	return f
}

// invariants compiles the constraints that are those neither of base R4 nor of
// over.
func (k *compiler) invariants(e, over *profile.Element) []invariant {
	var out []invariant
	for _, c := range e.Constraints {
		if c.Expression == "" || inBase(&c) || slices.Contains(over.Constraints, c) {
			continue
		}
		var o fhirpath.Options
		if types := e.ValueTypes(); len(types) == 1 && r4.TypeAt(types[0]).Kind != r4.KindPrimitive && !r4.TypeAt(types[0]).Abstract {
			o.Type = types[0]
		}
		program, err := fhirpath.Compile(c.Expression, o)
		if err != nil {
			k.notes = append(k.notes, k.at(e, "constraint %s is not checked: %s", show([]byte(c.Key)), err))
			continue
		}
		severity := fhir.Error
		if c.Severity == "warning" {
			severity = fhir.Warning
		}
		out = append(out, invariant{key: c.Key, severity: severity, human: c.Human, program: program})
	}
	return out
}

// baseKeys finds the constraints of base R4 by key.
var baseKeys = func() map[string][]uint16 {
	m := map[string][]uint16{}
	for i := 1; i < r4.NumConstraints(); i++ {
		key := r4.ConstraintAt(uint16(i)).Key
		m[key] = append(m[key], uint16(i))
	}
	return m
}()

// inBase tells whether a snapshot repeats a constraint of base R4, which has been
// checked. Expressions differ by corrections between versions, so the source
// counts, and of those of every element and resource the key.
func inBase(c *profile.Constraint) bool {
	ids := baseKeys[c.Key]
	if len(ids) == 0 {
		return false
	}
	if profile.IsBase(c.Source) || c.Key == "ele-1" || c.Key == "ext-1" || strings.HasPrefix(c.Key, "dom-") {
		return true
	}
	return slices.ContainsFunc(ids, func(i uint16) bool { return r4.ConstraintAt(i).Expression == c.Expression })
}

func withoutVersion(canonical string) string {
	url, _, _ := strings.Cut(canonical, "|")
	return url
}
