package derive

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// The URLs that HealthLake has in what it derives.
const (
	linkageURL = "http://healthlake.amazonaws.com/system-generated-linkage"
	sourceURL  = "http://healthlake.amazonaws.com/source-document-reference"
)

// tag marks a resource as derived. HealthLake gives it a display and no code.
const tag = `"meta":{"tag":[{"display":"SYSTEM_GENERATED"}]}`

// Resource is a derived resource.
type Resource struct {
	Type r4.TypeID
	ID   string
	JSON []byte
}

// Deriver derives the resources of one document after the other. It belongs to one goroutine
// and keeps its memory; the zero value is ready.
type Deriver struct {
	document document
	findings []finding
	index    map[string]int // in findings, by key
	linkage  string         // its id

	resources []Resource
	out       []byte
	buf, name []byte
	texts     []byte
}

// Derive gives what is derived from the DocumentReference at root, whose id is id and in which
// NLP found r: the Linkage first, then what it names, in the order of the text; nothing when nothing is
// found, or when the document has no subject of which it could be said. The document keeps to the rules of R4. The
// result is valid until the next call, and as long as r is.
func (d *Deriver) Derive(t *fhir.Tree, root fhir.NodeID, id []byte, r *entity.Result) []Resource {
	d.resources, d.out = d.resources[:0], d.out[:0]
	if d.index == nil {
		d.index = map[string]int{}
	}
	if !d.document.read(t, root, id) {
		return nil
	}
	if d.collect(r); len(d.findings) == 0 {
		return nil
	}
	d.linkage = d.id(d.nameOf(r4.TypeLinkage))
	d.add(r4.TypeLinkage, d.linkage, d.appendLinkage)
	for i := range d.findings {
		f := &d.findings[i]
		d.add(f.typ, f.id, func(dst []byte) []byte { return d.appendFinding(dst, f) })
	}
	return d.resources
}

// add adds a resource whose text write appends.
func (d *Deriver) add(t r4.TypeID, id string, write func(dst []byte) []byte) {
	from := len(d.out)
	d.out = write(d.out)
	d.resources = append(d.resources, Resource{t, id, d.out[from:len(d.out):len(d.out)]})
}

func (d *Deriver) appendLinkage(dst []byte) []byte {
	dst = append(append(dst, `{"resourceType":"Linkage","id":"`...), d.linkage...)
	dst = append(dst, `",`+tag+`,"active":true,"item":[{"type":"source","resource":{"reference":`...)
	dst = d.appendSource(dst)
	dst = append(dst, `,"type":"DocumentReference"}}`...)
	for i := range d.findings {
		f := &d.findings[i]
		dst = append(append(dst, `,{"type":"alternate","resource":{"reference":"`...), f.typ.String()...)
		dst = append(append(append(dst, '/'), f.id...), `","type":"`...)
		dst = append(append(dst, f.typ.String()...), `"}}`...)
	}
	return append(dst, "]}"...)
}

// appendSource appends the reference to the document, quoted.
func (d *Deriver) appendSource(dst []byte) []byte {
	dst = append(append(dst, `"DocumentReference/`...), d.document.id...)
	return append(dst, '"')
}

// appendFinding appends a Condition, an Observation or a MedicationStatement.
func (d *Deriver) appendFinding(dst []byte, f *finding) []byte {
	dst = append(append(dst, `{"resourceType":"`...), f.typ.String()...)
	dst = append(append(dst, `","id":"`...), f.id...)
	dst = append(dst, `",`+tag+`,`...)
	dst = d.appendModifiers(dst, f)
	switch f.typ {
	case r4.TypeCondition:
		dst = appendConcept(append(dst, `,"code":`...), f)
		dst = member(dst, "subject", d.document.subject)
		dst = member(dst, "encounter", d.document.encounter)
		dst = member(dst, "recordedDate", d.document.date)
		dst = append(d.appendSource(append(dst, `,"evidence":[{"detail":[{"reference":`...)), `}]}]`...)
	case r4.TypeObservation:
		dst = appendConcept(append(dst, `,"status":"unknown","code":`...), f)
		dst = member(dst, "subject", d.document.subject)
		dst = member(dst, "encounter", d.document.encounter)
		dst = member(dst, "issued", d.document.date)
		dst = append(d.appendSource(append(dst, `,"derivedFrom":[{"reference":`...)), `}]`...)
	case r4.TypeMedicationStatement:
		dst = appendConcept(append(dst, `,"status":"unknown","medicationCodeableConcept":`...), f)
		dst = member(dst, "subject", d.document.subject)
		dst = member(dst, "context", d.document.encounter)
		dst = member(dst, "dateAsserted", d.document.date)
		dst = append(d.appendSource(append(dst, `,"derivedFrom":[{"reference":`...)), `}]`...)
	}
	return append(dst, '}')
}

// member appends a member that is text of the document, if it has it.
func member(dst []byte, name string, text []byte) []byte {
	if text == nil {
		return dst
	}
	dst = append(append(dst, `,"`...), name...)
	return append(append(dst, `":`...), text...)
}

// appendModifiers appends the modifierExtension that HealthLake gives, and one that says that
// the text speaks of the past. A Condition of the past has no clinicalStatus: con-3 wants one of problem list
// items only, and the past of a text ("history of diabetes") does not say that the patient no longer has it.
func (d *Deriver) appendModifiers(dst []byte, f *finding) []byte {
	url := f.operation.EntityURL()
	dst = append(append(append(dst, `"modifierExtension":[{"url":"`...), url...), `-score","valueDecimal":`...)
	dst = appendDecimal(dst, f.score)
	if f.concept != nil {
		dst = append(append(append(dst, `},{"url":"`...), url...), `-Concept-Score","valueDecimal":`...)
		dst = appendDecimal(dst, f.concept.Score)
	}
	if f.past {
		dst = append(append(append(dst, `},{"url":"`...), entity.DetectEntities.EntityURL()...), `-trait","valueString":"`+pastHistory+`"`...)
	}
	dst = append(append(dst, `},{"url":"`+linkageURL+`","valueReference":{"reference":"Linkage/`...), d.linkage...)
	dst = append(dst, `"}},{"url":"`+sourceURL+`","valueReference":{"reference":`...)
	return append(d.appendSource(dst), `}}]`...)
}

// appendConcept appends the CodeableConcept of a finding: HealthLake's own coding, the same in
// the code system that it is of, and the mention.
func appendConcept(dst []byte, f *finding) []byte {
	dst = append(dst, '{')
	if f.concept != nil {
		dst = append(dst, `"coding":[{"system":"`+entity.DecorationURL...)
		dst = appendCoding(append(append(dst, f.operation.String()...), '/'), f.concept)
		dst = appendCoding(append(append(dst, `,{"system":"`...), f.operation.System()...), f.concept)
		dst = append(dst, "],"...)
	}
	dst = fhir.AppendQuoted(append(dst, `"text":`...), f.text)
	return append(dst, '}')
}

// appendCoding appends the rest of a coding after its system.
func appendCoding(dst []byte, c *entity.Concept) []byte {
	dst = fhir.AppendQuoted(append(dst, `","code":`...), c.Code)
	if len(c.Description) > 0 {
		dst = fhir.AppendQuoted(append(dst, `,"display":`...), c.Description)
	}
	return append(dst, '}')
}
