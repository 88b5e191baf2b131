package fhirpath

import (
	"fmt"
	"slices"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Members of what is no element: of TypeInfo and of System.Quantity.

func typeInfoMember(name string) bool { return name == "name" || name == "namespace" }

func quantityMember(name string) []typeOf {
	switch name {
	case "value":
		return []typeOf{{kind: KindDecimal}}
	case "unit", "code", "system":
		return []typeOf{{kind: KindString}}
	}
	return nil
}

func systemMember(ev *Evaluator, v Value, name string, k cont) bool {
	switch {
	case v.kind == KindTypeInfo && name == "name":
		return k(ev, ev.newString([]byte(v.data.name)))
	case v.kind == KindTypeInfo && name == "namespace":
		return k(ev, ev.newString(v.data.text))
	case v.kind != KindQuantity:
	case name == "value":
		return k(ev, ev.newDecimal(v.data.dec))
	case name == "unit", name == "code" && !v.data.calendar:
		return k(ev, ev.newString(v.data.text))
	case name == "system" && !v.data.calendar:
		return k(ev, ev.newString(ucumSystem))
	}
	return true
}

func arity(low, high int) string {
	switch {
	case low == high:
		return fmt.Sprint(low)
	case high > 100:
		return fmt.Sprintf("%d or more", low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}

// nearMember suggests the element of a type whose name is closest.
func nearMember(t r4.TypeID, name string) string {
	var names []string
	for i := range r4.Elements(t) {
		el := &r4.Elements(t)[i]
		n := el.Name
		if el.Choice != "" {
			if n == name {
				return fmt.Sprintf("; write %s.ofType(%s)", el.Choice, el.Type)
			}
			n = el.Choice
		}
		names = append(names, n)
	}
	return near(names, name)
}

func nearFunction(name string) string {
	names := make([]string, 0, len(functions))
	for n := range functions {
		names = append(names, n)
	}
	slices.Sort(names)
	return near(names, name)
}

// near gives the hint that names the closest of names, when one is close.
func near(names []string, name string) string {
	best, least := "", 1+len(name)/3
	for _, n := range names {
		if d := distance(n, name, least); d <= least && (best == "" || d < least) {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean '" + best + "'?"
}

// distance is the edit distance of two names, or more than limit.
func distance(a, b string, limit int) int {
	if len(a) > len(b)+limit || len(b) > len(a)+limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
