package validate

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/temporal"
)

// period checks per-1: a Period does not end before it starts. Of two dates of
// different precision the shared part decides: 2020 to 2020-06 is sound. Where one
// has a time and the other has none and they are of the same day, the constraint is
// not true and does not hold, since a date has no zone (FHIRPath N1 6.2).
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
	a, b := v.tree.Raw(start), v.tree.Raw(end)
	if ordered(a, b) {
		return
	}
	x, okA := temporal.Parse(temporal.DateTime, v.tree.String(start, nil))
	y, okB := temporal.Parse(temporal.DateTime, v.tree.String(end, nil))
	if !okA || !okB {
		return // parse has reported it
	}
	switch c, known := temporal.Compare(x, y); {
	case !known && (x.Precision() >= temporal.Hour) != (y.Precision() >= temporal.Hour):
		v.broken(n, conPer1, "start '"+v.quote(start)+"' and end '"+v.quote(end)+"' are not comparable, since one has no time")
	case known && c > 0:
		v.broken(n, conPer1, "start '"+v.quote(start)+"' is after end '"+v.quote(end)+"'")
	}
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
