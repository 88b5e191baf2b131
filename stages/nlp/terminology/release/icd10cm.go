package release

import (
	"fmt"
	"io"
	"strings"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// isOrder tells an order file: a number of five digits, a code, a flag at fixed columns.
func isOrder(head []byte) bool {
	return len(head) > 77 && head[5] == ' ' && head[13] == ' ' && head[15] == ' ' && (head[14] == '0' || head[14] == '1') &&
		head[0] >= '0' && head[0] <= '9' && head[4] >= '0' && head[4] <= '9'
}

// ReadOrder reads icd10cm-order-YYYY.txt: columns 1-5 a number, 7-13 the code
// without its dot, 15 whether it can be billed, 17-76 a short title, 78 on the title.
func ReadOrder(r io.Reader, emit func(terminology.Term)) error {
	return lines(r, func(_ int, line string) error {
		if strings.TrimSpace(line) == "" {
			return nil
		}
		if len(line) < 78 {
			return fmt.Errorf("%d bytes, want a code in columns 7-13 and a title from column 78", len(line))
		}
		code := strings.TrimSpace(line[6:13])
		if len(code) < 3 {
			return fmt.Errorf("code %q, want at least three characters", code)
		}
		if len(code) > 3 {
			code = code[:3] + "." + code[3:]
		}
		title := strings.TrimSpace(line[77:])
		short := strings.TrimSpace(line[16:76])
		rank := uint8(rankHeader)
		if line[14] == '1' {
			rank = rankTitle
		}
		emitTitle(code, title, title, rank, emit)
		if short != title && !strings.Contains(short, ",") {
			emitTitle(code, title, short, rank+rankNote, emit)
		}
		return nil
	})
}

// Ranks of ICD-10-CM's texts, added to one another: the code that can be billed
// goes before the category above it.
const (
	rankTitle  = 0
	rankHeader = 4
	rankNote   = 1 // inclusion notes and short titles
	rankIndex  = 2
	rankBare   = 1 // without "unspecified" and the like
)

// emitTitle emits a text of a code, and the same without the words that only
// say that nothing more is known.
func emitTitle(code, preferred, text string, rank uint8, emit func(terminology.Term)) {
	if !conditionCode(code) {
		return
	}
	t := terminology.Term{
		System: terminology.ICD10CM, Code: code, Preferred: preferred, Text: text,
		Category: terminology.MedicalCondition, Type: terminology.DXName, Kind: kindOf(code), Rank: rank,
	}
	emit(t)
	if b := bare(text); b != text && b != "" {
		t.Text, t.Rank = b, rank+rankBare
		emit(t)
	}
}

// conditionCode tells whether a code is of a condition: external causes (V to Y)
// and reasons for encounters (Z) are none.
func conditionCode(code string) bool { return code != "" && code[0] >= 'A' && code[0] <= 'U' }

// kindOf: chapter R has the symptoms and signs.
func kindOf(code string) terminology.Kind {
	if code[0] == 'R' {
		return terminology.Symptom
	}
	return terminology.Diagnosis
}

var (
	bareSuffixes = []string{
		", unspecified", " unspecified", ", uncomplicated", ", not elsewhere classified", ", initial encounter", " NOS", ", NOS",
		", unspecified ear", ", unspecified eye", ", unspecified side", " without complications", " without complication",
		", without complication", " without aura", ", not intractable", ", without status migrainosus", ", unspecified site",
		", unspecified organism", " (primary)", ", single episode", " of unspecified site", " NEC", ", any type", " (acute)", " (chronic)",
	}
	barePrefixes = []string{"Unspecified ", "Other and unspecified ", "Essential (primary) "}
)

// bare is a title without words for what is not known.
func bare(s string) string {
	for again := true; again; {
		again = false
		for _, p := range bareSuffixes {
			if rest, ok := strings.CutSuffix(s, p); ok {
				s, again = rest, true
			}
		}
		for _, p := range barePrefixes {
			if rest, ok := strings.CutPrefix(s, p); ok {
				s, again = rest, true
			}
		}
	}
	return strings.Join(strings.Fields(withoutBrackets(s)), " ")
}

// withoutBrackets drops what stands in round and square brackets.
func withoutBrackets(s string) string {
	if !strings.ContainsAny(s, "([") {
		return s
	}
	var b strings.Builder
	depth := 0
	for _, r := range s {
		switch r {
		case '(', '[':
			depth++
		case ')', ']':
			depth = max(0, depth-1)
		default:
			if depth == 0 {
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}
