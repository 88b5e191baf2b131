package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"
)

// notesCommand starts a service that reads notes as Comprehend Medical does, at $NOTES. It finds asthma, and refuses
// what asks for it. The file "asked" has a line for each request that it
// answers.
func notesCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: notes")
	}
	asked, err := os.Create(ts.MkAbs("asked"))
	ts.Check(err)
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Text string }
		operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "ComprehendMedical_20181030.")
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if strings.Contains(in.Text, "refuse") {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"__type":"InvalidRequestException","Message":%q}`, in.Text)
			return
		}
		mu.Lock()
		fmt.Fprintln(asked, operation)
		mu.Unlock()
		concepts := ""
		if operation == "InferICD10CM" {
			concepts = `,"ICD10CMConcepts":[{"Code":"J45.909","Description":"Unspecified asthma, uncomplicated","Score":0.5}]`
		}
		entities := ""
		if i := strings.Index(in.Text, "asthma"); i >= 0 && operation != "InferRxNorm" {
			at := utf8.RuneCountInString(in.Text[:i])
			entities = fmt.Sprintf(`{"BeginOffset":%d,"EndOffset":%d,"Text":"asthma","Score":0.9,"Category":"MEDICAL_CONDITION","Type":"DX_NAME"%s}`, at, at+6, concepts)
		}
		fmt.Fprintf(w, `{"Entities":[%s],"ModelVersion":"1"}`, entities)
	}))
	ts.Setenv("NOTES", s.URL)
	ts.Defer(func() {
		s.Close()
		asked.Close()
	})
}

// unzstdCommand writes what a file has, decompressed, to another one.
func unzstdCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: unzstd GLOB FILE")
	}
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) != 1 {
		ts.Fatalf("%d files match %s", len(files), args[0])
	}
	in, err := os.Open(files[0])
	ts.Check(err)
	defer in.Close()
	z, err := zstd.NewReader(in)
	ts.Check(err)
	defer z.Close()
	text, err := io.ReadAll(z)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o644))
}
