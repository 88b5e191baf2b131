package entity

// Result is what NLP found in one resource. What a [Reader] gives is valid until it reads
// again; texts alias what was read, or memory of the reader.
type Result struct {
	// Engine and Dictionary name what made the result: another engine or another dictionary
	// may give another one of the same text.
	Engine     []byte
	Dictionary []byte
	Texts      []Text
	Derived    Derived
}

// Text is one text of a resource.
type Text struct {
	Path     []byte // of the Attachment, as content[0].attachment
	Status   Status
	Message  []byte // why it was not read; empty for Success
	Entities []Entity
}

// Status tells what became of a text.
type Status uint8

// The statuses, in the order of their weight.
const (
	Unsupported     Status = iota // it is of a kind that is not read
	Success                       // it was read
	ValidationError               // it should have been read, but could not
)

var statusNames = [...]string{"UNSUPPORTED", "SUCCESS", "VALIDATION_ERROR"}

// String is the code that HealthLake has for the status.
func (s Status) String() string { return statusNames[s] }

// ParseStatus gives the status of a code.
func ParseStatus(code []byte) (Status, bool) {
	for i, name := range statusNames {
		if string(code) == name {
			return Status(i), true
		}
	}
	return 0, false
}

// Status is that of the resource: ValidationError if any text has it, else Success if any
// was read.
func (r *Result) Status() Status {
	s := Unsupported
	for i := range r.Texts {
		s = max(s, r.Texts[i].Status)
	}
	return s
}

// Entity is a mention of something in a text.
type Entity struct {
	Span
	Traits     []Trait
	Attributes []Attribute
	Concepts   [Operations][]Concept // by operation; those of DetectEntities are none
}

// Span is a part of a text with what it is.
type Span struct {
	Text       []byte
	Begin, End int // in code points
	Category   []byte
	Type       []byte
	Score      Score
}

// Trait says what the context says of an entity.
type Trait struct {
	Name  []byte
	Score Score
}

// Attribute says more of an entity.
type Attribute struct {
	Span
	Relationship      []byte
	RelationshipScore Score
}

// Concept is a code that an entity may have, the best one first.
type Concept struct {
	Code        []byte
	Description []byte
	Score       Score
}

// Score is a decimal from 0 to 1 as it is written.
type Score []byte

// Operation is one of those that Comprehend Medical has: each gives a list of its own.
type Operation uint8

// The operations.
const (
	DetectEntities Operation = iota
	InferICD10CM
	InferRxNorm
	InferSNOMEDCT

	Operations = 4
)

var operations = [Operations]struct{ name, member, system string }{
	{"detect-entities", "", ""},
	{"infer-icd10", "icd10cm", "http://hl7.org/fhir/sid/icd-10-cm"},
	{"infer-rxnorm", "rxnorm", "http://www.nlm.nih.gov/research/umls/rxnorm"},
	{"infer-snomedct", "snomedct", "http://snomed.info/sct"},
}

// String is the operation's name in HealthLake's extensions: infer-icd10.
func (o Operation) String() string { return operations[o].name }

// EntityURL is the URL of the extension that shows an entity as the operation gave it; those of
// its parts begin with it.
func (o Operation) EntityURL() string { return prefixes[o] }

// System is the URL of the code system that the operation's concepts are of; DetectEntities
// has none.
func (o Operation) System() string { return operations[o].system }

// Has tells whether an entity has a trait.
func (e *Entity) Has(trait string) bool {
	for i := range e.Traits {
		if string(e.Traits[i].Name) == trait {
			return true
		}
	}
	return false
}
