package profile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/profile"
)

const colours = `{"resourceType":"CodeSystem","url":"http://example.org/colours","content":"complete","concept":[
	{"code":"red","concept":[{"code":"crimson","concept":[{"code":"blood"}]},{"code":"rose","property":[{"code":"soft","valueBoolean":true}]}]},
	{"code":"blue","property":[{"code":"soft","valueBoolean":false},{"code":"parent","valueCode":"cold"}]},{"code":"cold"}]}`

func valueSet(url, rest string) string {
	return fmt.Sprintf(`{"resourceType":"ValueSet","url":%q,%s}`, url, rest)
}

func compose(include string) string { return `"compose":{"include":[` + include + `]}` }

func filter(property, op, value string) string {
	return compose(fmt.Sprintf(`{"system":"http://example.org/colours","filter":[{"property":%q,"op":%q,"value":%q}]}`, property, op, value))
}

func TestMembership(t *testing.T) {
	all := compose(`{"system":"http://example.org/colours"}`)
	for _, c := range []struct {
		name, set             string
		in, notIn, notDecided string // codes of the system colours
	}{
		{"listed", compose(`{"system":"http://example.org/colours","concept":[{"code":"red"},{"code":"sky"}]}`), "red sky", "blue", ""},
		{"whole system", all, "red blood blue", "green RED", ""},
		{"is-a", filter("concept", "is-a", "red"), "red crimson blood rose", "blue cold green", ""},
		{"descendent-of", filter("concept", "descendent-of", "red"), "crimson blood rose", "red blue", ""},
		{"is-not-a", filter("concept", "is-not-a", "red"), "blue cold", "red blood green", ""},
		{"generalizes", filter("concept", "generalizes", "blood"), "blood crimson red", "rose blue", ""},
		{"parent by property", filter("concept", "is-a", "cold"), "cold blue", "red", ""},
		{"property =", filter("soft", "=", "true"), "rose", "blue red", ""},
		{"property exists", filter("soft", "exists", "true"), "rose blue", "red", ""},
		{"in", filter("code", "in", "red,blue"), "red blue", "rose", ""},
		{"not-in", filter("code", "not-in", "red,blue"), "rose cold", "red green", ""},
		{"regex is of the whole code", filter("code", "regex", "r.*e|b.*"), "rose blue blood", "red crimson", ""},
		{"filter that is not known", filter("concept", "nearly", "red"), "", "", "red green"},
		{"two filters", compose(`{"system":"http://example.org/colours","filter":[{"property":"concept","op":"is-a","value":"red"},{"property":"code","op":"regex","value":"r.*"}]}`), "red rose", "crimson blue", ""},
		{"exclude", `"compose":{"include":[{"system":"http://example.org/colours"}],"exclude":[{"system":"http://example.org/colours","concept":[{"code":"red"}]}]}`, "blue", "red green", ""},
		{"another system", compose(`{"system":"http://example.org/elsewhere"}`), "", "red", ""},
		{"import", compose(`{"valueSet":["http://example.org/warm"]}`), "red rose", "blue", ""},
		{"import and filter", compose(`{"system":"http://example.org/colours","concept":[{"code":"red"},{"code":"blue"}],"valueSet":["http://example.org/warm"]}`), "red", "blue rose", ""},
		{"import of what is not known", compose(`{"valueSet":["http://example.org/none"]}`), "", "", "red"},
		{"one of two is not known", compose(`{"valueSet":["http://example.org/none"]},{"system":"http://example.org/colours","concept":[{"code":"red"}]}`), "red", "", "blue"},
		{"expansion alone", `"expansion":{"contains":[{"system":"http://example.org/colours","code":"red","contains":[{"system":"http://example.org/colours","code":"rose"}]}]}`, "red rose", "blue", ""},
		{"expansion cut short", `"expansion":{"total":9,"contains":[{"system":"http://example.org/colours","code":"red"}]}`, "red", "", "blue"},
		{"expansion helps a filter that is not known", filter("concept", "nearly", "red") + `,"expansion":{"contains":[{"system":"http://example.org/colours","code":"red"}]}`, "red", "blue", ""},
		{"nothing said", `"status":"draft"`, "", "", "red"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := registry(t, colours, valueSet("http://example.org/warm", filter("concept", "is-a", "red")), valueSet("http://example.org/vs", c.set))
			set := r.ValueSet("http://example.org/vs")
			if set == nil {
				t.Fatal(r.Check())
			}
			for want, codes := range map[profile.Membership]string{profile.In: c.in, profile.NotIn: c.notIn, profile.Unknown: c.notDecided} {
				for code := range strings.FieldsSeq(codes) {
					if got := set.Contains([]byte("http://example.org/colours"), []byte(code)); got != want {
						t.Errorf("%s: got %v, want %v", code, got, want)
					}
				}
			}
		})
	}
}

func TestMembershipWithoutASystem(t *testing.T) {
	r := registry(t, colours, valueSet("http://example.org/vs", filter("concept", "is-a", "red")))
	set := r.ValueSet("http://example.org/vs")
	if set.ContainsCode([]byte("rose")) != profile.In || set.ContainsCode([]byte("blue")) != profile.NotIn {
		t.Error("codes without a system are not found by the code")
	}
}

func TestUnitsAreKnownByTheirGrammar(t *testing.T) {
	r := registry(t, valueSet("http://example.org/units", compose(`{"system":"http://unitsofmeasure.org"}`)))
	set := r.ValueSet("http://example.org/units")
	for code, want := range map[string]profile.Membership{"mg/dL": profile.In, "furlong": profile.NotIn} {
		if got := set.Contains([]byte("http://unitsofmeasure.org"), []byte(code)); got != want {
			t.Errorf("%s: got %v, want %v", code, got, want)
		}
	}
}

func TestCaseDoesNotMatterWhereTheSystemSaysSo(t *testing.T) {
	r := registry(t, strings.Replace(colours, `"content"`, `"caseSensitive":false,"content"`, 1),
		valueSet("http://example.org/vs", compose(`{"system":"http://example.org/colours"}`)))
	if got := r.ValueSet("http://example.org/vs").ContainsCode([]byte("Red")); got != profile.In {
		t.Errorf("got %v", got)
	}
}

func TestValueSetsThatImportOneAnother(t *testing.T) {
	r := registry(t, valueSet("http://example.org/a", compose(`{"valueSet":["http://example.org/b"]}`)),
		valueSet("http://example.org/b", compose(`{"valueSet":["http://example.org/a"]}`)))
	if errs := r.Check(); len(errs) == 0 || !strings.Contains(errs[0].Error(), "imports") {
		t.Errorf("got %v", errs)
	}
}

func TestImportsThatDoubleAreBounded(t *testing.T) {
	var definitions []string
	for i := range 60 {
		url := fmt.Sprintf("http://example.org/%d", i+1)
		definitions = append(definitions, valueSet(fmt.Sprintf("http://example.org/%d", i), compose(fmt.Sprintf(`{"valueSet":[%q]},{"valueSet":[%q]}`, url, url))))
	}
	definitions = append(definitions, valueSet("http://example.org/60", compose(`{"system":"s","concept":[{"code":"a"}]}`)))
	set := registry(t, definitions...).ValueSet("http://example.org/0")
	if got := set.Contains([]byte("s"), []byte("b")); got != profile.Unknown {
		t.Errorf("got %v", got)
	}
}

func TestMembershipDoesNotAllocate(t *testing.T) {
	set := registry(t, colours, valueSet("http://example.org/vs", filter("concept", "is-a", "red"))).ValueSet("http://example.org/vs")
	system, code := []byte("http://example.org/colours"), []byte("rose")
	if n := testing.AllocsPerRun(100, func() { set.Contains(system, code) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
