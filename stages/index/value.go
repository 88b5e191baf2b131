package index

import (
	"math"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/fhirpath"
)

// str takes a value of a string parameter: a primitive, the strings of a HumanName or
// Address, the texts of a CodeableConcept or Coding.
func (w *worker) str(g *group, v fhirpath.Value) {
	t, n := v.Node()
	if t == nil {
		if v.HasValue() {
			w.text = v.AppendString(w.text[:0])
			w.foldString(g.main, w.text)
		}
		return
	}
	switch typ := v.Type(); typ {
	case r4.TypeHumanName:
		w.parts(g, n, nameParts)
	case r4.TypeAddress:
		w.parts(g, n, addressParts)
	case r4.TypeCodeableConcept:
		if list := w.tree.Child(n, conceptCoding); list != fhir.NoNode {
			for d := w.tree.FirstChild(list); d != fhir.NoNode; d = w.tree.NextSibling(list, d) {
				w.optional(g, d, codingDisplay)
			}
		}
		w.optional(g, n, conceptText)
	case r4.TypeCoding:
		w.optional(g, n, codingDisplay)
	case r4.TypeReference:
		w.optional(g, n, referenceDisplay)
	case r4.TypeContactPoint:
		w.optional(g, n, contactValue)
	default:
		if r4.TypeAt(typ).Kind == r4.KindPrimitive && v.HasValue() {
			if w.addString(g.main, n) && w.is(n, familyName) {
				w.words(g)
			}
		}
	}
}

// optional adds the string that element e of node n has, if any.
func (w *worker) optional(g *group, n fhir.NodeID, e r4.ElementID) {
	if w.tree.Nodes[n].Kind != fhir.KindObject {
		return
	}
	if c := w.tree.Child(n, e); c != fhir.NoNode {
		w.addString(g.main, c)
	}
}

// parts adds those elements of a HumanName or Address that are strings.
func (w *worker) parts(g *group, n fhir.NodeID, elements []r4.ElementID) {
	for c := w.tree.FirstChild(n); c != fhir.NoNode; c = w.tree.NextSibling(n, c) {
		nd := &w.tree.Nodes[c]
		if nd.Flags&fhir.FlagTwin != 0 || !slices.Contains(elements, nd.Element) {
			continue
		}
		switch nd.Kind {
		case fhir.KindString:
			if w.addString(g.main, c) && nd.Element == familyName {
				w.words(g)
			}
		case fhir.KindArray:
			for d := w.tree.FirstChild(c); d != fhir.NoNode; d = w.tree.NextSibling(c, d) {
				if w.tree.Nodes[d].Kind == fhir.KindString {
					w.addString(g.main, d)
				}
			}
		}
	}
}

// addString adds a row for the value of a primitive node, and tells whether it has one.
func (w *worker) addString(id search.GroupID, n fhir.NodeID) bool {
	text := w.decoded(n)
	if len(text) > 0 {
		w.foldString(id, text)
	}
	return len(text) > 0
}

func (w *worker) foldString(id search.GroupID, text []byte) {
	folded, same := search.AppendFolded(w.values.Arena(), text)
	row := search.String{Row: w.in(id), Folded: w.values.Took(folded)}
	if row.Exact = row.Folded; !same {
		row.Exact = w.values.Add(text)
	}
	w.values.Strings = append(w.values.Strings, row)
}

// words adds the later words of the family name that has just been added, as far as
// [search.LaterWords] gives them.
func (w *worker) words(g *group) {
	name := w.values.Strings[len(w.values.Strings)-1].Folded
	for word := range search.LaterWords(w.values.Text(name)) {
		w.values.Strings = append(w.values.Strings, search.String{Row: w.in(g.main), Folded: name.Part(word.Start, word.End), Word: true})
	}
}

// date takes a value of a date parameter: a date, dateTime, instant, Period or Timing.
func (w *worker) date(g *group, v fhirpath.Value) {
	t, n := v.Node()
	if t == nil {
		return
	}
	var r search.Range
	ok := false
	switch v.Type() {
	case r4.TypeDate, r4.TypeDateTime, r4.TypeInstant:
		if v.HasValue() {
			r, ok = search.DateRange(w.plain(n))
		}
	case r4.TypePeriod:
		r, ok = w.period(n)
	case r4.TypeTiming:
		r, ok = w.timing(n)
	}
	if ok {
		w.values.Dates = append(w.values.Dates, search.Date{Row: w.in(g.main), Range: r})
	}
}

// period gives the time of a Period; ok is false when it has neither start nor end.
func (w *worker) period(n fhir.NodeID) (r search.Range, ok bool) {
	return search.PeriodRange(w.member(n, periodStart), w.member(n, periodEnd))
}

// timing gives the outer limits of a Timing (R4, 3.1.1.4.7): its events and the Period
// that bounds it.
func (w *worker) timing(n fhir.NodeID) (r search.Range, ok bool) {
	if list := w.tree.Child(n, timingEvent); list != fhir.NoNode {
		for c := w.tree.FirstChild(list); c != fhir.NoNode; c = w.tree.NextSibling(list, c) {
			if e, isDate := search.DateRange(w.plain(c)); isDate {
				if !ok {
					r = e
				}
				r, ok = r.Union(e), true
			}
		}
	}
	repeat := w.tree.Child(n, timingRepeat)
	if repeat == fhir.NoNode {
		return r, ok
	}
	if p := w.tree.Child(repeat, boundsPeriod); p != fhir.NoNode {
		if e, isPeriod := w.period(p); isPeriod {
			if !ok {
				r = e
			}
			r, ok = r.Union(e), true
		}
	}
	return r, ok
}

// member gives the value of the primitive that is element e of node n, nil when it is
// not there.
func (w *worker) member(n fhir.NodeID, e r4.ElementID) []byte {
	if c := w.tree.Child(n, e); c != fhir.NoNode {
		return w.plain(c)
	}
	return nil
}

// plain is decoded without the buffer that others use too: dates, units and ids have no
// escapes but those that somebody made on purpose.
func (w *worker) plain(n fhir.NodeID) []byte {
	if nd := &w.tree.Nodes[n]; nd.Kind == fhir.KindString && nd.Flags&fhir.FlagEscaped != 0 {
		return fhir.AppendUnescaped(nil, w.tree.Raw(n))
	}
	return w.tree.Raw(n)
}

// number takes a value of a number parameter: an integer, a decimal, a Range; and of
// near a position.
func (w *worker) number(g *group, v fhirpath.Value) {
	t, n := v.Node()
	if t == nil {
		return
	}
	switch v.Type() {
	case r4.TypeInteger, r4.TypeUnsignedInt, r4.TypePositiveInt, r4.TypeDecimal:
		if v.HasValue() {
			w.addNumber(g.main, n)
		}
	case r4.TypeRange:
		low, okLow := w.amount(w.tree.Child(n, rangeLow))
		high, okHigh := w.amount(w.tree.Child(n, rangeHigh))
		if okLow || okHigh {
			w.values.Numbers = append(w.values.Numbers, search.Number{Row: w.in(g.main), Interval: search.Interval{Low: low.Low, High: high.High}})
		}
	case r4.TypeLocationPosition:
		w.addNumber(g.latitude, w.tree.Child(n, latitude))
		w.addNumber(g.longitude, w.tree.Child(n, longitude))
	}
}

func (w *worker) addNumber(id search.GroupID, n fhir.NodeID) {
	if n == fhir.NoNode {
		return
	}
	if i, ok := search.NumberInterval(w.tree.Raw(n)); ok {
		w.values.Numbers = append(w.values.Numbers, search.Number{Row: w.in(id), Interval: i})
	}
}

// anything is the interval of a missing bound.
var anything = search.Interval{Low: math.Inf(-1), High: math.Inf(1)}

// amount gives the number of a Quantity, all numbers when it has none. Its comparator
// is not looked at: the bounds of a Range have none (R4, 2.24.0.6).
func (w *worker) amount(n fhir.NodeID) (i search.Interval, ok bool) {
	if n == fhir.NoNode {
		return anything, false
	}
	q := quantities[w.tree.Nodes[n].Type]
	if q == nil {
		return anything, false
	}
	value := w.tree.Child(n, q.value)
	if value == fhir.NoNode {
		return anything, false
	}
	if i, ok = search.NumberInterval(w.tree.Raw(value)); !ok {
		return anything, false
	}
	return i, true
}

// quantity takes a value of a quantity parameter: a Quantity or what specialises it,
// Money, a Range; of a plain number one without unit.
func (w *worker) quantity(g *group, v fhirpath.Value) {
	t, n := v.Node()
	if t == nil {
		return
	}
	row := search.Quantity{Row: w.in(g.main)}
	switch typ := v.Type(); typ {
	case r4.TypeMoney:
		value := w.tree.Child(n, moneyValue)
		if value == fhir.NoNode {
			return
		}
		i, ok := search.NumberInterval(w.tree.Raw(value))
		if !ok {
			return
		}
		row.Interval = i
		if c := w.tree.Child(n, moneyCurrency); c != fhir.NoNode {
			row.System, row.Code = w.onceString(currencies), w.add(c)
		}
	case r4.TypeRange:
		if !w.rangeQuantity(&row, n) {
			return
		}
	case r4.TypeInteger, r4.TypeUnsignedInt, r4.TypePositiveInt, r4.TypeDecimal:
		i, ok := search.NumberInterval(w.tree.Raw(n))
		if !ok || !v.HasValue() {
			return
		}
		row.Interval = i
	default:
		i, ok := w.amount(n)
		if !ok {
			return
		}
		comparator := w.member(n, quantities[w.tree.Nodes[n].Type].comparator)
		row.Interval = i.Compared(comparator)
		w.unit(&row, n)
		if row.Base, row.In = w.canonical(n); !row.Base.Empty() {
			row.In = row.In.Compared(comparator)
		}
	}
	w.values.Quantities = append(w.values.Quantities, row)
}

const currencies = "urn:iso:std:iso:4217"

// unit sets the unit of a row to that of a Quantity.
func (w *worker) unit(row *search.Quantity, n fhir.NodeID) {
	q := quantities[w.tree.Nodes[n].Type]
	row.System = w.system(w.tree.Child(n, q.system))
	row.Code = w.system(w.tree.Child(n, q.code))
	row.Unit = w.system(w.tree.Child(n, q.unit))
}

// canonical gives a Quantity in the base unit of UCUM; base is empty when its unit is
// none that converts.
func (w *worker) canonical(n fhir.NodeID) (base search.Text, i search.Interval) {
	q := quantities[w.tree.Nodes[n].Type]
	if string(w.member(n, q.system)) != search.UCUM {
		return search.Text{}, search.Interval{}
	}
	u := w.unitOf(w.member(n, q.code))
	if u == nil {
		return search.Text{}, search.Interval{}
	}
	i, ok := u.Interval(w.member(n, q.value))
	if !ok {
		return search.Text{}, search.Interval{}
	}
	return w.onceString(u.Base()), i
}

// maxUnits bounds how many units a worker remembers.
const maxUnits = 1024

// unitOf gives the unit of a UCUM code, nil when it is none that converts.
func (w *worker) unitOf(code []byte) *search.Unit {
	u, known := w.units[string(code)]
	if known {
		return u
	}
	if x, ok := search.UnitOf(code); ok {
		u = &x
	}
	if len(w.units) >= maxUnits {
		clear(w.units)
	}
	w.units[string(code)] = u
	return u
}

// rangeQuantity makes a row of a Range, whose two bounds are in one unit; when they are
// not, it has none.
func (w *worker) rangeQuantity(row *search.Quantity, n fhir.NodeID) bool {
	low, high := w.tree.Child(n, rangeLow), w.tree.Child(n, rangeHigh)
	from, okLow := w.amount(low)
	to, okHigh := w.amount(high)
	if !okLow && !okHigh {
		return false
	}
	row.Interval = search.Interval{Low: from.Low, High: to.High}
	row.In = anything
	switch {
	case !okHigh:
		w.unit(row, low)
		row.Base, from = w.canonical(low)
		row.In.Low = from.Low
	case !okLow:
		w.unit(row, high)
		row.Base, to = w.canonical(high)
		row.In.High = to.High
	default:
		base, in := w.canonical(low)
		other, upTo := w.canonical(high)
		if string(w.values.Text(base)) == string(w.values.Text(other)) {
			row.Base, row.In = base, search.Interval{Low: in.Low, High: upTo.High}
		}
		q, p := quantities[w.tree.Nodes[low].Type], quantities[w.tree.Nodes[high].Type]
		if string(w.member(low, q.code)) == string(w.member(high, p.code)) && string(w.member(low, q.unit)) == string(w.member(high, p.unit)) {
			w.unit(row, low)
		}
	}
	if row.Base.Empty() {
		row.In = search.Interval{}
	}
	return true
}
