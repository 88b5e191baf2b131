package search_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/server/search"
)

func loincSet(url string, more string) string {
	return fmt.Sprintf(`"url":%q,"status":"active","compose":{"include":[%s]}`, url, more)
}

// TestWhatCannotBeExpandedIsRefusedByName: nothing is left out in silence.
func TestWhatCannotBeExpandedIsRefusedByName(t *testing.T) {
	s := newStore(t, nil)
	s.put(map[string]string{
		"ValueSet/filter":   loincSet("http://x/filter", `{"system":"http://loinc.org","filter":[{"property":"concept","op":"is-a","value":"a"}]}`),
		"ValueSet/imports":  loincSet("http://x/imports", `{"valueSet":["http://x/none"]}`),
		"ValueSet/a":        loincSet("http://x/a", `{"valueSet":["http://x/b"]}`),
		"ValueSet/b":        loincSet("http://x/b", `{"valueSet":["http://x/a"]}`),
		"CodeSystem/part":   `"url":"http://x/part","status":"active","content":"fragment","concept":[{"code":"a"}]`,
		"CodeSystem/whole":  `"url":"http://x/whole","status":"active","content":"complete","concept":[{"code":"a"}]`,
		"Observation/there": `"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"a"}]}`,
	})
	for text, want := range map[string]string{
		"code:in=http://x/filter":               "http://loinc.org",
		"code:not-in=http://x/filter":           "http://loinc.org",
		"code:in=http://x/imports":              "http://x/none",
		"code:in=http://x/nowhere":              "no such value set",
		"code:in=http://x/a":                    "imports",
		"code:in=ValueSet/nobody":               "not in this data store",
		"code:below=http://loinc.org|a":         "http://loinc.org",
		"code:above=http://x/part|a":            "http://x/part",
		"code:below=http://x/whole|z":           "no code 'z'",
		"code:below=a":                          "expected system|code",
		"has-member:Observation.code:in=http:x": "http:x",
	} {
		_, err := s.search("Observation", text)
		var f *outcome.Fault
		if !errors.As(err, &f) || f.Status() != 400 || !strings.Contains(f.Issues[0].Diagnostics, want) {
			t.Errorf("%s: %v; want a fault with %q", text, err, want)
		}
	}
}

// TestValueSetsAreThoseOfTheMoment: of the data store before those that were added to the
// root, as they are now; large ones too, and chains of many.
func TestValueSetsAreThoseOfTheMoment(t *testing.T) {
	added := profile.NewRegistry()
	if _, err := added.Add(profile.Resource{Type: "ValueSet", URL: "http://x/added", JSON: []byte(
		`{"resourceType":"ValueSet","url":"http://x/added","compose":{"include":[{"system":"http://loinc.org","concept":[{"code":"added"}]}]}}`)}); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, func(o *search.Options) { o.Profiles = func() (*profile.Registry, error) { return added, nil } })
	all := map[string]string{}
	for _, code := range []string{"added", "c0", "c9999", "other"} {
		all["Observation/"+code] = fmt.Sprintf(`"status":"final","code":{"coding":[{"system":"http://loinc.org","code":%q}]}`, code)
	}
	var codes []string
	for i := range 10_000 {
		codes = append(codes, fmt.Sprintf(`{"code":"c%d"}`, i))
	}
	all["ValueSet/many"] = loincSet("http://x/level-0", `{"system":"http://loinc.org","concept":[`+strings.Join(codes, ",")+`]}`)
	for i := 1; i <= 50; i++ {
		all[fmt.Sprintf("ValueSet/level-%d", i)] = loincSet(fmt.Sprintf("http://x/level-%d", i), fmt.Sprintf(`{"valueSet":["http://x/level-%d"]}`, i-1))
	}
	s.put(all)
	s.want("Observation", "code:in=http://x/added", "added")
	s.want("Observation", "code:in=http://x/level-50", "c0", "c9999")
	s.want("Observation", "code:not-in=http://x/level-0", "added", "other")
	s.want("Observation", "code:in=http://x/added,http://x/level-0&code:not-in=http://x/added", "c0", "c9999")
	s.put(map[string]string{"ValueSet/mine": loincSet("http://x/added", `{"system":"http://loinc.org","concept":[{"code":"other"}]}`)})
	s.want("Observation", "code:in=http://x/added", "other")
	s.put(map[string]string{"ValueSet/mine": ""})
	s.want("Observation", "code:in=http://x/added", "added")
}
