package release

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// umls reads the Metathesaurus: English atoms that are not suppressed, of concepts whose
// semantic type says that they are something to find. All texts of a concept stand for its
// codes in the systems that results have codes of, a code's own texts more surely. A
// concept without such a code gives names alone.
var umls = set{
	name: "umls",
	parts: []part{
		{name: "MRCONSO.RRF", file: regexp.MustCompile(`(?i)^MRCONSO\.RRF$`), needed: true},
		{name: "MRSTY.RRF", file: regexp.MustCompile(`(?i)^MRSTY\.RRF$`), needed: true},
	},
	read: readUMLS,
}

// class says what a concept is.
type class struct {
	category terminology.Category
	typ      terminology.Type
	kind     terminology.Kind
}

var (
	diagnosis = class{terminology.MedicalCondition, terminology.DXName, terminology.Diagnosis}
	sign      = class{terminology.MedicalCondition, terminology.DXName, terminology.Sign}
	symptom   = class{terminology.MedicalCondition, terminology.DXName, terminology.Symptom}
	generic   = class{terminology.Medication, terminology.GenericName, terminology.NoKind}
	test      = class{terminology.TestTreatmentProcedure, terminology.TestName, terminology.NoKind}
	procedure = class{terminology.TestTreatmentProcedure, terminology.ProcedureName, terminology.NoKind}
	treatment = class{terminology.TestTreatmentProcedure, terminology.TreatmentName, terminology.NoKind}
	site      = class{terminology.Anatomy, terminology.SystemOrganSite, terminology.NoKind}
)

// semanticTypes are those of concepts to find, the ones that decide first. Findings are
// left out: most are judgements and states ("normal", "present"), not signs.
var semanticTypes = []struct {
	tui   string
	class class
}{
	{"T047", diagnosis}, // Disease or Syndrome
	{"T191", diagnosis}, // Neoplastic Process
	{"T048", diagnosis}, // Mental or Behavioral Dysfunction
	{"T037", diagnosis}, // Injury or Poisoning
	{"T019", diagnosis}, // Congenital Abnormality
	{"T020", diagnosis}, // Acquired Abnormality
	{"T190", diagnosis}, // Anatomical Abnormality
	{"T184", symptom},   // Sign or Symptom
	{"T046", diagnosis}, // Pathologic Function
	{"T049", diagnosis}, // Cell or Molecular Dysfunction
	{"T195", generic},   // Antibiotic
	{"T121", generic},   // Pharmacologic Substance
	{"T125", generic},   // Hormone
	{"T127", generic},   // Vitamin
	{"T059", test},      // Laboratory Procedure
	{"T060", test},      // Diagnostic Procedure
	{"T061", procedure}, // Therapeutic or Preventive Procedure
	{"T023", site},      // Body Part, Organ, or Organ Component
	{"T029", site},      // Body Location or Region
	{"T030", site},      // Body Space or Junction
	{"T022", site},      // Body System
	{"T024", site},      // Tissue
}

// clinicalDrug is a type whose concepts are left out: strength and form are in their names.
const clinicalDrug = "T200"

// umlsSystems are the sources whose codes are kept.
var umlsSystems = map[string]terminology.System{
	"ICD10CM": terminology.ICD10CM, "RXNORM": terminology.RxNorm, "SNOMEDCT_US": terminology.SNOMEDCT,
}

// preferredTTY are the term types of a code's own name, the best first.
var preferredTTY = []string{"FN", "PT", "HT", "IN", "MIN", "PIN", "BN"}

// Ranks of UMLS's texts.
const (
	rankOwn     = 0 // the name of a code
	rankSynonym = 1 // another text of the code
	rankConcept = 2 // a text of the concept from another source
)

func readUMLS(in *reading, emit func(terminology.Term)) error {
	classes, err := readSemanticTypes(in)
	if err != nil {
		return err
	}
	var (
		f    []string
		last = "" // the CUI of c
		c    umlsConcept
	)
	err = in.lines("MRCONSO.RRF", func(_ int, line string) (err error) {
		if f, err = rrf(f, line, consoColumns); err != nil {
			return err
		}
		if f[consoCUI] != last {
			c.emit(emit)
			n, err := cui(f[consoCUI])
			if err != nil {
				return err
			}
			last = f[consoCUI]
			c.begin(classes, n)
		}
		if c.wanted && f[consoLAT] == "ENG" && f[consoSUPPRESS] == "N" {
			c.add(f)
		}
		return nil
	})
	if err == nil {
		c.emit(emit)
	}
	return err
}

// readSemanticTypes gives for the number of each concept the number of its semantic type,
// from 1; 0 is a concept that is not to be found.
func readSemanticTypes(in *reading) ([]uint8, error) {
	const never = 255
	rank := map[string]uint8{clinicalDrug: never}
	for i, t := range semanticTypes {
		rank[t.tui] = uint8(i) + 1
	}
	var classes []uint8
	var f []string
	err := in.lines("MRSTY.RRF", func(_ int, line string) (err error) {
		if f, err = rrf(f, line, styColumns); err != nil {
			return err
		}
		n, err := cui(f[styCUI])
		if err != nil {
			return err
		}
		if len(f[styTUI]) != 4 || f[styTUI][0] != 'T' {
			return fmt.Errorf("TUI %q; expected T and three digits", f[styTUI])
		}
		if int(n) >= len(classes) {
			classes = append(classes, make([]uint8, int(n)+1-len(classes))...)
		}
		if r := rank[f[styTUI]]; r == never || r != 0 && (classes[n] == 0 || r < classes[n]) && classes[n] != never {
			classes[n] = r
		}
		return nil
	})
	for i, s := range classes {
		if s == never {
			classes[i] = 0
		}
	}
	return classes, err
}

// cui reads the identifier of a concept.
func cui(s string) (uint32, error) {
	if digits, ok := strings.CutPrefix(s, "C"); ok && len(digits) == 7 {
		if n, err := number("CUI", digits); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("CUI %q; expected C and seven digits", s)
}

// umlsConcept gathers the lines of a concept, which are beside one another.
type umlsConcept struct {
	wanted bool
	class  class
	texts  []string
	codes  []umlsCode
	brand  bool
}

type umlsCode struct {
	system  terminology.System
	code    string
	name    string // by the best of preferredTTY
	nameTTY int
	texts   map[string]bool
}

func (c *umlsConcept) begin(classes []uint8, n uint32) {
	*c = umlsConcept{texts: c.texts[:0], codes: c.codes[:0]}
	if int(n) < len(classes) && classes[n] > 0 {
		c.wanted, c.class = true, semanticTypes[classes[n]-1].class
	}
}

func (c *umlsConcept) add(f []string) {
	text := bare(f[consoSTR])
	if text == "" || strings.Contains(text, ";") { // an entry of an index, "fracture; femur"
		return
	}
	if !slices.Contains(c.texts, text) {
		c.texts = append(c.texts, text)
	}
	system, ok := umlsSystems[f[consoSAB]]
	if !ok || system == terminology.ICD10CM && !conditionCode(f[consoCODE]) {
		return
	}
	if system == terminology.RxNorm {
		switch f[consoTTY] {
		case "BN":
			c.brand = true
		case "IN", "PIN", "MIN":
		default:
			return
		}
	}
	at := slices.IndexFunc(c.codes, func(k umlsCode) bool { return k.system == system && k.code == f[consoCODE] })
	if at < 0 {
		at = len(c.codes)
		c.codes = append(c.codes, umlsCode{system: system, code: f[consoCODE], nameTTY: len(preferredTTY) + 1, texts: map[string]bool{}})
	}
	k := &c.codes[at]
	tty := slices.Index(preferredTTY, f[consoTTY])
	if tty < 0 {
		tty = len(preferredTTY)
	}
	if tty < k.nameTTY {
		k.name, k.nameTTY = f[consoSTR], tty
	}
	k.texts[text] = true
}

func (c *umlsConcept) emit(emit func(terminology.Term)) {
	t := terminology.Term{Category: c.class.category, Type: c.class.typ, Kind: c.class.kind}
	if c.brand && t.Type == terminology.GenericName {
		t.Type = terminology.BrandName
	}
	for _, text := range c.texts {
		t.Text, t.Exact = text, capitalized(text)
		if len(c.codes) == 0 {
			emit(t)
		}
		for i := range c.codes {
			k := &c.codes[i]
			m := t
			m.System, m.Code, m.Preferred = k.system, k.code, k.name
			switch {
			case text == bare(k.name):
				m.Rank = rankOwn
			case k.texts[text]:
				m.Rank = rankSynonym
			default:
				m.Rank = rankConcept
			}
			emit(m)
		}
	}
}

// capitalized tells whether a text has no small letters: it may be an abbreviation.
func capitalized(s string) bool { return s == strings.ToUpper(s) && s != strings.ToLower(s) }
