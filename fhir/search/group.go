package search

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// GroupID names a value group: the values that one expression gives for one kind of
// search, shared by all parameters that use the expression. It is the first four
// bytes, the highest first, of the SHA-256 of "<kind> <expression>" and of its facet:
//
//	token Observation.component.code
//	reference Observation.subject#identifier:Patient
//
// The expression is that of one term of a union, in the form that [Table] gives it.
// So the number is the same in every run and every version (invariant 1); that two
// groups of a table have the same is ruled out by a test for R4 and by [NewTable] for
// what users add.
type GroupID uint32

// Facet is a side of the values of a group that a modifier looks at. Its rows are in
// a group of their own, so that the main rows stay narrow.
type Facet uint8

// The facets, with the kind of their rows.
const (
	Main            Facet = iota
	FacetText             // strings: CodeableConcept.text, Coding.display, Identifier.type.text, for :text
	FacetOfType           // tokens: a coding of Identifier.type; the code is followed by | and the value, for :of-type
	FacetIdentifier       // tokens: Reference.identifier, for :identifier
	FacetLatitude         // numbers: of Location.position, for near
	FacetLongitude        // numbers
)

var facetNames = [...]string{"", "#text", "#of-type", "#identifier", "#latitude", "#longitude"}

// Kind gives the kind of the rows of a facet, whose main rows are of kind main.
func (f Facet) Kind(main Kind) Kind {
	switch f {
	case FacetText:
		return KindString
	case FacetOfType, FacetIdentifier:
		return KindToken
	case FacetLatitude, FacetLongitude:
		return KindNumber
	}
	return main
}

func groupID(text string) GroupID {
	sum := sha256.Sum256([]byte(text))
	return GroupID(binary.BigEndian.Uint32(sum[:]))
}

// Group is a value group of one resource type.
type Group struct {
	Kind Kind
	// Path is the expression, from the resource, as the group's number has it.
	Path string
	// Focus and Expression are how it is evaluated where a composite parameter binds
	// values of one element: for each item of Focus, Expression from there. Without
	// such an element Focus is empty and Expression is Path.
	Focus      string
	Expression string
	// Targets are the types that parameters filter the references of the group by.
	Targets []r4.TypeID
	// URL and Code are those of the first parameter that has the group. It is Custom
	// when no parameter of R4 has it.
	URL, Code string
	Custom    bool

	ids [len(facetNames)]GroupID
}

// Name is the number of the group as text, for manifests: eight hexadecimal digits.
func (g *Group) Name() string { return fmt.Sprintf("%08x", uint32(g.ids[Main])) }

// ID gives the number of the group for a facet.
func (g *Group) ID(f Facet) GroupID { return g.ids[f] }

// IdentifiersOf gives the number of the identifiers of references to one type.
func (g *Group) IdentifiersOf(target r4.TypeID) GroupID {
	return groupID(g.text() + facetNames[FacetIdentifier] + ":" + target.String())
}

func (g *Group) text() string { return g.Kind.String() + " " + g.Path }

// facets lists those that values of the group may have.
func (g *Group) facets() []Facet {
	switch g.Kind {
	case KindToken:
		return []Facet{Main, FacetText, FacetOfType}
	case KindReference:
		return []Facet{Main, FacetIdentifier}
	case KindNumber:
		return []Facet{Main, FacetLatitude, FacetLongitude}
	}
	return []Facet{Main}
}

// Term is one operand of the union that a parameter's expression is: its values are
// those of a group, or the references among them to one type.
type Term struct {
	Kind   Kind
	Target r4.TypeID // only references to this type; 0 means any
	group  *Group
}

// Group gives the number of the rows of the term for a facet. Where Target is set,
// main rows are filtered by it; those of FacetIdentifier are already.
func (t Term) Group(f Facet) GroupID {
	if f == FacetIdentifier && t.Target != 0 {
		return t.group.IdentifiersOf(t.Target)
	}
	return t.group.ID(f)
}

// Path gives the expression of the group, for messages and plans.
func (t Term) Path() string { return t.group.Path }

// Binding says how one focus of a composite parameter binds its components.
type Binding struct {
	// Parts says that the values must have the same Part, not 0. Otherwise the focus
	// is the resource itself, and being of the same resource is enough.
	Parts bool
	// Components has for each component its terms, of which any may match. Values
	// of a term that Whole names are of the resource, not of a Part.
	Components [][]Term
	Whole      []bool // for each component
}

// What follows brings expressions to one form. It decides which parameters share
// rows, never what they mean: text that is not of the known forms stays as it is.

// union splits an expression at the operators | outside parentheses and texts. It
// stays whole when an operator that binds more loosely stands beside them.
func union(expression string) []string {
	var terms []string
	depth, start := 0, 0
	quote := byte(0)
	for i := 0; i < len(expression); i++ {
		switch c := expression[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '`':
			quote = c
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth--
		case depth != 0:
		case c == '|':
			terms = append(terms, strings.TrimSpace(expression[start:i]))
			start = i + 1
		case c == '=' || c == '~' || c == '<' || c == '>' || loose(expression, i):
			return []string{strings.TrimSpace(expression)}
		}
	}
	return append(terms, strings.TrimSpace(expression[start:]))
}

// loose tells whether a word operator that binds more loosely than | is at s[i:].
func loose(s string, i int) bool {
	if i == 0 || s[i-1] != ' ' {
		return false
	}
	word, _, _ := strings.Cut(s[i:], " ")
	switch word {
	case "and", "or", "xor", "implies", "in", "contains":
		return true
	}
	return false
}

// path brings one term to the form that stands for all that mean the same:
// `Patient.` before it, `as` written as ofType, no parentheses around it. typ is what
// relative paths start at, "" within a composite.
func path(term, typ string) string {
	term = strings.TrimSpace(term)
	for len(term) > 1 && term[0] == '(' && closing(term) == len(term)-1 {
		term = strings.TrimSpace(term[1 : len(term)-1])
	}
	if term != "" && term[0] == '(' { // (X as T).rest
		if end := closing(term); end > 0 {
			if x := cast(strings.TrimSpace(term[1:end])); isPath(x) {
				term = x + term[end+1:]
			}
		}
	}
	term = asFunction(cast(term))
	for _, abstract := range [...]string{"Resource", "DomainResource"} {
		if rest, ok := strings.CutPrefix(term, abstract+"."); ok && typ != "" {
			return typ + "." + rest
		}
	}
	if typ != "" && term != "" && 'a' <= term[0] && term[0] <= 'z' && isPath(term) {
		return typ + "." + term
	}
	return term
}

// cast writes `X as T` as X.ofType(T).
func cast(term string) string {
	if x, t, ok := strings.Cut(term, " as "); ok && isPath(x) && isPath(t) {
		return x + ".ofType(" + typeName(t) + ")"
	}
	return term
}

// asFunction writes X.as(T) as X.ofType(T), wherever it stands in a path.
func asFunction(term string) string {
	for {
		i := strings.Index(term, ".as(")
		if i < 0 {
			return term
		}
		t, rest, ok := strings.Cut(term[i+len(".as("):], ")")
		if !ok || !isPath(t) {
			return term
		}
		term = term[:i] + ".ofType(" + typeName(t) + ")" + rest
	}
}

// typeName puts right what R4 writes as a type in Observation-code-value-date: there
// is no DateTime in FHIR.
func typeName(t string) string {
	if t = strings.TrimSpace(t); t == "DateTime" {
		return "dateTime"
	}
	return t
}

// isPath tells whether s is names, points, and calls of ofType alone.
func isPath(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '.' && c != '(' && c != ')' {
			return false
		}
	}
	return s != ""
}

// closing gives the index of the parenthesis that closes the one at s[0], or -1.
func closing(s string) int {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// target takes `.where(resolve() is T)` off the end of a path.
func target(p string) (string, r4.TypeID) {
	i := strings.LastIndex(p, resolves)
	if i < 0 || !strings.HasSuffix(p, ")") {
		return p, 0
	}
	t := r4.ResourceTypeByName([]byte(p[i+len(resolves) : len(p)-1]))
	if t == 0 {
		return p, 0
	}
	return p[:i], t
}

const resolves = ".where(resolve() is "
