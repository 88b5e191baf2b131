package rest_test

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// contentOf is what the content hash of a resource covers.
func contentOf(t *testing.T, text []byte) (typ r4.TypeID, id string, content []byte) {
	t.Helper()
	tree := &fhir.Tree{}
	tree.Reset(text)
	res := parse.NewParser().Parse(tree, 0, uint32(len(text)))
	if res.Root == fhir.NoNode {
		t.Fatalf("%.200s: %v", text, res.Issues)
	}
	return res.Type, string(res.ID), fhir.AppendContent(nil, tree, res.Root)
}

// TestOfficialExamples writes the examples of R4 in transactions and reads them back:
// every byte that is not ours is there. Under -short it takes one of five.
func TestOfficialExamples(t *testing.T) {
	files := corpus.Files(t, corpus.Folder(t, "r4-examples"))
	s := newServer(t, nil)
	var pending []string
	wanted := map[string][]byte{}
	flush := func() {
		t.Helper()
		if len(pending) == 0 {
			return
		}
		body := `{"resourceType":"Bundle","type":"transaction","entry":[` + strings.Join(pending, ",") + `]}`
		w := s.do(t, "POST", "/", body, "X-Amzn-Healthlake-Fhir-Validation-Level: minimal")
		if w.Code != 200 {
			t.Fatalf("status %d: %.500s", w.Code, w.Body)
		}
		pending = pending[:0]
	}
	n, size := 0, 0
	for _, name := range corpus.Names(files) {
		data := files[name]
		corpus.EachLine(data, func(_ int, start, end uint32) {
			line := data[start:end]
			if n++; testing.Short() && n%5 != 0 || len(line) > capability.MaxBody/2 {
				return
			}
			typ, id, content := contentOf(t, line)
			// Some examples have ids that R4 does not allow.
			if capability.Of(typ).Has(capability.Update) && len(id) >= 1 && len(id) <= 64 {
				if size += len(line); len(pending) == capability.MaxTransaction || size > capability.MaxBody/2 {
					flush()
					size = len(line)
				}
				wanted[typ.String()+"/"+id] = content
				pending = append(pending, `{"resource":`+string(line)+`,"request":{"method":"PUT","url":"`+typ.String()+"/"+id+`"}}`)
			}
		})
	}
	flush()
	for name, content := range wanted {
		w := s.do(t, "GET", "/"+name, "", "Accept: application/fhir+json")
		if w.Code != 200 {
			t.Errorf("%s: status %d", name, w.Code)
			continue
		}
		if _, _, got := contentOf(t, w.Body.Bytes()); !bytes.Equal(got, content) {
			t.Errorf("%s came back as another:\n%.300s\nwant\n%.300s", name, got, content)
		}
		check(t, name, s.do(t, "GET", "/"+name+"?_summary=true", "", "Accept: application/fhir+json"))
		check(t, name, s.do(t, "GET", "/"+name+"?_elements=none", "", "Accept: application/fhir+json"))
	}
	if len(wanted) < 900 {
		t.Errorf("%d resources were written", len(wanted))
	}
}

// check reads a part of a resource: what was whole must not break.
func check(t *testing.T, name string, w *httptest.ResponseRecorder) {
	t.Helper()
	text := w.Body.Bytes()
	tree := &fhir.Tree{}
	tree.Reset(text)
	res := parse.NewParser().Parse(tree, 0, uint32(len(text)))
	if w.Code != 200 || res.Root == fhir.NoNode || !bytes.Contains(text, []byte("SUBSETTED")) {
		t.Errorf("%s: status %d: %.200s: %v", name, w.Code, text, res.Issues)
	}
}
