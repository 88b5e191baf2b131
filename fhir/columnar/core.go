package columnar

import (
	"slices"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// coreElements are the elements that every file of a type has columns for,
// where the type defines them, so that common queries work on any snapshot.
var coreElements = []string{
	"status", "clinicalStatus", "intent", "active", "category", "code", "type", "class", "subject", "patient", "encounter",
	"effectiveDateTime", "effectivePeriod", "onsetDateTime", "performedDateTime", "performedPeriod", "occurrenceDateTime",
	"authoredOn", "recordedDate", "issued", "date", "created", "period", "birthDate", "gender",
	"valueQuantity", "valueCodeableConcept", "valueString", "valueBoolean", "valueInteger", "valueDateTime",
	"medicationCodeableConcept", "medicationReference",
}

// coreMembers are the children that a core element of a datatype brings.
var coreMembers = map[string][]string{
	"CodeableConcept": {"coding", "text"},
	"Coding":          {"system", "code", "display"},
	"Reference":       {"reference"},
	"Period":          {"start", "end"},
	"Quantity":        {"value", "unit", "system", "code"},
}

func (l *Layout) makeCore() []*Node {
	core := []*Node{l.ResourceType, l.ID, l.VersionID, l.LastUpdated}
	for _, name := range coreElements {
		if e := l.Type.ElementByName(name); e != 0 {
			core = l.appendCore(core, l.Child(l.Root, e, false))
		}
	}
	slices.SortFunc(core, ByOrder)
	return slices.Compact(core)
}

func (l *Layout) appendCore(core []*Node, n *Node) []*Node {
	if n.Leaf() {
		return append(core, n)
	}
	for _, name := range coreMembers[r4.TypeAt(n.Type).Name] {
		core = l.appendCore(core, l.Child(n, n.Type.ElementByName(name), false))
	}
	return core
}
