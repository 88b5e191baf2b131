package profiles_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/stages/validate/profiles"
)

type expected struct{ Severity, Text string }

type profileCase struct {
	Name       string
	File       string
	Supporting []string
	BaseErrors []expected
	Profile    *struct {
		Source string
		Errors []expected
	}
}

func TestProfileCases(t *testing.T) {
	dir := dataFolder(t, "validation/profile-cases")
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []profileCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	passed := 0
	for _, c := range cases {
		if runCase(t, dir, c) {
			passed++
		}
	}
	t.Logf("%d of %d", passed, len(cases))
}

func runCase(t *testing.T, dir string, c profileCase) bool {
	var files []string
	for _, s := range c.Supporting {
		if strings.Contains(s, "us-core") && strings.HasPrefix(s, "http") {
			files = append(files, filepath.Join(dir, "../us-core-3.1.0.ndjson.gz"))
			continue
		}
		files = append(files, filepath.Join(dir, "input", s))
	}
	r := load(t, files...)
	want := c.BaseErrors
	var also []string
	if c.Profile != nil {
		want = c.Profile.Errors
		url := c.Profile.Source
		if !strings.HasPrefix(url, "http") {
			profile.Read([]string{filepath.Join(dir, "input", url)}, func(res profile.Resource) error { url = res.URL; return nil })
		}
		also = append(also, url)
	}
	text, err := os.ReadFile(filepath.Join(dir, "input", c.File))
	if err != nil {
		t.Fatal(err)
	}
	tr, root := tree(t, text)
	issues := check(profiles.NewChecker(profiles.NewSet(r)), tr, root, also...)
	wrong := 0
	for _, e := range want {
		if !strings.HasPrefix(e.Text, "Wrong Display Name") {
			wrong++
		}
	}
	ok := hasError(issues) == (wrong > 0)
	t.Logf("%v %s: want %d errors", ok, c.Name, wrong)
	if !ok || testing.Verbose() {
		for _, e := range want {
			t.Logf("      want %s", e.Text)
		}
		for _, is := range issues {
			t.Logf("      %v %s %s [%s]", is.Severity, is.Expression, is.Diagnostics, is.Profile)
		}
	}
	return ok
}
