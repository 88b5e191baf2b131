package profiles_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/stages/validate/profiles"
)

var update = flag.Bool("update", false, "rewrite the tables of results")

// profileCase is one case of the suite: BaseErrors are expected of the resource
// and the profiles that it claims, Profile.Errors of the profile named beside.
type profileCase struct {
	Name       string
	File       string
	Supporting []string
	BaseErrors []expectedIssue
	Profile    *struct {
		Source string
		Errors []expectedIssue
	}
}

type expectedIssue struct{ Text string }

// needsServer tells that the issue needs the display texts of a terminology
// server, which are not here.
func (e expectedIssue) needsServer() bool { return strings.HasPrefix(e.Text, "Wrong Display Name") }

// reasons say why results differ from the suite's.
var reasons = map[string]string{
	"ab-list-slicing": "the error is of a link within the narrative that leads nowhere, which base validation is to find",
}

// The table of results may only improve: a case agrees when an error is found
// where the suite expects one, and none where it expects none.
func TestProfileCases(t *testing.T) {
	dir := corpus.Folder(t, "validation/profile-cases")
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []profileCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	agree := 0
	var got strings.Builder
	for _, c := range cases {
		want, found := runCase(t, dir, &c)
		result := "differs"
		if (want > 0) == hasError(found) {
			result = "agrees"
			agree++
		}
		fmt.Fprintf(&got, "%s %s: %d errors expected", result, c.Name, want)
		if result == "differs" {
			if reasons[c.Name] == "" {
				t.Errorf("%s differs from the suite without a reason", c.Name)
			}
			fmt.Fprintf(&got, "; %s", reasons[c.Name])
		}
		for _, is := range found {
			if is.Severity <= fhir.Error && is.Profile != "" {
				fmt.Fprintf(&got, "\n    %s: %s", is.Expression, is.Diagnostics)
			}
		}
		got.WriteByte('\n')
	}
	fmt.Fprintf(&got, "%d of %d agree\n", agree, len(cases))
	compareGolden(t, "testdata/profile-cases.txt", got.String())
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s differs; look at it and run with -update: -want +got\n%s", file, d)
	}
}

// runCase gives how many errors are expected and what was found.
func runCase(t *testing.T, dir string, c *profileCase) (want int, found []fhir.Issue) {
	t.Helper()
	var files []string
	for _, s := range c.Supporting {
		if strings.HasPrefix(s, "http://hl7.org/fhir/us/core/") {
			files = append(files, filepath.Join(dir, "../us-core-3.1.0.ndjson.gz"))
		} else {
			files = append(files, filepath.Join(dir, "input", s))
		}
	}
	expected := c.BaseErrors
	o := validate.Options{}
	if c.Profile != nil {
		expected = c.Profile.Errors
		url := c.Profile.Source
		if !strings.HasPrefix(url, "http") {
			file := filepath.Join(dir, "input", url)
			err := profile.Read([]string{file}, func(res profile.Resource) error { url = res.URL; return nil })
			if err != nil {
				t.Fatal(err)
			}
		}
		o.Always = []string{url}
	}
	for _, e := range expected {
		if !e.needsServer() {
			want++
		}
	}
	o.Profiles = profiles.NewSet(load(t, files...))
	v, err := validate.NewValidator(o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "input", c.File))
	if err != nil {
		t.Fatal(err)
	}
	tr, root := tree(t, text)
	return want, v.Validate(tr, root)
}
