// Package terminology owns the dictionary of the NLP stage: terms with the
// concepts of code systems that they stand for, compiled to one flat index that
// is looked up in place, and its file. Where terms come from is left to package
// release, which reads official formats, and to the lexicon; what a text says
// about a term it finds is up to the NLP stage. [Index] is the type to read first.
package terminology

// A Term is one way to write one concept.
type Term struct {
	System    System
	Code      string
	Preferred string // the system's own description of the code; empty when the source is another system
	Text      string // the words to find
	Category  Category
	Type      Type
	Kind      Kind
	// Rank orders the concepts of a text: 0 for the name of a concept, more for
	// what stands for it less surely.
	Rank uint8
	// Exact asks for the letter case of Text: an abbreviation.
	Exact bool
	// Dosed is the name of a drug with its strength: where it stands, the drug is found, with
	// this concept before its own.
	Dosed bool
	// Reviewed terms were chosen for running text. Of others, everyday words
	// are left out.
	Reviewed bool
}

// System is a code system.
type System uint8

// The code systems that concepts are known of.
const (
	NoSystem System = iota
	ICD10CM
	RxNorm
	SNOMEDCT
	LOINC
	DiseaseOntology
	SymptomOntology
	UMLS
	systems
)

var systemNames = [systems]string{"", "ICD-10-CM", "RxNorm", "SNOMED CT", "LOINC", "DOID", "SYMP", "UMLS"}

func (s System) String() string { return nameOf(systemNames[:], int(s)) }

// Category is a category of entities, as Comprehend Medical has them.
type Category uint8

// The categories of entities.
const (
	NoCategory Category = iota
	Anatomy
	Behavior
	MedicalCondition
	Medication
	PHI
	TestTreatmentProcedure
	TimeExpression
	categories
)

var categoryNames = [categories]string{
	"", "ANATOMY", "BEHAVIORAL_ENVIRONMENTAL_SOCIAL", "MEDICAL_CONDITION", "MEDICATION",
	"PROTECTED_HEALTH_INFORMATION", "TEST_TREATMENT_PROCEDURE", "TIME_EXPRESSION",
}

func (c Category) String() string { return nameOf(categoryNames[:], int(c)) }

// Type is a type of entities or attributes within a category.
type Type uint8

// The types of entities and attributes.
const (
	NoType Type = iota
	SystemOrganSite
	Direction
	DXName
	Acuity
	Quality
	GenericName
	BrandName
	Dosage
	Duration
	Form
	Frequency
	Rate
	RouteOrMode
	Strength
	TestName
	TestValue
	TestUnit
	ProcedureName
	TreatmentName
	Alcohol
	Tobacco
	Drugs
	Allergies
	Gender
	TimeToDX
	TimeToMedication
	TimeToProcedure
	TimeToTest
	TimeToTreatment
	Name
	Age
	Date
	ID
	Phone
	Email
	URL
	Address
	Amount
	types
)

var typeNames = [types]string{
	"", "SYSTEM_ORGAN_SITE", "DIRECTION", "DX_NAME", "ACUITY", "QUALITY", "GENERIC_NAME", "BRAND_NAME", "DOSAGE", "DURATION",
	"FORM", "FREQUENCY", "RATE", "ROUTE_OR_MODE", "STRENGTH", "TEST_NAME", "TEST_VALUE", "TEST_UNIT", "PROCEDURE_NAME",
	"TREATMENT_NAME", "ALCOHOL_CONSUMPTION", "TOBACCO_USE", "REC_DRUG_USE", "ALLERGIES", "GENDER", "TIME_TO_DX_NAME",
	"TIME_TO_MEDICATION_NAME", "TIME_TO_PROCEDURE_NAME", "TIME_TO_TEST_NAME", "TIME_TO_TREATMENT_NAME", "NAME", "AGE", "DATE",
	"ID", "PHONE_OR_FAX", "EMAIL", "URL", "ADDRESS", "AMOUNT",
}

func (t Type) String() string { return nameOf(typeNames[:], int(t)) }

// Kind says what a condition is.
type Kind uint8

// The kinds of conditions.
const (
	NoKind Kind = iota
	Diagnosis
	Sign
	Symptom
	kinds
)

var kindNames = [kinds]string{"", "DIAGNOSIS", "SIGN", "SYMPTOM"}

func (k Kind) String() string { return nameOf(kindNames[:], int(k)) }

func nameOf(names []string, i int) string {
	if i >= len(names) {
		return ""
	}
	return names[i]
}

// ParseSystem, ParseCategory, ParseType and ParseKind are the inverse of String.
// An unknown name is not ok; the empty one is the zero value.
func ParseSystem(s string) (System, bool)     { return parse[System](systemNames[:], s) }
func ParseCategory(s string) (Category, bool) { return parse[Category](categoryNames[:], s) }
func ParseType(s string) (Type, bool)         { return parse[Type](typeNames[:], s) }
func ParseKind(s string) (Kind, bool)         { return parse[Kind](kindNames[:], s) }

func parse[T ~uint8](names []string, s string) (T, bool) {
	for i, n := range names {
		if n == s {
			return T(i), true
		}
	}
	return 0, false
}
