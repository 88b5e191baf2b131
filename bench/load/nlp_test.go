package load

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

func document(contentType, text string) string {
	return `{"resourceType":"DocumentReference","content":[{"attachment":{"contentType":"` + contentType + `","data":"` +
		base64.StdEncoding.EncodeToString([]byte(text)) + `"}},{"attachment":{"url":"Binary/1"}}]}`
}

func TestNotesAreRead(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
		fault    string
	}{
		{"nothing", "\n \n", nil, ""},
		{"texts", "No fever.\n\nÜbel keit", []string{"No fever.", "Übel keit"}, ""},
		{"documents", document("text/plain", "a\nb") + "\n" + document("text/html", "<p>c &lt; d</p>"), []string{"a\nb", "c < d"}, ""},
		{"a document that cannot be read", document("image/png", "x") + "\n" + document("text/plain", "y"), []string{"y"}, ""},
		{"another resource", `{"resourceType":"Patient"}`, nil, `line 1: "Patient" is no DocumentReference`},
		{"no base64", "\n" + strings.Replace(document("text/plain", "yyy"), `"data":"`, `"data":"*`, 1), nil, "line 2: "},
		{"no JSON", "{", nil, "line 1: unexpected end of JSON input"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			notes, err := ReadNotes(strings.NewReader(tt.in))
			if tt.fault != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.fault) {
					t.Errorf("error: %v, want %s", err, tt.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range notes {
				got = append(got, strings.TrimSpace(string(n.Text)))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGeneratedNotesAreTexts(t *testing.T) {
	notes, err := GeneratedNotes(1, 2)
	if err != nil || len(notes) == 0 {
		t.Fatalf("%d notes, %v", len(notes), err)
	}
	for _, n := range notes {
		if len(n.Text) == 0 || len(n.Base64) == 0 {
			t.Errorf("a note of %d bytes, as base64 %d", len(n.Text), len(n.Base64))
		}
	}
}

func terms(texts ...string) (all []terminology.Term) {
	for _, s := range texts {
		all = append(all, terminology.Term{Text: s, Category: terminology.MedicalCondition, Type: terminology.DXName, Reviewed: true})
	}
	return all
}

func TestPlainTwin(t *testing.T) {
	m := newPhraseMap(terms("Heart failure", "acute heart-failure with edema", "edema", "", "Ödem"))
	for text, want := range map[string]int{
		"":                                   0,
		"none of it":                         0,
		"HEART FAILURE, edema":               2,
		"acute heart failure":                1,
		"Acute heart failure with edema.":    1,
		"acute heart failure with no edema":  2,
		"heart, failure; heart":              1,
		"ödem and edema":                     2,
		"hearts failure, edemas, heart fail": 0,
	} {
		if got := m.count([]byte(text)); got != want {
			t.Errorf("%q has %d phrases, want %d", text, got, want)
		}
	}
}

func TestNotesAreMeasured(t *testing.T) {
	o := NLPOptions{Terms: terms("fever", "heart failure"), Runs: 2}
	var err error
	if o.Notes, err = ReadNotes(strings.NewReader("No fever.\nFever, then heart failure.\n")); err != nil {
		t.Fatal(err)
	}
	r := &NLPResult{TextBytes: 100}
	if err := r.readNotes(t.Context(), o, terminology.Compile(o.Terms)); err != nil {
		t.Fatal(err)
	}
	if r.Entities != 3 || r.PlainPhrases != 3 || r.EncodedBytes == 0 {
		t.Errorf("%d entities of %d bytes, %d phrases; want 3 and 3", r.Entities, r.EncodedBytes, r.PlainPhrases)
	}
	for _, rates := range r.Rates {
		if low, high := rates.Spread(); len(rates.Runs) != 2 || low <= 0 || rates.Median < low || rates.Median > high {
			t.Errorf("%+v", rates)
		}
	}
}

func TestDictionaryIsLoaded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dictionary")
	data := terminology.Compile(terms("fever", "heart failure")).Append(nil)
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err := LoadDictionary(file); err != nil || l.Terms != 2 {
		t.Errorf("%+v, %v", l, err)
	}
	if err := os.WriteFile(file, data[:len(data)-8], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadDictionary(file); err == nil {
		t.Error("a file that was cut is a dictionary")
	}
}
