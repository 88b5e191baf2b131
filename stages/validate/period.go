package validate

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/temporal"
)

// period checks per-1: a Period does not end before it starts. Of two dates of
// different precision the shared part decides: 2020 to 2020-06 is sound. Where one
// has a time and the other is that day, the constraint is not true and does not
// hold, since a date has no zone (FHIRPath N1 6.2).
func (v *Validator) period(n fhir.NodeID) {
	start, end := fhir.NoNode, fhir.NoNode
	for c, stop := n+1, v.after(n); c < stop; c = v.after(c) {
		if v.nodes[c].Kind != fhir.KindString {
			continue
		}
		switch v.nodes[c].Element {
		case elPeriodStart:
			start = c
		case elPeriodEnd:
			end = c
		}
	}
	if start == fhir.NoNode || end == fhir.NoNode {
		return
	}
	switch v.order(start, end) {
	case after:
		v.broken(n, conPer1, "start '"+v.quote(start)+"' is after end '"+v.quote(end)+"'")
	case unknownOrder:
		v.broken(n, conPer1, "start '"+v.quote(start)+"' and end '"+v.quote(end)+"' are not comparable, since one has no time")
	}
}

// An order tells how two times follow each other.
type order uint8

const (
	inOrder order = iota
	after
	unknownOrder
)

// order compares two strings that are dates or times. What differs in precision
// alone is in order, unless one has a time and the other is that day.
func (v *Validator) order(first, second fhir.NodeID) order {
	if ordered(v.tree.Raw(first), v.tree.Raw(second)) {
		return inOrder
	}
	x, okX := temporal.Parse(temporal.DateTime, v.tree.String(first, nil))
	y, okY := temporal.Parse(temporal.DateTime, v.tree.String(second, nil))
	if !okX || !okY {
		return inOrder // parse has reported it
	}
	switch c, known := temporal.Compare(x, y); {
	case known && c > 0:
		return after
	case !known && (x.Precision() >= temporal.Hour) != (y.Precision() >= temporal.Hour):
		return unknownOrder
	}
	return inOrder
}

// ordered tells quickly that a is not after b: both are written the same way, in
// one time zone, so that the order of the text is that of time. It does not know
// other ways.
func ordered(a, b []byte) bool {
	const local = len("2020-01-01T00:00:00")
	if len(a) != len(b) || string(a) > string(b) {
		return false
	}
	return len(a) <= len("2020-01-01") || len(a) > local && a[local] != '.' && string(a[local:]) == string(b[local:])
}

// membersInOrder makes the invariant that the second of two members is not before the
// first, as far as that is known.
func membersInOrder(first, second string) func(v *Validator, n fhir.NodeID) bool {
	return func(v *Validator, n fhir.NodeID) bool {
		a, b := v.member(n, first), v.member(n, second)
		return !v.isString(a) || !v.isString(b) || v.order(a, b) != after
	}
}

// isString tells whether n, which may be NoNode, is a string.
func (v *Validator) isString(n fhir.NodeID) bool {
	return n != fhir.NoNode && v.nodes[n].Kind == fhir.KindString
}
