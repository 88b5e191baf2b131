package profiles_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/stages/validate/profiles"
)

// US Core loads as a whole. What is in it beside definitions (search parameters,
// capability statements) is passed over.
func TestUSCoreLoads(t *testing.T) {
	set := usCore(t)
	faults, notes := set.Check()
	if len(faults) > 0 {
		t.Errorf("faults: %v", faults)
	}
	var got []string
	for _, n := range notes {
		_, text, _ := strings.Cut(n.Error(), "StructureDefinition ")
		got = append(got, text)
	}
	// The published expression is ($this.agent.who.resolve().is Practitioner or Device) implies exists().
	want := []string{"http://hl7.org/fhir/us/core/StructureDefinition/us-core-provenance|3.1.0: element Provenance.agent.onBehalfOf: " +
		"constraint provenance-1 is not checked: 1:31: unexpected name Practitioner; expected an operator or ')'"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("notes: -want +got\n%s", d)
	}
	if n := set.Registry().Len(); n != 65 {
		t.Errorf("%d definitions, want 65", n)
	}
}

// What US Core finds in Synthea's resources, which claim its profiles, by kind:
// the table may only change for a reason.
func TestUSCoreOverSynthea(t *testing.T) {
	for _, folder := range []string{"synthea-small", "r4-examples"} {
		if folder == "r4-examples" && testing.Short() {
			continue
		}
		c := profiles.NewChecker(usCore(t))
		list, _ := records(t, folder)
		counts := map[string]int{}
		for _, r := range list {
			for _, is := range check(c, r.subject.Tree, r.subject.Record) {
				counts[kind(is)]++
			}
		}
		var lines []string
		for k, n := range counts {
			lines = append(lines, fmt.Sprintf("%6d %s\n", n, k))
		}
		slices.Sort(lines)
		slices.Reverse(lines)
		compareGolden(t, filepath.Join("testdata", "uscore-"+folder+".txt"), strings.Join(lines, ""))
	}
}

// kind gives an issue without what differs from record to record.
func kind(is fhir.Issue) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s ", is.Severity, strings.TrimPrefix(is.Profile, "http://hl7.org/fhir/"))
	index := false
	for _, r := range is.Expression {
		switch {
		case r == '[':
			index = true
		case r == ']':
			index = false
		case !index:
			b.WriteRune(r)
		}
	}
	fmt.Fprintf(&b, ": %s", is.Diagnostics)
	return b.String()
}
