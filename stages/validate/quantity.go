package validate

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/ucum"
)

// The slots of Quantity, which the types derived from it share.
var (
	slotQuantitySystem = r4.ElementAt(element(r4.TypeQuantity, "system")).Slot
	slotQuantityCode   = r4.ElementAt(element(r4.TypeQuantity, "code")).Slot
)

const ucumSystem = "http://unitsofmeasure.org"

// quantity warns of the code of a Quantity that is none of UCUM although its system
// says so (FHIR R4 2.24.0.6). It is no error: no binding asks for the code, and
// sound data has units such as 'units' and 'mEq'.
func (v *Validator) quantity(n fhir.NodeID) {
	system, code := fhir.NoNode, fhir.NoNode
	for c, end := n+1, v.after(n); c < end; c = v.after(c) {
		nd := &v.nodes[c]
		switch {
		case nd.Kind != fhir.KindString:
		case v.table.slots[nd.Element] == slotQuantitySystem:
			system = c
		case v.table.slots[nd.Element] == slotQuantityCode:
			code = c
		}
	}
	if code == fhir.NoNode || !v.is(system, ucumSystem) {
		return
	}
	if !v.verdicts.of(v.text(code), checkQuantity, ucum.Valid) {
		v.warning(code, fhir.CodeUnknown, "'%s' is no code of UCUM; expected such as 'mg', 'mm[Hg]' or '/min'", v.quote(code))
	}
}
