// Package release reads official releases of terminologies, each in its own
// format, as terms. It decides which of a release's texts are worth finding in a
// note; compiling and looking up are up to package terminology. Read [Find] and
// [Release] first.
package release

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// A Format is a way that a release of one file is written.
type Format struct {
	Name string
	// Sniff tells by the first bytes of a file whether it may be of the format.
	Sniff func(head []byte) bool
	// Read gives all terms to emit. An error names the line.
	Read func(r io.Reader, emit func(terminology.Term)) error
}

// Formats are all formats of one file, the more telling ones first.
func Formats() []Format {
	return []Format{
		{"icd10cm-tabular", contains("<ICD10CM.tabular"), ReadTabular},
		{"icd10cm-index", contains("<ICD10CM.index"), ReadIndex},
		{"icd10cm-order", isOrder, ReadOrder},
		{"obo", isOBO, ReadOBO},
		{"tsv", isTSV, ReadTSV},
	}
}

// sniffBytes is how much of a file tells its format.
const sniffBytes = 4096

// Read finds the format of a release and reads it. It gives the format's name.
func Read(r io.Reader, emit func(terminology.Term)) (string, error) {
	b := bufio.NewReaderSize(r, sniffBytes)
	head, err := b.Peek(sniffBytes)
	if err != nil && err != io.EOF {
		return "", err
	}
	for _, f := range Formats() {
		if f.Sniff(head) {
			return f.Name, f.Read(b, emit)
		}
	}
	return "", fmt.Errorf("unknown format; %s", expected)
}

// expected is what an error says is known here.
const expected = "expected ICD-10-CM order, tabular or index files, RXNCONSO.RRF, MRCONSO.RRF with MRSTY.RRF, the snapshot files of " +
	"SNOMED CT, Loinc.csv, OBO, or a TSV whose header has a column named term"

func contains(mark string) func([]byte) bool {
	return func(head []byte) bool { return bytes.Contains(head, []byte(mark)) }
}

// lines calls fn for each line, numbered from 1, without its end.
func lines(r io.Reader, fn func(n int, line string) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), 16<<20)
	n := 0
	for s.Scan() {
		n++
		if err := fn(n, string(bytes.TrimRight(s.Bytes(), "\r"))); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}
