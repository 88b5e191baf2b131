package search

import (
	"math"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

// Range is a time from Start to before End, in microseconds since 1970 in UTC. An
// open start is Earliest, an open end Latest (R4, 3.1.1.4.7: less, or greater, than
// any actual date).
type Range struct{ Start, End int64 }

// The bounds of an open Range.
const (
	Earliest = math.MinInt64
	Latest   = math.MaxInt64
)

// DateRange gives the time that a date, dateTime or instant stands for: a partial
// date its whole period, a time the unit of its last digit, a microsecond at least.
// A time without zone is taken as UTC. It is what the SQL columns d__start and
// d__end have. ok is false for any other text.
func DateRange(text []byte) (r Range, ok bool) {
	r.Start, r.End, ok = columnar.Span(text)
	return r, ok
}

// PeriodRange gives the time of a Period: from the start of its start to the end of
// its end, each open where it is missing or no date. ok is false when both are.
func PeriodRange(start, end []byte) (r Range, ok bool) {
	s, hasStart := DateRange(start)
	e, hasEnd := DateRange(end)
	r = Range{Earliest, Latest}
	if hasStart {
		r.Start = s.Start
	}
	if hasEnd {
		r.End = e.End
	}
	return r, hasStart || hasEnd
}

// Union gives the range from the earlier start to the later end: the outer limits
// of a Timing.
func (r Range) Union(s Range) Range {
	return Range{min(r.Start, s.Start), max(r.End, s.End)}
}

// Prefix is how a search value of an ordered type is compared (R4, 3.1.1.4.5).
type Prefix uint8

// The prefixes. Equal is the default.
const (
	Equal Prefix = iota
	NotEqual
	Greater
	Less
	GreaterOrEqual
	LessOrEqual
	StartsAfter
	EndsBefore
	Approximate
)

// CutPrefix takes the prefix off a search value; without one it is Equal.
func CutPrefix(value string) (Prefix, string) {
	if len(value) > 2 {
		for p, name := range prefixNames {
			if value[:2] == name {
				return Prefix(p), value[2:]
			}
		}
	}
	return Equal, value
}

var prefixNames = [...]string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"}

// String gives the two letters of the prefix.
func (p Prefix) String() string { return prefixNames[p] }

// MatchesTime tells whether a stored time matches the range of a search value. now
// is for Approximate alone.
//
// Where R4 leaves room: the range above a value begins where the value ends for gt,
// and where it begins for ge, so that ge is gt or any overlap; lt and le likewise.
func (p Prefix) MatchesTime(query, stored Range, now int64) bool {
	switch p {
	case Equal:
		return query.Start <= stored.Start && stored.End <= query.End
	case NotEqual:
		return !Equal.MatchesTime(query, stored, now)
	case Greater:
		return stored.End > query.End
	case Less:
		return stored.Start < query.Start
	case GreaterOrEqual:
		return stored.End > query.Start
	case LessOrEqual:
		return stored.Start < query.End
	case StartsAfter:
		return stored.Start >= query.End
	case EndsBefore:
		return stored.End <= query.Start
	}
	near := query.Near(now)
	return stored.Start < near.End && near.Start < stored.End
}

// Near widens the range of a search value by a tenth of its distance from now, for
// ap (R4, 3.1.1.4.5).
func (r Range) Near(now int64) Range {
	gap := max(now-r.Start, r.Start-now) / 10
	return Range{r.Start - gap, r.End + gap}
}
