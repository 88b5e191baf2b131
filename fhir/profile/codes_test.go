package profile_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/profile"
)

// TestExpansionsOfR4 compares the expansion of each value set of R4 with the answers of
// membership for its codes.
func TestExpansionsOfR4(t *testing.T) {
	r := profile.NewRegistry()
	expanded, codes := 0, 0
	for _, name := range []string{
		"administrative-gender", "observation-status", "condition-clinical", "allergyintolerance-clinical", "marital-status", "v3-ActEncounterCode",
		"observation-category", "resource-types", "all-types", "encounter-status", "condition-ver-status", "issue-type", "security-labels",
	} {
		url := "http://hl7.org/fhir/ValueSet/" + name
		set, err := r.Codes(url)
		if err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		expanded++
		member := r.ValueSet(url)
		for system, c := range set {
			for code := range c.Codes {
				codes++
				if got := member.Contains([]byte(system), []byte(code)); (got == profile.In) == c.Whole {
					t.Errorf("%s: %s of %s is in the expansion; membership says %v", name, code, system, got)
				}
			}
		}
	}
	if expanded < 8 || codes < 300 {
		t.Errorf("%d value sets with %d codes were expanded: too few", expanded, codes)
	}
}

func TestCodesOfValueSets(t *testing.T) {
	const c = `"system":"http://example.org/colours"`
	for _, x := range []struct{ name, set, want, fault string }{
		{"a system that is not known, whole", compose(`{"system":"http://loinc.org"}`), "all of http://loinc.org", ""},
		{"whole but for some", `"compose":{"include":[{"system":"http://loinc.org"}],"exclude":[{"system":"http://loinc.org","concept":[{"code":"a"},{"code":"b"}]}]}`, "all of http://loinc.org but a b", ""},
		{"some of a whole one", compose(`{"system":"http://loinc.org","concept":[{"code":"a"}],"valueSet":["http://example.org/loinc"]}`), "http://loinc.org a", ""},
		{"whole and some are whole", compose(`{"system":"http://loinc.org"},{"system":"http://loinc.org","concept":[{"code":"a"}]}`), "all of http://loinc.org", ""},
		{"a filter on what is not known", compose(`{"system":"http://loinc.org","filter":[{"property":"concept","op":"is-a","value":"x"}]}`), "", "http://loinc.org"},
		{"a known system has its codes", compose(`{` + c + `}`), "http://example.org/colours blood blue cold crimson red rose", ""},
		{"excluded", `"compose":{"include":[{` + c + `}],"exclude":[{` + c + `,"filter":[{"property":"concept","op":"is-a","value":"red"}]}]}`, "http://example.org/colours blue cold", ""},
		{"excluded by a set", `"compose":{"include":[{` + c + `}],"exclude":[{"valueSet":["http://example.org/warm"]}]}`, "http://example.org/colours blue cold", ""},
		{"cut with a set", compose(`{` + c + `,"concept":[{"code":"red"},{"code":"blue"}],"valueSet":["http://example.org/warm"]}`), "http://example.org/colours red", ""},
		{"an import that is not known", compose(`{"valueSet":["http://example.org/none"]}`), "", "http://example.org/none"},
		{"an expansion alone", `"expansion":{"contains":[{` + c + `,"code":"red","contains":[{` + c + `,"code":"rose"}]}]}`, "http://example.org/colours red rose", ""},
		{"an expansion cut short", `"expansion":{"total":9,"contains":[{` + c + `,"code":"red"}]}`, "", "not whole"},
		{"nothing said", `"status":"draft"`, "", "no content"},
		{"itself", compose(`{"valueSet":["http://example.org/vs"]}`), "", "imports"},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := registry(t, colours, valueSet("http://example.org/warm", filter("concept", "is-a", "red")),
				valueSet("http://example.org/loinc", compose(`{"system":"http://loinc.org"}`)), valueSet("http://example.org/vs", x.set))
			set, err := r.Codes("http://example.org/vs")
			if x.fault != "" {
				if err == nil || !strings.Contains(err.Error(), x.fault) {
					t.Fatalf("%v, %v; want a fault with %q", set, err, x.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var parts []string
			for system, c := range set {
				var codes []string
				for code := range c.Codes {
					codes = append(codes, code)
				}
				slices.Sort(codes)
				switch {
				case c.Whole && len(codes) == 0:
					parts = append(parts, "all of "+system)
				case c.Whole:
					parts = append(parts, "all of "+system+" but "+strings.Join(codes, " "))
				default:
					parts = append(parts, system+" "+strings.Join(codes, " "))
				}
			}
			if got := strings.Join(parts, ", "); got != x.want {
				t.Errorf("%s, want %s", got, x.want)
			}
		})
	}
}

// TestHostileExpansionsEnd: imports that are deep or that double with each level, and too
// many codes.
func TestHostileExpansionsEnd(t *testing.T) {
	url := func(i int) string { return fmt.Sprintf("http://example.org/level-%d", i) }
	sets := []string{valueSet(url(0), compose(`{"system":"http://loinc.org","concept":[{"code":"a"}]}`))}
	for i := 1; i < 200; i++ {
		sets = append(sets, valueSet(url(i), compose(fmt.Sprintf(`{"valueSet":[%q,%q]},{"valueSet":[%[1]q]}`, url(i-1), url(i-1)))))
	}
	var many strings.Builder
	for i := range profile.MaxCodes + 1 {
		fmt.Fprintf(&many, `,{"code":"c%d"}`, i)
	}
	sets = append(sets, valueSet("http://example.org/many", compose(`{"system":"http://loinc.org","concept":[`+many.String()[1:]+`]}`)))
	r := registry(t, sets...)
	if _, err := r.Codes(url(199)); err == nil || !strings.Contains(err.Error(), "imports more than") {
		t.Errorf("the error is %v", err)
	}
	if _, err := r.Codes("http://example.org/many"); err == nil || !strings.Contains(err.Error(), "more than 100000 codes") {
		t.Errorf("the error is %v", err)
	}
	if _, err := r.Codes("http://example.org/none"); !errors.Is(err, profile.ErrUnknown) {
		t.Errorf("the error is %v", err)
	}
}

func TestRelatedCodes(t *testing.T) {
	r := registry(t, colours).Over()
	for _, x := range []struct {
		code  string
		above bool
		want  string
	}{
		{"red", false, "blood crimson red rose"}, {"blood", true, "blood crimson red"}, {"cold", false, "blue cold"}, {"rose", false, "rose"},
	} {
		got, err := r.Related("http://example.org/colours", x.code, x.above)
		slices.Sort(got)
		if strings.Join(got, " ") != x.want || err != nil {
			t.Errorf("%s, above %v: %v, %v; want %s", x.code, x.above, got, err, x.want)
		}
	}
	for _, x := range [][2]string{{"http://loinc.org", "a"}, {"http://example.org/colours", "green"}} {
		if _, err := r.Related(x[0], x[1], false); err == nil {
			t.Errorf("%v is known", x)
		}
	}
}
