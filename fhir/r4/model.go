// Package r4 is the FHIR R4 (4.0.1) model as static tables: every type, its
// elements as they appear in JSON, their cardinality, choice groups, targets,
// bindings and constraints, the code sets of required bindings, the search
// parameters and the compartments.
//
// The tables in zz_*.go are generated from the official definitions by the
// program in gen (run `make generate`); this file is their reader. Nothing is
// parsed or built at start: the tables are data of the binary.
//
// Read [Type] and [Element] first. All functions are safe for concurrent use.
package r4

//go:generate go run ./gen

// A TypeID names a structure: a resource type, a datatype, a backbone element
// (such as Patient.contact) or a primitive. The zero TypeID is no type.
type TypeID uint16

// An ElementID names one JSON property of one type. A choice element value[x]
// has one ElementID for each of its types (valueQuantity, valueString ...). An
// element belongs to the type that declares it for JSON purposes, so
// Coding.system is one ElementID wherever a Coding occurs. A resource type owns
// copies of the elements that it inherits. The zero ElementID is no element.
type ElementID uint16

// Kind tells what sort of structure a type is.
type Kind uint8

// The kinds of types.
const (
	KindNone      Kind = iota
	KindPrimitive      // string, code, dateTime ...
	KindDatatype       // HumanName, Coding, Extension, Reference ...
	KindBackbone       // an element with children of its own, such as Patient.contact
	KindResource       // Patient, Bundle ... and the abstract Resource and DomainResource
)

// Primitive is one of the 20 primitive types (FHIR R4, 2.24.0.1), or
// PrimitiveNone for a type with children.
type Primitive uint8

// The primitive types of R4.
const (
	PrimitiveNone Primitive = iota
	PrimitiveBoolean
	PrimitiveInteger
	PrimitiveUnsignedInt
	PrimitivePositiveInt
	PrimitiveDecimal
	PrimitiveString
	PrimitiveMarkdown
	PrimitiveCode
	PrimitiveID
	PrimitiveURI
	PrimitiveURL
	PrimitiveCanonical
	PrimitiveOID
	PrimitiveUUID
	PrimitiveBase64Binary
	PrimitiveDate
	PrimitiveDateTime
	PrimitiveInstant
	PrimitiveTime
	PrimitiveXHTML
)

// Unbounded is the Max of an element that may repeat without limit ("*").
const Unbounded = 0xFFFF

// Type describes one structure. The Elements of a type are consecutive.
type Type struct {
	Name         string    // "Patient", "HumanName", "Patient.contact", "dateTime"
	Kind         Kind      //
	Primitive    Primitive // set when Kind is KindPrimitive
	Abstract     bool      // Resource, DomainResource, Element, BackboneElement
	Base         TypeID    // the type it specialises; 0 for none
	FirstElement ElementID // the first of its elements, in the order of the definition
	NumElements  uint16    // choice elements count once for each of their types
	NumSlots     uint8     // how many different Slot values its elements have; at most 64
	RequiredMask uint64    // bit i is set when the elements of slot i have Min of 1 or more
	Constraints  []uint16  // indices for [ConstraintAt], those of the type's root, see [Constraint]
}

// Element describes one JSON property of a type.
type Element struct {
	Name        string   // JSON name: "birthDate", "valueQuantity"
	Path        string   // path in the definition: "Observation.value[x]"
	Owner       TypeID   // the type whose property this is
	Type        TypeID   // type of the value; for "resource content" the abstract Resource; content references are resolved
	Min         uint16   // of the group, for a choice
	Max         uint16   // Unbounded for "*"
	Slot        uint8    // position in the owner's bit masks; all variants of a choice share one
	Choice      string   // "value" for valueQuantity; "" for an element that is no choice
	Targets     []TypeID // allowed targets of a Reference or canonical; empty means any
	Binding     Binding  //
	IsModifier  bool     //
	IsSummary   bool     //
	Constraints []uint16 // indices for [ConstraintAt], those declared on this element; of a backbone element see its type
}

// Repeats tells whether the JSON value is an array.
func (e *Element) Repeats() bool { return e.Max != 1 }

// BindingStrength orders how strictly a binding holds (required is the strictest).
type BindingStrength uint8

// The binding strengths of R4.
const (
	BindingNone BindingStrength = iota
	BindingExample
	BindingPreferred
	BindingExtensible
	BindingRequired
)

// Binding ties an element to a value set.
type Binding struct {
	Strength BindingStrength
	ValueSet string // canonical URL without version
	CodeSet  uint16 // index for [CodeSetAt] when the value set can be expanded offline, else 0
}
