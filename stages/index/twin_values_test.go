package index_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/fhir/ucum"
)

// The rules of R4, 3.1.1.4, for the values of each datatype, written a second time. A
// value is a text that a row of the stage is written as too; see rowTexts.

// values gives those that a parameter of a kind has of an item.
func (t *twin) values(kind search.Kind, x item) []string {
	switch kind {
	case search.KindToken:
		return tokens(x)
	case search.KindString:
		return stringValues(x)
	case search.KindDate:
		return dates(x)
	case search.KindNumber:
		return numbers(x)
	case search.KindQuantity:
		return quantityValues(x)
	case search.KindReference:
		return t.references(x)
	}
	return uris(x)
}

func text(x item) string {
	switch v := x.json.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func (x item) one(name string) string {
	for _, m := range x.members(name) {
		return text(m)
	}
	return ""
}

func shown(s string) []string {
	if s == "" {
		return nil
	}
	return []string{fmt.Sprintf("text %s|%s", foldTwin(s), s)}
}

func tokens(x item) (out []string) {
	switch name := x.typ.String(); name {
	case "": // of System
		return []string{fmt.Sprintf("token |%s", text(x))}
	case "CodeableConcept":
		for _, c := range x.members("coding") {
			out = append(out, tokens(c)...)
		}
		out = append(out, shown(x.one("text"))...)
		if len(out) > 0 && !slices.ContainsFunc(out, func(s string) bool { return strings.HasPrefix(s, "token ") }) {
			out = append(out, "token |")
		}
	case "Coding":
		if x.one("system")+x.one("code")+x.one("display") != "" {
			out = append(out, fmt.Sprintf("token %s|%s", x.one("system"), x.one("code")))
		}
		out = append(out, shown(x.one("display"))...)
	case "Identifier":
		if x.one("system")+x.one("value") != "" || len(x.members("type")) > 0 {
			out = append(out, fmt.Sprintf("token %s|%s", x.one("system"), x.one("value")))
		}
		for _, typ := range x.members("type") {
			out = append(out, shown(typ.one("text"))...)
			for _, c := range typ.members("coding") {
				if c.one("code") != "" && x.one("value") != "" {
					out = append(out, fmt.Sprintf("of-type %s|%s|%s", c.one("system"), c.one("code"), x.one("value")))
				}
			}
		}
	case "ContactPoint":
		if v := x.one("value"); v != "" {
			out = append(out, "token |"+v)
		}
	case "code":
		system := ""
		for _, c := range r4.CodeSetAt(r4.ElementAt(x.elem).Binding.CodeSet).Codings {
			if c.Code == text(x) {
				system = c.System
				break
			}
		}
		if system != "" {
			return []string{fmt.Sprintf("implied %s|%s", system, text(x))}
		}
		out = append(out, "token |"+text(x))
	case "string", "markdown":
		out = append(out, "lower |"+strings.ToLower(text(x)))
	default:
		if v := text(x); v != "" {
			out = append(out, "token |"+v)
		}
	}
	return out
}

func stringValues(x item) (out []string) {
	add := func(s string, family bool) {
		if s == "" {
			return
		}
		folded := foldTwin(s)
		out = append(out, fmt.Sprintf("string %s|%s", folded, s))
		if words := strings.Fields(folded); family {
			for i := 1; i < min(len(words), 17); i++ {
				later := strings.Join(words[i:], " ")
				for len(later) > 256 { // whole characters
					runes := []rune(later)
					later = string(runes[:len(runes)-1])
				}
				out = append(out, "word "+later)
			}
		}
	}
	all := func(names ...string) {
		for _, name := range names {
			for _, m := range x.members(name) {
				add(text(m), name == "family")
			}
		}
	}
	switch x.typ.String() {
	case "HumanName":
		all("text", "family", "given", "prefix", "suffix")
	case "Address":
		all("text", "line", "city", "district", "state", "postalCode", "country")
	case "CodeableConcept":
		all("text")
		for _, c := range x.members("coding") {
			add(c.one("display"), false)
		}
	case "Coding", "Reference":
		all("display")
	case "ContactPoint":
		all("value")
	default:
		add(text(x), r4.ElementAt(x.elem).Path == "HumanName.family")
	}
	return out
}

var twinLetters = strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ħ", "h", "ı", "i", "ŧ", "t", "ĸ", "k", "ŋ", "n")

func foldTwin(s string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(s) {
		switch {
		case strings.ContainsRune(`'."!?*#%&@‘’‛`, r), unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case unicode.IsSpace(r), unicode.In(r, unicode.Pd, unicode.Ps, unicode.Pe, unicode.Pi, unicode.Pf), strings.ContainsRune(`,/\:;_`, r):
			b.WriteByte(' ')
		case unicode.IsPunct(r), unicode.IsControl(r):
		default:
			b.WriteRune(unicode.ToLower(unicode.ToUpper(r)))
		}
	}
	return strings.Join(strings.Fields(twinLetters.Replace(b.String())), " ")
}

var dateForm = regexp.MustCompile(`^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?$`)

// span gives the first moment of a date and the first after it.
func span(s string) (from, to int64, ok bool) {
	m := dateForm.FindStringSubmatch(s)
	if m == nil {
		return 0, 0, false
	}
	n := func(i, missing int) int {
		if m[i] == "" {
			return missing
		}
		v, _ := strconv.Atoi(m[i])
		return v
	}
	zone := time.UTC
	if m[8] != "" && m[8] != "Z" {
		t, _ := time.Parse("-07:00", m[8])
		zone = t.Location()
	}
	at := time.Date(n(1, 0), time.Month(n(2, 1)), n(3, 1), n(4, 0), n(5, 0), n(6, 0), 0, zone)
	var end time.Time
	switch {
	case m[2] == "":
		end = at.AddDate(1, 0, 0)
	case m[3] == "":
		end = at.AddDate(0, 1, 0)
	case m[4] == "":
		end = at.AddDate(0, 0, 1)
	case m[6] == "":
		end = at.Add(time.Minute)
	case m[7] == "":
		end = at.Add(time.Second)
	default:
		digits := (m[7][1:] + "000000")[:6]
		micros, _ := strconv.Atoi(digits)
		at = at.Add(time.Duration(micros) * time.Microsecond)
		end = at.Add(max(time.Microsecond, time.Second/time.Duration(math.Pow10(min(len(m[7])-1, 6)))))
	}
	return at.UnixMicro(), end.UnixMicro(), true
}

func dates(x item) []string {
	low, high, ok := int64(math.MaxInt64), int64(math.MinInt64), false
	widen := func(from, to int64) { low, high, ok = min(low, from), max(high, to), true }
	period := func(p item) {
		start, end := p.one("start"), p.one("end")
		from, _, ok1 := span(start)
		_, to, ok2 := span(end)
		if !ok1 {
			from = math.MinInt64
		}
		if !ok2 {
			to = math.MaxInt64
		}
		if ok1 || ok2 {
			widen(from, to)
		}
	}
	switch x.typ.String() {
	case "date", "dateTime", "instant":
		if from, to, ok := span(text(x)); ok {
			widen(from, to)
		}
	case "Period":
		period(x)
	case "Timing":
		for _, e := range x.members("event") {
			if from, to, ok := span(text(e)); ok {
				widen(from, to)
			}
		}
		for _, r := range x.members("repeat") {
			for _, b := range r.members("bounds") {
				if b.typ == r4.TypePeriod {
					period(b)
				}
			}
		}
	}
	if !ok {
		return nil
	}
	return []string{fmt.Sprintf("date %d %d", low, high)}
}

func float(s string) (f float64, ok bool) {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return 0, false
	}
	f, _ = r.Float64()
	return f, true
}

func numbers(x item) []string {
	switch x.typ.String() {
	case "integer", "unsignedInt", "positiveInt", "decimal":
		f, _ := float(text(x))
		return []string{fmt.Sprintf("number %v %v", f, f)}
	case "Location.position":
		lat, _ := float(x.one("latitude"))
		long, _ := float(x.one("longitude"))
		return []string{fmt.Sprintf("latitude %v", lat), fmt.Sprintf("longitude %v", long)}
	case "Range":
		if low, high, ok := bounds(x, plainNumber); ok {
			return []string{fmt.Sprintf("number %v %v", low, high)}
		}
	}
	return nil
}

func plainNumber(q item) (float64, bool) { return float(q.one("value")) }

// bounds gives those of a Range, infinite where they are missing.
func bounds(x item, of func(item) (float64, bool)) (low, high float64, ok bool) {
	low, high = math.Inf(-1), math.Inf(1)
	for _, m := range x.members("low") {
		if f, is := of(m); is {
			low, ok = f, true
		}
	}
	for _, m := range x.members("high") {
		if f, is := of(m); is {
			high, ok = f, true
		}
	}
	return low, high, ok
}

// base gives a UCUM quantity in its base unit.
func base(q item) (f float64, unit string, ok bool) {
	if q.one("system") != "http://unitsofmeasure.org" || strings.Contains(q.one("code"), "[pH]") {
		return 0, "", false
	}
	d, ok := decimal.Parse([]byte(q.one("value")))
	if !ok {
		return 0, "", false
	}
	d, unit, ok = ucum.Canonical(d, []byte(q.one("code")))
	f, _ = float(d.String())
	return f, unit, ok
}

// interval widens a number by a comparator.
func interval(f float64, comparator string) (low, high float64) {
	switch comparator {
	case "<":
		return math.Inf(-1), math.Nextafter(f, math.Inf(-1))
	case "<=":
		return math.Inf(-1), f
	case ">":
		return math.Nextafter(f, math.Inf(1)), math.Inf(1)
	case ">=":
		return f, math.Inf(1)
	}
	return f, f
}

func quantityText(low, high float64, system, code, unit, base string, from, to float64) string {
	return fmt.Sprintf("quantity %v %v %s|%s|%s in %s %.12g %.12g", low, high, system, code, unit, base, from, to)
}

func quantityValues(x item) []string {
	switch x.typ.String() {
	case "Money":
		if f, ok := float(x.one("value")); ok {
			system := ""
			if x.one("currency") != "" {
				system = "urn:iso:std:iso:4217"
			}
			return []string{quantityText(f, f, system, x.one("currency"), "", "", 0, 0)}
		}
	case "Range":
		low, high, ok := bounds(x, plainNumber)
		if !ok {
			return nil
		}
		units, bases := map[[3]string]bool{}, map[string]bool{}
		var q item
		for _, name := range []string{"low", "high"} {
			for _, m := range x.members(name) {
				if m.one("value") == "" {
					continue
				}
				q = m
				units[[3]string{m.one("system"), m.one("code"), m.one("unit")}] = true
				_, unit, _ := base(m)
				bases[unit] = true
			}
		}
		var system, code, unit, inUnit string
		if len(units) == 1 {
			system, code, unit = q.one("system"), q.one("code"), q.one("unit")
		}
		var from, to float64
		if _, u, ok := base(q); ok && len(bases) == 1 {
			inUnit = u
			from, to, _ = bounds(x, func(q item) (float64, bool) { f, _, ok := base(q); return f, ok })
		}
		return []string{quantityText(low, high, system, code, unit, inUnit, from, to)}
	case "integer", "unsignedInt", "positiveInt", "decimal":
		f, _ := float(text(x))
		return []string{quantityText(f, f, "", "", "", "", 0, 0)}
	case "Quantity", "Age", "Duration", "Count", "Distance", "MoneyQuantity", "SimpleQuantity":
		f, ok := float(x.one("value"))
		if !ok {
			return nil
		}
		low, high := interval(f, x.one("comparator"))
		in, unit, ok := base(x)
		var from, to float64
		if ok {
			from, to = interval(in, x.one("comparator"))
		}
		return []string{quantityText(low, high, x.one("system"), x.one("code"), x.one("unit"), unit, from, to)}
	}
	return nil
}

func referenceText(typ, id, url, version string) string {
	return fmt.Sprintf("reference %s/%s %s|%s", typ, id, url, version)
}

var typeAndID = regexp.MustCompile(`^((?:[a-z]+://.*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64}))(?:/_history/([A-Za-z0-9.-]{1,64}))?$`)

func (t *twin) references(x item) (out []string) {
	name := x.typ.String()
	if x.typ.IsResourceType() {
		return []string{referenceText(name, x.one("id"), "", "")}
	}
	switch name {
	case "canonical", "uri", "url", "oid", "uuid":
		url, version := text(x), ""
		if i := strings.LastIndex(url, "|"); i >= 0 {
			url, version = url[:i], url[i+1:]
		}
		return []string{referenceText("", "", url, version)}
	case "Reference":
	default:
		return nil
	}
	s, typ := x.one("reference"), targetOf(x, t.resource)
	if r4.ResourceTypeByName([]byte(typ)) == 0 {
		typ = ""
	}
	var id, url, version string
	m := typeAndID.FindStringSubmatch(s)
	switch {
	case m != nil && r4.ResourceTypeByName([]byte(m[2])) != 0:
		id, version = m[3], m[4]
		if url = m[1]; url == m[2]+"/"+m[3] {
			url = ""
		}
	case strings.Contains(s, "?") && typ != "":
		url = s
	case strings.Contains(s, "|"):
		i := strings.LastIndex(s, "|")
		url, version = s[:i], s[i+1:]
	default:
		url = s
	}
	if s != "" || x.one("display") != "" || len(x.members("identifier")) > 0 {
		out = append(out, referenceText(typ, id, url, version))
	}
	for _, i := range x.members("identifier") {
		for _, v := range tokens(i) {
			if rest, ok := strings.CutPrefix(v, "token "); ok {
				out = append(out, "identifier "+rest)
			}
		}
	}
	return out
}

func uris(x item) []string {
	s := text(x)
	if s == "" {
		return nil
	}
	version := ""
	if i := strings.LastIndex(s, "|"); i >= 0 && x.typ.String() == "canonical" {
		s, version = s[:i], s[i+1:]
	}
	return []string{fmt.Sprintf("uri %s|%s", s, version)}
}
