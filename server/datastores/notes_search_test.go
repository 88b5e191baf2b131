package datastores_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/server/datastores"
)

// document is a DocumentReference with a text.
func document(id, patient, contentType, text string) string {
	return fmt.Sprintf(`{"resourceType":"DocumentReference","id":"%s","status":"current","subject":{"reference":"Patient/%s"},"content":[{"attachment":{"contentType":"%s","data":"%s"}}]}`,
		id, patient, contentType, base64.StdEncoding.EncodeToString([]byte(text)))
}

// TestSearchesByWhatNotesSay imports and writes notes, and finds them by what was read
// there, also afterwards: before and after they are folded, changed, and the server was
// started again.
func TestSearchesByWhatNotesSay(t *testing.T) {
	s := newSearched(t)
	input := filepath.Join(t.TempDir(), "notes.ndjson")
	lines := []string{
		`{"resourceType":"Patient","id":"ann"}`, `{"resourceType":"Patient","id":"bob"}`,
		document("pressure", "ann", "text/plain", "She has hypertension and takes lisinopril 10 mg daily. No fever."),
		document("lungs", "bob", "text/plain; charset=utf-8", "Assessment: asthma."),
		document("picture", "bob", "image/png", "not a picture"),
	}
	if err := os.WriteFile(input, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.load(input) // without reading them
	s.reads = true
	want := func(search string, ids ...string) {
		t.Helper()
		var got []string
		for _, u := range s.walk(search+"&_count=1", nil) {
			got = append(got, u[strings.LastIndexByte(u, '/')+1:])
		}
		slices.Sort(got)
		if d := cmp.Diff(ids, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", search, d)
		}
		if b := s.get(s.url + "/" + search + "&_summary=count"); b.Total == nil || *b.Total != len(ids) {
			t.Errorf("%s: total %v, want %d", search, b.Total, len(ids))
		}
	}
	send := func(method, path, body string, status int) {
		t.Helper()
		if got, err := s.send(method, path, body); got != status || err != nil {
			t.Fatalf("%s %s: %d, %v; want %d", method, path, got, err, status)
		}
	}
	want("DocumentReference?cm-decoration-status:missing=true", "lungs", "picture", "pressure")
	want("DocumentReference?infer-icd10cm-entity-concept-code=I10", []string(nil)...)
	if res, err := s.compact.Reread(t.Context(), s.id, datastores.Request{}); err != nil || res.Read != 3 {
		t.Fatalf("reread: %+v, %v", res, err)
	}
	want("DocumentReference?infer-icd10cm-entity-concept-code=I10", "pressure")
	want("DocumentReference?infer-icd10cm-entity-concept-code=J45", "lungs")
	want("DocumentReference?cm-decoration-status=SUCCESS", "lungs", "pressure")
	want("DocumentReference?cm-decoration-status=UNSUPPORTED", "picture")
	want("DocumentReference?detectEntities-entity-text-category=lisinopril|MEDICATION", "pressure")
	want("Patient?_has:DocumentReference:subject:infer-icd10cm-entity-concept-code=J45", "bob")

	send("PUT", "DocumentReference/later", document("later", "ann", "text/html", "<p>History of <b>asthma</b>.</p>"), 201)
	send("PUT", "DocumentReference/lungs", document("lungs", "bob", "text/plain", "Hypertension, and nothing of the lungs."), 200)
	more := filepath.Join(t.TempDir(), "more.ndjson")
	if err := os.WriteFile(more, []byte(document("ear", "bob", "text/plain", "Otitis media.")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.load(more)
	for range 3 {
		want("DocumentReference?infer-icd10cm-entity-text-concept-code="+url.QueryEscape("otitis|H66"), "ear")
		want("DocumentReference?infer-icd10cm-entity-concept-code=I10", "lungs", "pressure")
		want("DocumentReference?infer-icd10cm-entity-text-concept-score="+url.QueryEscape("asthma|0.3"), "later")
		want("DocumentReference?infer-icd10cm-entity-text-concept-score="+url.QueryEscape("asthma|0.999"), []string(nil)...)
		want("DocumentReference?infer-icd10cm-entity-concept-code=I10,J45&patient=ann&detectEntities-entity-score=gt0.5", "later", "pressure")
		want("Patient/ann/DocumentReference?infer-icd10cm-entity-concept-code=J45", "later")
		want("Patient?_has:DocumentReference:subject:infer-icd10cm-entity-concept-code=J45", "ann")
		if _, err := s.compact.Compact(t.Context(), s.id, datastores.Request{Whole: true}); err != nil {
			t.Fatal(err)
		}
		s.restart()
	}

	res, err := s.client.PostForm(s.url+"/DocumentReference/_search", url.Values{"infer-icd10cm-entity-concept-code": {"I10"}, "_sort": {"-_id"}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var posted searchset
	if err := json.NewDecoder(res.Body).Decode(&posted); err != nil || len(posted.Entry) != 2 || !strings.HasSuffix(posted.Entry[0].FullURL, "/pressure") {
		t.Errorf("POST _search: %+v, %v", posted, err)
	}

	send("DELETE", "DocumentReference?cm-decoration-status=UNSUPPORTED", "", 204)
	want("DocumentReference?cm-decoration-status:missing=false", "ear", "later", "lungs", "pressure")
	send("DELETE", "DocumentReference?detectEntities-entity-text=hypertension", "", http.StatusPreconditionFailed)
	send("DELETE", "DocumentReference/lungs", "", 204)
	want("DocumentReference?infer-icd10cm-entity-concept-code=I10", "pressure")
}
