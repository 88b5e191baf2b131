package entity

import (
	"strconv"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
)

// DecorationURL is the extension under which a resource shows what NLP found in it, as Amazon
// HealthLake does.
const DecorationURL = fhir.DecorationURL

// MaxShown bounds the nested extensions that a resource shows: entities beyond are counted in
// the message. HealthLake fails a document that has more.
const MaxShown = 10_000

// AppendShown appends the text of a resource as it is shown: with data, the result that is
// kept beside it, in the extension [DecorationURL], and what is derived from it in [DerivedURL].
// See [fhir.AppendExtended] for what becomes of the text.
func AppendShown(dst, resource, data []byte) ([]byte, error) {
	s := showers.Get().(*shower)
	defer showers.Put(s)
	result, err := s.reader.Read(data)
	if err != nil {
		return dst, err
	}
	if result.Derived.Linkage != nil {
		s.out = result.Derived.append(s.out[:0])
		s.text = fhir.AppendExtended(s.text[:0], resource, DerivedURL, s.out)
		resource = s.text
	}
	s.out = s.append(s.out[:0], result)
	dst = fhir.AppendExtended(dst, resource, DecorationURL, s.out)
	for _, b := range []*[]byte{&s.out, &s.text} {
		if cap(*b) > keepOut {
			*b = nil
		}
	}
	return dst, nil
}

const keepOut = 1 << 20

var showers = sync.Pool{New: func() any { return new(shower) }}

// shower writes the extension of one result after the other.
type shower struct {
	reader Reader
	out    []byte
	text   []byte // of the resource, on its way
	raw    []byte // raw response of the operation at hand
	left   int    // nested extensions that may still be shown
	hidden int    // entities that are not
}

// prefixes are the URLs of the extension of an entity, by operation; those of its parts begin
// with them. Of detect-entities and infer-rxnorm HealthLake's documentation shows no leaf: they
// are named as those of infer-icd10 are.
var prefixes = [Operations]string{
	DecorationURL + "detect-entities/aws-cm-detect-entity",
	DecorationURL + "infer-icd10/aws-cm-icd10-entity",
	DecorationURL + "infer-rxnorm/aws-cm-rxnorm-entity",
	DecorationURL + "infer-snomedct/aws-cm-snomedct-entity",
}

// append appends the extension.
func (s *shower) append(dst []byte, r *Result) []byte {
	s.left, s.hidden = MaxShown, 0
	dst = append(dst, `{"extension":[`...)
	for o := range Operation(Operations) {
		dst = s.operation(dst, r, o)
	}
	dst = append(dst, `{"url":"`+DecorationURL+`status/","valueString":"`...)
	dst = append(append(dst, r.Status().String()...), `"}`...)
	if text := s.message(r); text != "" {
		dst = append(dst, `,{"url":"`+DecorationURL+`message/","valueString":`...)
		dst = append(fhir.AppendQuoted(dst, text), '}')
	}
	return append(dst, `],"url":"`+DecorationURL+`"}`...)
}

// message says which texts were not read, and how many entities are not shown.
func (s *shower) message(r *Result) string {
	var m []byte
	for i := range r.Texts {
		t := &r.Texts[i]
		if len(t.Message) == 0 {
			continue
		}
		if len(m) > 0 {
			m = append(m, "; "...)
		}
		m = append(append(append(m, t.Path...), ": "...), t.Message...)
	}
	if s.hidden > 0 {
		if len(m) > 0 {
			m = append(m, "; "...)
		}
		m = strconv.AppendInt(m, int64(s.hidden), 10)
		m = append(m, " more entities are found and not shown here"...)
	}
	return string(m)
}

// operation appends the extension of an operation and a comma. One that infers codes is there
// when an entity has any.
func (s *shower) operation(dst []byte, r *Result, o Operation) []byte {
	start := len(dst)
	url := DecorationURL + o.String() + "/"
	dst = append(append(append(dst, `{"extension":[`...), `{"url":"`...), url...)
	dst = append(dst, `model-version","valueString":`...)
	dst = append(fhir.AppendQuoted(dst, r.Engine), '}')
	s.raw = append(s.raw[:0], `{"Entities":[`...)
	any, id := false, -1
	for i := range r.Texts {
		t := &r.Texts[i]
		for k := range t.Entities {
			e := &t.Entities[k]
			id++
			if o != DetectEntities && len(e.Concepts[o]) == 0 {
				continue
			}
			if s.left -= size(e, o); s.left < 0 {
				if o == DetectEntities {
					s.hidden++
				}
				continue
			}
			if any {
				s.raw = append(s.raw, ',')
			}
			any = true
			s.raw = appendRaw(s.raw, e, o, id)
			dst = appendEntity(append(dst, ','), e, o, id, r.path(i))
		}
	}
	if !any && (o != DetectEntities || r.Status() != Success) {
		return dst[:start]
	}
	s.raw = append(s.raw, `],"ModelVersion":`...)
	s.raw = append(fhir.AppendQuoted(s.raw, r.Engine), '}')
	dst = append(append(append(dst, `,{"url":"`...), url...), `raw-response","valueString":`...)
	dst = append(fhir.AppendQuoted(dst, s.raw), '}')
	dst = append(append(append(dst, `],"url":"`...), url...), `"},`...)
	return dst
}

// path is that of text i, or nothing when the resource has one text.
func (r *Result) path(i int) []byte {
	if len(r.Texts) == 1 {
		return nil
	}
	return r.Texts[i].Path
}

// size is how many nested extensions an entity makes.
func size(e *Entity, o Operation) int { return 8 + len(e.Traits) + 4*len(e.Concepts[o]) }

func appendEntity(dst []byte, e *Entity, o Operation, id int, path []byte) []byte {
	p := prefixes[o]
	dst = append(dst, `{"extension":[`...)
	part := func(name, value string) {
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		dst = append(append(append(append(dst, `{"url":"`...), p...), name...), `","`...)
		dst = append(append(dst, value...), `":`...)
	}
	part("-id", "valueInteger")
	dst = append(strconv.AppendInt(dst, int64(id), 10), '}')
	part("-text", "valueString")
	dst = append(fhir.AppendQuoted(dst, e.Text), '}')
	part("-begin-offset", "valueInteger")
	dst = append(strconv.AppendInt(dst, int64(e.Begin), 10), '}')
	part("-end-offset", "valueInteger")
	dst = append(strconv.AppendInt(dst, int64(e.End), 10), '}')
	part("-score", "valueDecimal")
	dst = append(append(dst, e.Score...), '}')
	if o == DetectEntities {
		part("-category", "valueString")
		dst = append(fhir.AppendQuoted(dst, e.Category), '}')
		part("-type", "valueString")
		dst = append(fhir.AppendQuoted(dst, e.Type), '}')
		for i := range e.Traits {
			part("-trait", "valueString")
			dst = append(fhir.AppendQuoted(dst, e.Traits[i].Name), '}')
		}
	}
	if path != nil {
		part("-attachment", "valueString")
		dst = append(fhir.AppendQuoted(dst, path), '}')
	}
	if len(e.Concepts[o]) > 0 {
		dst = append(dst, `,{"extension":[`...)
		for i := range e.Concepts[o] {
			c := &e.Concepts[o][i]
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"extension":[`...)
			part("-Concept-Code", "valueString")
			dst = append(fhir.AppendQuoted(dst, c.Code), '}')
			part("-Concept-Description", "valueString")
			dst = append(fhir.AppendQuoted(dst, c.Description), '}')
			part("-Concept-Score", "valueDecimal")
			dst = append(append(dst, c.Score...), '}')
			dst = append(append(append(dst, `],"url":"`...), p...), `-Concept"}`...)
		}
		dst = append(append(append(dst, `],"url":"`...), p...), `-ConceptList"}`...)
	}
	return append(append(append(dst, `],"url":"`...), p...), `"}`...)
}

var rawConcepts = [Operations]string{InferICD10CM: "ICD10CMConcepts", InferRxNorm: "RxNormConcepts", InferSNOMEDCT: "SNOMEDCTConcepts"}

// appendRaw appends an entity as Comprehend Medical's operation gives it.
func appendRaw(dst []byte, e *Entity, o Operation, id int) []byte {
	dst = appendSpan(dst, &e.Span, id)
	dst = append(dst, `,"Attributes":[`...)
	for i := range e.Attributes {
		a := &e.Attributes[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendSpan(dst, &a.Span, id)
		dst = append(append(dst, `,"RelationshipScore":`...), a.RelationshipScore...)
		dst = append(dst, `,"RelationshipType":`...)
		dst = append(fhir.AppendQuoted(dst, a.Relationship), `,"Traits":[]}`...)
	}
	dst = append(dst, `],"Traits":[`...)
	for i := range e.Traits {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"Name":`...)
		dst = append(fhir.AppendQuoted(dst, e.Traits[i].Name), `,"Score":`...)
		dst = append(append(dst, e.Traits[i].Score...), '}')
	}
	dst = append(dst, ']')
	if o != DetectEntities {
		dst = append(append(append(dst, `,"`...), rawConcepts[o]...), `":[`...)
		for i := range e.Concepts[o] {
			c := &e.Concepts[o][i]
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"Description":`...)
			dst = append(fhir.AppendQuoted(dst, c.Description), `,"Code":`...)
			dst = append(fhir.AppendQuoted(dst, c.Code), `,"Score":`...)
			dst = append(append(dst, c.Score...), '}')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// appendSpan appends the members that entities and attributes share, without the end of the
// object.
func appendSpan(dst []byte, s *Span, id int) []byte {
	dst = append(dst, `{"Id":`...)
	dst = strconv.AppendInt(dst, int64(id), 10)
	dst = append(dst, `,"BeginOffset":`...)
	dst = strconv.AppendInt(dst, int64(s.Begin), 10)
	dst = append(dst, `,"EndOffset":`...)
	dst = strconv.AppendInt(dst, int64(s.End), 10)
	dst = append(append(dst, `,"Score":`...), s.Score...)
	dst = append(dst, `,"Text":`...)
	dst = fhir.AppendQuoted(dst, s.Text)
	dst = append(dst, `,"Category":`...)
	dst = fhir.AppendQuoted(dst, s.Category)
	dst = append(dst, `,"Type":`...)
	return fhir.AppendQuoted(dst, s.Type)
}
