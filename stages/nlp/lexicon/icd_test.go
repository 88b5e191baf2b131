package lexicon

import (
	"bufio"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// orderFile is the release that codes and titles are checked against.
const orderFile = "terminology/icd10cm-order-Jan-2021.txt.gz"

// officialTitles reads code and long title of every row of the order file: fixed
// columns, the code from 7 to 13 without its dot, the long title from 78.
func officialTitles(t *testing.T) map[string]string {
	t.Helper()
	root := os.Getenv("FHIRLAKE_TESTDATA")
	if root == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("FHIRLAKE_TESTDATA is not set, and CI checks every code")
		}
		t.Skip("no terminology to check against: set FHIRLAKE_TESTDATA")
	}
	f, err := os.Open(filepath.Join(root, orderFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader
	if r, err = gzip.NewReader(f); err != nil {
		t.Fatal(err)
	}
	titles := map[string]string{}
	s := bufio.NewScanner(r)
	for s.Scan() {
		line := s.Text()
		if len(line) < 78 {
			t.Fatalf("%s: row %q is short", orderFile, line)
		}
		code := strings.TrimSpace(line[6:13])
		if len(code) > 3 {
			code = code[:3] + "." + code[3:]
		}
		titles[code] = strings.TrimSpace(line[77:])
	}
	if s.Err() != nil || len(titles) < 90_000 {
		t.Fatalf("%s: %d codes, error %v", orderFile, len(titles), s.Err())
	}
	return titles
}

func TestCodesAndTitlesAreOfficial(t *testing.T) {
	titles := officialTitles(t)
	n := 0
	for _, m := range Terms() {
		if m.Code == "" {
			continue
		}
		n++
		if title, ok := titles[m.Code]; !ok {
			t.Errorf("%q: %s is no code of %s", m.Preferred, m.Code, orderFile)
		} else if title != m.Title {
			t.Errorf("%q: %s is %q, the file says %q", m.Preferred, m.Code, m.Title, title)
		}
	}
	t.Logf("%d codes", n)
}

// stems are the first four letters of each longer word, in American spelling:
// enough to see that two names speak of one thing.
func stems(s string) []string {
	s = strings.NewReplacer("aem", "em", "oed", "ed", "oes", "es").Replace(strings.ToLower(s))
	var out []string
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if len(w) >= 4 {
			out = append(out, w[:4])
		}
	}
	return out
}

// A code whose title shares no word with any name of the term is most often a wrong
// one. Those that are right all the same, as residual categories and eponyms are,
// stand in reviewedTitles.
func TestTitlesSpeakOfTheTerm(t *testing.T) {
	met := map[string]bool{}
	for _, m := range Terms() {
		if m.Code == "" {
			continue
		}
		title := stems(m.Title)
		shared := slices.ContainsFunc(m.names(), func(n string) bool {
			return slices.ContainsFunc(stems(n), func(s string) bool { return slices.Contains(title, s) })
		})
		_, reviewed := reviewedTitles[m.Preferred]
		switch {
		case !shared && reviewedTitles[m.Preferred] != m.Code:
			t.Errorf("%q: %s %q shares no word with its names: check the code, then add it to reviewedTitles", m.Preferred, m.Code, m.Title)
		case shared && reviewed:
			t.Errorf("%q of reviewedTitles shares a word with its title: remove it there", m.Preferred)
		}
		met[m.Preferred] = true
	}
	for name := range reviewedTitles {
		if !met[name] {
			t.Errorf("%q of reviewedTitles is no term with a code", name)
		}
	}
}

// reviewedTitles are names whose code was checked by hand, though its title shares
// no word with them.
var reviewedTitles = map[string]string{
	"acalculia":                     "R48.8",   // Other symbolic dysfunctions
	"anaplasmosis":                  "A77.49",  // Other ehrlichiosis
	"anastomotic leak":              "K91.89",  // Other postprocedural complications and disorders of digestive system
	"biliary colic":                 "K80.50",  // Calculus of bile duct without cholangitis or cholecystitis without obstruction
	"biliary dyskinesia":            "K82.8",   // Other specified diseases of gallbladder
	"brain fog":                     "R41.9",   // Unspecified symptoms and signs involving cognitive functions and awareness
	"brugada syndrome":              "I49.8",   // Other specified cardiac arrhythmias
	"bruit":                         "R09.89",  // Other specified symptoms and signs involving the circulatory and respiratory systems
	"burning pain":                  "R20.8",   // Other disturbances of skin sensation
	"chronic granulomatous disease": "D71",     // Functional disorders of polymorphonuclear neutrophils
	"clubfoot":                      "Q66.89",  // Other specified congenital deformities of feet
	"cutaneous horn":                "L85.8",   // Other specified epidermal thickening
	"dubin-johnson syndrome":        "E80.6",   // Other disorders of bilirubin metabolism
	"empty sella syndrome":          "E23.6",   // Other disorders of pituitary gland
	"eye redness":                   "H57.89",  // Other specified disorders of eye and adnexa
	"hand, foot and mouth disease":  "B08.4",   // Enteroviral vesicular stomatitis with exanthem
	"hydropneumothorax":             "J94.8",   // Other specified pleural conditions
	"hyperinsulinism":               "E16.1",   // Other hypoglycemia
	"hypertrophic gastropathy":      "K31.89",  // Other diseases of stomach and duodenum
	"hypoalbuminemia":               "E88.09",  // Other disorders of plasma-protein metabolism, not elsewhere classified
	"iga nephropathy":               "N02.8",   // Recurrent and persistent hematuria with other morphologic changes
	"limping":                       "R29.898", // Other symptoms and signs involving the musculoskeletal system
	"myocardial injury":             "I51.89",  // Other ill-defined heart diseases
	"osteosarcoma of leg":           "C40.20",  // Malignant neoplasm of long bones of unspecified lower limb
	"photosensitivity":              "L56.8",   // Other specified acute skin changes due to ultraviolet radiation
	"pica":                          "F50.89",  // Other specified eating disorder
	"proctitis":                     "K62.89",  // Other specified diseases of anus and rectum
	"protein c deficiency":          "D68.59",  // Other primary thrombophilia
	"scrotal swelling":              "N50.89",  // Other specified disorders of the male genital organs
	"sturge-weber syndrome":         "Q85.8",   // Other phakomatoses, not elsewhere classified
	"stuttering":                    "F80.81",  // Childhood onset fluency disorder
	"tenesmus":                      "R19.8",   // Other specified symptoms and signs involving the digestive system and abdomen
	"throat clearing":               "R09.89",  // Other specified symptoms and signs involving the circulatory and respiratory systems
	"toothache":                     "K08.89",  // Other specified disorders of teeth and supporting structures
	"upper airway cough syndrome":   "R09.89",  // Other specified symptoms and signs involving the circulatory and respiratory systems
}
