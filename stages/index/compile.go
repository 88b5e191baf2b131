package index

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/fhirpath"
)

// typeProgram is all groups of a resource type, compiled.
type typeProgram struct {
	set     *fhirpath.Set
	outputs []output // by the number of the program in set
	foci    []focusProgram
}

// output is what becomes of the items of a program: values of a group, or, when
// group is nil, items that the program of a focus runs on.
type output struct {
	group *group
	focus int32
}

// focusProgram is the groups that are evaluated from the items of one expression,
// which composite parameters bind.
type focusProgram struct {
	set     *fhirpath.Set
	outputs []output
}

// group is a value group as the worker needs it.
type group struct {
	kind       search.Kind
	main       search.GroupID
	text       search.GroupID
	ofType     search.GroupID
	identifier search.GroupID
	latitude   search.GroupID
	longitude  search.GroupID
	toType     []toType // identifiers of references to one type
}

type toType struct {
	target r4.TypeID
	id     search.GroupID
}

func newGroup(g *search.Group) *group {
	c := &group{kind: g.Kind, main: g.ID(search.Main)}
	switch g.Kind {
	case search.KindToken:
		c.text, c.ofType = g.ID(search.FacetText), g.ID(search.FacetOfType)
	case search.KindReference:
		c.identifier = g.ID(search.FacetIdentifier)
		for _, t := range g.Targets {
			c.toType = append(c.toType, toType{t, g.IdentifiersOf(t)})
		}
	case search.KindNumber:
		c.latitude, c.longitude = g.ID(search.FacetLatitude), g.ID(search.FacetLongitude)
	}
	return c
}

func options(t r4.TypeID) fhirpath.Options { return fhirpath.Options{Type: t, LenientAs: true} }

// Check tells whether a group of a custom parameter can be evaluated. Give it to
// [search.NewTable]. A path that R4 does not have is an error too, and one whose values
// the kind of the parameter never takes.
func Check(typ r4.TypeID, g *search.Group) error {
	from, expression := typ, g.Expression
	if g.Focus != "" {
		if err := try(typ, g.Focus); err != nil {
			return err
		}
		from = typeOfPath(g.Focus)
	}
	if err := try(from, expression); err != nil {
		return err
	}
	if g.Focus != "" || !g.Custom { // some of R4's have terms of types without values
		return nil
	}
	types := search.Datatypes(expression)
	if len(types) > 0 && !slices.ContainsFunc(types, func(t r4.TypeID) bool { return takes(g.Kind, t) }) {
		return fmt.Errorf("its values are of type %s, which a search parameter of type %s does not take", types[0], g.Kind)
	}
	return nil
}

// takes tells whether values of a datatype give rows of a kind (invariant 3).
func takes(k search.Kind, t r4.TypeID) bool {
	primitive := r4.TypeAt(t).Kind == r4.KindPrimitive
	switch k {
	case search.KindToken:
		return primitive || slices.Contains([]r4.TypeID{r4.TypeCodeableConcept, r4.TypeCoding, r4.TypeIdentifier, r4.TypeContactPoint}, t)
	case search.KindString:
		return primitive || slices.Contains([]r4.TypeID{
			r4.TypeHumanName, r4.TypeAddress, r4.TypeCodeableConcept, r4.TypeCoding, r4.TypeReference, r4.TypeContactPoint,
		}, t)
	case search.KindDate:
		return slices.Contains([]r4.TypeID{r4.TypeDate, r4.TypeDateTime, r4.TypeInstant, r4.TypePeriod, r4.TypeTiming}, t)
	case search.KindNumber:
		return slices.Contains([]r4.TypeID{r4.TypeInteger, r4.TypeUnsignedInt, r4.TypePositiveInt, r4.TypeDecimal, r4.TypeRange}, t)
	case search.KindQuantity:
		return quantities[t] != nil || t == r4.TypeMoney || t == r4.TypeRange || takes(search.KindNumber, t)
	case search.KindReference:
		return t == r4.TypeReference || t == r4.TypeResource || t.IsResourceType() || takes(search.KindURI, t) && t != r4.TypeString
	case search.KindURI:
		return primitive
	}
	return false
}

func try(typ r4.TypeID, expression string) error {
	o := options(typ)
	o.Strict = true
	_, err := fhirpath.Compile(expression, o)
	return err
}

// compile compiles the groups of a type.
func compile(typ r4.TypeID, groups []*search.Group) (*typeProgram, error) {
	p := &typeProgram{}
	var expressions, foci []string
	parts := map[string][]*search.Group{}
	for _, g := range groups {
		if g.Focus == "" {
			expressions = append(expressions, g.Expression)
			p.outputs = append(p.outputs, output{group: newGroup(g)})
			continue
		}
		if parts[g.Focus] == nil {
			foci = append(foci, g.Focus)
		}
		parts[g.Focus] = append(parts[g.Focus], g)
	}
	for i, focus := range foci {
		expressions = append(expressions, focus)
		p.outputs = append(p.outputs, output{focus: int32(i)})
		f := focusProgram{}
		var inner []string
		for _, g := range parts[focus] {
			inner = append(inner, g.Expression)
			f.outputs = append(f.outputs, output{group: newGroup(g)})
		}
		var err error
		if f.set, err = fhirpath.CompileSet(inner, options(typeOfPath(focus))); err != nil {
			return nil, fmt.Errorf("index: search parameters of %s: %w", typ, err)
		}
		p.foci = append(p.foci, f)
	}
	var err error
	if p.set, err = fhirpath.CompileSet(expressions, options(typ)); err != nil {
		return nil, fmt.Errorf("index: search parameters of %s: %w", typ, err)
	}
	return p, nil
}

// typeOfPath gives the type of the items of a path that is names alone, from the name
// of a resource type on; 0 for any other expression, or when it is one of several.
func typeOfPath(path string) r4.TypeID {
	names := strings.Split(path, ".")
	t := r4.ResourceTypeByName([]byte(names[0]))
	for _, name := range names[1:] {
		if t == 0 {
			return 0
		}
		t = r4.ElementAt(t.ElementByName(name)).Type
	}
	return t
}
