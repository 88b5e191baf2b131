package ucum_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir/ucum"
)

// TestCodesOfTheOfficialExamples reads every code with UCUM as its system in the
// official examples, and the value set of common ones: those that are no UCUM are
// known.
func TestCodesOfTheOfficialExamples(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(corpus.Folder(t, "r4-examples"), "*.ndjson*"))
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{}
	for _, path := range paths {
		eachLine(t, path, func(line []byte) {
			if !bytes.Contains(line, []byte(system)) {
				return
			}
			var resource any
			if err := json.Unmarshal(line, &resource); err != nil {
				t.Fatal(err)
			}
			collect(resource, codes)
		})
	}
	if len(codes) < 300 {
		t.Fatalf("%d codes found, expected some hundred", len(codes))
	}
	var bad []string
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		if !ucum.Valid([]byte(code)) {
			bad = append(bad, code)
		}
	}
	want := []string{"TAB", "[lb_i]", "drop", "ea", "mEq", "mcg", "ml/hr", "month", "tbl"}
	if diff := cmp.Diff(want, bad); diff != "" {
		t.Errorf("codes that are not valid (-want +got):\n%s", diff)
	}
}

const system = "http://unitsofmeasure.org"

// collect adds the codes of UCUM in a value of JSON: of quantities and codings, and
// the concepts of a value set.
func collect(v any, codes map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		if v["system"] == system {
			add(v, codes)
			concepts, _ := v["concept"].([]any)
			for _, c := range concepts {
				add(c, codes)
			}
		}
		for _, child := range v {
			collect(child, codes)
		}
	case []any:
		for _, child := range v {
			collect(child, codes)
		}
	}
}

func add(v any, codes map[string]bool) {
	o, _ := v.(map[string]any)
	if code, ok := o["code"].(string); ok {
		codes[code] = true
	}
}

func eachLine(t *testing.T, path string, do func(line []byte)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := io.Reader(f)
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		do(lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
