package parse

import (
	"fmt"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

const (
	maxIssues = 100
)

// add records an issue at offset i of element e, which is the next node to come,
// or 0 for the innermost open node.
func (p *Parser) add(severity fhir.Severity, code string, i int, e r4.ElementID, format string, args []any) {
	if severity != fhir.Fatal {
		if len(p.issues) == maxIssues {
			p.issues = append(p.issues, fhir.Issue{
				Severity: fhir.Information, Code: fhir.CodeTooLong,
				Diagnostics: fmt.Sprintf("the resource has more than %d issues; the others are left out", maxIssues),
			})
		}
		if len(p.issues) > maxIssues {
			return
		}
	}
	p.issues = append(p.issues, fhir.Issue{
		Severity: severity, Code: code, Expression: p.path(e),
		Column: int32(i - p.start + 1), Diagnostics: fmt.Sprintf(format, args...),
	})
}

// full tells that issues other than fatal ones are no longer kept.
func (p *Parser) full() bool { return len(p.issues) > maxIssues }

// fatal reports text that cannot be read and returns -1.
func (p *Parser) fatal(i int, format string, args ...any) int {
	p.add(fhir.Fatal, fhir.CodeStructure, i, 0, format, args)
	return -1
}

func (p *Parser) structure(i int, e r4.ElementID, format string, args ...any) {
	p.add(fhir.Error, fhir.CodeStructure, i, e, format, args)
}

func (p *Parser) tooDeep(i int) int {
	p.add(fhir.Fatal, fhir.CodeTooLong, i, 0, "more than %d levels of nested objects and arrays", []any{MaxDepth})
	return -1
}

func (p *Parser) badNumber(i, j int) int {
	if j >= len(p.d) {
		return p.fatal(j, "text ends within a number")
	}
	return p.fatal(j, "found '%s' in a number; expected a digit", p.quote(j))
}

// value reports the value text of element e, which is at i.
func (p *Parser) value(i int, e r4.ElementID, text []byte, format string, args ...any) {
	p.add(fhir.Error, fhir.CodeValue, i, e, "'%s' "+format, append([]any{fhir.Cut(text)}, args...))
}

// wrongKind reports that the value at i is not what element e wants, and reads it.
func (p *Parser) wrongKind(i int, e r4.ElementID, want string) int {
	if found := kindAt(p.d, i); found != "" {
		p.structure(i, e, "found %s; expected %s", found, want)
	}
	return p.untyped(i, fhir.FlagUnknown)
}

// kindAt names the JSON value that begins at i, "" when none does.
func kindAt(d []byte, i int) string {
	if i >= len(d) {
		return ""
	}
	switch c := d[i]; {
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == '"':
		return "a string"
	case c == '-' || c-'0' <= 9:
		return "a number"
	}
	switch end, kind := literal(d, i); {
	case end < 0:
		return ""
	case kind == fhir.KindNull:
		return "null"
	}
	return "a boolean"
}

// repeated reports that the object p.nodes[at] had a member of the slot of e
// before: the same one, or another variant of the choice.
func (p *Parser) repeated(i int, e r4.ElementID, at int, value bool) {
	if p.full() {
		return
	}
	el := r4.ElementAt(e)
	if el.Choice == "" || p.has(at, e, 0) {
		if value {
			p.structure(i, e, "element '%s' occurs twice", el.Name)
		}
		return
	}
	if other := p.variant(at, e); other != "" {
		p.structure(i, e, "element '%s[x]' is given as '%s' and as '%s'; expected one of them", el.Choice, other, el.Name)
	}
}

// repeatedTwin is repeated for the twin `_x` of e.
func (p *Parser) repeatedTwin(i int, e r4.ElementID, at int) {
	if p.full() {
		return
	}
	el := r4.ElementAt(e)
	if p.has(at, e, fhir.FlagTwin) {
		p.structure(i, e, "element '_%s' occurs twice", el.Name)
	} else if other := p.variant(at, e); other != "" {
		p.structure(i, e, "element '%s[x]' is given as '%s' and as '_%s'; expected one of them", el.Choice, other, el.Name)
	}
}

// has tells whether the object p.nodes[at] has element e, or its twin.
func (p *Parser) has(at int, e r4.ElementID, twin fhir.NodeFlags) bool {
	end := uint32(len(p.nodes))
	for c := uint32(at) + 1; c < end; c = after(p.nodes, c) {
		if n := &p.nodes[c]; n.Element == e && n.Flags&fhir.FlagTwin == twin {
			return true
		}
	}
	return false
}

// variant finds another variant of the choice e in the object p.nodes[at].
func (p *Parser) variant(at int, e r4.ElementID) string {
	el := r4.ElementAt(e)
	end := uint32(len(p.nodes))
	for c := uint32(at) + 1; c < end; c = after(p.nodes, c) {
		o := p.nodes[c].Element
		if o == 0 || o == e || el.Choice == "" {
			continue
		}
		other := r4.ElementAt(o)
		switch {
		case other.Slot != el.Slot || other.Owner != el.Owner:
		case p.nodes[c].Flags&fhir.FlagTwin != 0:
			return "_" + other.Name
		default:
			return other.Name
		}
	}
	return ""
}

// unknown reports the member at i, which the type of p.nodes[at] does not have.
func (p *Parser) unknown(i, at int) {
	if p.full() {
		return
	}
	end := looseEnd(p.d, i+1)
	key := string(p.unescaped(p.d[i+1 : end]))
	for c := uint32(at) + 1; c < uint32(len(p.nodes)); c = after(p.nodes, c) {
		if p.nodes[c].Flags&fhir.FlagUnknown != 0 && string(p.unescaped(keyBefore(p.d, &p.nodes[c]))) == key {
			p.structure(i, 0, "element '%s' occurs twice", fhir.Cut([]byte(key)))
			return
		}
	}
	typ := p.nodes[at].Type
	p.structure(i, 0, "unknown element '%s'%s", fhir.Cut([]byte(key)), suggestElement(typ, key))
}

// keyBefore gives the text of the key whose value is n: the first quote to the
// left of it that no odd number of backslashes escapes begins the key.
func keyBefore(d []byte, n *fhir.Node) []byte {
	end := int(n.Start)
	if n.Kind == fhir.KindString {
		end--
	}
	for end--; d[end] != '"'; end-- {
	}
	s := end
	for {
		s--
		if d[s] != '"' {
			continue
		}
		slashes := 0
		for d[s-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return d[s+1 : end]
		}
	}
}

// missing reports the required slots in mask that p.nodes[at] does not have.
func (p *Parser) missing(at int, typ r4.TypeID, mask uint64) {
	t := r4.TypeAt(typ)
	for ; mask != 0; mask &= mask - 1 {
		slot := bits.TrailingZeros64(mask)
		for k := range t.NumElements {
			e := t.FirstElement + r4.ElementID(k)
			el := r4.ElementAt(e)
			if int(el.Slot) != slot {
				continue
			}
			name := el.Name
			if el.Choice != "" {
				name = el.Choice + "[x]"
			}
			p.add(fhir.Error, fhir.CodeRequired, int(p.nodes[at].Start), 0, "element '%s' is missing; expected at least %d", []any{name, el.Min})
			break
		}
	}
}

// nullItem reports item k of an array of p.nodes, complete now.
func (p *Parser) nullItem(item uint32, k int) {
	n := &p.nodes[item]
	want := "a value, or an object at the same place of its '_' companion"
	if n.Flags&fhir.FlagTwin != 0 {
		want = "an object, or a value at the same place of the element's own array"
	}
	before := len(p.issues)
	p.structure(int(n.Start), n.Element, "found null; expected %s", want)
	if len(p.issues) > before && p.issues[before].Code == fhir.CodeStructure {
		p.issues[before].Expression += "[" + strconv.Itoa(k) + "]"
	}
}

// path writes the FHIRPath of the open nodes and of element e below them.
func (p *Parser) path(e r4.ElementID) string {
	if p.root >= len(p.nodes) {
		return ""
	}
	cur := uint32(p.root)
	path := []byte(p.nodes[cur].Type.String())
	for {
		index, c := 0, cur+1
		for c < uint32(len(p.nodes)) && p.nodes[c].Next != 0 {
			c = p.nodes[c].Next
			index++
		}
		open := c < uint32(len(p.nodes))
		next := e
		if open {
			next = p.nodes[c].Element
		}
		if next == 0 {
			return string(path)
		}
		if p.nodes[cur].Kind == fhir.KindArray {
			path = strconv.AppendInt(append(path, '['), int64(index), 10)
			path = append(path, ']')
		} else {
			path = fhir.AppendPathStep(path, next)
		}
		if !open {
			return string(path)
		}
		cur = c
	}
}

// quote gives the character at i for a message.
func (p *Parser) quote(i int) string {
	r, n := utf8.DecodeRune(p.d[i:])
	if r == utf8.RuneError && n <= 1 || r < ' ' {
		return fmt.Sprintf("byte 0x%02x", p.d[i])
	}
	return string(r)
}
