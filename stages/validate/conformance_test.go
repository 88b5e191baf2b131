package validate_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/stages/validate/profiles"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares text with a file, or rewrites it. Lines of the file that begin
// with # are notes and stay.
func golden(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	var notes, want strings.Builder
	for line := range strings.Lines(string(file)) {
		if strings.HasPrefix(line, "#") {
			notes.WriteString(line)
		} else {
			want.WriteString(line)
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(notes.String()+text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), text); diff != "" {
		t.Errorf("%s (run with -update when this is better): %s", path, diff)
	}
}

// line prints an issue as the golden files have it.
func line(is fhir.Issue) string {
	key := is.Code
	if is.Constraint != "" {
		key = is.Constraint
	}
	return fmt.Sprintf("%s %s %s: %s", is.Severity, key, is.Expression, is.Diagnostics)
}

// TestCoreCases runs the cases of the HL7 validator that need no profile: with base
// R4 alone, and with the extensions and the rules for definitions that come with
// package profiles. The tables of results may only get better.
func TestCoreCases(t *testing.T) {
	t.Run("base", func(t *testing.T) { coreCases(t, validate.Options{}, "testdata/core-cases.txt") })
	t.Run("strict", func(t *testing.T) {
		coreCases(t, validate.Options{Profiles: profiles.NewSet(profile.NewRegistry())}, "testdata/core-cases-strict.txt")
	})
}

func coreCases(t *testing.T, o validate.Options, table string) {
	dir := filepath.Join(corpus.Folder(t, "validation"), "core-cases")
	var cases []struct{ Name, File, Class string }
	if err := json.Unmarshal(corpus.Read(t, filepath.Join(dir, "manifest.json")), &cases); err != nil {
		t.Fatal(err)
	}
	skip := map[string]string{
		"contained-resource-bad-id-ignore": "the file of contained-resource-bad-id with a switch of the HL7 validator that lets bad ids pass",
	}
	b := newBoth(t, o)
	var out strings.Builder
	caught, invalid := 0, 0
	for _, c := range cases {
		if why := skip[c.Name]; why != "" {
			fmt.Fprintf(&out, "%s: %s: skipped: %s\n", c.Class, c.Name, why)
			continue
		}
		issues := b.text(string(corpus.Read(t, filepath.Join(dir, c.File))))
		result := "no error"
		if i := slices.IndexFunc(issues, func(is fhir.Issue) bool { return is.Severity <= fhir.Error }); i >= 0 {
			result = line(issues[i])
		}
		switch c.Class {
		case "valid":
			if failed(issues) {
				t.Errorf("%s is valid: %s", c.Name, result)
			}
		case "invalid-core":
			invalid++
			if failed(issues) {
				caught++
			}
		}
		fmt.Fprintf(&out, "%s: %s: %s\n", c.Class, c.Name, result)
	}
	fmt.Fprintf(&out, "caught %d of %d\n", caught, invalid)
	golden(t, table, out.String())
}

// TestMutations breaks one thing in each of 117 sound resources.
func TestMutations(t *testing.T) {
	var list []struct {
		Mutation, Target, Base string
		Resource               json.RawMessage
	}
	if err := json.Unmarshal(corpus.Read(t, filepath.Join(corpus.Folder(t, "validation"), "mutated-r4.json.gz")), &list); err != nil {
		t.Fatal(err)
	}
	b := newBoth(t, validate.Options{})
	for _, m := range list {
		if issues := b.text(string(m.Resource)); !failed(issues) {
			t.Errorf("%s of %s in %s is not found: %+v", m.Mutation, m.Target, m.Base, issues)
		}
	}
}

// TestExamples lists the errors of the official examples. The notes at the head of
// the list say why each kind is one.
func TestExamples(t *testing.T) {
	data := corpus.Files(t, corpus.Folder(t, "r4-examples"))
	b := newBoth(t, validate.Options{})
	var out strings.Builder
	for _, name := range corpus.Names(data) {
		corpus.EachLine(data[name], func(_ int, s, e uint32) {
			issues := b.issues(data[name], s, e)
			if !failed(issues) {
				return
			}
			var id struct{ ID string }
			if err := json.Unmarshal(data[name][s:e], &id); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%s/%s\n", name, id.ID)
			for _, is := range issues {
				if is.Severity <= fhir.Error {
					fmt.Fprintf(&out, "  %s\n", line(is))
				}
			}
		})
	}
	golden(t, "testdata/rejected-r4-examples.txt", out.String())
}

// TestSynthea counts the issues of the Synthea sets by kind, warnings too.
func TestSynthea(t *testing.T) {
	var out strings.Builder
	for _, set := range []string{"synthea-small", "synthea-120"} {
		if set == "synthea-120" && testing.Short() {
			t.Skip("short")
		}
		data := corpus.Files(t, corpus.Folder(t, set))
		b := newBoth(t, validate.Options{})
		kinds := map[string]int{}
		for _, name := range corpus.Names(data) {
			corpus.EachLine(data[name], func(_ int, s, e uint32) {
				for _, is := range b.issues(data[name], s, e) {
					path := is.Expression
					for i := strings.IndexByte(path, '['); i >= 0; i = strings.IndexByte(path, '[') {
						path = path[:i] + path[i+strings.IndexByte(path[i:], ']')+1:]
					}
					is.Expression = path
					kinds[line(is)]++
				}
			})
		}
		for _, k := range slices.Sorted(maps.Keys(kinds)) {
			fmt.Fprintf(&out, "%s: %d times %s\n", set, kinds[k], k)
		}
		fmt.Fprintf(&out, "%s: %d kinds\n", set, len(kinds))
	}
	golden(t, "testdata/synthea.txt", out.String())
}
