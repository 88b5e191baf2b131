package fhirpath

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/temporal"
	"github.com/fhirlake/fhirlake/fhir/ucum"
)

func numeric(k Kind) bool { return k == KindInteger || k == KindLong || k == KindDecimal }

func datelike(k Kind) bool { return k == KindDate || k == KindDateTime }

// equal is `=` between two items (N1, 6.1.1).
func (ev *Evaluator) equal(a, b Value) ternary {
	ka, kb := a.systemKind(), b.systemKind()
	if ka == KindString && kb == KindString {
		x, ok := ev.stringOf(a)
		y, ok2 := ev.stringOf(b)
		if ok && ok2 {
			return ternaryOf(ev.sameText(x, y))
		}
	}
	if !a.HasValue() || !b.HasValue() {
		if a.kind == KindNode && b.kind == KindNode && ka == kb && ka != KindQuantity {
			return ternaryOf(ev.sameNode(a, b, false))
		}
		if ka != KindQuantity && kb != KindQuantity {
			return ev.equalTypeInfo(a, b)
		}
	}
	switch {
	case numeric(ka) && numeric(kb):
		x, ok := ev.number(a)
		y, ok2 := ev.number(b)
		if !ok || !ok2 {
			return isEmpty
		}
		return ternaryOf(x.Cmp(y) == 0)
	case ka == KindQuantity || kb == KindQuantity:
		return ev.equalQuantities(a, b)
	case ka == KindBoolean && kb == KindBoolean:
		x, _ := a.Boolean()
		y, _ := b.Boolean()
		return ternaryOf(x == y)
	case datelike(ka) && datelike(kb) || ka == KindTime && kb == KindTime:
		x, ok := ev.temporalOf(a)
		y, ok2 := ev.temporalOf(b)
		if !ok || !ok2 {
			return isEmpty
		}
		eq, known := temporal.Equal(x, y)
		if !known {
			return isEmpty
		}
		return ternaryOf(eq)
	}
	return isFalse
}

func (ev *Evaluator) equalTypeInfo(a, b Value) ternary {
	if a.kind == KindTypeInfo && b.kind == KindTypeInfo {
		return ternaryOf(a.data.name == b.data.name && bytes.Equal(a.data.text, b.data.text))
	}
	if a.systemKind() == KindNone || b.systemKind() == KindNone {
		return isFalse // an object is no value
	}
	return isEmpty
}

// sameNode tells whether two elements have the same content: the values of
// primitives, the same members in any order, the items of arrays in their order;
// in any order too for equivalence.
func (ev *Evaluator) sameNode(a, b Value, equivalent bool) bool {
	if a.tree == b.tree && a.node == b.node {
		return true
	}
	return ev.sameSubtree(a.tree, a.node, b.tree, b.node, equivalent)
}

func (ev *Evaluator) sameSubtree(s *fhir.Tree, a fhir.NodeID, t *fhir.Tree, b fhir.NodeID, equivalent bool) bool {
	x, y := &s.Nodes[a], &t.Nodes[b]
	if x.Kind != y.Kind {
		return false
	}
	if !ev.spend(1) {
		return false
	}
	switch x.Kind {
	case fhir.KindString:
		v := Value{kind: KindNode, tree: s, node: a, typ: x.Type}
		w := Value{kind: KindNode, tree: t, node: b, typ: y.Type}
		p, _ := ev.stringOf(v)
		q, _ := ev.stringOf(w)
		return ev.sameText(p, q) || equivalent && ev.equivalentText(p, q)
	case fhir.KindNumber:
		p, ok := decimal.Parse(s.Raw(a))
		q, ok2 := decimal.Parse(t.Raw(b))
		return ok && ok2 && (p.Cmp(q) == 0 || equivalent && p.Equivalent(q))
	case fhir.KindArray:
		return ev.sameItems(s, a, t, b, equivalent)
	case fhir.KindObject:
		return ev.sameMembers(s, a, t, b, equivalent)
	}
	return true
}

func (ev *Evaluator) sameItems(s *fhir.Tree, a fhir.NodeID, t *fhir.Tree, b fhir.NodeID, equivalent bool) bool {
	c, d := s.FirstChild(a), t.FirstChild(b)
	for c != fhir.NoNode && d != fhir.NoNode {
		if !ev.sameSubtree(s, c, t, d, equivalent) {
			return equivalent && ev.sameInAnyOrder(s, a, t, b)
		}
		c, d = s.NextSibling(a, c), t.NextSibling(b, d)
	}
	return c == d
}

func (ev *Evaluator) sameInAnyOrder(s *fhir.Tree, a fhir.NodeID, t *fhir.Tree, b fhir.NodeID) bool {
	var left, right []Value
	for c := s.FirstChild(a); c != fhir.NoNode; c = s.NextSibling(a, c) {
		left = append(left, Value{kind: KindNode, tree: s, node: c, typ: s.Nodes[c].Type, parent: a})
	}
	for c := t.FirstChild(b); c != fhir.NoNode; c = t.NextSibling(b, c) {
		right = append(right, Value{kind: KindNode, tree: t, node: c, typ: t.Nodes[c].Type, parent: b})
	}
	return ev.equivalentItems(left, right)
}

func (ev *Evaluator) sameMembers(s *fhir.Tree, a fhir.NodeID, t *fhir.Tree, b fhir.NodeID, equivalent bool) bool {
	n := 0
	for c := s.FirstChild(a); c != fhir.NoNode; c = s.NextSibling(a, c) {
		n++
		found := false
		x := &s.Nodes[c]
		for d := t.FirstChild(b); d != fhir.NoNode && !found; d = t.NextSibling(b, d) {
			y := &t.Nodes[d]
			// Types such as Age and Quantity have elements of the same names.
			if x.Flags&fhir.FlagTwin != y.Flags&fhir.FlagTwin || x.Element != y.Element && !sameName(x.Element, y.Element) {
				continue
			}
			if !ev.sameSubtree(s, c, t, d, equivalent) {
				return false
			}
			found = true
		}
		if !found {
			return false
		}
	}
	for d := t.FirstChild(b); d != fhir.NoNode; d = t.NextSibling(b, d) {
		n--
	}
	return n == 0
}

func sameName(a, b r4.ElementID) bool {
	return a != 0 && b != 0 && r4.ElementAt(a).Name == r4.ElementAt(b).Name
}

// equivalent is `~` between two items (N1, 6.1.2).
func (ev *Evaluator) equivalent(a, b Value) bool {
	ka, kb := a.systemKind(), b.systemKind()
	if ka == KindQuantity || kb == KindQuantity {
		return ev.equivalentQuantities(a, b)
	}
	if a.kind == KindNode && b.kind == KindNode && (!a.HasValue() || !b.HasValue()) {
		return ev.sameNode(a, b, true)
	}
	switch {
	case numeric(ka) && numeric(kb):
		x, ok := ev.number(a)
		y, ok2 := ev.number(b)
		return ok && ok2 && x.Equivalent(y)
	case datelike(ka) && datelike(kb) || ka == KindTime && kb == KindTime:
		x, ok := ev.temporalOf(a)
		y, ok2 := ev.temporalOf(b)
		return ok && ok2 && temporal.Equivalent(x, y)
	case ka == KindString || kb == KindString:
		x, ok := ev.stringOf(a)
		y, ok2 := ev.stringOf(b)
		return ok && ok2 && ev.equivalentText(x, y)
	}
	return ev.equal(a, b) == isTrue
}

func (ev *Evaluator) sameText(a, b []byte) bool {
	return len(a) == len(b) && ev.read(len(a)) && bytes.Equal(a, b)
}

// equivalentText compares without regard to case and with all white space alike.
func (ev *Evaluator) equivalentText(a, b []byte) bool {
	if !ev.read(16 * min(len(a), len(b))) {
		return false
	}
	for len(a) > 0 && len(b) > 0 {
		r, n := utf8.DecodeRune(a)
		s, m := utf8.DecodeRune(b)
		if r != s {
			if unicode.IsSpace(r) && unicode.IsSpace(s) {
				r, s = ' ', ' '
			}
			if unicode.ToLower(r) != unicode.ToLower(s) && unicode.ToUpper(r) != unicode.ToUpper(s) {
				return false
			}
		}
		a, b = a[n:], b[m:]
	}
	return len(a) == len(b)
}

func (ev *Evaluator) equalQuantities(a, b Value) ternary {
	x, ok := ev.quantityOf(a)
	y, ok2 := ev.quantityOf(b)
	if !ok || !ok2 {
		if a.kind == KindNode && b.kind == KindNode {
			return ternaryOf(ev.sameNode(a, b, false))
		}
		if a.systemKind() == KindQuantity && b.systemKind() == KindQuantity {
			return isEmpty
		}
		return isFalse
	}
	c, known := compareQuantities(x, y, false)
	ev.spend(costUnits)
	if !known {
		if incomparable(x, y) {
			return isFalse
		}
		return isEmpty
	}
	return ternaryOf(c == 0)
}

func (ev *Evaluator) equivalentQuantities(a, b Value) bool {
	x, ok := ev.quantityOf(a)
	y, ok2 := ev.quantityOf(b)
	if !ok || !ok2 {
		return a.kind == KindNode && b.kind == KindNode && ev.sameNode(a, b, true)
	}
	if bytes.Equal(x.unit, y.unit) {
		return x.dec.Equivalent(y.dec)
	}
	ev.spend(2 * costUnits)
	c, known := compareQuantities(x, y, true)
	if !known || c == 0 {
		return known
	}
	// Equal at the precision of the less precise, in the unit of the other.
	if d, ok := convert(y, x); ok && x.dec.Equivalent(d) {
		return true
	}
	d, ok := convert(x, y)
	return ok && y.dec.Equivalent(d)
}

func convert(q, to quantity) (decimal.Decimal, bool) {
	u, ok := q.ucumCode(true)
	w, ok2 := to.ucumCode(true)
	if !ok || !ok2 {
		return decimal.Decimal{}, false
	}
	return ucum.Convert(q.dec, u, w)
}

// compareQuantities compares in a common unit; known is false where there is none.
// A calendar year or month has no definite length, so it compares with a UCUM unit
// only when indefinite is allowed (N1, 6.1.1 and 6.1.2).
func compareQuantities(x, y quantity, indefinite bool) (c int, known bool) {
	if x.sameUnit(&y) {
		return x.dec.Cmp(y.dec), true
	}
	if x.calendar && y.calendar {
		return compareCalendar(x, y)
	}
	u, ok := x.ucumCode(indefinite)
	w, ok2 := y.ucumCode(indefinite)
	if !ok || !ok2 {
		return 0, false
	}
	return ucum.Compare(x.dec, u, y.dec, w)
}

// incomparable tells that two units are of different dimensions, not just of an
// indefinite relation.
func incomparable(x, y quantity) bool { return x.opaque != y.opaque }

// ucumCode gives the UCUM code of the unit; a calendar duration longer than a week
// only when indefinite is allowed.
func (q *quantity) ucumCode(indefinite bool) ([]byte, bool) {
	if q.opaque {
		return nil, false
	}
	if !q.calendar {
		return q.unit, true
	}
	u, ok := temporal.UnitByName(string(q.unit))
	if !ok || !indefinite && (u == temporal.Years || u == temporal.Months) {
		return nil, false
	}
	return calendarCodes[u], true
}

var calendarCodes = map[temporal.Unit][]byte{
	temporal.Years: []byte("a"), temporal.Months: []byte("mo"), temporal.Weeks: []byte("wk"), temporal.Days: []byte("d"),
	temporal.Hours: []byte("h"), temporal.Minutes: []byte("min"), temporal.Seconds: []byte("s"), temporal.Milliseconds: []byte("ms"),
}

// calendarCode gives the UCUM code of a calendar duration of definite length, ""
// for years and months.
func calendarCode(unit string) string {
	u, ok := temporal.UnitByName(unit)
	if !ok || u == temporal.Years || u == temporal.Months {
		return ""
	}
	return string(calendarCodes[u])
}

// compareCalendar compares two calendar durations: years with months, and those
// from weeks down.
func compareCalendar(x, y quantity) (int, bool) {
	u, ok := temporal.UnitByName(string(x.unit))
	w, ok2 := temporal.UnitByName(string(y.unit))
	if !ok || !ok2 {
		return 0, false
	}
	long := func(u temporal.Unit) bool { return u == temporal.Years || u == temporal.Months }
	switch {
	case u == w:
		return x.dec.Cmp(y.dec), true
	case long(u) != long(w):
		return 0, false
	case !long(u):
		return ucum.Compare(x.dec, calendarCodes[u], y.dec, calendarCodes[w])
	}
	a, ok := inMonths(x.dec, u)
	b, ok2 := inMonths(y.dec, w)
	return a.Cmp(b), ok && ok2
}

func inMonths(d decimal.Decimal, u temporal.Unit) (decimal.Decimal, bool) {
	if u == temporal.Months {
		return d, true
	}
	return d.Mul(decimal.FromInt(12))
}

// order compares two items for < and its kin (N1, 6.2); known is false where the
// result is empty. Items that have no order between them are an error.
func (ev *Evaluator) order(e *expr, a, b Value) (c int, known bool) {
	ka, kb := a.systemKind(), b.systemKind()
	if ka != KindNone && kb != KindNone && (ka != KindQuantity && !a.HasValue() || kb != KindQuantity && !b.HasValue()) {
		return 0, false // an element without value
	}
	switch {
	case numeric(ka) && numeric(kb):
		if a.kind == KindInteger && b.kind == KindInteger {
			switch {
			case a.num < b.num:
				return -1, true
			case a.num > b.num:
				return 1, true
			}
			return 0, true
		}
		x, ok := ev.number(a)
		y, ok2 := ev.number(b)
		return x.Cmp(y), ok && ok2
	case ka == KindString && kb == KindString:
		x, ok := ev.stringOf(a)
		y, ok2 := ev.stringOf(b)
		return bytes.Compare(x, y), ok && ok2 && ev.read(min(len(x), len(y)))
	case datelike(ka) && datelike(kb) || ka == KindTime && kb == KindTime:
		x, ok := ev.temporalOf(a)
		y, ok2 := ev.temporalOf(b)
		if !ok || !ok2 {
			return 0, false
		}
		return temporal.Compare(x, y)
	case (ka == KindQuantity || numeric(ka)) && (kb == KindQuantity || numeric(kb)):
		x, ok := ev.quantityOf(a)
		y, ok2 := ev.quantityOf(b)
		if !ok || !ok2 || !ev.spend(costUnits) {
			return 0, false
		}
		return compareQuantities(x, y, false)
	}
	ev.fail(e, "%s and %s have no order between them", a.TypeName(), b.TypeName())
	return 0, false
}

// compileOrder compiles < <= > >=.
func (c *compiler) compileOrder(e *expr) *plan {
	a, b := c.scoped(e.Args[0]), c.scoped(e.Args[1])
	return fromCond(e, func() cond {
		x, y := a.get(), b.get()
		op := e.Op
		if b.constant != nil && numeric(b.constant.kind) {
			if h := orderNumber(e, x, *b.constant); h != nil {
				return h
			}
		}
		return func(ev *Evaluator) ternary {
			v, ok := x(ev)
			if ev.err != nil {
				return isEmpty
			}
			w, ok2 := y(ev)
			if !ok || !ok2 {
				return isEmpty
			}
			c, known := ev.order(e, v, w)
			if !known {
				return isEmpty
			}
			return ternaryOf(ordered(op, c))
		}
	})
}

// orderNumber compares with a number that is known.
func orderNumber(e *expr, x getter, n Value) cond {
	d := decimal.FromInt(n.num)
	if n.kind == KindDecimal {
		d = n.data.dec
	}
	op := e.Op
	return func(ev *Evaluator) ternary {
		v, ok := x(ev)
		if !ok {
			return isEmpty
		}
		if m, isNumber := ev.number(v); isNumber {
			return ternaryOf(ordered(op, m.Cmp(d)))
		}
		c, known := ev.order(e, v, n)
		if !known {
			return isEmpty
		}
		return ternaryOf(ordered(op, c))
	}
}

func ordered(op opKind, c int) bool {
	switch op {
	case opLess:
		return c < 0
	case opLessEq:
		return c <= 0
	case opGreater:
		return c > 0
	}
	return c >= 0
}
