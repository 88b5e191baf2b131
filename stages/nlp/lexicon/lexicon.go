// Package lexicon owns the words that the medical NLP stage knows without any
// terminology being imported: tables that this project wrote, embedded in the
// binary. It leaves matching, context and linking to its parent. Read [Term] first;
// README.md in this folder says what each column means and how to add a row.
package lexicon

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// The categories and types are those of Comprehend Medical's output model.
const (
	CategoryCondition  = "MEDICAL_CONDITION"
	CategoryMedication = "MEDICATION"
	CategoryTest       = "TEST_TREATMENT_PROCEDURE"
	CategoryAnatomy    = "ANATOMY"
	CategoryBehavior   = "BEHAVIORAL_ENVIRONMENTAL_SOCIAL"

	TypeDiagnosis = "DX_NAME"
	TypeGeneric   = "GENERIC_NAME"
	TypeBrand     = "BRAND_NAME"
	TypeTest      = "TEST_NAME"
	TypeProcedure = "PROCEDURE_NAME"
	TypeTreatment = "TREATMENT_NAME"
	TypeSite      = "SYSTEM_ORGAN_SITE"
	TypeTobacco   = "TOBACCO_USE"
	TypeAlcohol   = "ALCOHOL_CONSUMPTION"
	TypeDrugs     = "REC_DRUG_USE"

	KindDiagnosis = "DIAGNOSIS"
	KindSign      = "SIGN"
	KindSymptom   = "SYMPTOM"
)

// SystemICD10CM is the only code system that the tables use.
const SystemICD10CM = "ICD-10-CM"

// A Term is one concept with all its names. No two terms of a category share a
// name, letter case aside. Terms are shared: callers do not change them.
type Term struct {
	Code   string // ICD-10-CM with its dot; empty where no source confirms one
	System string // SystemICD10CM, or empty without a code

	Preferred     string   // lower case, but brands and names that hold an abbreviation
	Synonyms      []string // as Preferred: match without regard to letter case
	Abbreviations []string // as written: match with regard to letter case

	Category string
	Type     string

	Kind    string // of a condition: KindDiagnosis, KindSign or KindSymptom
	Title   string // of a condition or habit with a code: the official title of the code
	Generic string // of a brand: Preferred of its ingredient or combination
	Class   bool   // a medication that names a class of drugs ("beta blocker")
}

// An Abbreviation is one reading of a short form. Readings whose Ambiguous is set
// need more than the short form alone: its definition in the document or its
// neighbours.
type Abbreviation struct {
	Short     string // as written: match with regard to letter case
	Long      string
	Ambiguous bool
}

//go:embed *.tsv
var files embed.FS

// baseColumns are the first columns of every table of terms.
var baseColumns = []string{"code", "system", "preferred", "synonyms", "abbreviations", "category", "type"}

// A table is one embedded file of terms.
type table struct {
	name     string
	columns  []string // after baseColumns
	category string
	types    []string
}

var tables = []table{
	{"conditions.tsv", []string{"kind", "title"}, CategoryCondition, []string{TypeDiagnosis}},
	{"drugs.tsv", []string{"brands", "class"}, CategoryMedication, []string{TypeGeneric}},
	{"tests.tsv", nil, CategoryTest, []string{TypeTest}},
	{"procedures.tsv", nil, CategoryTest, []string{TypeProcedure, TypeTreatment}},
	{"anatomy.tsv", nil, CategoryAnatomy, []string{TypeSite}},
	{"behaviors.tsv", []string{"title"}, CategoryBehavior, []string{TypeTobacco, TypeAlcohol, TypeDrugs}},
}

var terms = sync.OnceValues(func() ([]Term, error) {
	var all []Term
	for _, t := range tables {
		f, err := files.Open(t.name)
		if err != nil {
			return nil, fmt.Errorf("open lexicon: %w", err)
		}
		defer f.Close()
		if all, err = t.read(all, f); err != nil {
			return nil, err
		}
	}
	return all, nil
})

var abbreviations = sync.OnceValues(func() ([]Abbreviation, error) {
	f, err := files.Open("abbreviations.tsv")
	if err != nil {
		return nil, fmt.Errorf("open lexicon: %w", err)
	}
	defer f.Close()
	return readAbbreviations("abbreviations.tsv", f)
})

// Terms returns every term, in the order of the files; a brand follows its
// generic. The files are part of the binary, so a faulty one is our bug: it panics.
// It is safe for concurrent use, and reads the files once.
func Terms() []Term { return must(terms()) }

// Abbreviations returns every reading of every short form, under the same rules as
// [Terms]. A reading may be a name of a term, of any category, or none
// ("by mouth"). A short form that is ambiguous here is so in a term's
// Abbreviations too.
func Abbreviations() []Abbreviation { return must(abbreviations()) }

// Version names the content of the files: it changes with any of them.
var Version = sync.OnceValue(func() string {
	h := sha256.New()
	names := []string{"abbreviations.tsv"}
	for _, t := range tables {
		names = append(names, t.name)
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		fmt.Fprintf(h, "%s %d\n", name, len(text))
		h.Write(must(text, err))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
})

func must[T any](v T, err error) T {
	if err != nil {
		panic("lexicon: " + err.Error())
	}
	return v
}

// read appends the terms of one file to dst.
func (t table) read(dst []Term, r io.Reader) ([]Term, error) {
	columns := slices.Concat(baseColumns, t.columns)
	err := eachRow(t.name, r, columns, func(f []string) error {
		m := Term{
			Code: f[0], System: f[1], Preferred: f[2], Category: f[5], Type: f[6],
		}
		var err error
		if m.Synonyms, err = names(f[3]); err != nil {
			return fmt.Errorf("synonyms: %w", err)
		}
		if m.Abbreviations, err = names(f[4]); err != nil {
			return fmt.Errorf("abbreviations: %w", err)
		}
		switch {
		case m.Preferred == "":
			return fmt.Errorf("preferred is empty, want a name")
		case m.Preferred != strings.TrimSpace(m.Preferred):
			return fmt.Errorf("preferred %q has spaces around it", m.Preferred)
		case m.Category != t.category:
			return fmt.Errorf("category %q, want %q", m.Category, t.category)
		case !slices.Contains(t.types, m.Type):
			return fmt.Errorf("type %q, want one of %s", m.Type, strings.Join(t.types, ", "))
		case m.Code == "" && m.System != "":
			return fmt.Errorf("system %q without a code", m.System)
		case m.Code != "" && m.System != SystemICD10CM:
			return fmt.Errorf("system %q of code %s, want %q", m.System, m.Code, SystemICD10CM)
		}
		switch t.category {
		case CategoryCondition:
			m.Kind, m.Title = f[7], f[8]
			if !slices.Contains([]string{KindDiagnosis, KindSign, KindSymptom}, m.Kind) {
				return fmt.Errorf("kind %q, want %s, %s or %s", m.Kind, KindDiagnosis, KindSign, KindSymptom)
			}
			if err := m.titled(); err != nil {
				return err
			}
			dst = append(dst, m)
		case CategoryBehavior:
			m.Title = f[7]
			if err := m.titled(); err != nil {
				return err
			}
			dst = append(dst, m)
		case CategoryMedication:
			if m.Class, err = yes(f[8]); err != nil {
				return fmt.Errorf("class: %w", err)
			}
			brands, err := names(f[7])
			if err != nil {
				return fmt.Errorf("brands: %w", err)
			}
			dst = append(dst, m)
			for _, b := range brands {
				dst = append(dst, Term{
					Preferred: b, Category: m.Category, Type: TypeBrand, Generic: m.Preferred,
				})
			}
		default:
			dst = append(dst, m)
		}
		return nil
	})
	return dst, err
}

func (m *Term) titled() error {
	if (m.Code == "") != (m.Title == "") {
		return fmt.Errorf("code %q with title %q, want both or neither", m.Code, m.Title)
	}
	return nil
}

func readAbbreviations(name string, r io.Reader) ([]Abbreviation, error) {
	var all []Abbreviation
	err := eachRow(name, r, []string{"abbreviation", "expansion", "ambiguous"}, func(f []string) error {
		a := Abbreviation{Short: f[0], Long: f[1]}
		if a.Short == "" || a.Long == "" {
			return fmt.Errorf("abbreviation %q with expansion %q, want both", a.Short, a.Long)
		}
		var err error
		if a.Ambiguous, err = yes(f[2]); err != nil {
			return fmt.Errorf("ambiguous: %w", err)
		}
		all = append(all, a)
		return nil
	})
	return all, err
}

// eachRow calls fn with the fields of each line after the header, which must be
// columns. Errors carry file and line.
func eachRow(name string, r io.Reader, columns []string, fn func(fields []string) error) error {
	s := bufio.NewScanner(r)
	line := 0
	for s.Scan() {
		line++
		f := strings.Split(s.Text(), "\t")
		if line == 1 {
			if !slices.Equal(f, columns) {
				return fmt.Errorf("%s:1: header %q, want %q", name, f, columns)
			}
			continue
		}
		if len(f) != len(columns) {
			return fmt.Errorf("%s:%d: %d fields, want %d: %s", name, line, len(f), len(columns), strings.Join(columns, " "))
		}
		if err := fn(f); err != nil {
			return fmt.Errorf("%s:%d: %w", name, line, err)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", name, line+1, err)
	}
	if line == 0 {
		return fmt.Errorf("%s:1: no header, want %q", name, columns)
	}
	return nil
}

// names splits a list of names; an empty field is an empty list.
func names(field string) ([]string, error) {
	if field == "" {
		return nil, nil
	}
	list := strings.Split(field, "|")
	for _, n := range list {
		if n == "" || n != strings.TrimSpace(n) {
			return nil, fmt.Errorf("name %q is empty or has spaces around it", n)
		}
	}
	return list, nil
}

func yes(field string) (bool, error) {
	switch field {
	case "yes":
		return true, nil
	case "no":
		return false, nil
	}
	return false, fmt.Errorf("%q, want yes or no", field)
}
