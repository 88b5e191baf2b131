package validate

import (
	"math/bits"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// A shape is an invariant that asks only which members an object has: a test of
// the mask of its slots. A constraint may need two of them.
type shape struct {
	op         shapeOp
	constraint uint16
	a, b       uint64
}

type shapeOp uint8

const (
	anyOf      shapeOp = iota // one of a at least
	needs                     // one of a only together with one of b
	notBoth                   // not one of a together with one of b
	either                    // one of a or one of b, but not both
	together                  // both or neither
	atMostOne                 // of a, unless one of b is there
	exactlyOne                // of a
)

func (s *shape) holds(present uint64) bool {
	a, b := present&s.a, present&s.b
	switch s.op {
	case anyOf:
		return a != 0
	case needs:
		return a == 0 || b != 0
	case notBoth:
		return a == 0 || b == 0
	case either:
		return (a == 0) != (b == 0)
	case together:
		return (a == 0) == (b == 0)
	case atMostOne:
		return b != 0 || bits.OnesCount64(a) <= 1
	}
	return bits.OnesCount64(a) == 1
}

// shapesOf gives the shapes of a constraint for the members of type typ.
func shapesOf(c *r4.Constraint, typ r4.TypeID) []shape {
	var out []shape
	for _, s := range shapeRules[c.Key] {
		if s.path != c.Path {
			continue
		}
		out = append(out, shape{op: s.op, a: slotsOf(typ, s.a), b: slotsOf(typ, s.b)})
	}
	return out
}

// shapeRule declares a shape: members by name, a choice without its type.
type shapeRule struct {
	path string
	op   shapeOp
	a, b string
}

var shapeRules = map[string][]shapeRule{
	"apr-1":  {{"AppointmentResponse", anyOf, "participantType actor", ""}},
	"app-1":  {{"Appointment.participant", anyOf, "type actor", ""}},
	"app-2":  {{"Appointment", together, "start", "end"}},
	"att-1":  {{"Attachment", needs, "data", "contentType"}},
	"bdl-5":  {{"Bundle.entry", anyOf, "resource request response", ""}},
	"ces-1":  {{"CoverageEligibilityResponse.insurance.item", either, "category", "productOrService"}},
	"cmp-1":  {{"Composition.section", anyOf, "text entry section", ""}},
	"cmp-2":  {{"Composition.section", notBoth, "emptyReason", "entry"}},
	"con-1":  {{"Condition.stage", anyOf, "summary assessment", ""}},
	"con-2":  {{"Condition.evidence", anyOf, "code detail", ""}},
	"cpb-1":  {{"CapabilityStatement", anyOf, "rest messaging document", ""}},
	"cpb-2":  {{"CapabilityStatement", anyOf, "description software implementation", ""}},
	"cpl-3":  {{"CarePlan.activity", notBoth, "detail", "reference"}},
	"cpt-2":  {{"ContactPoint", needs, "value", "system"}},
	"drq-1":  {{"DataRequirement.codeFilter", either, "path", "searchParam"}},
	"drq-2":  {{"DataRequirement.dateFilter", either, "path", "searchParam"}},
	"eld-1":  {{"ElementDefinition.slicing", anyOf, "discriminator description", ""}},
	"eld-5":  {{"ElementDefinition", notBoth, "contentReference", "type defaultValue fixed pattern example minValue maxValue maxLength binding"}},
	"eld-8":  {{"ElementDefinition", notBoth, "pattern", "fixed"}},
	"eld-15": {{"ElementDefinition", notBoth, "defaultValue", "meaningWhenMissing"}},
	"eld-21": {{"ElementDefinition.constraint", anyOf, "expression", ""}},
	"eld-22": {{"ElementDefinition", needs, "sliceIsConstraining", "sliceName"}},
	"exp-1":  {{"Expression", anyOf, "expression reference", ""}},
	"ext-1":  {{"Extension", either, "extension", "value"}},
	"fhs-1":  {{"FamilyMemberHistory", notBoth, "age", "born"}},
	"fhs-2":  {{"FamilyMemberHistory", needs, "estimatedAge", "age"}},
	"gol-1":  {{"Goal.target", needs, "detail", "measure"}},
	"imm-1":  {{"Immunization.education", anyOf, "documentType reference", ""}},
	"imr-1":  {{"ImmunizationRecommendation.recommendation", anyOf, "vaccineCode targetDisease", ""}},
	"inv-1": {
		{"Parameters.parameter", exactlyOne, "part value resource", ""},
		{"TestReport.setup.action", either, "operation", "assert"},
	},
	"inv-2":  {{"TestReport.test.action", either, "operation", "assert"}},
	"ipn-1":  {{"InsurancePlan", anyOf, "identifier name", ""}},
	"lst-1":  {{"List", notBoth, "emptyReason", "entry"}},
	"mad-1":  {{"MedicationAdministration.dosage", anyOf, "dose rate", ""}},
	"msq-5":  {{"MolecularSequence.referenceSeq", together, "chromosome", "genomeBuild"}},
	"msq-6":  {{"MolecularSequence.referenceSeq", exactlyOne, "genomeBuild referenceSeqId referenceSeqPointer referenceSeqString", ""}},
	"nor-1":  {{"NutritionOrder", anyOf, "oralDiet supplement enteralFormula", ""}},
	"obs-3":  {{"Observation.referenceRange", anyOf, "low high text", ""}},
	"obs-6":  {{"Observation", notBoth, "dataAbsentReason", "value"}},
	"opd-1":  {{"OperationDefinition.parameter", anyOf, "type part", ""}},
	"org-1":  {{"Organization", anyOf, "identifier name", ""}},
	"pat-1":  {{"Patient.contact", anyOf, "name telecom address organization", ""}},
	"ppc-1":  {{"Consent", anyOf, "policy policyRule", ""}},
	"prr-1":  {{"ServiceRequest", needs, "orderDetail", "code"}},
	"qrs-1":  {{"QuestionnaireResponse.item", notBoth, "answer", "item"}},
	"qty-3":  {{"Quantity", needs, "code", "system"}},
	"que-4":  {{"Questionnaire.item", notBoth, "answerOption", "answerValueSet"}},
	"que-11": {{"Questionnaire.item", notBoth, "answerOption", "initial"}},
	"rat-1": {
		{"Ratio", together, "numerator", "denominator"},
		{"Ratio", anyOf, "numerator extension", ""},
	},
	"rqg-1":  {{"RequestGroup.action", either, "resource", "action"}},
	"sdf-2":  {{"StructureDefinition.mapping", anyOf, "name uri", ""}},
	"sdf-6":  {{"StructureDefinition", anyOf, "snapshot differential", ""}},
	"sev-1":  {{"AuditEvent.entity", notBoth, "name", "query"}},
	"smp-1":  {{"StructureMap.group.rule.target", needs, "element", "context"}},
	"smp-2":  {{"StructureMap.group.rule.target", needs, "context", "contextType"}},
	"spd-1":  {{"SearchParameter", needs, "xpath", "xpathUsage"}},
	"tcp-2":  {{"TerminologyCapabilities", anyOf, "description software implementation", ""}},
	"tim-1":  {{"Timing.repeat", needs, "duration", "durationUnit"}},
	"tim-2":  {{"Timing.repeat", needs, "period", "periodUnit"}},
	"tim-6":  {{"Timing.repeat", needs, "periodMax", "period"}},
	"tim-7":  {{"Timing.repeat", needs, "durationMax", "duration"}},
	"tim-8":  {{"Timing.repeat", needs, "countMax", "count"}},
	"tim-10": {{"Timing.repeat", notBoth, "timeOfDay", "when"}},
	"trd-1":  {{"TriggerDefinition", notBoth, "data", "timing"}},
	"trd-2":  {{"TriggerDefinition", needs, "condition", "data"}},
	"tst-1":  {{"TestScript.setup.action", either, "operation", "assert"}},
	"tst-2":  {{"TestScript.test.action", either, "operation", "assert"}},
	"tst-5":  {{"TestScript.setup.action.assert", atMostOne, assertions, "extension"}},
	"tst-6":  {{"TestScript.test.action.assert", atMostOne, assertions, "extension"}},
	"tst-10": {{"TestScript.setup.action.assert", together, "compareToSourceId", "compareToSourceExpression compareToSourcePath"}},
	"tst-11": {{"TestScript.test.action.assert", together, "compareToSourceId", "compareToSourceExpression compareToSourcePath"}},
	"vsd-1":  {{"ValueSet.compose.include", anyOf, "valueSet system", ""}},
	"vsd-2":  {{"ValueSet.compose.include", needs, "concept filter", "system"}},
	"vsd-3":  {{"ValueSet.compose.include", notBoth, "concept", "filter"}},
	"vsd-6":  {{"ValueSet.expansion.contains", anyOf, "code display", ""}},
	"vsd-10": {{"ValueSet.expansion.contains", needs, "code", "system"}},
}

const assertions = "contentType expression headerField minimumId navigationLinks path requestMethod resource responseCode response validateProfileId"
