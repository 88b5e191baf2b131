package profiles

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// structureDefinition checks that a profile can be derived from its base: that its
// differential names elements that are there and narrows what they allow (FHIR
// R4, 5.3.4). A base that is not known here is information.
func (c *Checker) structureDefinition(n fhir.NodeID) {
	text := c.tree.JSON(n)
	var d profile.StructureDefinition
	// What is not of the right form has been reported by others.
	if json.Unmarshal(text, &d) != nil || d.Derivation != "constraint" || !profile.IsProfile(&d) {
		return
	}
	res := profile.Resource{Type: "StructureDefinition", URL: d.URL, Version: d.Version, JSON: bytes.Clone(text)}
	p, err := c.set.registry.Expand(res)
	var notes []error
	if err == nil {
		k := newCompiler(c.set.registry, p)
		_, err = k.plan()
		notes = k.notes
	}
	switch {
	case errors.Is(err, profile.ErrUnknown):
		c.note(nil, n, fhir.Information, fhir.CodeNotFound, "the profile is not checked: %s", []any{reason(err)})
	case err != nil:
		c.fault(nil, n, fhir.CodeInvalid, "the profile cannot be used: %s", reason(err))
	}
	for _, note := range notes {
		c.note(nil, n, fhir.Warning, fhir.CodeInvalid, "%s", []any{reason(note)})
	}
}

// reason gives a fault of a definition without the name of that definition.
func reason(err error) string {
	var d *profile.DefinitionError
	if !errors.As(err, &d) {
		return err.Error()
	}
	if d.Element == "" {
		return d.Reason
	}
	return "element " + show([]byte(d.Element)) + ": " + d.Reason
}

// operation is the part of an OperationDefinition that its profiles repeat.
type operation struct {
	InputProfile  string
	OutputProfile string
	Parameter     []operationParameter
}

type operationParameter struct {
	Name          string
	Use           string
	Min           int
	Max           string
	Type          string
	TargetProfile []string
}

// operationDefinition checks that the profiles of an operation's parameters say
// of each parameter what the operation does (FHIR R4, OperationDefinition
// .inputProfile).
func (c *Checker) operationDefinition(n fhir.NodeID) {
	var o operation
	if json.Unmarshal(c.tree.JSON(n), &o) != nil {
		return
	}
	c.parameterProfile(n, o.Parameter, "in", o.InputProfile, "inputProfile")
	c.parameterProfile(n, o.Parameter, "out", o.OutputProfile, "outputProfile")
}

func (c *Checker) parameterProfile(n fhir.NodeID, list []operationParameter, use, url, member string) {
	if url == "" {
		return
	}
	p, err := c.set.registry.Profile(url)
	if err != nil || p.Type != r4.TypeParameters {
		return
	}
	all := p.Root.Child("parameter")
	if all == nil {
		return
	}
	at := c.tree.Child(n, r4.TypeOperationDefinition.ElementByName(member))
	for _, slice := range all.Slices {
		name := slice.Child("name")
		if name == nil || name.Fixed == nil {
			continue
		}
		for i := range list {
			if o := &list[i]; o.Use == use && string(name.Fixed.JSON) == `"`+o.Name+`"` {
				c.sameParameter(at, o, slice)
			}
		}
	}
}

// sameParameter compares a parameter with its slice in a profile.
func (c *Checker) sameParameter(n fhir.NodeID, o *operationParameter, slice *profile.Element) {
	name := show([]byte(o.Name))
	if slice.Range.Min != o.Min {
		c.fault(nil, n, fhir.CodeInvalid, "parameter %s: min is %d in the profile and %d in the operation", name, slice.Range.Min, o.Min)
	}
	if most, err := profile.Max(o.Max).Number(); err == nil && slice.Range.Max != most {
		c.fault(nil, n, fhir.CodeInvalid, "parameter %s: max is %s in the profile and %s in the operation", name, profile.FormatMax(slice.Range.Max), show([]byte(o.Max)))
	}
	var types, targets []string
	for _, part := range []string{"value[x]", "resource"} {
		e := slice.Child(part)
		if e == nil || e.Range.Max == 0 {
			continue
		}
		for _, ref := range e.Types {
			types = append(types, ref.Code)
			targets = append(targets, ref.TargetProfile...)
			if part == "resource" {
				targets = append(targets, ref.Profile...)
			}
		}
	}
	if len(types) == 0 {
		return
	}
	abstract := o.Type == "Resource" || o.Type == "Element" || o.Type == "Any" || o.Type == ""
	if !abstract && !slices.Contains(types, o.Type) {
		c.fault(nil, n, fhir.CodeInvalid, "parameter %s: type is %s in the profile and %s in the operation", name, strings.Join(types, ", "), show([]byte(o.Type)))
	}
	slices.Sort(targets)
	want := slices.Sorted(slices.Values(o.TargetProfile))
	if !abstract && slices.Contains(types, o.Type) && !slices.Equal(targets, want) {
		c.fault(nil, n, fhir.CodeInvalid, "parameter %s: target profiles are %d in the profile and %d in the operation, or not the same", name, len(targets), len(want))
	}
}
