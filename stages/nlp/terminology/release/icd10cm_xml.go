package release

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// diag is a code of the tabular list, with those below it.
type diag struct {
	Name      string   `xml:"name"`
	Desc      string   `xml:"desc"`
	Inclusion []string `xml:"inclusionTerm>note"`
	Includes  []string `xml:"includes>note"`
	Diags     []diag   `xml:"diag"`
}

// ReadTabular reads icd10cm-tabular-YYYY.xml: titles and inclusion notes.
func ReadTabular(r io.Reader, emit func(terminology.Term)) error {
	return elements(r, "diag", func(d *xml.Decoder, start xml.StartElement) error {
		var top diag
		if err := d.DecodeElement(&top, &start); err != nil {
			return err
		}
		top.emit(emit)
		return nil
	})
}

func (d *diag) emit(emit func(terminology.Term)) {
	rank := uint8(rankTitle)
	if len(d.Diags) > 0 {
		rank = rankHeader
	}
	emitTitle(d.Name, d.Desc, d.Desc, rank, emit)
	for _, notes := range [][]string{d.Inclusion, d.Includes} {
		for _, n := range notes {
			emitTitle(d.Name, d.Desc, n, rank+rankNote, emit)
		}
	}
	for i := range d.Diags {
		d.Diags[i].emit(emit)
	}
}

// indexTerm is a main term of an index or a term below one.
type indexTerm struct {
	Title struct {
		Text string `xml:",chardata"`
	} `xml:"title"`
	Code  string `xml:"code"`
	Cells []struct {
		Col  string `xml:"col,attr"`
		Code string `xml:",chardata"`
	} `xml:"cell"`
	Terms []indexTerm `xml:"term"`
}

// ReadIndex reads the index files of ICD-10-CM: the alphabetic index, the tables
// of drugs and of neoplasms, and the external causes, which have no conditions.
func ReadIndex(r io.Reader, emit func(terminology.Term)) error {
	table := "" // the first column of a table
	return elements(r, "mainTerm head", func(d *xml.Decoder, start xml.StartElement) error {
		if start.Name.Local == "head" {
			var head string
			if err := d.DecodeElement(&head, &start); err != nil {
				return err
			}
			if table == "" {
				table = head
			}
			return nil
		}
		var top indexTerm
		if err := d.DecodeElement(&top, &start); err != nil {
			return err
		}
		switch table {
		case "Substance":
			top.emitDrug(emit)
		case "Neoplasm":
			for i := range top.Terms {
				top.Terms[i].emitNeoplasm(emit)
			}
		default:
			top.emitIndex(nil, emit)
		}
		return nil
	})
}

// emitDrug emits the names of the table of drugs. Its codes are of poisonings,
// not of the drugs, so the terms have none. Terms below a main one and what stands
// in brackets only modify it.
func (t *indexTerm) emitDrug(emit func(terminology.Term)) {
	for _, n := range variants(t.Title.Text) {
		if len(n) < 3 || drugWords[strings.ToLower(n)] {
			continue
		}
		emit(terminology.Term{Text: n, Category: terminology.Medication, Type: terminology.GenericName})
	}
}

// drugWords are entries of the table that are no substance.
var drugWords = map[string]bool{"specified": true, "unspecified": true, "nec": true, "topical": true, "systemic": true, "ent agent": true}

// emitNeoplasm emits the malignant neoplasm of a site under its usual names.
func (t *indexTerm) emitNeoplasm(emit func(terminology.Term)) {
	code := ""
	for _, c := range t.Cells {
		if c.Col == "2" {
			code = strings.TrimSpace(c.Code)
		}
	}
	if strings.HasSuffix(code, "-") || code == "" {
		return
	}
	for _, site := range variants(t.Title.Text) {
		for _, text := range []string{"malignant neoplasm of " + site, "malignant neoplasm of the " + site, site + " cancer", "cancer of the " + site, "cancer of " + site, site + " carcinoma", "carcinoma of the " + site} {
			emit(terminology.Term{
				System: terminology.ICD10CM, Code: code, Text: text, Category: terminology.MedicalCondition,
				Type: terminology.DXName, Kind: terminology.Diagnosis, Rank: rankIndex,
			})
		}
	}
}

// emitIndex emits a term of the alphabetic index: the modifiers of a main term go
// before it in running text ("Pain, abdominal").
func (t *indexTerm) emitIndex(path []string, emit func(terminology.Term)) {
	for i, name := range variants(t.Title.Text) {
		if i > 1 {
			break
		}
		at := append(path[:len(path):len(path)], name)
		if code := strings.TrimSuffix(strings.TrimSpace(t.Code), "-"); code != "" && len(at) <= 3 {
			emitTitle(code, "", inverted(at), rankIndex, emit)
		}
		for k := range t.Terms {
			t.Terms[k].emitIndex(at, emit)
		}
	}
}

func inverted(path []string) string {
	var b strings.Builder
	for i := len(path) - 1; i > 0; i-- {
		if strings.Contains(path[i], " ") { // "due to", "in diseases of": after it
			return strings.Join(path, " ")
		}
		b.WriteString(path[i])
		b.WriteByte(' ')
	}
	return b.String() + path[0]
}

// variants are the names that a title gives, separated by commas, without "NEC"
// and what stands in brackets.
func variants(title string) []string {
	var out []string
	for p := range strings.SplitSeq(withoutBrackets(title), ", ") {
		p = strings.Join(strings.Fields(p), " ")
		p = strings.TrimSuffix(strings.TrimSuffix(p, " NEC"), " NOS")
		if p != "" && p != "NEC" && p != "NOS" {
			out = append(out, p)
		}
	}
	return out
}

// elements calls fn for each outermost element of one of the names.
func elements(r io.Reader, names string, fn func(*xml.Decoder, xml.StartElement) error) error {
	d := xml.NewDecoder(r)
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			start, ok := tok.(xml.StartElement)
			if !ok || !strings.Contains(" "+names+" ", " "+start.Name.Local+" ") {
				continue
			}
			err = fn(d, start)
		}
		if err != nil {
			line, _ := d.InputPos()
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}
