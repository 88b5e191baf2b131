package rest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
)

// derives is a server that reads notes and, while on, derives.
type derives struct {
	*server
	on atomic.Bool
}

func newDerives(t *testing.T) *derives {
	t.Helper()
	d := &derives{server: newServer(t, nil)}
	d.on.Store(true)
	read := notes.Reading{Provider: notes.Builtin(nlp.CoreIndex())}
	d.handler = handlerOf(t, rest.DataStoreOptions{
		Store: d.lake, Secret: secret,
		Notes:  &notes.Options{Reading: func() (notes.Reading, error) { return read, nil }},
		Derive: func() (bool, error) { return d.on.Load(), nil },
	}, &d.ids, nil)
	return d
}

func noteOf(id, text string) string {
	return fmt.Sprintf(`{"resourceType":"DocumentReference","id":"%s","status":"current","subject":{"reference":"Patient/p"},"content":[{"attachment":{"contentType":"text/plain","data":"%s"}}]}`,
		id, base64.StdEncoding.EncodeToString([]byte(text)))
}

// ok sends a request that succeeds.
func (d *derives) ok(t *testing.T, method, path, body string, header ...string) string {
	t.Helper()
	w := d.do(t, method, path, body, header...)
	if w.Code >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w.Body.String()
}

var (
	nlpEntity = regexp.MustCompile(`http://healthlake.amazonaws.com/(?:nlp-entity|linkage)","valueReference":\{"reference":"([^"]+)"`)
	codeText  = regexp.MustCompile(`"text":"([^"]*)"`)
)

// namesIn gives what a document says is derived, the Linkage first.
func namesIn(text string) (refs []string) {
	for _, m := range nlpEntity.FindAllStringSubmatch(text, -1) {
		refs = append(refs, m[1])
	}
	return refs
}

// derivedOf gives what is derived from a document, in short, and checks that the Linkage says so too.
func (d *derives) derivedOf(t *testing.T, id string) (brief []string) {
	t.Helper()
	refs := namesIn(d.ok(t, "GET", "/DocumentReference/"+id, ""))
	if len(refs) == 0 {
		return nil
	}
	var linkage struct {
		Item []struct {
			Type     string
			Resource struct{ Reference string }
		}
	}
	if err := json.Unmarshal([]byte(d.ok(t, "GET", "/"+refs[0], "")), &linkage); err != nil {
		t.Fatal(err)
	}
	var linked []string
	for _, item := range linkage.Item[1:] {
		linked = append(linked, item.Resource.Reference)
	}
	if diff := cmp.Diff(refs[1:], linked); diff != "" || linkage.Item[0].Resource.Reference != "DocumentReference/"+id {
		t.Errorf("the Linkage says %+v: %s", linkage, diff)
	}
	for _, ref := range refs[1:] {
		w := d.do(t, "GET", "/"+ref, "")
		m := codeText.FindStringSubmatch(w.Body.String())
		if w.Code != http.StatusOK || m == nil {
			t.Fatalf("%s: %d %s", ref, w.Code, w.Body)
		}
		name, _, _ := strings.Cut(ref, "/")
		brief = append(brief, name+" "+m[1]+" "+w.Header().Get("Etag"))
	}
	return brief
}

func TestDerivedResourcesAreThoseOfTheCurrentVersion(t *testing.T) {
	d := newDerives(t)
	expect := func(step string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, d.derivedOf(t, "n")); diff != "" {
			t.Errorf("%s: %s", step, diff)
		}
	}
	d.ok(t, "PUT", "/DocumentReference/n", noteOf("n", "Hypertension and asthma. No fever. Takes lisinopril."))
	expect("create", `Condition Hypertension W/"1"`, `Condition asthma W/"1"`, `MedicationStatement lisinopril W/"1"`)
	first := namesIn(d.ok(t, "GET", "/DocumentReference/n", ""))

	d.ok(t, "PUT", "/DocumentReference/n", noteOf("n", "Hypertension and asthma. No fever. Takes lisinopril."))
	expect("the same again", `Condition Hypertension W/"1"`, `Condition asthma W/"1"`, `MedicationStatement lisinopril W/"1"`)

	d.ok(t, "PUT", "/DocumentReference/n", noteOf("n", "Asthma. Fever."))
	expect("update", `Condition Asthma W/"2"`, `Observation Fever W/"1"`)
	for i, ref := range first {
		want := http.StatusGone
		if i == 0 || i == 2 {
			want = http.StatusOK
		}
		if w := d.do(t, "GET", "/"+ref, ""); w.Code != want {
			t.Errorf("after the update %s is %d, want %d", ref, w.Code, want)
		}
	}

	patched := base64.StdEncoding.EncodeToString([]byte("Asthma. Takes metformin."))
	d.ok(t, "PATCH", "/DocumentReference/n", `[{"op":"replace","path":"/content/0/attachment/data","value":"`+patched+`"}]`, "Content-Type: application/json-patch+json")
	expect("patch", `Condition Asthma W/"2"`, `MedicationStatement metformin W/"1"`)

	d.ok(t, "POST", "/DocumentReference/n/$meta-add", `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"system":"urn:s","code":"c"}]}}]}`)
	expect("another tag", `Condition Asthma W/"2"`, `MedicationStatement metformin W/"1"`)

	d.on.Store(false)
	d.ok(t, "PUT", "/DocumentReference/n", noteOf("n", "Asthma. Takes metformin. Pneumonia."))
	expect("off")
	d.on.Store(true)
	d.ok(t, "PUT", "/DocumentReference/n", noteOf("n", "Asthma."))
	expect("on", `Condition Asthma W/"4"`)

	last := namesIn(d.ok(t, "GET", "/DocumentReference/n", ""))
	d.ok(t, "DELETE", "/DocumentReference/n", "")
	for _, ref := range slices.Concat(first, last) {
		if w := d.do(t, "GET", "/"+ref, ""); w.Code != http.StatusGone {
			t.Errorf("after the deletion %s is %d", ref, w.Code)
		}
	}
	d.ok(t, "PUT", "/DocumentReference/n", noteOf("n", "Asthma."))
	expect("it comes back", `Condition Asthma W/"6"`)
}

func TestDerivedResourcesOfATransaction(t *testing.T) {
	d := newDerives(t)
	entry := func(method, url, resource string) string {
		if resource != "" {
			resource = `"resource":` + resource + `,`
		}
		return `{` + resource + `"request":{"method":"` + method + `","url":"` + url + `"}}`
	}
	send := func(kind string, entries ...string) {
		t.Helper()
		body := d.ok(t, "POST", "", `{"resourceType":"Bundle","type":"`+kind+`","entry":[`+strings.Join(entries, ",")+`]}`)
		if strings.Contains(body, `"severity":"error"`) || strings.Count(body, `"response"`) != len(entries) {
			t.Fatalf("answered by %s", body)
		}
	}
	send("transaction", entry("PUT", "DocumentReference/a", noteOf("a", "Asthma.")), entry("PUT", "Patient/p", `{"resourceType":"Patient","id":"p"}`), entry("PUT", "DocumentReference/b", noteOf("b", "Asthma. Fever.")))
	if diff := cmp.Diff([]string{`Condition Asthma W/"1"`}, d.derivedOf(t, "a")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{`Condition Asthma W/"1"`, `Observation Fever W/"1"`}, d.derivedOf(t, "b")); diff != "" {
		t.Error(diff)
	}
	of := map[string][]string{"a": namesIn(d.ok(t, "GET", "/DocumentReference/a", "")), "b": namesIn(d.ok(t, "GET", "/DocumentReference/b", ""))}

	// What a transaction writes itself is not written over.
	mine := `{"resourceType":"Condition","id":"` + strings.TrimPrefix(of["a"][1], "Condition/") + `","subject":{"reference":"Patient/p"},"code":{"text":"mine"}}`
	send("transaction", entry("PUT", of["a"][1], mine), entry("PUT", "DocumentReference/a", noteOf("a", "Asthma. Pneumonia.")), entry("DELETE", "DocumentReference/b", ""))
	if got := d.derivedOf(t, "a"); len(got) != 2 || got[0] != `Condition mine W/"2"` {
		t.Errorf("got %q", got)
	}
	for _, ref := range of["b"] {
		if w := d.do(t, "GET", "/"+ref, ""); w.Code != http.StatusGone {
			t.Errorf("%s is %d", ref, w.Code)
		}
	}
	send("batch", entry("PUT", "DocumentReference/a", noteOf("a", "Fever.")), entry("POST", "DocumentReference", noteOf("", "Asthma.")))
	if diff := cmp.Diff([]string{`Observation Fever W/"1"`}, d.derivedOf(t, "a")); diff != "" {
		t.Error(diff)
	}
}

func TestWhatADocumentOfNobodySaysIsNotDerived(t *testing.T) {
	d := newDerives(t)
	d.ok(t, "PUT", "/DocumentReference/n", strings.Replace(noteOf("n", "Asthma."), `"subject":{"reference":"Patient/p"},`, "", 1))
	if got := d.derivedOf(t, "n"); got != nil {
		t.Errorf("got %q", got)
	}
	// A faulty one that a lenient level takes gives nothing, and what it gave before goes.
	d.ok(t, "PUT", "/DocumentReference/n", noteOf("n", "Asthma."))
	before := namesIn(d.ok(t, "GET", "/DocumentReference/n", ""))
	d.ok(t, "PUT", "/DocumentReference/n", strings.Replace(noteOf("n", "Asthma."), `"current"`, `"x"`, 1), "x-amzn-healthlake-fhir-validation-level: minimal")
	if got := d.derivedOf(t, "n"); got != nil || len(before) != 2 {
		t.Errorf("got %q, before it %q", got, before)
	}
}
