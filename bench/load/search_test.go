package load

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSearchesAreFilled(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"Observation?code=$1&date=ge$2", "Observation?code=<it's>&date=ge<b>"},
		{"$2$1$2", "<b><it's><b>"},
		{"no value, $ and $x", "no value, $ and $x"},
	} {
		got := fill(tt.text, []string{"it's", "b"}, func(s string) string { return "<" + s + ">" })
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.text, got, tt.want)
		}
	}
	if got := fill("x = $1", []string{"it's $1"}, quoteSQL); got != "x = 'it''s $1'" {
		t.Errorf("in SQL: %s", got)
	}
}

func TestCountOfASearch(t *testing.T) {
	for path, want := range map[string]string{
		"Observation?code=a%7Cb&_count=50":                             "Observation?code=a%7Cb&_summary=count",
		"Observation?_sort=-date&_count=50":                            "Observation?_summary=count",
		"Observation?code=a&_include=Observation:encounter&_count=50":  "Observation?code=a&_summary=count",
		"Observation?code=a&date=ge2010&date=lt2011&_summary=count":    "Observation?code=a&date=ge2010&date=lt2011&_summary=count",
		"Patient?_has:Observation:subject:code=a&_count=50&_sort=date": "Patient?_has:Observation:subject:code=a&_summary=count",
	} {
		if got := countOnly(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestAnswersAreRead(t *testing.T) {
	for _, tt := range []struct {
		name, text     string
		total, matches int64
		fault          string
	}{
		{"a count", `{"resourceType":"Bundle","total":7}`, 7, 0, ""},
		{"a page without a total", `{"entry":[{"search":{"mode":"match"}},{"search":{"mode":"include"}}]}`, -1, 1, ""},
		{"a parameter that was left out", `{"entry":[{"search":{"mode":"outcome"}}]}`, 0, 0, "does not answer the whole search"},
		{"no JSON", `<html>`, 0, 0, "no Bundle"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := readBundle([]byte(tt.text))
			if tt.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fault) {
					t.Errorf("got %v, want %s", err, tt.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]int64{tt.total, tt.matches}, []int64{b.Total, b.matches()}); d != "" {
				t.Errorf("total and matches (-want +got):\n%s", d)
			}
		})
	}
}

// Each place in a search has a column of the query that chooses its values, and the scan
// asks for the same values.
func TestSearchCasesUseTheSameValues(t *testing.T) {
	places := func(text string) []string {
		seen := map[string]bool{}
		for _, p := range regexp.MustCompile(`\$[1-9]`).FindAllString(text, -1) {
			seen[p] = true
		}
		var all []string
		for _, p := range []string{"$1", "$2", "$3", "$4"} {
			if seen[p] {
				all = append(all, p)
			}
		}
		return all
	}
	for _, c := range searchCases {
		t.Run(c.name, func(t *testing.T) {
			if c.rate {
				return // no scan
			}
			if d := cmp.Diff(places(c.path), places(c.from)); d != "" {
				t.Errorf("the search and the scan (-search +scan):\n%s", d)
			}
		})
	}
}
