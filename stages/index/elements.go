package index

import (
	"slices"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// The elements that values are made of.
var (
	codingSystem  = r4.TypeCoding.ElementByName("system")
	codingCode    = r4.TypeCoding.ElementByName("code")
	codingDisplay = r4.TypeCoding.ElementByName("display")

	conceptCoding = r4.TypeCodeableConcept.ElementByName("coding")
	conceptText   = r4.TypeCodeableConcept.ElementByName("text")

	identifierSystem = r4.TypeIdentifier.ElementByName("system")
	identifierValue  = r4.TypeIdentifier.ElementByName("value")
	identifierType   = r4.TypeIdentifier.ElementByName("type")

	contactValue = r4.TypeContactPoint.ElementByName("value")

	familyName = r4.TypeHumanName.ElementByName("family")

	// textual are the elements of HumanName and Address that a string search covers
	// (R4, 3.1.1.4.8): those of datatype string.
	nameParts    = stringElements(r4.TypeHumanName)
	addressParts = stringElements(r4.TypeAddress)

	periodStart = r4.TypePeriod.ElementByName("start")
	periodEnd   = r4.TypePeriod.ElementByName("end")

	timingEvent  = r4.TypeTiming.ElementByName("event")
	timingRepeat = r4.TypeTiming.ElementByName("repeat")
	boundsPeriod = r4.TypeTimingRepeat.ElementByName("boundsPeriod")

	rangeLow  = r4.TypeRange.ElementByName("low")
	rangeHigh = r4.TypeRange.ElementByName("high")

	moneyValue    = r4.TypeMoney.ElementByName("value")
	moneyCurrency = r4.TypeMoney.ElementByName("currency")

	referenceReference  = r4.TypeReference.ElementByName("reference")
	referenceType       = r4.TypeReference.ElementByName("type")
	referenceIdentifier = r4.TypeReference.ElementByName("identifier")
	referenceDisplay    = r4.TypeReference.ElementByName("display")

	latitude  = r4.TypeLocationPosition.ElementByName("latitude")
	longitude = r4.TypeLocationPosition.ElementByName("longitude")
)

func stringElements(t r4.TypeID) (list []r4.ElementID) {
	first := r4.TypeAt(t).FirstElement
	for i, e := range r4.Elements(t) {
		if e.Type == r4.TypeString && e.Name != "id" {
			list = append(list, first+r4.ElementID(i))
		}
	}
	return list
}

// quantityElements are those of a Quantity or of a type that specialises it, each of
// which has elements of its own.
type quantityElements struct {
	value, comparator, unit, system, code r4.ElementID
}

var quantities = func() map[r4.TypeID]*quantityElements {
	all := map[r4.TypeID]*quantityElements{}
	for t := range r4.TypeID(r4.NumTypes()) {
		for base := t; base != 0; base = r4.TypeAt(base).Base {
			if base == r4.TypeQuantity {
				all[t] = &quantityElements{
					t.ElementByName("value"), t.ElementByName("comparator"), t.ElementByName("unit"),
					t.ElementByName("system"), t.ElementByName("code"),
				}
			}
		}
	}
	return all
}()

// severalSystems stands, in impliedSystems, for a value set of more than one.
const severalSystems = "|"

// impliedSystems gives, by element, the system of the codes of an element of datatype
// code: that of the value set which it is bound to (R4, 3.1.1.4.10); "" when there is
// none that is known here.
var impliedSystems = sync.OnceValue(func() []string {
	all := make([]string, r4.NumElements())
	for e := range r4.ElementID(r4.NumElements()) {
		el := r4.ElementAt(e)
		if el.Type != r4.TypeCode || el.Binding.CodeSet == 0 {
			continue
		}
		for _, c := range r4.CodeSetAt(el.Binding.CodeSet).Codings {
			if all[e] != "" && all[e] != c.System {
				all[e] = severalSystems
				break
			}
			all[e] = c.System
		}
	}
	return all
})

// impliedSystem gives the system of a code of element e.
func impliedSystem(systems []string, e r4.ElementID, code []byte) string {
	s := systems[e]
	if s != severalSystems {
		return s
	}
	codings := r4.CodeSetAt(r4.ElementAt(e).Binding.CodeSet).Codings
	i, ok := slices.BinarySearchFunc(codings, code, func(c r4.Coding, code []byte) int {
		switch {
		case c.Code < string(code):
			return -1
		case c.Code > string(code):
			return 1
		}
		return 0
	})
	if !ok {
		return ""
	}
	return codings[i].System
}
