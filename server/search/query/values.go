package query

import (
	"math"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// plain reads a value of a kind, without modifier. targets are of references.
func (s *reader) plain(kind search.Kind, targets []r4.TypeID, a string) (Value, error) {
	switch kind {
	case search.KindToken:
		return token(a)
	case search.KindString:
		return text(StartsWith, a)
	case search.KindDate:
		return date(a)
	case search.KindNumber:
		return number(a)
	case search.KindQuantity:
		return quantity(a)
	case search.KindReference:
		return s.reference(targets, a)
	}
	return uri(a), nil
}

// token reads code, system|code, |code and system| (token).
func token(a string) (Value, error) {
	parts := split(a, '|')
	if len(parts) > 2 || len(parts) == 2 && parts[0] == "" && parts[1] == "" {
		return nil, malformed("'%s' is no token; expected code, system|code, |code or system|", fhir.Cut(a))
	}
	t := codeToken(unescape(parts[len(parts)-1]))
	if len(parts) == 2 {
		if t.Test, t.System = OneSystem, unescape(parts[0]); t.System == "" {
			t.Test = NoSystem
		}
	}
	return t, nil
}

func codeToken(code string) Token {
	return Token{Code: code, Lower: string(search.AppendLower(nil, []byte(code)))}
}

// ofType reads system|code|value (token, :of-type: all three have to be there).
func ofType(a string) (Value, error) {
	parts := split(a, '|')
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return nil, malformed("'%s' is no typed identifier; expected system|code|value", fhir.Cut(a))
	}
	t := codeToken(unescape(parts[1]) + "|" + unescape(parts[2]))
	t.Test, t.System = OneSystem, unescape(parts[0])
	return t, nil
}

// mediaType reads a MIME type for :below (Searching Mime Types).
func mediaType(a string) (Value, error) {
	t := codeToken(unescape(a))
	if strings.ContainsAny(t.Code, ";|") {
		return nil, malformed("'%s' is no MIME type without parameters", fhir.Cut(a))
	}
	t.Media = true
	return t, nil
}

// concept reads system|code or code for :below and :above.
func concept(above bool, a string) (Value, error) {
	parts := split(a, '|')
	code := unescape(parts[len(parts)-1])
	if len(parts) > 2 || code == "" {
		return nil, malformed("'%s' is no concept; expected system|code", fhir.Cut(a))
	}
	c := Concept{Code: code, Above: above}
	if len(parts) == 2 {
		c.System = unescape(parts[0])
	}
	return c, nil
}

// valueSet reads the URL of a value set for :in and :not-in.
func valueSet(a string) (Value, error) {
	url, version, _ := cutLast(a, '|')
	if url == "" {
		return nil, malformed("'%s' names no value set", fhir.Cut(a))
	}
	return ValueSet{unescape(url), unescape(version)}, nil
}

// text reads a string (string).
func text(test StringTest, a string) (Value, error) {
	v := String{Test: test, Exact: unescape(a)}
	folded, _ := search.AppendFolded(nil, []byte(v.Exact))
	if v.Folded = string(folded); v.Folded == "" && test != Exactly {
		return nil, malformed("'%s' has no letter or digit to look for", fhir.Cut(a))
	}
	return v, nil
}

// date reads a date with its prefix (date).
func date(a string) (Date, error) {
	p, rest := search.CutPrefix(a)
	r, ok := search.DateRange([]byte(rest))
	if !ok {
		return Date{}, malformed("'%s' is no date%s; expected YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.sss]][Z|(+|-)hh:mm], after one of %s%s",
			fhir.Cut(a), strangePrefix(a), prefixes, plusHint(rest))
	}
	return Date{p, r}, nil
}

const prefixes = "eq, ne, gt, lt, ge, le, sa, eb, ap or nothing"

// strangePrefix names letters that are no prefix but stand where one would.
func strangePrefix(a string) string {
	n := 0
	for n < len(a) && n < 2 && 'a' <= a[n]|0x20 && a[n]|0x20 <= 'z' {
		n++
	}
	if p, rest := search.CutPrefix(a); n == 0 || p != search.Equal || rest != a {
		return ""
	}
	return ": it begins with '" + a[:n] + "', which is no prefix"
}

// plusHint tells those who did not encode the plus of a zone what to write.
func plusHint(date string) string {
	if i := strings.IndexByte(date, ' '); i > 10 && date[10] == 'T' {
		return "; a plus in a URL is written %2B"
	}
	return ""
}

// finite tells whether all of an amount is in the range of float64.
func finite(a search.Amount) bool {
	return !math.IsInf(a.Exact, 0) && !math.IsInf(a.Low, 0) && !math.IsInf(a.High, 0)
}

// number reads a number with its prefix (number).
func number(a string) (Value, error) {
	p, rest := search.CutPrefix(a)
	n, ok := search.ParseAmount([]byte(rest))
	if !ok || !finite(n) {
		return nil, malformed("'%s' is no number%s; expected digits with a point or exponent, after one of %s", fhir.Cut(a), strangePrefix(a), prefixes)
	}
	return Number{p, n}, nil
}

// quantity reads a number with its prefix and unit (quantity).
func quantity(a string) (Value, error) {
	parts := split(a, '|')
	if len(parts) == 2 || len(parts) > 3 {
		return nil, malformed("'%s' is no quantity; expected number, number|system|code or number||code", fhir.Cut(a))
	}
	p, rest := search.CutPrefix(parts[0])
	n, ok := search.ParseAmount([]byte(rest))
	if !ok || !finite(n) {
		return nil, malformed("'%s' has no number%s; expected number, number|system|code or number||code, after one of %s", fhir.Cut(a), strangePrefix(a), prefixes)
	}
	q := Quantity{Prefix: p, Amount: n}
	if len(parts) == 1 {
		return q, nil
	}
	q.System, q.Code = unescape(parts[1]), unescape(parts[2])
	if q.System == search.UCUM && q.Code != "" {
		if in, base, ok := search.ParseAmountIn([]byte(rest), []byte(q.Code)); ok && finite(in) {
			q.In, q.Base = in, base
		}
	}
	return q, nil
}

// uri reads a uri or canonical (uri).
func uri(a string) URI {
	if url, version, ok := cutLast(a, '|'); ok && url != "" {
		return URI{URL: unescape(url), Version: unescape(version)}
	}
	return URI{URL: unescape(a)}
}

// reference reads id, Type/id and url (reference).
func (s *reader) reference(targets []r4.TypeID, a string) (Value, error) {
	t := unescape(a)
	if isID(t) {
		return Reference{Types: targets, ID: t}, nil
	}
	for _, base := range s.request.Bases {
		if rest, ok := strings.CutPrefix(t, base); ok && base != "" {
			t = rest
			break
		}
	}
	p := search.ReferenceOf([]byte(t))
	r := Reference{Version: string(p.Version)}
	if p.Type != 0 && len(p.URL) == 0 {
		r.Types, r.ID = []r4.TypeID{p.Type}, string(p.ID)
		return r, nil
	}
	if r.URL = string(p.URL); !strings.ContainsAny(r.URL, ":?#") {
		return nil, malformed("'%s' is no reference; expected id, Type/id or a URL", fhir.Cut(a))
	}
	return r, nil
}

// below reads a canonical for :below: its version is the beginning of those that match
// (References and Versions).
func (s *reader) below(targets []r4.TypeID, a string) (Value, error) {
	v, err := s.reference(targets, a)
	if r, ok := v.(Reference); ok && r.Version != "" {
		if s.Features&VersionBelow == 0 {
			return nil, notHere("below", "parts of versions are not looked for; leave the version out for all versions")
		}
		r.VersionBelow = true
		return r, nil
	}
	return v, err
}

// composite reads the values of the components (Composite Search Parameters).
func (s *reader) composite(p *search.Parameter, a string) (Value, error) {
	parts := split(a, '$')
	if n := len(p.Components); len(parts) != n {
		codes := make([]string, n)
		for i, c := range p.Components {
			codes[i] = c.Code
		}
		return nil, malformed("'%s' has %d values; expected %s", fhir.Cut(a), len(parts), strings.Join(codes, "$"))
	}
	c := Composite{Parts: make([]Value, len(parts))}
	for i, part := range parts {
		term := p.Bindings[0].Components[i][0]
		var err error
		if part == "" {
			return nil, malformed("'%s' has nothing for its component %d", fhir.Cut(a), i+1)
		}
		if c.Parts[i], err = s.plain(term.Kind, r4.ResourceTypes(), part); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// entity reads what one row of what NLP found must have: the values of the components, with
// the bar that Amazon HealthLake has between them, or with FHIR's dollar. A score without
// prefix is the least one.
func entity(p *search.Parameter, a string) (Value, error) {
	columns := p.Entities.Columns
	parts := split(a, '$')
	if len(parts) == 1 {
		parts = split(a, '|')
	}
	if len(parts) != len(columns) {
		codes := make([]string, len(columns))
		for i, c := range p.Components {
			codes[i] = c.Code
		}
		return nil, malformed("'%s' has %d values; expected %s", fhir.Cut(a), len(parts), strings.Join(codes, "|"))
	}
	c := Composite{Parts: make([]Value, len(parts))}
	for i, part := range parts {
		var err error
		if part == "" {
			return nil, malformed("'%s' has nothing for its component %d", fhir.Cut(a), i+1)
		}
		if !columns[i].Number() {
			c.Parts[i], err = text(StartsWith, part)
		} else {
			c.Parts[i], err = atLeast(part)
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// atLeast reads a number, whose prefix is ge when there is none.
func atLeast(a string) (Value, error) {
	v, err := number(a)
	if n, ok := v.(Number); ok {
		if _, rest := search.CutPrefix(a); rest == a {
			n.Prefix = search.GreaterOrEqual
		}
		return n, nil
	}
	return nil, err
}
