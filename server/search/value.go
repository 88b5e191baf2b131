package search

import (
	"strings"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// split cuts a value at a separator that is not escaped (R4, 3.1.1.4.0.1).
func split(s string, sep byte) (parts []string) {
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:])
}

// unescape takes the backslash off the four characters that may be escaped. Any other
// backslash stands for itself.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`\,$|`, s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// leaf reads the values of a parameter.
func (p *parser) leaf(l *Leaf, name, text string) error {
	x := l.Parameters[0]
	switch l.Modifier {
	case ModifierMissing:
		if text != "true" && text != "false" {
			return malformed("parameter '%s': '%s' is neither true nor false", clip(name), clip(text))
		}
		l.Not = text == "true"
		return nil
	case ModifierNot:
		l.Not, l.Modifier = true, ModifierNone
	}
	for _, part := range split(text, ',') {
		if p.values++; p.values > maxValues {
			return outcome.Faultf(outcome.TooCostly, "the search has more than %d values", maxValues)
		}
		if part == "" {
			return malformed("parameter '%s': an empty value", clip(name))
		}
		var v Value
		var err error
		if x.Type == r4.SearchComposite {
			v, err = p.composite(x, part)
		} else {
			v, err = p.value(x, x.Type, l, part)
		}
		if err != nil {
			return malformed("parameter '%s': %s", clip(name), err)
		}
		l.Values = append(l.Values, v)
	}
	return nil
}

// badValue is why a value cannot be read.
type badValue struct{ value, reason string }

func (b *badValue) Error() string { return "'" + clip(b.value) + "' " + b.reason }

// composite reads the parts of a composite value. All are needed (R4, 3.1.1.4.16).
func (p *parser) composite(x *search.Parameter, text string) (v Value, err error) {
	parts := split(text, '$')
	if len(parts) != len(x.Components) {
		return v, &badValue{text, "does not have as many parts, separated by $, as " + x.Code + " has components"}
	}
	for i, part := range parts {
		if part == "" {
			return v, &badValue{text, "has an empty part"}
		}
		typ := componentType(x, i)
		sub, err := p.value(x, typ, &Leaf{}, part)
		if err != nil {
			return v, err
		}
		v.Parts = append(v.Parts, sub)
	}
	return v, nil
}

// componentType is the type of component i: that of its terms, which the table worked
// out.
func componentType(x *search.Parameter, i int) r4.SearchType {
	for _, b := range x.Bindings {
		for _, term := range b.Components[i] {
			return typeOfKind[term.Kind]
		}
	}
	return x.Components[i].Type
}

var typeOfKind = map[search.Kind]r4.SearchType{
	search.KindToken: r4.SearchToken, search.KindString: r4.SearchString, search.KindDate: r4.SearchDate, search.KindNumber: r4.SearchNumber,
	search.KindQuantity: r4.SearchQuantity, search.KindReference: r4.SearchReference, search.KindURI: r4.SearchURI,
}

// value reads one value of a type.
func (p *parser) value(x *search.Parameter, typ r4.SearchType, l *Leaf, text string) (v Value, err error) {
	if x.Origin == search.OriginID {
		return Value{Text: unescape(text)}, nil
	}
	switch {
	case l.Modifier == ModifierText:
		return Value{Text: unescape(text)}, nil
	case l.Modifier == ModifierOfType:
		return ofType(text)
	case l.Modifier == ModifierIdentifier:
		return token(text)
	}
	switch typ {
	case r4.SearchToken:
		return token(text)
	case r4.SearchString, r4.SearchURI:
		return Value{Text: unescape(text)}, nil
	case r4.SearchReference:
		return p.reference(x, l, unescape(text))
	case r4.SearchDate:
		v.Prefix, text = search.CutPrefix(unescape(text))
		var ok bool
		if v.Time, ok = search.DateRange([]byte(strings.ReplaceAll(text, " ", "+"))); !ok { // a plus that was not encoded
			return v, &badValue{text, "is no date or time"}
		}
		return v, nil
	case r4.SearchNumber:
		v.Prefix, text = search.CutPrefix(unescape(text))
		var ok bool
		if v.Amount, ok = search.ParseAmount([]byte(text)); !ok {
			return v, &badValue{text, "is no number"}
		}
		return v, nil
	case r4.SearchQuantity:
		return quantity(text)
	}
	return v, &badValue{text, "is of a type that is not answered"}
}

// token reads code, system|code, |code and system| (R4, 3.1.1.4.10).
func token(text string) (v Value, err error) {
	parts := split(text, '|')
	switch len(parts) {
	case 1:
		v.Code = unescape(parts[0])
	case 2:
		v.HasSystem, v.System, v.Code = true, unescape(parts[0]), unescape(parts[1])
		if v.System == "" && v.Code == "" {
			return v, &badValue{text, "has neither system nor code"}
		}
	default:
		return v, &badValue{text, "has more than one |"}
	}
	return v, nil
}

// ofType reads system|code|value of an identifier. The code is then as the facet has
// it: code and value with a | between them.
func ofType(text string) (v Value, err error) {
	parts := split(text, '|')
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return v, &badValue{text, "is not system|code|value"}
	}
	v.HasSystem, v.System = parts[0] != "", unescape(parts[0])
	v.Code = unescape(parts[1]) + "|" + unescape(parts[2])
	return v, nil
}

const unitsOfMeasure = "http://unitsofmeasure.org"

// quantity reads number, number|system|code, number||code (R4, 3.1.1.4.13).
func quantity(text string) (v Value, err error) {
	parts := split(text, '|')
	if len(parts) != 1 && len(parts) != 3 {
		return v, &badValue{text, "is not number|system|code"}
	}
	var number string
	v.Prefix, number = search.CutPrefix(unescape(parts[0]))
	var ok bool
	if v.Amount, ok = search.ParseAmount([]byte(number)); !ok {
		return v, &badValue{number, "is no number"}
	}
	if len(parts) == 1 {
		return v, nil
	}
	v.System, v.Code = unescape(parts[1]), unescape(parts[2])
	v.HasSystem = v.System != ""
	if v.System == unitsOfMeasure && v.Code != "" {
		if in, base, ok := search.ParseAmountIn([]byte(number), []byte(v.Code)); ok {
			v.In, v.Base = in, base
		}
	}
	return v, nil
}

// reference reads id, Type/id, a URL, a canonical (R4, 3.1.1.4.12). What the value may
// stand for is a list: an id of each type that the parameter points to, and a resource of
// this data store with and without its base.
func (p *parser) reference(x *search.Parameter, l *Leaf, text string) (v Value, err error) {
	v.Text = text
	if local, ok := strings.CutPrefix(text, p.Base+"/"); ok && p.Base != "" {
		if parts := search.ReferenceOf([]byte(local)); len(parts.URL) == 0 {
			text = local
		}
	}
	if l.Modifier == ModifierType && !strings.Contains(text, "/") {
		text = l.Target.String() + "/" + text
	}
	parts := search.ReferenceOf([]byte(text))
	switch {
	case parts.Type != 0 && len(parts.ID) > 0 && len(parts.URL) == 0:
		if l.Modifier == ModifierType && parts.Type != l.Target {
			return v, &badValue{text, "is no " + l.Target.String()}
		}
		abs := p.absolute(parts.Type, string(parts.ID))
		abs.Version = parts.Version
		v.References = []search.ReferenceParts{parts, abs}
	case isID(text):
		targets := x.Targets
		if len(targets) == 0 {
			targets = r4.ResourceTypes()
		}
		for _, t := range targets {
			v.References = append(v.References, search.ReferenceParts{Type: t, ID: []byte(text)}, p.absolute(t, text))
		}
	default:
		v.References = []search.ReferenceParts{parts}
	}
	return v, nil
}

// absolute is the reference to a resource of this data store that has its base.
func (p *parser) absolute(t r4.TypeID, id string) search.ReferenceParts {
	return search.ReferenceOf([]byte(p.Base + "/" + t.String() + "/" + id))
}

// isID: [A-Za-z0-9\-\.]{1,64} (FHIR R4, 2.24.0.1)
func isID(s string) bool {
	for _, c := range []byte(s) {
		if c-'0' > 9 && c|0x20-'a' > 25 && c != '-' && c != '.' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}
