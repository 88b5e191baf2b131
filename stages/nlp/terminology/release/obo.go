package release

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

func isOBO(head []byte) bool { return bytes.HasPrefix(head, []byte("format-version:")) }

// stanza is one [Term] of an OBO file.
type stanza struct {
	id, name string
	synonyms []synonym
	xrefs    []string
	obsolete bool
}

type synonym struct {
	text  string
	scope string // EXACT, RELATED, NARROW, BROAD
}

// ReadOBO reads an ontology in OBO 1.2 or 1.4: the Disease Ontology, the Symptom
// Ontology, or another one of conditions. Names and exact or related synonyms
// become terms, of the ontology and of the ICD-10-CM and SNOMED CT codes that
// it refers to.
func ReadOBO(r io.Reader, emit func(terminology.Term)) error {
	var s stanza
	inTerm := false
	err := lines(r, func(_ int, line string) error {
		if strings.HasPrefix(line, "[") {
			if inTerm {
				s.emit(emit)
			}
			inTerm = line == "[Term]"
			s = stanza{synonyms: s.synonyms[:0], xrefs: s.xrefs[:0]}
			return nil
		}
		if !inTerm {
			return nil
		}
		tag, value, ok := strings.Cut(line, ": ")
		if !ok {
			return nil
		}
		switch tag {
		case "id":
			s.id = value
		case "name":
			s.name = value
		case "is_obsolete":
			s.obsolete = value == "true"
		case "xref":
			x, _, _ := strings.Cut(value, " ")
			s.xrefs = append(s.xrefs, x)
		case "synonym":
			y, err := parseSynonym(value)
			if err != nil {
				return err
			}
			s.synonyms = append(s.synonyms, y)
		}
		return nil
	})
	if err == nil && inTerm {
		s.emit(emit)
	}
	return err
}

func parseSynonym(value string) (synonym, error) {
	if !strings.HasPrefix(value, `"`) {
		return synonym{}, fmt.Errorf("synonym without quotes")
	}
	for i := 1; i < len(value); i++ {
		switch value[i] {
		case '\\':
			i++
		case '"':
			scope, _, _ := strings.Cut(strings.TrimSpace(value[i+1:]), " ")
			return synonym{strings.NewReplacer(`\"`, `"`, `\,`, ",", `\\`, `\`).Replace(strings.TrimSpace(value[1:i])), scope}, nil
		}
	}
	return synonym{}, fmt.Errorf("synonym without a closing quote")
}

func (s *stanza) emit(emit func(terminology.Term)) {
	if s.obsolete || s.name == "" {
		return
	}
	kind, system := terminology.Diagnosis, terminology.NoSystem
	switch prefix, _, _ := strings.Cut(s.id, ":"); prefix {
	case "DOID":
		system = terminology.DiseaseOntology
	case "SYMP":
		system, kind = terminology.SymptomOntology, terminology.Symptom
	}
	s.text(s.name, 0, system, kind, emit)
	for _, y := range s.synonyms {
		switch y.scope {
		case "EXACT":
			s.text(y.text, 1, system, kind, emit)
		case "RELATED":
			s.text(y.text, 2, system, kind, emit)
		}
	}
}

// text emits one text of the stanza, for its own code and those it refers to.
func (s *stanza) text(text string, rank uint8, system terminology.System, kind terminology.Kind, emit func(terminology.Term)) {
	text = bare(strings.TrimSuffix(text, " (disorder)"))
	t := terminology.Term{
		Text: text, Category: terminology.MedicalCondition, Type: terminology.DXName, Kind: kind, Rank: rank,
		Exact: text == strings.ToUpper(text),
	}
	if system != terminology.NoSystem {
		t.System, t.Code, t.Preferred = system, s.id, s.name
	}
	emit(t)
	t.Preferred = ""
	for _, x := range s.xrefs {
		prefix, code, _ := strings.Cut(x, ":")
		switch {
		case prefix == "ICD10CM" || prefix == "ICD10":
			t.System = terminology.ICD10CM
		case strings.HasPrefix(prefix, "SNOMEDCT"):
			t.System = terminology.SNOMEDCT
		default:
			continue
		}
		t.Code, t.Rank = code, rank+3
		emit(t)
	}
}
