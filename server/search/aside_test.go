package search_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCreatedAtIsWhenVersionOneWasStored: of what was imported and of what was written,
// and however often it was changed since.
func TestCreatedAtIsWhenVersionOneWasStored(t *testing.T) {
	s := newStore(t, nil)
	s.lenient = true
	s.load(s.file(`{"resourceType":"Patient","id":"imported"}` + "\n" + `{"resourceType":"Patient","id":"changed"}`))
	before := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	s.put(map[string]string{"Patient/written": `"active":true`, "Patient/rewritten": `"active":true`, "Patient/changed": `"active":true`})
	middle := time.Now().UTC().Add(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
	time.Sleep(3 * time.Millisecond)
	s.put(map[string]string{"Patient/rewritten": `"active":false`, "Patient/changed": `"active":false`})
	for text, want := range map[string]string{
		"createdAt=lt" + before:                            "changed imported",
		"createdAt=ge" + before + "&createdAt=le" + middle: "rewritten written",
		"createdAt=gt" + middle:                            "",
		"_lastUpdated=gt" + middle:                         "changed rewritten",
		"createdAt=2024-06-01&_lastUpdated=gt" + middle:    "changed",
		"createdAt:missing=true":                           "",
		"_has:Observation:subject:createdAt=gt2000":        "",
		"_sort=createdAt,_id&_lastUpdated=ge" + before:     "changed rewritten written",
		"_sort=-createdAt&createdAt=2024-06-01T12:00:00Z":  "changed imported",
	} {
		ids, _ := s.walk("Patient", text)
		for i := range ids {
			ids[i] = strings.TrimPrefix(ids[i], "Patient/")
		}
		if !strings.HasPrefix(text, "_sort=createdAt") {
			slices.Sort(ids)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s finds %q, want %q", text, got, want)
		}
	}
}

// TestResultsSortByReferences: by Type/id, by the URL of what is on another server, last what
// has no reference; also when what is referred to is not there.
func TestResultsSortByReferences(t *testing.T) {
	s := newStore(t, nil)
	s.lenient = true
	s.load(s.file(strings.Join([]string{
		`{"resourceType":"Patient","id":"here"}`,
		observation("to-missing", `"subject":{"reference":"Patient/missing"}`),
		observation("to-here", `"subject":{"reference":"Patient/here"}`),
		observation("to-group", `"subject":{"reference":"Group/zoo"}`),
		observation("absolute", `"subject":{"reference":"`+base+`Patient/here"}`),
		observation("elsewhere", `"subject":{"reference":"http://a.example.org/Patient/here"}`),
		observation("urn", `"subject":{"reference":"urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"}`),
		observation("nobody", `"subject":{"display":"somebody"}`),
	}, "\n")))
	s.put(map[string]string{"Observation/late": `"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a-first"}`})
	for text, want := range map[string]string{
		"_sort=subject":          "to-group late to-here to-missing elsewhere absolute urn nobody",
		"_sort=-subject":         "urn absolute elsewhere to-missing to-here late to-group nobody",
		"_sort=patient,_id":      "late to-here to-missing elsewhere absolute nobody to-group urn",
		"_sort=subject&_count=2": "to-group late to-here to-missing elsewhere absolute urn nobody",
	} {
		ids, _ := s.walk("Observation", text)
		for i := range ids {
			ids[i] = strings.TrimPrefix(ids[i], "Observation/")
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s gives %q, want %q", text, got, want)
		}
	}
}

func observation(id, more string) string {
	return `{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"text":"x"},` + more + `}`
}
