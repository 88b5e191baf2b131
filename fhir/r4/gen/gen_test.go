package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The header of each generated file must name the hash of the generator as it
// is: whoever changes gen has to run it.
func TestGeneratedFilesNameTheCurrentGenerator(t *testing.T) {
	digest, err := sourceDigest("..")
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("../zz_*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("generated files: %v, %v", names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("// Generator SHA-256: "+digest+"\n")) {
			t.Errorf("%s is not of the current generator; run go generate", name)
		}
	}
}

func TestRegenerationGivesTheCommittedBytes(t *testing.T) {
	archive := os.Getenv("FHIRLAKE_R4_PACKAGE")
	if archive == "" {
		t.Skip("FHIRLAKE_R4_PACKAGE does not name the archive of hl7.fhir.r4.examples@4.0.1")
	}
	files, err := generate(archive, "..")
	if err != nil {
		t.Fatal(err)
	}
	committed, err := filepath.Glob("../zz_*.go")
	if err != nil {
		t.Fatal(err)
	}
	for i := range committed {
		committed[i] = filepath.Base(committed[i])
	}
	if want := slices.Sorted(maps.Keys(files)); !slices.Equal(committed, want) {
		t.Errorf("committed files %v, want %v", committed, want)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what the generator writes", name)
		}
	}
}

func TestSearchExpressionIsRestrictedToABase(t *testing.T) {
	for _, c := range []struct{ expression, base, want string }{
		{"A.x | B.y", "B", "B.y"},
		{"(A.x as T) | (A.y as U) | B.z", "A", "(A.x as T) | (A.y as U)"},
		{"A.x.where(a = 'p | q' | b) | AB.y", "A", "A.x.where(a = 'p | q' | b)"},
		{"name | A.alias | B.z", "A", "name | A.alias"},
	} {
		got, err := restrict(c.expression, c.base)
		if err != nil || got != c.want {
			t.Errorf("restrict(%q, %s) = %q, %v; want %q", c.expression, c.base, got, err, c.want)
		}
	}
	if _, err := restrict("A.x", "B"); err == nil {
		t.Error("an expression without a term for the base gives no error")
	}
}

func TestValueSetFiltersFollowTheHierarchy(t *testing.T) {
	d := &definitions{
		codeSystems: map[string]*codeSystem{"s": {Content: "complete", Concept: []concept{
			{Code: "a", Concept: []concept{{Code: "b", Concept: []concept{{Code: "c"}}}}},
			{Code: "d"},
		}}},
		valueSets: map[string]*valueSet{},
	}
	for _, c := range []struct{ op, value, want string }{
		{"is-a", "b", "b c"},
		{"descendent-of", "a", "b c"},
		{"is-not-a", "b", "a d"},
	} {
		inc := valueSetInclude{System: "s"}
		inc.Filter = append(inc.Filter, struct {
			Property string `json:"property"`
			Op       string `json:"op"`
			Value    string `json:"value"`
		}{"concept", c.op, c.value})
		list, err := d.include(&inc)
		var codes []string
		for _, x := range list {
			codes = append(codes, x.code)
		}
		if got := strings.Join(codes, " "); err != nil || got != c.want {
			t.Errorf("%s %s: %q, %v; want %q", c.op, c.value, got, err, c.want)
		}
	}
}

func TestPerfectHashIsPerfect(t *testing.T) {
	keys := strings.Fields("id meta implicitRules language text contained extension modifierExtension a b c")
	multiplier, shift, slots, err := perfect(keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range keys {
		if slots[hash(k, multiplier, shift)] != i+1 {
			t.Errorf("%s is not in its slot", k)
		}
	}
	if _, _, _, err := perfect([]string{"twice", "twice"}); err == nil {
		t.Error("equal keys give no error")
	}
}
