package validate

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

const (
	allergyVerification   = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
	conditionVerification = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
	conditionClinical     = "http://terminology.hl7.org/CodeSystem/condition-clinical"
)

// clinicalInvariants are those of resources and datatypes that hold data of patients.
var clinicalInvariants = map[string]invariant{
	"ait-1": {holds: func(v *Validator, n fhir.NodeID) bool {
		return v.has(n, "clinicalStatus") || v.hasCoding(v.member(n, "verificationStatus"), allergyVerification, "entered-in-error")
	}},
	"ait-2": {when: "clinicalStatus", holds: func(v *Validator, n fhir.NodeID) bool {
		return !v.hasCoding(v.member(n, "verificationStatus"), allergyVerification, "entered-in-error")
	}},
	"bdl-8": {when: "fullUrl", holds: func(v *Validator, n fhir.NodeID) bool {
		url := v.member(n, "fullUrl")
		return url == fhir.NoNode || !contains(v.text(url), "/_history/")
	}},
	"con-4": {when: "abatement", holds: func(v *Validator, n fhir.NodeID) bool {
		return v.hasCoding(v.member(n, "clinicalStatus"), conditionClinical, "resolved", "remission", "inactive")
	}},
	"con-5": {when: "clinicalStatus", holds: func(v *Validator, n fhir.NodeID) bool {
		return !v.hasCoding(v.member(n, "verificationStatus"), conditionVerification, "entered-in-error")
	}},
	"ctm-1": {when: "onBehalfOf", holds: holdsCtm1},
	"inv-1": {path: "Task", when: "lastModified", holds: membersInOrder("authoredOn", "lastModified")},
	"mdd-1": {when: "whenHandedOver", holds: membersInOrder("whenPrepared", "whenHandedOver")},
	"obs-7": {when: "component", holds: holdsObs7},
	"org-2": {path: "Organization.address", when: "use", holds: notAtHome},
	"org-3": {path: "Organization.telecom", when: "use", holds: notAtHome},
	"que-7": {when: "operator", holds: func(v *Validator, n fhir.NodeID) bool {
		return !v.memberIs(n, "operator", "exists") || v.has(n, "answerBoolean")
	}},
	"que-12": {when: "enableWhen", holds: func(v *Validator, n fhir.NodeID) bool {
		return v.count(n, "enableWhen") <= 1 || v.has(n, "enableBehavior")
	}},
	"ras-2": {when: "probability", holds: holdsRas2},
	"tim-4": {when: "duration", holds: func(v *Validator, n fhir.NodeID) bool { return !v.negative(v.member(n, "duration")) }},
	"tim-5": {when: "period", holds: func(v *Validator, n fhir.NodeID) bool { return !v.negative(v.member(n, "period")) }},
	"tim-9": {when: "offset", holds: holdsTim9},
}

var observationValue = slotsOf(r4.TypeObservation, "value")

func notAtHome(v *Validator, n fhir.NodeID) bool { return !v.memberIs(n, "use", "home") }

// holdsObs7: an Observation with a value has no component with one of the codings
// of the Observation itself.
func holdsObs7(v *Validator, n fhir.NodeID) bool {
	own := v.member(n, "code")
	if own == fhir.NoNode || !v.hasAny(n, observationValue) {
		return true
	}
	v.spare = v.spare[:0]
	for c, end := v.values(v.tree.Child(own, elCoding)); c < end; c = v.after(c) {
		v.spare = append(v.spare, v.digest(c))
	}
	if len(v.spare) == 0 {
		return true
	}
	sortMarks(v.spare)
	for c, end := v.items(n, "component"); c < end; c = v.after(c) {
		code := v.member(c, "code")
		if code == fhir.NoNode {
			continue
		}
		for d, end := v.values(v.tree.Child(code, elCoding)); d < end; d = v.after(d) {
			if v.digested(v.digest(d)) {
				return false
			}
		}
	}
	return true
}

// holdsRas2: a probability that is a decimal is at most 100.
func holdsRas2(v *Validator, n fhir.NodeID) bool {
	p := v.member(n, "probabilityDecimal")
	if p == fhir.NoNode || v.nodes[p].Kind != fhir.KindNumber {
		return true
	}
	d, ok := decimal.Parse(v.tree.Raw(p))
	return !ok || d.Cmp(decimal.FromInt(100)) <= 0
}

// holdsTim9: an offset is one from events, and from none that is a meal itself.
func holdsTim9(v *Validator, n fhir.NodeID) bool {
	c, end := v.items(n, "when")
	if c == end {
		return v.has(n, "when")
	}
	for ; c < end; c = v.after(c) {
		if v.nodes[c].Kind != fhir.KindString {
			continue
		}
		switch string(v.text(c)) {
		case "C", "CM", "CD", "CV":
			return false
		}
	}
	return true
}

// holdsCtm1: who acts on behalf of another is a Practitioner, as far as the
// reference leads to a resource of the record.
func holdsCtm1(v *Validator, n fhir.NodeID) bool {
	member := v.member(n, "member")
	if member == fhir.NoNode {
		return true
	}
	ref := v.tree.Child(member, elReference)
	if !v.isString(ref) {
		return true
	}
	var typ r4.TypeID
	if text := v.text(ref); len(text) > 1 && text[0] == '#' {
		if found := v.find(v.contained[v.at.contained.from:v.at.contained.to], text[1:]); found != nil {
			typ = v.nodes[found[0].of].Type
		}
	} else {
		typ = v.entryType(text)
	}
	return typ == 0 || typ == r4.TypePractitioner
}
