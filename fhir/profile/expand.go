package profile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// The limits of expansion, package invariant 3.
const (
	maxDerivations = 64     // profiles on the way to base R4
	maxElements    = 10_000 // elements and slices of one profile
	maxSteps       = 64     // steps of a path
)

// expander makes one profile.
type expander struct {
	res   Resource
	root  *Element
	count int
	// restrict says that what is applied is a differential, which may only
	// narrow what is there; a snapshot states the result.
	restrict bool
	last     []segment // of the element applied last
	slices   map[sliceKey]*Element
}

// sliceKey finds a slice, re-slices too, by the element that is sliced.
type sliceKey struct {
	of   *Element
	name string
}

// segment is a step of an element's id: component:systolic.
type segment struct{ name, slice string }

func (x *expander) fault(element, format string, args ...any) error {
	return &DefinitionError{Resource: x.res, Element: element, Reason: fmt.Sprintf(format, args...)}
}

// expand makes the profile of a definition: its snapshot, or its differential
// over the expanded base.
func (r *Registry) expand(res Resource, s *StructureDefinition) (*Profile, error) {
	x := &expander{res: res, slices: map[sliceKey]*Element{}}
	t, ok := r4.TypeByName(strings.TrimPrefix(s.Type, coreURL))
	if !ok || !IsProfile(s) {
		return nil, x.fault("", "its type '%s' is no type of R4", fhir.Cut(s.Type))
	}
	p := &Profile{URL: s.URL, Version: s.Version, Type: t, Definition: s, Resource: res}
	elements := s.Snapshot.Element
	depth := 1
	if len(elements) > 0 {
		x.root = &Element{Name: t.String(), ID: t.String(), root: t}
	} else {
		elements = s.Differential.Element
		x.restrict = true
		base, err := r.base(x, s, t)
		if err != nil {
			return nil, err
		}
		x.root, depth = base.Root.clone(), base.depth()+1
		if depth > maxDerivations {
			return nil, x.fault("", "more than %d derivations lie between it and base R4", maxDerivations)
		}
	}
	x.root.derivations = depth
	x.index(x.root)
	for i := range elements {
		if err := x.apply(&elements[i]); err != nil {
			return nil, err
		}
	}
	if err := x.checkSlicing(x.root); err != nil {
		return nil, err
	}
	p.Root = x.root
	return p, nil
}

// index notes the slices that a base has.
func (x *expander) index(e *Element) {
	for _, s := range e.Slices {
		x.slices[sliceKey{e.unsliced(), s.SliceName}] = s
		x.index(s)
	}
	for _, c := range e.Children {
		x.index(c)
	}
}

func (p *Profile) depth() int { return p.Root.derivations }

// base finds what the differential of s is over.
func (r *Registry) base(x *expander, s *StructureDefinition, t r4.TypeID) (*Profile, error) {
	if b, ok := baseType(s.BaseDefinition); ok {
		if b != t && !derives(t, b) {
			return nil, x.fault("", "its type is %s, but its base is of type %s", t, b)
		}
		return &Profile{Type: t, Root: &Element{Name: t.String(), ID: t.String(), root: t}}, nil
	}
	b, err := r.profile(s.BaseDefinition)
	if errors.Is(err, ErrUnknown) {
		return nil, &DefinitionError{
			Resource: x.res, Reason: fmt.Sprintf("its base %s is not known here; add that definition too", fhir.Cut(s.BaseDefinition)), cause: ErrUnknown,
		}
	}
	if err != nil {
		var d *DefinitionError
		if errors.As(err, &d) && d.Resource.URL == s.URL {
			return nil, err
		}
		return nil, x.fault("", "its base cannot be used: %s", err)
	}
	if b.Type != t && !derives(t, b.Type) {
		return nil, x.fault("", "its type is %s, but its base %s is of type %s", t, fhir.Cut(b.URL), b.Type)
	}
	return b, nil
}

// derives tells whether type t is a specialization of base.
func derives(t, base r4.TypeID) bool {
	for t != 0 && t != base {
		t = r4.TypeAt(t).Base
	}
	return t == base
}

// apply merges one element definition into the tree.
func (x *expander) apply(d *ElementDefinition) error {
	name := d.ID
	if name == "" {
		name = d.Path
	}
	segments, err := x.segments(d)
	if err != nil {
		return x.fault(name, "%s", err)
	}
	x.last = segments
	e := x.root
	for i, s := range segments[1:] {
		if e, err = x.child(e, s.name); err != nil {
			return x.fault(name, "%s", err)
		}
		if s.slice != "" {
			if e, err = x.slice(e, s.slice); err != nil {
				return x.fault(name, "%s", err)
			}
		}
		if i == len(segments)-2 {
			e.ID = name
		}
	}
	if err := x.merge(e, d); err != nil {
		return x.fault(name, "%s", err)
	}
	return nil
}

// segments finds the way to an element: by its id, which names all slices on it
// (FHIR R4, 2.28.0.4), or by its place in the list, where an element belongs to
// the slice that its path was last seen in.
func (x *expander) segments(d *ElementDefinition) ([]segment, error) {
	names := strings.Split(d.Path, ".")
	if names[0] != x.root.Name {
		return nil, fmt.Errorf("path '%s' does not begin with the type %s", fhir.Cut(d.Path), x.root.Name)
	}
	if len(names) > maxSteps {
		return nil, fmt.Errorf("path has %d steps; at most %d are allowed", len(names), maxSteps)
	}
	out := make([]segment, len(names))
	if steps := strings.Split(d.ID, "."); len(steps) == len(names) {
		byID := true
		for i, step := range steps {
			name, slice, _ := strings.Cut(step, ":")
			out[i] = segment{name, slice}
			byID = byID && (name == names[i] || strings.HasSuffix(name, "[x]") && strings.HasPrefix(names[i], name[:len(name)-3]))
		}
		if byID {
			end := &out[len(out)-1]
			if end.slice == "" {
				end.slice = d.SliceName
			}
			return out, nil
		}
	}
	same := true
	for i, n := range names {
		out[i] = segment{name: n}
		same = same && i < len(x.last) && x.last[i].name == n
		if same && i < len(names)-1 {
			out[i].slice = x.last[i].slice
		}
	}
	out[len(out)-1].slice = d.SliceName
	return out, nil
}

func (x *expander) grow() error {
	if x.count++; x.count > maxElements {
		return fmt.Errorf("the profile has more than %d elements", maxElements)
	}
	return nil
}

// child finds or makes the child of a name.
func (x *expander) child(parent *Element, name string) (*Element, error) {
	if c := parent.Child(name); c != nil {
		return c, nil
	}
	props, choice, variant := propsOf(parent.ValueTypes(), name)
	if len(props) == 0 {
		return nil, fmt.Errorf("%s has no element '%s'", typeNames(parent.ValueTypes()), fhir.Cut(name))
	}
	if variant {
		c, err := x.child(parent, choice)
		if err != nil {
			return nil, err
		}
		return x.slice(c, name)
	}
	if err := x.grow(); err != nil {
		return nil, err
	}
	b := r4.ElementAt(props[0])
	base := Range{int(b.Min), int(b.Max)}
	c := &Element{ID: parent.ID + "." + name, Name: name, Props: props, Base: base, Range: base}
	parent.Children = append(parent.Children, c)
	return c, nil
}

// slice finds or makes a slice. A name a/b is of a slice of the slice a.
func (x *expander) slice(e *Element, name string) (*Element, error) {
	key := sliceKey{e.unsliced(), name}
	if s := x.slices[key]; s != nil {
		return s, nil
	}
	if err := x.grow(); err != nil {
		return nil, err
	}
	outer := e
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		if s := x.slices[sliceKey{key.of, name[:i]}]; s != nil {
			outer = s
		}
	}
	s := &Element{
		ID: e.ID + ":" + name, Name: e.Name, SliceName: name, Props: e.Props, outer: outer,
		Base: e.Base, Range: Range{0, r4.Unbounded},
	}
	if e.IsChoice() {
		if i := slices.IndexFunc(e.Props, func(p r4.ElementID) bool { return r4.ElementAt(p).Name == name }); i >= 0 {
			s.Props = e.Props[i : i+1 : i+1]
		}
	}
	outer.Slices = append(outer.Slices, s)
	x.slices[key] = s
	return s, nil
}

// merge adds what d says to e.
func (x *expander) merge(e *Element, d *ElementDefinition) error {
	if err := x.mergeRange(e, d); err != nil {
		return err
	}
	if len(d.Type) > 0 && e != x.root {
		if err := mergeTypes(e, d.Type); err != nil {
			return err
		}
	}
	if x.restrict && d.Fixed != nil && e.Fixed != nil && !bytes.Equal(d.Fixed.JSON, e.Fixed.JSON) {
		return fmt.Errorf("value is fixed to %s, but its base fixes it to %s", fhir.Cut(string(d.Fixed.JSON)), fhir.Cut(string(e.Fixed.JSON)))
	}
	set(&e.Fixed, d.Fixed)
	set(&e.Pattern, d.Pattern)
	set(&e.MinValue, d.MinValue)
	set(&e.MaxValue, d.MaxValue)
	set(&e.Binding, d.Binding)
	if d.MaxLength > 0 {
		e.MaxLength = d.MaxLength
	}
	if d.Slicing != nil {
		e.Slicing = d.Slicing
	}
	for _, c := range d.Constraint {
		if i := slices.IndexFunc(e.Constraints, func(o Constraint) bool { return o.Key == c.Key }); i >= 0 {
			e.Constraints[i] = c
		} else {
			e.Constraints = append(e.Constraints, c)
		}
	}
	return nil
}

func set[T any](p **T, v *T) {
	if v != nil {
		*p = v
	}
}

func (x *expander) mergeRange(e *Element, d *ElementDefinition) error {
	if e == x.root {
		return nil // the cardinality of a resource says nothing
	}
	if d.Min != nil {
		if x.restrict && *d.Min < e.Range.Min {
			return fmt.Errorf("min %d is less than the %d of its base", *d.Min, e.Range.Min)
		}
		e.Range.Min = *d.Min
	}
	if d.Max != "" {
		n, err := d.Max.Number()
		if err != nil {
			return err
		}
		if x.restrict && n > e.Range.Max {
			return fmt.Errorf("max %s is more than the %s of its base", d.Max, FormatMax(e.Range.Max))
		}
		e.Range.Max = n
	}
	if e.Range.Min > e.Range.Max {
		return fmt.Errorf("min %d is more than max %d", e.Range.Min, e.Range.Max)
	}
	return nil
}

// mergeTypes narrows the types of e to refs.
func mergeTypes(e *Element, refs []TypeRef) error {
	for _, ref := range refs {
		if _, ok := r4.TypeByName(strings.TrimPrefix(ref.Code, coreURL)); !ok && !strings.HasPrefix(ref.Code, "http://hl7.org/fhirpath/") {
			return fmt.Errorf("type '%s' is no type of R4", fhir.Cut(ref.Code))
		}
	}
	if e.IsChoice() {
		var props []r4.ElementID
		for _, p := range e.Props {
			if allows(refs, r4.ElementAt(p).Type) {
				props = append(props, p)
			}
		}
		if len(props) == 0 {
			return fmt.Errorf("none of its types is one that its base allows")
		}
		if e.SliceName != "" {
			e.Props = props
		}
	}
	e.Types = refs
	return nil
}

func typeNames(types []r4.TypeID) string {
	if len(types) == 0 {
		return "the parent"
	}
	names := make([]string, 0, 3)
	for i, t := range types {
		if i == 3 {
			return strings.Join(names, ", ") + " ..."
		}
		names = append(names, t.String())
	}
	return strings.Join(names, ", ")
}

var (
	byURL  = &Slicing{Discriminator: []Discriminator{{"value", "url"}}, Rules: "open"}
	byType = &Slicing{Discriminator: []Discriminator{{"type", "$this"}}, Rules: "open"}
	untold = &Slicing{Rules: "open"} // what is in a slice cannot be told
)

// checkSlicing gives every sliced element its slicing and checks that its
// discriminators lead somewhere.
func (x *expander) checkSlicing(e *Element) error {
	if e.Slicing == nil && len(e.Slices) > 0 {
		switch {
		case e.outer != nil:
			e.Slicing = e.outer.Slicing // of re-slices, unless they say otherwise
		case e.IsChoice():
			e.Slicing = byType
		case e.Name == "extension" || e.Name == "modifierExtension":
			e.Slicing = byURL
		default:
			e.Slicing = untold // definitions of R4 itself have such
		}
	}
	if e.Slicing != nil {
		for _, d := range e.Slicing.Discriminator {
			if err := checkDiscriminator(e, d); err != nil {
				return x.fault(e.ID, "%s", err)
			}
		}
	}
	for _, list := range [][]*Element{e.Slices, e.Children} {
		for _, c := range list {
			if err := x.checkSlicing(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkDiscriminator(e *Element, d Discriminator) error {
	if !slices.Contains([]string{"value", "exists", "pattern", "type", "profile"}, d.Type) {
		return fmt.Errorf("discriminator type '%s' is none of value, exists, pattern, type, profile", fhir.Cut(d.Type))
	}
	steps, err := ParsePath(d.Path)
	if err != nil {
		return err
	}
	types := e.ValueTypes()
	for _, s := range steps {
		switch s.Kind {
		case StepResolve:
			return nil // what it leads to may have any type
		case StepExtension:
			types = []r4.TypeID{r4.TypeExtension}
		case StepOfType:
			types = []r4.TypeID{s.Type}
		case StepChild:
			props := PathProps(types, s.Name)
			if len(props) == 0 {
				return fmt.Errorf("discriminator path '%s' leads nowhere: %s has no element '%s'", fhir.Cut(d.Path), typeNames(types), fhir.Cut(s.Name))
			}
			types = nil
			for _, p := range props {
				if t := r4.ElementAt(p).Type; !slices.Contains(types, t) {
					types = append(types, t)
				}
			}
		}
	}
	return nil
}
