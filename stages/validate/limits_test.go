package validate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/stages/validate"
)

// TestHostile has resources that would take quadratic time if something were
// searched for each item of another. The limit is far above what they take.
func TestHostile(t *testing.T) {
	many := func(n int, item func(i int) string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(item(i))
		}
		return b.String()
	}
	same := func(text string) func(int) string { return func(int) string { return text } }
	div := func(text string) string {
		return `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">` + text + `</div>"}}`
	}
	n := 100_000
	if testing.Short() {
		n = 5_000
	}
	entry := func(i int) string {
		return fmt.Sprintf(`{"fullUrl":"http://a.org/Patient/p%d","resource":{"resourceType":"Patient","id":"p%d"}}`, i, i)
	}
	document := `{"resourceType":"Bundle","type":"document","identifier":{"system":"urn:x","value":"1"},"timestamp":"2020-01-01T00:00:00Z","entry":[` +
		`{"fullUrl":"%s","resource":{"resourceType":"Composition","status":"final","type":{"text":"a"},"date":"2020","title":"a","author":[%s]}},%s]}`
	for name, text := range map[string]string{
		"deep extensions":          `{"resourceType":"Patient","extension":[` + strings.Repeat(`{"url":"a","extension":[`, 2000) + `{"url":"a","valueInteger":1}` + strings.Repeat(`]}`, 2000) + `]}`,
		"deep contained":           strings.Repeat(`{"resourceType":"Patient","id":"a","contained":[`, 2000) + `{"resourceType":"Patient"}` + strings.Repeat(`]}`, 2000),
		"deep bundles":             strings.Repeat(`{"resourceType":"Bundle","type":"collection","entry":[{"resource":`, 1300) + `{"resourceType":"Patient"}` + strings.Repeat(`}]}`, 1300),
		"deep parameters":          `{"resourceType":"Parameters","parameter":[` + strings.Repeat(`{"name":"a","part":[`, 2000) + `{"name":"a"}` + strings.Repeat(`]}`, 2000) + `]}`,
		"contained, one id":        `{"resourceType":"Patient","contained":[` + many(n, same(`{"resourceType":"Patient","id":"a"}`)) + `]}`,
		"contained, many ids":      `{"resourceType":"Patient","contained":[` + many(n, func(i int) string { return fmt.Sprintf(`{"resourceType":"Patient","id":"a%d"}`, i) }) + `]}`,
		"contained without id":     `{"resourceType":"Patient","contained":[` + many(n, same(`{"resourceType":"Patient"}`)) + `]}`,
		"fragments to nothing":     `{"resourceType":"Patient","generalPractitioner":[` + many(n, same(`{"reference":"#a"}`)) + `]}`,
		"entries with one url":     `{"resourceType":"Bundle","type":"collection","entry":[` + many(n, same(`{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient"}}`)) + `]}`,
		"references of a document": fmt.Sprintf(document, "http://a.org/Composition/c", many(n, func(i int) string { return fmt.Sprintf(`{"reference":"Patient/p%d"}`, i) }), many(n, entry)),
		"urn of a document":        fmt.Sprintf(document, "urn:uuid:1", many(n, func(i int) string { return fmt.Sprintf(`{"reference":"Patient/p%d"}`, i) }), many(n, entry)),
		"versions of a document":   fmt.Sprintf(document, "http://a.org/Composition/c", many(n, same(`{"reference":"Patient/a/_history/x"}`)), many(n, same(`{"fullUrl":"http://a.org/Patient/a","resource":{"resourceType":"Patient","id":"a"}}`))),
		"element ids":              `{"resourceType":"Patient","name":[` + many(n, same(`{"id":"a","text":"b"}`)) + `]}`,
		"ids and nothing else":     `{"resourceType":"Patient","name":[` + many(n, same(`{"id":"a"}`)) + `]}`,
		"twins with ids alone":     `{"resourceType":"Patient","name":[{"given":[` + many(n, same(`"a"`)) + `],"_given":[` + many(n, same(`{"id":"a"}`)) + `]}]}`,
		"many twins":               `{"resourceType":"Patient"` + strings.Repeat(`,"_gender":{"id":"a"}`, n) + `}`,
		"components":               `{"resourceType":"Observation","status":"final","valueString":"a","code":{"coding":[` + many(n, func(i int) string { return fmt.Sprintf(`{"code":"c%d"}`, i) }) + `]},"component":[` + many(n, same(`{"code":{"coding":[{"code":"x"}]}}`)) + `]}`,
		"codes":                    `{"resourceType":"CodeSystem","status":"draft","content":"complete","concept":[` + many(n, same(`{"code":"a"}`)) + `]}`,
		"linkIds":                  `{"resourceType":"Questionnaire","status":"draft","item":[` + many(n, same(`{"linkId":"a","type":"string"}`)) + `]}`,
		"elements of a definition": `{"resourceType":"StructureDefinition","type":"Patient","snapshot":{"element":[` + many(n, same(`{"id":"a","path":"Patient.x"}`)) + `]}}`,
		"types of an element":      `{"resourceType":"StructureDefinition","differential":{"element":[{"id":"a","path":"a","type":[` + many(n, same(`{"code":"a"}`)) + `]}]}}`,
		"search parameters":        `{"resourceType":"CapabilityStatement","rest":[{"mode":"server","resource":[{"type":"Patient","searchParam":[` + many(n, func(i int) string { return fmt.Sprintf(`{"name":"n%d","type":"string"}`, i) }) + `]}]}]}`,
		"groupings":                `{"resourceType":"ImplementationGuide","definition":{"grouping":[` + many(n, func(i int) string { return fmt.Sprintf(`{"id":"g%d","name":"x"}`, i) }) + `],"resource":[` + many(n, func(i int) string { return fmt.Sprintf(`{"reference":{"display":"x"},"groupingId":"g%d"}`, i) }) + `]}}`,
		"fhirVersions":             `{"resourceType":"ImplementationGuide","url":"a","name":"A","status":"draft","packageId":"a","fhirVersion":[` + many(n, same(`"4.0.1"`)) + `],"definition":{"resource":[` + many(n, same(`{"reference":{"display":"x"},"fhirVersion":["4.0.0"]}`)) + `]}}`,
		"on behalf of": `{"resourceType":"CareTeam","contained":[` + many(n, func(i int) string { return fmt.Sprintf(`{"resourceType":"Organization","id":"a%d"}`, i) }) + `],"participant":[` + many(n, func(i int) string {
			return fmt.Sprintf(`{"member":{"reference":"#a%d"},"onBehalfOf":{"reference":"#a%d"}}`, i, i)
		}) + `]}`,
		"strata":                    `{"resourceType":"MeasureReport","status":"complete","type":"individual","measure":"a","period":{"start":"2020"},"group":[{"stratifier":[{"stratum":[` + many(n, same(`{"value":{"text":"x"}}`)) + `]}]}]}`,
		"members given again":       `{"resourceType":"Patient"` + strings.Repeat(`,"managingOrganization":{"reference":"x"}`, n) + `}`,
		"open divs":                 div(strings.Repeat(`<div>`, n)),
		"attributes":                div(`<p ` + strings.Repeat(`class=\"a\" `, n) + `>`),
		"unknown attributes":        div(`<p ` + many(n, func(i int) string { return fmt.Sprintf(`a%d=\"a\" `, i) }) + `>`),
		"attribute without end":     div(strings.Repeat(`<p class=\"`, n)),
		"comment without end":       div(strings.Repeat(`<!--`, n)),
		"ampersands":                div(strings.Repeat(`&`, n)),
		"ampersands in attributes":  div(strings.Repeat(`<a href=\"&amp;&amp;\">`, n)),
		"a narrative of 10 MB":      div(strings.Repeat(`text \u003c`, 1_000_000)),
		"a string of 10 MB":         `{"resourceType":"Patient","name":[{"text":"` + strings.Repeat("a", 10_000_000) + `"}]}`,
		"a reference of 10 MB":      `{"resourceType":"Patient","managingOrganization":{"reference":"` + strings.Repeat("a", 10_000_000) + `"}}`,
		"a unit of 1 MB":            `{"resourceType":"Observation","status":"final","code":{"text":"a"},"valueQuantity":{"system":"http://unitsofmeasure.org","code":"` + strings.Repeat("(", 1_000_000) + `"}}`,
		"a language of 1 MB":        `{"resourceType":"Patient","language":"` + strings.Repeat("a-", 500_000) + `"}`,
		"data of 10 MB with a size": `{"resourceType":"Patient","photo":[{"contentType":"a/b","size":1,"data":"` + strings.Repeat("AAAA", 2_500_000) + `"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoth(t, validate.Options{})
			b.tree.Reset([]byte(text))
			res := b.p.Parse(&b.tree, 0, uint32(len(text)))
			if res.Root == fhir.NoNode {
				t.Fatal(res.Issues)
			}
			start := time.Now()
			issues := b.v.Validate(&b.tree, res.Root)
			t.Logf("%v, %d issues", time.Since(start), len(issues))
			if len(issues) > 101 {
				t.Errorf("%d issues", len(issues))
			}
			for _, is := range issues {
				if len(is.Diagnostics) > 600 {
					t.Errorf("long issue %+v", is)
				}
			}
		})
	}
}
