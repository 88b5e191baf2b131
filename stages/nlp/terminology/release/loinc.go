package release

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// loinc reads the names of tests of Loinc.csv: active laboratory and clinical terms, by
// their long common and consumer names, and for the usual laboratory classes by what is
// measured. They have no codes: a mention of a test tells neither specimen nor method, and
// results have no place for LOINC. The list of related names is left out, as most of it are
// words for axes ("Point in time").
var loinc = set{
	name:  "loinc",
	parts: []part{{name: "Loinc.csv", file: regexp.MustCompile(`(?i)^Loinc\.csv$`), needed: true}},
	read: func(in *reading, emit func(terminology.Term)) error {
		return in.each("Loinc.csv", func(r io.Reader) error { return readLOINC(r, emit) })
	},
}

// loincColumns are those that are read.
var loincColumns = []string{"LOINC_NUM", "COMPONENT", "CLASS", "STATUS", "CONSUMER_NAME", "CLASSTYPE", "LONG_COMMON_NAME"}

// componentClasses are those in which a component's name stands for the test: elsewhere
// it is the name of a drug, an antigen or an antibiotic.
var componentClasses = map[string]bool{"CHEM": true, "HEM/BC": true, "COAG": true, "UA": true}

func readLOINC(r io.Reader, emit func(terminology.Term)) error {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	header, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return errors.New("line 1: nothing; expected a header")
	}
	if err != nil {
		return csvError(err)
	}
	at := map[string]int{}
	for i, name := range header {
		at[strings.TrimPrefix(name, "\ufeff")] = i
	}
	for _, name := range loincColumns {
		if _, ok := at[name]; !ok {
			return fmt.Errorf("line 1: no column %s; expected %s", name, strings.Join(loincColumns, ", "))
		}
	}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return csvError(err)
		}
		field := func(name string) string { return strings.TrimSpace(row[at[name]]) }
		if !strings.Contains(field("LOINC_NUM"), "-") {
			line, _ := rows.FieldPos(at["LOINC_NUM"])
			return fmt.Errorf("line %d: LOINC_NUM %q; expected digits, a hyphen and a digit", line, field("LOINC_NUM"))
		}
		// Types 1 and 2 are laboratory and clinical; 3 and 4 are attachments and surveys.
		if field("STATUS") != "ACTIVE" || field("CLASSTYPE") != "1" && field("CLASSTYPE") != "2" {
			continue
		}
		texts := []string{field("LONG_COMMON_NAME"), field("CONSUMER_NAME")}
		if componentClasses[field("CLASS")] {
			component, _, _ := strings.Cut(field("COMPONENT"), "^") // after it: challenge, adjustment
			component, _, _ = strings.Cut(component, "/100 ")
			texts = append(texts, component)
		}
		for i, text := range texts {
			if text = bare(text); text != "" && !slices.Contains(texts[:i], text) {
				emit(terminology.Term{
					Text: text, Category: terminology.TestTreatmentProcedure, Type: terminology.TestName, Exact: capitalized(text),
				})
			}
		}
	}
}

// csvError says the line as the other formats do.
func csvError(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("line %d: column %d: %w", p.Line, p.Column, p.Err)
	}
	return err
}
