package searchtest

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// leaf makes a filter of a value of x itself, or of what it does not have.
func (g *Generator) leaf(x *Resource) (name, value string, ok bool) {
	if g.oneIn(12) {
		if name, value, ok = g.words(x); ok {
			return name, value, true
		}
	}
	var have, lack []*search.Parameter
	for _, p := range g.store.Table.Parameters(x.Type) {
		switch {
		case p.Origin == search.OriginText, p.Origin == search.OriginContent, p.Origin == search.OriginQuery:
		case p.Origin == search.OriginCreated && g.features&query.FirstStored == 0:
		case p.Type == r4.SearchSpecial && g.features&query.Near == 0:
		case p.Origin == search.OriginEntities && g.features&query.Entities == 0:
		case p.Origin == search.OriginEntities:
			if x.has(p) {
				have = append(have, p)
			} else if p.Type != r4.SearchComposite {
				lack = append(lack, p)
			}
		case p.Type == r4.SearchComposite || p.Origin != search.OriginRows || x.has(p):
			have = append(have, p)
		default:
			lack = append(lack, p)
		}
	}
	if len(lack) > 0 && g.oneIn(15) {
		return pick(g.rand, lack).Code + ":missing", "true", true
	}
	p := pick(g.rand, have)
	if g.oneIn(20) && p.Type != r4.SearchComposite {
		return p.Code + ":missing", strconv.FormatBool(g.oneIn(3)), true
	}
	modifier, value, ok := g.value(x, p)
	if !ok {
		return g.leaf(x) // some other one: _id is always there
	}
	for g.oneIn(3) { // an alternative, of another resource
		other := g.resource(x.Type)
		if m, v, ok := g.value(other, p); ok && m == modifier {
			value += "," + v
		}
	}
	if modifier != "" {
		modifier = ":" + modifier
	}
	return p.Code + modifier, value, true
}

// words makes a search of texts that x has, or lacks.
func (g *Generator) words(x *Resource) (name, value string, ok bool) {
	name = "_content"
	texts := x.content(false).texts
	if g.features&query.Narrative != 0 && (g.features&query.Content == 0 || g.oneIn(2)) {
		name, texts = "_text", x.content(true).texts
	}
	if g.features&(query.Narrative|query.Content) == 0 || len(texts) == 0 {
		return "", "", false
	}
	word := func() string {
		words := strings.FieldsFunc(pick(g.rand, texts), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if len(words) == 0 {
			return "nothing"
		}
		i := g.rand.IntN(len(words))
		if g.oneIn(4) {
			return `"` + strings.Join(words[i:min(len(words), i+2)], " ") + `"`
		}
		if w := words[i]; !slices.Contains([]string{"and", "or", "not"}, strings.ToLower(w)) {
			return w
		}
		return "nothing"
	}
	value = word()
	for g.oneIn(2) {
		value = pick(g.rand, []string{value + " " + word(), "(" + value + ") OR " + word(), value + " and not " + word(), "NOT (" + value + ")"})
	}
	return name, value, true
}

// escape writes a text as a part of a value.
var escape = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `$`, `\$`, `|`, `\|`).Replace

// value makes a value that x has for a parameter, with a modifier.
func (g *Generator) value(x *Resource, p *search.Parameter) (modifier, value string, ok bool) {
	switch p.Origin {
	case search.OriginID:
		if g.oneIn(10) {
			return "not", x.ID, true
		}
		return "", x.ID, true
	case search.OriginUpdated:
		return "", g.prefix() + g.dateText(search.Range{Start: x.Updated, End: x.Updated + 1}), true
	case search.OriginCreated:
		return "", g.prefix() + g.dateText(search.Range{Start: x.Created, End: x.Created + 1}), true
	}
	if p.Origin == search.OriginEntities {
		return g.entity(x, p)
	}
	if p.Type == r4.SearchComposite {
		value, ok = g.composite(x, p)
		return "", value, ok
	}
	t := pick(g.rand, p.Terms)
	switch p.Type {
	case r4.SearchSpecial:
		value, ok = g.near(x, t)
		return "", value, ok
	case r4.SearchToken:
		return g.tokenWith(x, t)
	case r4.SearchReference:
		return g.referenceWith(x, p, t)
	case r4.SearchString:
		modifier = pick(g.rand, []string{"", "exact", "contains"})
		value, ok = g.stringOf(x, t.Group(search.Main), modifier)
		return modifier, value, ok
	case r4.SearchURI:
		return g.uriWith(x, t.Group(search.Main))
	}
	value, ok = g.plain(x, t, anyPart)
	return "", value, ok
}

// plain makes a value without modifier from a row of a term in a part.
func (g *Generator) plain(x *Resource, t search.Term, part uint32) (string, bool) {
	group := t.Group(search.Main)
	here := func(r search.Row) bool { return r.Group == group && (part == anyPart || r.Part == part) }
	switch t.Kind {
	case search.KindToken:
		r, ok := choose(g, x.tokens, func(r search.Token) bool { return here(r.Row) && !(r.Code.Empty() && r.System.Empty()) })
		return g.tokenText(x, r), ok
	case search.KindString:
		r, ok := choose(g, x.strings, func(r search.String) bool { return here(r.Row) && !r.Word && !r.Folded.Empty() })
		return escape(x.text(r.Exact)), ok
	case search.KindDate:
		r, ok := choose(g, x.dates, func(r search.Date) bool { return here(r.Row) })
		return g.prefix() + g.dateText(r.Range), ok
	case search.KindNumber:
		r, ok := choose(g, x.numbers, func(r search.Number) bool { return here(r.Row) })
		return g.prefix() + g.numberText(r.Interval), ok
	case search.KindQuantity:
		r, ok := choose(g, x.quantities, func(r search.Quantity) bool { return here(r.Row) })
		return g.quantityText(x, r), ok
	case search.KindReference:
		r, ok := choose(g, x.references, func(r search.Reference) bool {
			return here(r.Row) && !(r.ID.Empty() && r.URL.Empty()) && (t.Target == 0 || t.Target == r.Type)
		})
		return referenceValue(x, r), ok
	}
	r, ok := choose(g, x.uris, func(r search.URI) bool { return here(r.Row) })
	return escape(x.text(r.Value)), ok
}

// choose gives one of the rows for which a condition holds.
func choose[R any](g *Generator, rows []R, holds func(R) bool) (r R, ok bool) {
	n := 0
	for _, x := range rows {
		if holds(x) {
			if n++; g.oneIn(n) {
				r = x
			}
		}
	}
	return r, n > 0
}

func (g *Generator) composite(x *Resource, p *search.Parameter) (string, bool) {
	b := pick(g.rand, p.Bindings)
	part := uint32(anyPart)
	if b.Parts {
		parts := x.parts()
		if len(parts) == 0 {
			return "", false
		}
		part = pick(g.rand, parts)
	}
	var values []string
	for i, terms := range b.Components {
		of := part
		if b.Whole[i] {
			of = anyPart
		}
		v, ok := g.plain(x, pick(g.rand, terms), of)
		if !ok {
			return "", false
		}
		values = append(values, v)
	}
	return strings.Join(values, "$"), true
}

// tokenText makes one of the forms of a token.
func (g *Generator) tokenText(x *Resource, r search.Token) string {
	code, system := x.text(r.Code), x.text(r.System)
	if r.Folded && g.oneIn(2) {
		code = strings.ToUpper(code)
	}
	switch {
	case code == "":
		return escape(system) + "|"
	case system == "" || r.Implied && g.oneIn(2):
		return pick(g.rand, []string{"", "|"}) + escape(code)
	}
	return pick(g.rand, []string{escape(code), escape(system) + "|" + escape(code), escape(system) + "|" + escape(code), escape(system) + "|"})
}

// tokenWith makes a value of a token parameter with one of its modifiers.
func (g *Generator) tokenWith(x *Resource, t search.Term) (modifier, value string, ok bool) {
	switch g.rand.IntN(8) {
	case 0:
		value, ok = g.plain(x, t, anyPart)
		return "not", value, ok
	case 1:
		if value, ok = g.stringOf(x, t.Group(search.FacetText), ""); ok {
			return "text", value, true
		}
	case 2:
		r, ok := choose(g, x.tokens, func(r search.Token) bool { return r.Group == t.Group(search.FacetOfType) && !r.System.Empty() })
		if code, id, cut := strings.Cut(x.text(r.Code), "|"); ok && cut && id != "" {
			return "of-type", escape(x.text(r.System)) + "|" + escape(code) + "|" + escape(id), true
		}
	}
	value, ok = g.plain(x, t, anyPart)
	return "", value, ok
}

// stringOf makes the beginning, a part or all of a text.
func (g *Generator) stringOf(x *Resource, group search.GroupID, modifier string) (string, bool) {
	r, ok := choose(g, x.strings, func(r search.String) bool { return r.Group == group && (!r.Word || modifier == "") })
	if !ok {
		return "", false
	}
	text := x.text(r.Exact)
	if r.Word {
		text = x.text(r.Folded)
	}
	if modifier != "exact" {
		text = g.partOf(text, modifier)
	}
	folded, _ := search.AppendFolded(nil, []byte(text))
	return escape(text), len(folded) > 0 && utf8.ValidString(text) && strings.TrimSpace(text) != ""
}

// partOf gives the beginning of a text that is not empty, for :contains a part, or all of it.
func (g *Generator) partOf(text, modifier string) string {
	if !g.oneIn(2) {
		return text
	}
	runes := []rune(text)
	end := 1 + g.rand.IntN(len(runes))
	start := 0
	if modifier == "contains" {
		start = g.rand.IntN(end)
	}
	text = string(runes[start:end])
	if g.oneIn(3) {
		text = strings.ToUpper(text)
	}
	return text
}

func referenceValue(x *Resource, r search.Reference) string {
	text, version := x.text(r.URL), x.text(r.Version)
	if text != "" {
		if version != "" {
			return escape(text) + "|" + escape(version)
		}
		return escape(text)
	}
	text = Key{r.Type, x.text(r.ID)}.String()
	if version != "" {
		text += "/_history/" + version
	}
	return escape(text)
}

func (g *Generator) referenceWith(x *Resource, p *search.Parameter, t search.Term) (modifier, value string, ok bool) {
	if g.oneIn(6) {
		r, ok := choose(g, x.tokens, func(r search.Token) bool {
			return r.Group == t.Group(search.FacetIdentifier) && !(r.Code.Empty() && r.System.Empty())
		})
		if ok {
			return "identifier", g.tokenText(x, r), true
		}
	}
	r, ok := choose(g, x.references, func(r search.Reference) bool {
		return r.Group == t.Group(search.Main) && !(r.ID.Empty() && r.URL.Empty()) && (t.Target == 0 || t.Target == r.Type)
	})
	if !ok {
		return "", "", false
	}
	if !r.URL.Empty() {
		return "", referenceValue(x, r), readable(x.text(r.URL))
	}
	targets := p.Targets
	if t.Target != 0 {
		targets = []r4.TypeID{t.Target}
	}
	switch g.rand.IntN(4) {
	case 0:
		return "", x.text(r.ID), true
	case 1:
		if r.Type != 0 && (len(targets) == 0 || slices.Contains(targets, r.Type)) {
			return r.Type.String(), x.text(r.ID), true
		}
	case 2:
		return "", Base + referenceValue(x, r), true
	}
	return "", referenceValue(x, r), true
}

// readable tells whether a URL is one that a search takes for one.
func readable(url string) bool { return strings.ContainsAny(url, ":?#") }

func (g *Generator) uriWith(x *Resource, group search.GroupID) (modifier, value string, ok bool) {
	r, ok := choose(g, x.uris, func(r search.URI) bool { return r.Group == group })
	text := x.text(r.Value)
	if !ok || text == "" {
		return "", "", false
	}
	urn := strings.HasPrefix(text, "urn:")
	switch g.rand.IntN(4) {
	case 0:
		if cut := text[:1+g.rand.IntN(len(text))]; !urn && utf8.ValidString(cut) && !strings.HasPrefix(cut, "urn:") {
			return "below", escape(cut), true
		}
	case 1:
		if !urn {
			return "above", escape(text) + pick(g.rand, []string{"", "/more", "x"}), true
		}
	case 2:
		if version := x.text(r.Version); version != "" {
			return "", escape(text) + "|" + escape(version), true
		}
	}
	return "", escape(text), true
}

func (g *Generator) prefix() string {
	return pick(g.rand, []string{"", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
}

// dateText makes a text of the start or end of a time, to any precision.
func (g *Generator) dateText(r search.Range) string {
	at := r.Start
	if at == search.Earliest || r.End != search.Latest && g.oneIn(4) {
		at = r.End
	}
	t := time.UnixMicro(at).UTC()
	if t.Year() < 1 || t.Year() > 9998 {
		return "2000"
	}
	if g.oneIn(5) {
		t = t.Add(time.Duration(g.rand.IntN(5)-2) * 24 * time.Hour)
	}
	layout := pick(g.rand, []string{"2006", "2006-01", "2006-01-02", "2006-01-02", "2006-01-02T15:04Z", "2006-01-02T15:04:05Z", "2006-01-02T15:04:05.000Z"})
	if g.oneIn(6) {
		t, layout = t.In(time.FixedZone("", -5*3600)), "2006-01-02T15:04:05-07:00"
	}
	return t.Format(layout)
}

// numberText makes a number of an interval, to any precision.
func (g *Generator) numberText(i search.Interval) string {
	n := i.Low
	if math.IsInf(n, 0) || g.oneIn(4) {
		n = i.High
	}
	if math.IsInf(n, 0) {
		n = 1
	}
	switch g.rand.IntN(6) {
	case 0:
		return strconv.FormatFloat(n, 'f', 1+g.rand.IntN(3), 64)
	case 1:
		return strconv.FormatFloat(n, 'f', 0, 64)
	case 2:
		return strconv.FormatFloat(n, 'e', 1+g.rand.IntN(3), 64)
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

func (g *Generator) quantityText(x *Resource, r search.Quantity) string {
	text := g.prefix() + g.numberText(r.Interval)
	system, code, unit := x.text(r.System), x.text(r.Code), x.text(r.Unit)
	switch g.rand.IntN(4) {
	case 0:
		return text
	case 1:
		if unit != "" {
			return text + "||" + escape(unit)
		}
	case 2:
		if system != "" {
			return text + "|" + escape(system) + "|"
		}
	}
	if code == "" {
		return text
	}
	return text + "|" + escape(system) + "|" + escape(code)
}

func (g *Generator) near(x *Resource, t search.Term) (string, bool) {
	latitude, ok1 := choose(g, x.numbers, func(r search.Number) bool { return r.Group == t.Group(search.FacetLatitude) })
	longitude, ok2 := choose(g, x.numbers, func(r search.Number) bool { return r.Group == t.Group(search.FacetLongitude) })
	if !ok1 || !ok2 {
		return "", false
	}
	text := func(f float64) string { return strconv.FormatFloat(f, 'f', 3, 64) }
	return text(latitude.Low) + "|" + text(longitude.Low) + "|" + strconv.Itoa(1+g.rand.IntN(200)) + "|" + pick(g.rand, []string{"km", "[mi_i]", ""}), true
}
