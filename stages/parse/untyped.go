package parse

import (
	"bytes"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
)

// untyped reads any JSON value at i, of which no element tells the type. It
// checks what holds for all JSON: the syntax, the limits and duplicate keys.
func (p *Parser) untyped(i int, flags fhir.NodeFlags) int {
	d := p.d
	if i >= len(d) {
		return p.fatal(i, "text ends before a value")
	}
	if len(p.nodes) == cap(p.nodes) {
		p.grow()
	}
	switch c := d[i]; {
	case c == '{':
		return p.untypedObject(i, flags)
	case c == '[':
		return p.untypedArray(i, flags)
	case c == '"':
		end, f := p.stringEnd(i+1, i+1)
		if end < 0 {
			return end
		}
		p.leaf(0, 0, fhir.KindString, flags|f&^flagControl, i+1, end)
		return end + 1
	case c == '-' || c-'0' <= 9:
		end, _, _ := p.numberEnd(i)
		if end >= 0 {
			p.leaf(0, 0, fhir.KindNumber, flags, i, end)
		}
		return end
	}
	end, kind := literal(d, i)
	if end < 0 {
		return p.fatal(i, "found '%s'; expected a value", p.quote(i))
	}
	p.leaf(0, 0, kind, flags, i, end)
	return end
}

func (p *Parser) untypedObject(i int, flags fhir.NodeFlags) int {
	at := p.open(0, 0, fhir.KindObject, flags, i)
	if p.depth++; p.depth > MaxDepth {
		return p.tooDeep(i)
	}
	first := len(p.keys)
	c := byte(',')
	if i = p.space(i + 1); i < len(p.d) && p.d[i] == '}' {
		c = '}'
	}
	for c == ',' {
		s, end, next := p.keyText(i)
		if next < 0 {
			return next
		}
		p.keys = append(p.keys, span{uint32(s), uint32(end)})
		if i = p.untyped(next, flags); i < 0 {
			return i
		}
		if i, c = p.separator(i, '}'); i < 0 {
			return i
		}
		if c == ',' {
			i++
		}
	}
	p.duplicates(first)
	p.keys = p.keys[:first]
	i++
	p.closed(at, i)
	return i
}

func (p *Parser) untypedArray(i int, flags fhir.NodeFlags) int {
	at := p.open(0, 0, fhir.KindArray, flags, i)
	if p.depth++; p.depth > MaxDepth {
		return p.tooDeep(i)
	}
	c := byte(',')
	if i = p.space(i + 1); i < len(p.d) && p.d[i] == ']' {
		c = ']'
	}
	for c == ',' {
		if i = p.untyped(p.space(i), flags); i < 0 {
			return i
		}
		if i, c = p.separator(i, ']'); i < 0 {
			return i
		}
		if c == ',' {
			i++
		}
	}
	i++
	p.closed(at, i)
	return i
}

// duplicates reports the keys from first on that are there more than once.
func (p *Parser) duplicates(first int) {
	keys := p.keys[first:]
	if len(keys) < 2 {
		return
	}
	value := func(s span) []byte {
		b := p.d[s.start:s.end]
		if bytes.IndexByte(b, '\\') >= 0 {
			b = fhir.AppendUnescaped(nil, b)
		}
		return b
	}
	slices.SortStableFunc(keys, func(a, b span) int { return bytes.Compare(value(a), value(b)) })
	for k := 1; k < len(keys); k++ {
		if v := value(keys[k]); bytes.Equal(v, value(keys[k-1])) {
			p.structure(int(keys[k].start)-1, 0, "element '%s' occurs twice", fhir.Cut(v))
		}
	}
}
