package release

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// isTSV tells a table with a column of terms.
func isTSV(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	columns := strings.Split(strings.ToLower(string(line)), "\t")
	return len(columns) > 1 && slices.ContainsFunc(columns, func(c string) bool { return strings.TrimSpace(c) == "term" })
}

// ReadTSV reads a table of one's own. Its first line names the columns: term is
// needed; system (ICD-10-CM, RxNorm, SNOMED CT, LOINC ...), code, preferred,
// category, type and kind may be there, in any order. Without a category a term
// is a condition.
func ReadTSV(r io.Reader, emit func(terminology.Term)) error {
	at := map[string]int{}
	return lines(r, func(n int, line string) error {
		f := strings.Split(line, "\t")
		if n == 1 {
			for i, name := range f {
				at[strings.ToLower(strings.TrimSpace(name))] = i
			}
			if _, ok := at["term"]; !ok {
				return fmt.Errorf("no column named term")
			}
			return nil
		}
		if strings.TrimSpace(line) == "" {
			return nil
		}
		field := func(name string) string {
			if i, ok := at[name]; ok && i < len(f) {
				return strings.TrimSpace(f[i])
			}
			return ""
		}
		t := terminology.Term{Text: field("term"), Code: field("code"), Preferred: field("preferred"), Reviewed: true}
		if t.Text == "" {
			return fmt.Errorf("no term")
		}
		var ok [4]bool
		t.System, ok[0] = terminology.ParseSystem(field("system"))
		t.Category, ok[1] = terminology.ParseCategory(field("category"))
		t.Type, ok[2] = terminology.ParseType(field("type"))
		t.Kind, ok[3] = terminology.ParseKind(field("kind"))
		for i, name := range []string{"system", "category", "type", "kind"} {
			if !ok[i] {
				return fmt.Errorf("unknown %s %q", name, field(name))
			}
		}
		if t.Category == terminology.NoCategory {
			t.Category = terminology.MedicalCondition
		}
		if t.Type == terminology.NoType {
			t.Type = map[terminology.Category]terminology.Type{
				terminology.MedicalCondition: terminology.DXName, terminology.Medication: terminology.GenericName,
				terminology.Anatomy: terminology.SystemOrganSite, terminology.TestTreatmentProcedure: terminology.TestName,
			}[t.Category]
		}
		if t.Category == terminology.MedicalCondition && t.Kind == terminology.NoKind {
			t.Kind = terminology.Diagnosis
		}
		t.Exact = t.Text == strings.ToUpper(t.Text)
		emit(t)
		return nil
	})
}
