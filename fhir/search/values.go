package search

import "github.com/fhirlake/fhirlake/fhir/r4"

// Kind is the kind of a search value. Each kind has rows of its own shape.
type Kind uint8

// The kinds of values.
const (
	KindNone Kind = iota
	KindToken
	KindString
	KindDate
	KindNumber
	KindQuantity
	KindReference
	KindURI
)

var kindNames = [...]string{"", "token", "string", "date", "number", "quantity", "reference", "uri"}

// String gives the name of the search parameter type that has such values.
func (k Kind) String() string { return kindNames[k] }

// KindOf gives the kind of the values of a parameter type; KindNone for composite
// and special ones.
func KindOf(t r4.SearchType) Kind {
	switch t {
	case r4.SearchToken:
		return KindToken
	case r4.SearchString:
		return KindString
	case r4.SearchDate:
		return KindDate
	case r4.SearchNumber:
		return KindNumber
	case r4.SearchQuantity:
		return KindQuantity
	case r4.SearchReference:
		return KindReference
	case r4.SearchURI:
		return KindURI
	}
	return KindNone
}

// Text is a text of a [Values]: bytes Start to End of its arena. The zero Text is
// empty. See [Values.Text].
type Text struct{ Start, End uint32 }

// Empty tells whether the text has no bytes.
func (t Text) Empty() bool { return t.Start == t.End }

// Row is what all values have.
type Row struct {
	Record int32   // index of the resource in its batch
	Group  GroupID // which parameters it is a value of
	// Part numbers the element that a composite parameter binds its components in,
	// from 1 within the resource: values of one element have the same Part. 0 for
	// values of no such element.
	Part uint32
}

// Token is a code, an identifier, a boolean, or a text that is compared as a whole.
// A CodeableConcept or Identifier that says something else, but has no code and no
// value, is a Token without System and Code, so that :missing sees it.
type Token struct {
	Row
	System Text
	Code   Text
	// Implied says that System stands nowhere in the resource: it is that of the
	// value set which a code is bound to. `|code` matches, as does `system|code`.
	Implied bool
	// Folded says that Code is not case sensitive (R4, 3.1.1.4.10: the datatype is
	// string) and is given as [AppendLower] makes it.
	Folded bool
}

// String is a text. Folded is what the default search and :contains compare, by
// [AppendFolded]; Exact is the text as it stands, for :exact. When both are the
// same bytes, Exact is Folded.
type String struct {
	Row
	Folded Text
	Exact  Text
	// Word says that Folded begins at a later word of a family name, whose parts
	// are searched by themselves (R4, 3.1.1.4.8), as [LaterWords] gives them. Only
	// the default search looks at such a row; Exact is empty.
	Word bool
}

// Date is a time; see [DateRange].
type Date struct {
	Row
	Range
}

// Number is an integer, a decimal or a Range.
type Number struct {
	Row
	Interval
}

// Quantity is an amount with a unit, as it stands and in the base unit of UCUM.
type Quantity struct {
	Row
	Interval      // of the number as it stands
	System   Text // of the unit; urn:iso:std:iso:4217 for Money
	Code     Text
	Unit     Text // as humans read it
	// Base is the code of the UCUM base unit and In the interval in it, when
	// System and Code are of UCUM and convert; else Base is empty.
	Base Text
	In   Interval
}

// Reference is a reference or canonical taken apart; see [ReferenceOf]. One that
// has only an identifier or a display has no ID and no URL.
type Reference struct {
	Row
	Type    r4.TypeID // of the target; 0 when nothing tells
	ID      Text      // logical id, of a literal reference
	URL     Text      // of what is no relative literal reference, without version
	Version Text      // versionId, or the version of a canonical
}

// URI is a uri as it stands. Of a canonical it is the URL without version.
type URI struct {
	Row
	Value   Text
	Version Text
}

// Values are the search values of the resources of one batch, ordered by resource
// within each kind. Rows hold no pointers: their texts are in an arena of the
// Values (invariant 3). It belongs to one goroutine at a time.
type Values struct {
	Tokens     []Token
	Strings    []String
	Dates      []Date
	Numbers    []Number
	Quantities []Quantity
	References []Reference
	URIs       []URI

	arena []byte
}

// Reset empties v and keeps its memory.
func (v *Values) Reset() {
	v.Tokens, v.Strings, v.Dates, v.Numbers = v.Tokens[:0], v.Strings[:0], v.Dates[:0], v.Numbers[:0]
	v.Quantities, v.References, v.URIs = v.Quantities[:0], v.References[:0], v.URIs[:0]
	v.arena = v.arena[:0]
}

// Len gives the number of rows.
func (v *Values) Len() int {
	return len(v.Tokens) + len(v.Strings) + len(v.Dates) + len(v.Numbers) + len(v.Quantities) + len(v.References) + len(v.URIs)
}

// Size is about as many bytes as v holds.
func (v *Values) Size() int {
	return len(v.arena) + 40*(len(v.Tokens)+len(v.Strings)+len(v.Dates)+len(v.Numbers)+len(v.References)+len(v.URIs)) + 80*len(v.Quantities)
}

// Text gives the bytes of a text, valid until Reset.
func (v *Values) Text(t Text) []byte { return v.arena[t.Start:t.End:t.End] }

// Add copies a text into the arena.
func (v *Values) Add(b []byte) Text {
	n := uint32(len(v.arena))
	v.arena = append(v.arena, b...)
	return Text{n, uint32(len(v.arena))}
}

// AddString is Add for a string.
func (v *Values) AddString(s string) Text {
	n := uint32(len(v.arena))
	v.arena = append(v.arena, s...)
	return Text{n, uint32(len(v.arena))}
}

// Part gives bytes start to end of a text.
func (t Text) Part(start, end int) Text { return Text{t.Start + uint32(start), t.Start + uint32(end)} }

// Arena gives the arena to append one text to; [Values.Took] puts it back and names
// that text.
func (v *Values) Arena() []byte { return v.arena }

// Took takes what [Values.Arena] gave, with one text appended.
func (v *Values) Took(arena []byte) Text {
	n := uint32(len(v.arena))
	v.arena = arena
	return Text{n, uint32(len(arena))}
}
