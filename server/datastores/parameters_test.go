package datastores_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/datastores"
)

// ask sends a request and gives status, body and header of the answer.
func (s *searched) ask(method, path, body string) (int, string, http.Header) {
	s.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = s.url + "/" + path
	}
	r, err := http.NewRequest(method, path, bytes.NewReader([]byte(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Prefer", "handling=strict")
	res, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}

// finds checks which resources a search gives.
func (s *searched) finds(search string, want ...string) {
	s.t.Helper()
	var got []string
	for _, url := range s.walk(search, nil) {
		got = append(got, path.Base(url))
	}
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		s.t.Errorf("%s (-want +got):\n%s", search, d)
	}
}

// refused checks that a request is refused with a text.
func (s *searched) refused(method, path, body string, status int, want string) {
	s.t.Helper()
	if got, text, _ := s.ask(method, path, body); got != status || !strings.Contains(text, want) {
		s.t.Errorf("%s %s: %d %s; want %d with %q", method, path, got, text, status, want)
	}
}

// put stores a resource.
func (s *searched) put(path, body string) {
	s.t.Helper()
	if status, text, _ := s.ask("PUT", path, body); status != 200 && status != 201 {
		s.t.Fatalf("PUT %s: %d %s", path, status, text)
	}
}

// status gives the state of a definition, by $status.
func (s *searched) status(url string) string {
	s.t.Helper()
	_, text, _ := s.ask("GET", "SearchParameter/$status?url="+url, "")
	var p struct {
		Parameter []struct {
			Part []struct{ Name, ValueCode string }
		}
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		s.t.Fatal(err, text)
	}
	for _, one := range p.Parameter {
		for _, part := range one.Part {
			if part.Name == "status" {
				return part.ValueCode
			}
		}
	}
	return ""
}

// reindex asks for $reindex and waits for its answer.
func (s *searched) reindex() {
	s.t.Helper()
	status, text, header := s.ask("POST", "$reindex", "")
	if status != http.StatusAccepted {
		s.t.Fatalf("$reindex: %d %s", status, text)
	}
	for {
		status, text, _ := s.ask("GET", header.Get("Content-Location"), "")
		if status == http.StatusOK {
			return
		}
		if status != http.StatusAccepted {
			s.t.Fatalf("$reindex: %d %s", status, text)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// listed tells whether the CapabilityStatement has a search parameter.
func (s *searched) listed(typ, code string) bool {
	s.t.Helper()
	_, text, _ := s.ask("GET", "metadata", "")
	var c struct {
		Rest []struct {
			Resource []struct {
				Type        string
				SearchParam []struct{ Name string }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		s.t.Fatal(err)
	}
	for _, r := range c.Rest[0].Resource {
		for _, p := range r.SearchParam {
			if r.Type == typ && p.Name == code {
				return true
			}
		}
	}
	return false
}

// definition is a SearchParameter resource.
func definition(id, code, base, typ, expression, more string) string {
	return fmt.Sprintf(`{"resourceType":"SearchParameter","id":"%s","url":"http://example.org/%s","name":"N","status":"active","description":"d","code":"%s","base":["%s"],"type":"%s","expression":%q%s}`,
		id, id, code, base, typ, expression, more)
}

const eyeExpression = "Patient.extension.where(url='http://example.org/eye').value.ofType(code)"

func patient(id, eye string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":"%s","extension":[{"url":"http://example.org/eye","valueCode":"%s"}],"contact":[{"gender":"male","name":{"family":"%s"}},{"gender":"female","name":{"family":"Other"}}]}`, id, eye, strings.ToUpper(eye))
}

func file(t *testing.T, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "in.ndjson")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestLifeOfASearchParameter: known when it is stored, searchable when what is stored is
// indexed by it, gone when it is deleted.
func TestLifeOfASearchParameter(t *testing.T) {
	s := newSearched(t, file(t, patient("old-blue", "blue"), patient("old-green", "green"), `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/old-blue"},"focus":[{"reference":"Patient/old-green"}]}`))
	s.put("Patient/early", patient("early", "blue"))
	s.refused("GET", "Patient?eye=blue", "", 400, "no search parameter 'eye'")

	s.put("SearchParameter/eye", definition("eye", "eye", "Patient", "token", eyeExpression, ""))
	s.refused("GET", "Patient?eye=blue", "", 400, "$reindex")
	s.refused("GET", "Patient?_sort=eye", "", 400, "$reindex")
	s.refused("GET", "Observation?subject.eye=blue", "", 400, "$reindex")
	s.refused("PUT", "Patient?eye=blue", patient("x", "blue"), 400, "$reindex")
	if got := s.status("http://example.org/eye"); got != "pending" || s.listed("Patient", "eye") {
		t.Errorf("before it is indexed it is %q", got)
	}

	// While it is made searchable, others write and search.
	end := s.beside(func(n int) error {
		_, err := s.send("PUT", "Patient/beside", patient("beside", []string{"blue", "green"}[n%2]))
		return err
	}, func(int) error {
		s.walk("Patient?_count=2", nil)
		return nil
	})
	s.reindex()
	end()
	s.put("Patient/beside", patient("beside", "green"))
	s.put("Patient/late", patient("late", "blue"))
	check := func() {
		t.Helper()
		s.finds("Patient?eye=blue", "old-blue", "early", "late")
		s.finds("Patient?eye=green", "old-green", "beside")
		s.finds("Patient?eye:missing=true")
		s.finds("Observation?subject.eye=blue", "o")
		s.finds("Patient?eye=blue,green&_sort=eye&_count=2", "old-blue", "early", "late", "old-green", "beside")
		if got := s.status("http://example.org/eye"); got != "searchable" || !s.listed("Patient", "eye") {
			t.Errorf("once it is indexed it is %q", got)
		}
	}
	check()
	s.fold()
	check()
	s.restart()
	check()
	s.put("Patient?eye=blue&_id=late", patient("late", "blue"))

	// A reference and a composite, each in a file of its own.
	s.put("SearchParameter/about", definition("about", "about", "Observation", "reference", "Observation.focus.where(resolve() is Patient)", `,"target":["Patient"]`))
	s.put("SearchParameter/kin", definition("kin", "kin", "Patient", "composite", "Patient.contact",
		`,"component":[{"definition":"http://hl7.org/fhir/SearchParameter/individual-gender","expression":"gender"},{"definition":"http://hl7.org/fhir/SearchParameter/individual-family","expression":"name.family"}]`))
	s.refused("GET", "Patient?kin=male$blue", "", 400, "$reindex")
	s.reindex()
	s.finds("Patient?kin=male$blue", "old-blue", "early", "late")
	s.finds("Patient?kin=female$blue")
	s.finds("Observation?about=Patient/old-green", "o")
	s.finds("Observation?about:Patient.eye=green", "o")
	s.finds("Patient?_has:Observation:about:status=final", "old-green")
	s.finds("Observation?_id=o&_include=Observation:about", "o", "old-green")
	s.finds("Patient?_id=old-green&_revinclude=Observation:about", "o", "old-green")
	check()

	// Another expression is another index.
	s.put("SearchParameter/eye", definition("eye", "eye", "Patient", "token", "Patient.contact.gender", ""))
	s.refused("GET", "Patient?eye=male", "", 400, "$reindex")
	s.reindex()
	s.finds("Patient?eye=male", "old-blue", "early", "late", "old-green", "beside")
	s.finds("Patient?eye=blue")

	if status, text, _ := s.ask("DELETE", "SearchParameter/eye", ""); status != 204 {
		t.Fatal(status, text)
	}
	s.refused("GET", "Patient?eye=male", "", 400, "no search parameter 'eye'")
	if s.listed("Patient", "eye") {
		t.Error("it is listed after it was deleted")
	}
}

// fold compacts the data store.
func (s *searched) fold() {
	s.t.Helper()
	if _, err := s.compact.Compact(s.t.Context(), s.id, datastores.Request{Workers: 1}); err != nil {
		s.t.Fatal(err)
	}
}

// TestSearchParametersThatAreRefused: the answer names the element.
func TestSearchParametersThatAreRefused(t *testing.T) {
	s := newSearched(t)
	s.put("SearchParameter/eye", definition("eye", "eye", "Patient", "token", eyeExpression, ""))
	for _, c := range []struct{ name, body, element, want string }{
		{"no expression", strings.Replace(definition("x", "x", "Patient", "token", "", ""), `,"expression":""`, "", 1), "expression", "no expression"},
		{"an expression that is none", definition("x", "x", "Patient", "token", "Patient.gender.(", ""), "expression", ""},
		{"an element that R4 does not have", definition("x", "x", "Patient", "token", "Patient.eyes", ""), "expression", "eyes"},
		{"code of R4", definition("x", "gender", "Patient", "token", "Patient.gender", ""), "code", "individual-gender"},
		{"code of another", definition("x", "eye", "Patient", "token", "Patient.gender", ""), "code", "eye"},
		{"url of another", strings.Replace(definition("x", "x", "Patient", "token", "Patient.gender", ""), "http://example.org/x", "http://example.org/eye", 1), "url", "SearchParameter/eye"},
		{"type that the values do not have", definition("x", "x", "Patient", "date", "Patient.name", ""), "expression", "HumanName"},
		{"special", definition("x", "x", "Patient", "special", "Patient.name", ""), "type", "special"},
		{"a component that is not known", definition("x", "x", "Patient", "composite", "Patient", `,"component":[{"definition":"http://example.org/none","expression":"gender"},{"definition":"http://example.org/eye","expression":"gender"}]`), "component", "http://example.org/none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, text, _ := s.ask("PUT", "SearchParameter/x", c.body)
			if status != 422 || !strings.Contains(text, `"SearchParameter.`+c.element+`"`) || !strings.Contains(text, c.want) {
				t.Errorf("%d %s; want 422 at %s with %q", status, text, c.element, c.want)
			}
			bundle := `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + c.body + `,"request":{"method":"PUT","url":"SearchParameter/x"}}]}`
			if status, text, _ := s.ask("POST", "", bundle); status < 400 || status > 422 {
				t.Errorf("in a transaction: %d %s", status, text)
			}
			draft := strings.Replace(c.body, `"status":"active"`, `"status":"draft"`, 1)
			if c.element == "expression" && c.want == "eyes" {
				s.put("SearchParameter/x", draft) // a draft may be anything
			}
		})
	}
}

// TestSearchParametersThatAreImported: they are known by name, and index what comes after.
func TestSearchParametersThatAreImported(t *testing.T) {
	s := newSearched(t, file(t, patient("a", "blue"),
		definition("eye", "eye", "Patient", "token", eyeExpression, ""),
		definition("bad", "bad", "Patient", "token", "Patient.eyes", ""),
		definition("twin", "eye", "Patient", "token", "Patient.gender", ""),
		strings.Replace(definition("draft", "draft", "Patient", "token", "Patient.gender", ""), "active", "draft", 1)))
	for url, want := range map[string]string{"eye": "pending", "bad": "faulty", "twin": "faulty", "draft": "inactive"} {
		if got := s.status("http://example.org/" + url); got != want {
			t.Errorf("%s is %q, want %q", url, got, want)
		}
	}
	s.refused("GET", "Patient?eye=blue", "", 400, "$reindex")
	s.refused("GET", "Patient?bad=blue", "", 400, "no search parameter")
	s.load(file(t, patient("b", "blue")))
	s.refused("GET", "Patient?eye=blue", "", 400, "$reindex") // of b alone would be wrong

	// What ends before its publication leaves nothing, whether it is ended or dies.
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := s.compact.Reindex(ended, s.id, datastores.Request{Workers: 1}); err == nil {
		t.Error("indexing went on after its end")
	}
	s.restart()
	s.refused("GET", "Patient?eye=blue", "", 400, "$reindex")
	s.reindex()
	s.finds("Patient?eye=blue", "a", "b")
	s.load(file(t, patient("c", "blue"))) // indexed as it comes in
	s.finds("Patient?eye=blue", "a", "b", "c")

	l, err := s.set.Lake(s.id)
	if err != nil {
		t.Fatal(err)
	}
	m, release, err := l.Snapshot().Current()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	partial := 0
	for _, x := range m.Search {
		if x.Partial {
			partial++
		}
		if x.Partial && (len(x.Segments) != 1 || m.ByOrdinal(x.Segments[0]).ResourceType != r4.TypePatient.String()) {
			t.Errorf("the addition covers %v", x.Segments)
		}
	}
	if partial == 0 {
		t.Error("what was new was not indexed by itself")
	}
}
