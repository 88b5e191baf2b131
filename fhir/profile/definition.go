package profile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// StructureDefinition is the part of one that says what instances must be
// (FHIR R4, 5.3).
type StructureDefinition struct {
	URL            string
	Version        string
	Name           string
	Title          string
	Kind           string // resource, complex-type, primitive-type, logical
	Type           string
	BaseDefinition string
	Derivation     string // constraint, specialization
	FHIRVersion    string
	Context        []ExtensionContext // of an extension
	Snapshot       ElementList
	Differential   ElementList
}

// ElementList holds the elements of a snapshot or a differential.
type ElementList struct {
	Element []ElementDefinition
}

// ExtensionContext is a place where an extension may be used.
type ExtensionContext struct {
	Type       string // element, extension, fhirpath
	Expression string
}

// ElementDefinition is one element of a profile (FHIR R4, 2.28).
type ElementDefinition struct {
	ID               string
	Path             string
	SliceName        string
	Slicing          *Slicing
	Min              *int
	Max              Max
	Type             []TypeRef
	ContentReference string
	MaxLength        int
	Constraint       []Constraint
	Binding          *Binding

	Fixed    *Value // fixed[x]
	Pattern  *Value // pattern[x]
	MinValue *Value // minValue[x]
	MaxValue *Value // maxValue[x]
}

// Max is ElementDefinition.max: a number or "*"; "" when it is not given.
type Max string

// UnmarshalJSON takes a bare number as well, which definitions in use have.
func (m *Max) UnmarshalJSON(b []byte) error {
	*m = Max(bytes.Trim(b, `"`))
	return nil
}

// Number gives the value, [r4.Unbounded] for "*".
func (m Max) Number() (int, error) {
	if m == "*" {
		return r4.Unbounded, nil
	}
	n, err := strconv.Atoi(string(m))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("max '%s' is neither a number nor '*'", fhir.Cut(string(m)))
	}
	return min(n, r4.Unbounded), nil
}

// FormatMax is the inverse of [Max.Number].
func FormatMax(n int) string {
	if n == r4.Unbounded {
		return "*"
	}
	return strconv.Itoa(n)
}

// Value is a value of any type, as JSON.
type Value struct {
	Type r4.TypeID
	JSON json.RawMessage
}

// TypeRef is a type that an element may have.
type TypeRef struct {
	Code          string
	Profile       []string
	TargetProfile []string
	Aggregation   []string // contained, referenced, bundled
}

// Slicing says how the slices of an element are told apart (FHIR R4, 5.1.0.13).
type Slicing struct {
	Discriminator []Discriminator
	Ordered       bool
	Rules         string // open, closed, openAtEnd
}

// Discriminator is one criterion of a Slicing.
type Discriminator struct {
	Type string // value, exists, pattern, type, profile
	Path string // FHIRPath, restricted as in FHIR R4, 5.1.0.13
}

// Constraint is an invariant of a profile.
type Constraint struct {
	Key        string
	Severity   string // error, warning
	Human      string
	Expression string
	Source     string // canonical URL of the definition that it comes from
}

// Binding ties an element to value sets.
type Binding struct {
	Strength   string // required, extensible, preferred, example
	ValueSet   string // canonical URL
	Additional []AdditionalBinding
}

// AdditionalBinding is one more value set that a binding names (R5, and R4 by
// extension).
type AdditionalBinding struct {
	Purpose  string // required, extensible, minimum, maximum ...
	ValueSet string
	Any      bool // one of several repetitions is enough
	Usage    bool // holds in a usage context only, which an instance does not tell
}

// The URLs by which R4 definitions carry additional bindings.
const (
	additionalR5    = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.binding.additional"
	additionalTools = "http://hl7.org/fhir/tools/StructureDefinition/additional-binding"
	maxValueSetURL  = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
)

type extension struct {
	URL            string
	ValueCode      string
	ValueURI       string `json:"valueUri"`
	ValueCanonical string
	ValueBoolean   bool
	Extension      []extension
}

// UnmarshalJSON reads a binding with its additional ones, native or by extension.
func (b *Binding) UnmarshalJSON(text []byte) error {
	var raw struct {
		Strength, ValueSet string
		Extension          []extension
		Additional         []struct {
			Purpose, ValueSet string
			Any               bool
			Usage             []json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	*b = Binding{Strength: raw.Strength, ValueSet: raw.ValueSet}
	for _, a := range raw.Additional {
		b.Additional = append(b.Additional, AdditionalBinding{a.Purpose, a.ValueSet, a.Any, len(a.Usage) > 0})
	}
	for _, x := range raw.Extension {
		switch x.URL {
		case additionalR5, additionalTools:
			var a AdditionalBinding
			for _, part := range x.Extension {
				switch part.URL {
				case "purpose":
					a.Purpose = part.ValueCode
				case "valueSet":
					a.ValueSet = part.ValueCanonical
				case "any":
					a.Any = part.ValueBoolean
				case "usage":
					a.Usage = true
				}
			}
			b.Additional = append(b.Additional, a)
		case maxValueSetURL:
			b.Additional = append(b.Additional, AdditionalBinding{Purpose: "maximum", ValueSet: x.ValueCanonical + x.ValueURI})
		}
	}
	return nil
}

// UnmarshalJSON reads an element with its fixed[x], pattern[x], minValue[x] and
// maxValue[x], whose names have the type in them.
func (e *ElementDefinition) UnmarshalJSON(text []byte) error {
	type plain ElementDefinition
	if err := json.Unmarshal(text, (*plain)(e)); err != nil {
		return err
	}
	if !bytes.Contains(text, []byte(`"fixed`)) && !bytes.Contains(text, []byte(`"pattern`)) &&
		!bytes.Contains(text, []byte(`"minValue`)) && !bytes.Contains(text, []byte(`"maxValue`)) {
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	for name, v := range members {
		for _, choice := range []struct {
			prefix string
			into   **Value
		}{{"fixed", &e.Fixed}, {"pattern", &e.Pattern}, {"minValue", &e.MinValue}, {"maxValue", &e.MaxValue}} {
			suffix, ok := strings.CutPrefix(name, choice.prefix)
			if !ok || suffix == "" {
				continue
			}
			t := TypeOfSuffix(suffix)
			if t == 0 {
				return fmt.Errorf("element %s: '%s' names no type", e.Path, fhir.Cut(name))
			}
			*choice.into = &Value{t, v}
		}
	}
	return nil
}

// TypeOfSuffix gives the type that ends the name of a choice: Quantity, DateTime.
func TypeOfSuffix(s string) r4.TypeID {
	if t, ok := r4.TypeByName(s); ok {
		return t
	}
	t, _ := r4.TypeByName(strings.ToLower(s[:1]) + s[1:])
	return t
}

// Compose is the content of a value set by rules (FHIR R4, 4.9.7).
type Compose struct {
	Include []Component
	Exclude []Component
}

// Component includes or excludes codes: those that all of its parts name.
type Component struct {
	System   string
	Version  string
	Concept  []struct{ Code string }
	Filter   []Filter
	ValueSet []string
}

// Filter selects codes by a property of a code system.
type Filter struct {
	Property string
	Op       string // =, is-a, descendent-of, is-not-a, regex, in, not-in, generalizes, exists
	Value    string
}

// Expansion is the content of a value set by enumeration.
type Expansion struct {
	Total     *int
	Parameter []struct{ Name string }
	Contains  []Contained
}

// Contained is one code of an Expansion.
type Contained struct {
	System   string
	Code     string
	Abstract bool
	Contains []Contained
}

// valueSetDefinition is a ValueSet resource.
type valueSetDefinition struct {
	URL       string
	Version   string
	Compose   *Compose
	Expansion *Expansion
}

// Concept is one code of a CodeSystem (FHIR R4, 4.8).
type Concept struct {
	Code     string
	Concept  []Concept
	Property []ConceptProperty
}

// ConceptProperty is a property of a Concept.
type ConceptProperty struct {
	Code         string
	ValueCode    string
	ValueString  string
	ValueBoolean *bool
	ValueInteger *int
	ValueCoding  struct{ Code string }
}

// text gives the value as a filter compares it.
func (p *ConceptProperty) text() string {
	switch {
	case p.ValueBoolean != nil:
		return strconv.FormatBool(*p.ValueBoolean)
	case p.ValueInteger != nil:
		return strconv.Itoa(*p.ValueInteger)
	}
	return p.ValueCode + p.ValueString + p.ValueCoding.Code
}

// codeSystemDefinition is a CodeSystem resource.
type codeSystemDefinition struct {
	URL           string
	Version       string
	Content       string // complete, fragment, example, not-present, supplement
	CaseSensitive *bool
	Concept       []Concept
}
