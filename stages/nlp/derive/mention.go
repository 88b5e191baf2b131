package derive

import (
	"bytes"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// excluded are the traits of mentions that say nothing that is so of the patient now or
// before: such a mention becomes no resource.
var excluded = []string{"NEGATION", "PERTAINS_TO_FAMILY", "HYPOTHETICAL", "LOW_CONFIDENCE", "FUTURE"}

// pastHistory is the trait of what was.
const pastHistory = "PAST_HISTORY"

// kindOf tells which resource type a mention becomes, 0 for none, and whose codes it has.
func kindOf(e *entity.Entity) (r4.TypeID, entity.Operation) {
	for _, trait := range excluded {
		if e.Has(trait) {
			return 0, 0
		}
	}
	switch string(e.Category) {
	case "MEDICAL_CONDITION":
		switch {
		case e.Has("DIAGNOSIS"):
			return r4.TypeCondition, entity.InferICD10CM
		case e.Has("SIGN"), e.Has("SYMPTOM"):
			return r4.TypeObservation, entity.InferICD10CM
		}
	case "MEDICATION":
		return r4.TypeMedicationStatement, entity.InferRxNorm
	}
	return 0, 0
}

// finding is what becomes one resource: the mentions of one concept in a document.
type finding struct {
	typ       r4.TypeID
	operation entity.Operation
	id        string

	// Of the mention with the highest score, the first of several; valid as long as the result.
	text    []byte
	score   entity.Score
	concept *entity.Concept // nil: there is no code

	past bool // all mentions are of the past
}

// maxFindings bounds the resources of one document: its Linkage names them all.
const maxFindings = 2000

// collect gathers the findings of a result in the order of their first mentions.
func (d *Deriver) collect(r *entity.Result) {
	d.findings, d.texts = d.findings[:0], d.texts[:0]
	clear(d.index)
	for i := range r.Texts {
		for k := range r.Texts[i].Entities {
			d.take(&r.Texts[i].Entities[k])
		}
	}
}

// take takes a mention.
func (d *Deriver) take(e *entity.Entity) {
	typ, operation := kindOf(e)
	if typ == 0 {
		return
	}
	text := d.plain(e.Text)
	if len(text) == 0 {
		return
	}
	f := finding{typ: typ, operation: operation, text: text, score: e.Score, past: e.Has(pastHistory)}
	if concepts := e.Concepts[operation]; len(concepts) > 0 && isCode(concepts[0].Code) {
		f.concept = &concepts[0]
	}
	key := d.key(&f)
	at, ok := d.index[string(key)]
	if !ok {
		if len(d.findings) == maxFindings {
			return
		}
		f.id = d.id(key)
		d.index[string(key)] = len(d.findings)
		d.findings = append(d.findings, f)
		return
	}
	known := &d.findings[at]
	past := known.past && f.past
	if f.score.Float() > known.score.Float() {
		f.id = known.id
		*known = f
	}
	known.past = past
}

// key names a finding among those of all documents: the document, the type and the code, or the folded text.
func (d *Deriver) key(f *finding) []byte {
	k := d.nameOf(f.typ)
	if f.concept != nil {
		k = append(append(k, f.operation.System()...), '|')
		k = append(k, f.concept.Code...)
	} else {
		k = append(k, "text|"...)
		k = append(k, bytes.ToLower(f.text)...)
	}
	d.buf = k
	return k
}

// nameOf begins the name of a resource that is derived from the document.
func (d *Deriver) nameOf(t r4.TypeID) []byte {
	k := append(append(d.buf[:0], "DocumentReference/"...), d.document.id...)
	k = append(append(k, '|'), t.String()...)
	return append(k, '|')
}

// plain gives the text of a mention as one line: white space and what is no character to be
// read is one space. The result is valid as long as the findings.
func (d *Deriver) plain(text []byte) []byte {
	from := len(d.texts)
	space := false
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError && n <= 1 {
			space = true
		} else {
			if space && len(d.texts) > from {
				d.texts = append(d.texts, ' ')
			}
			space = false
			d.texts = append(d.texts, text[:n]...)
		}
		text = text[n:]
	}
	return d.texts[from:len(d.texts):len(d.texts)]
}

// isCode tells whether a text may be a FHIR code that is no more than a word, as all codes of
// the systems are: a remote provider or a table of one's own may give anything.
func isCode(code []byte) bool {
	for _, c := range code {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(code) > 0 && len(code) <= 64
}

// appendDecimal appends a score as FHIR's decimal.
func appendDecimal(dst []byte, s entity.Score) []byte {
	return strconv.AppendFloat(dst, min(max(s.Float(), 0), 1), 'f', -1, 64)
}
