package profiles

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/temporal"
	"github.com/fhirlake/fhirlake/fhir/ucum"
)

// limit is the value of minValue[x] or maxValue[x].
type limit struct {
	max    bool
	kind   limitKind
	number decimal.Decimal // of a quantity too
	time   temporal.Value
	unit   []byte // UCUM code of a quantity
	shown  string
}

type limitKind uint8

const (
	limitNumber limitKind = iota
	limitTime
	limitQuantity
)

var temporalKinds = map[r4.Primitive]temporal.Kind{
	r4.PrimitiveDate: temporal.Date, r4.PrimitiveDateTime: temporal.DateTime,
	r4.PrimitiveInstant: temporal.DateTime, r4.PrimitiveTime: temporal.Time,
}

const ucumSystem = "http://unitsofmeasure.org"

func newLimit(v *profile.Value, maximum bool) (limit, error) {
	l := limit{max: maximum, shown: show(v.JSON)}
	typ := r4.TypeAt(v.Type)
	if kind, ok := temporalKinds[typ.Primitive]; ok {
		var text string
		if err := json.Unmarshal(v.JSON, &text); err != nil {
			return l, err
		}
		l.kind = limitTime
		if l.time, ok = temporal.Parse(kind, []byte(text)); !ok {
			return l, fmt.Errorf("limit %s is no %s", l.shown, typ.Name)
		}
		return l, nil
	}
	text := v.JSON
	if typ.Kind == r4.KindDatatype {
		var q struct {
			Value        json.RawMessage
			System, Code string
		}
		if err := json.Unmarshal(v.JSON, &q); err != nil {
			return l, err
		}
		l.kind, text = limitQuantity, q.Value
		if q.System == ucumSystem {
			l.unit = []byte(q.Code)
		}
	}
	var ok bool
	if l.number, ok = decimal.Parse(text); !ok {
		return l, fmt.Errorf("limit %s has no number", l.shown)
	}
	return l, nil
}

// limit checks a value against minValue[x] or maxValue[x]. Dates of a precision
// that does not tell, and units that cannot be converted, pass (invariant 1).
func (c *Checker) limit(p *plan, n fhir.NodeID, l *limit) {
	order, known := c.compare(n, l)
	switch {
	case !known:
	case l.max && order > 0:
		c.fault(p, n, fhir.CodeValue, "%s is more than the maximum; expected at most %s", c.shown(n), l.shown)
	case !l.max && order < 0:
		c.fault(p, n, fhir.CodeValue, "%s is less than the minimum; expected at least %s", c.shown(n), l.shown)
	}
}

// compare orders a value and a limit; known is false where that cannot be told.
func (c *Checker) compare(n fhir.NodeID, l *limit) (order int, known bool) {
	switch l.kind {
	case limitNumber:
		d, ok := decimal.Parse(c.tree.Raw(n))
		if !ok {
			return 0, false
		}
		return d.Cmp(l.number), true
	case limitTime:
		kind, ok := temporalKinds[r4.TypeAt(c.tree.Nodes[n].Type).Primitive]
		if !ok {
			return 0, false
		}
		v, ok := temporal.Parse(kind, c.text(n))
		if !ok {
			return 0, false
		}
		return temporal.Compare(v, l.time)
	}
	return c.compareQuantity(n, l)
}

// compareQuantity compares by UCUM: -1 g is less than 0 kg.
func (c *Checker) compareQuantity(n fhir.NodeID, l *limit) (order int, known bool) {
	typ := c.tree.Nodes[n].Type
	value := c.tree.Child(n, typ.ElementByName("value"))
	if value == fhir.NoNode {
		return 0, false
	}
	d, ok := decimal.Parse(c.tree.Raw(value))
	if !ok {
		return 0, false
	}
	system, code := c.tree.Child(n, typ.ElementByName("system")), c.tree.Child(n, typ.ElementByName("code"))
	if l.unit == nil {
		return d.Cmp(l.number), code == fhir.NoNode
	}
	if system == fhir.NoNode || code == fhir.NoNode || string(c.text(system)) != ucumSystem {
		return 0, false
	}
	return ucum.Compare(d, c.text(code), l.number, l.unit)
}

// length checks maxLength, which counts characters.
func (c *Checker) length(p *plan, n fhir.NodeID, most int) {
	text := c.text(n)
	if len(text) <= most {
		return
	}
	if found := utf8.RuneCount(text); found > most {
		c.fault(p, n, fhir.CodeTooLong, "text has %d characters; expected at most %d", found, most)
	}
}
