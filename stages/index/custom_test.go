package index_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/index"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// rowsByGroup gives all rows of a resource as text, by group.
func rowsByGroup(t *testing.T, table *search.Table, resource string) map[search.GroupID][]string {
	t.Helper()
	chain, err := pipeline.NewChain(parse.New(), index.New(table))
	if err != nil {
		t.Fatal(err)
	}
	b := &pipeline.Batch{Lenient: true, Data: []byte(resource + "\n")}
	b.Records = []pipeline.Record{{End: uint32(len(resource)), Entry: -1, Root: -1}}
	b.Pad()
	if err := chain.Process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	v := pipeline.SearchValues.Of(b)
	all := map[search.GroupID][]string{}
	add := func(r search.Row, part bool, values ...any) {
		text := fmt.Sprint(values...)
		if part {
			text = fmt.Sprintf("%d: %s", r.Part, text)
		}
		all[r.Group] = append(all[r.Group], text)
	}
	for _, x := range v.Tokens {
		add(x.Row, x.Part != 0, string(v.Text(x.System)), "|", string(v.Text(x.Code)))
	}
	for _, x := range v.Strings {
		add(x.Row, x.Part != 0, string(v.Text(x.Folded)))
	}
	for _, x := range v.Dates {
		add(x.Row, x.Part != 0, x.Range)
	}
	for _, x := range v.References {
		add(x.Row, x.Part != 0, x.Type, " ", string(v.Text(x.ID)))
	}
	return all
}

// customs are parameters that share paths with R4's in every way that there is.
var customs = []r4.SearchParameter{
	{Code: "eye", URL: "http://example.org/eye", Base: r4.TypePatient, Type: r4.SearchToken, Expression: "Patient.extension.where(url='http://example.org/eye').value"},
	{Code: "sex", URL: "http://example.org/sex", Base: r4.TypePatient, Type: r4.SearchToken, Expression: "Patient.gender | Patient.contact.gender"},
	{Code: "clinic", URL: "http://example.org/clinic", Base: r4.TypePatient, Type: r4.SearchReference, Expression: "Patient.generalPractitioner.where(resolve() is Organization)"},
	{Code: "kin", URL: "http://example.org/kin", Base: r4.TypePatient, Type: r4.SearchComposite, Expression: "Patient.contact", Components: []r4.SearchComponent{
		{URL: "http://hl7.org/fhir/SearchParameter/individual-gender", Expression: "gender"},
		{URL: "http://hl7.org/fhir/SearchParameter/individual-family", Expression: "name.family"},
	}},
	{Code: "linked", URL: "http://example.org/link", Base: r4.TypePatient, Type: r4.SearchComposite, Expression: "Patient.link", Components: []r4.SearchComponent{
		{URL: "http://hl7.org/fhir/SearchParameter/individual-gender", Expression: "type"},
		{URL: "http://hl7.org/fhir/SearchParameter/Patient-link", Expression: "other"},
	}},
}

const customPatient = `{"resourceType":"Patient","id":"p","extension":[{"url":"http://example.org/eye","valueCode":"blue"},{"url":"other","valueCode":"x"}],` +
	`"gender":"male","birthDate":"1970-01-01","generalPractitioner":[{"reference":"Organization/o","identifier":{"value":"i"}},{"reference":"Practitioner/q"}],` +
	`"contact":[{"gender":"female","name":{"family":"A"}},{"gender":"male","name":{"family":"B"}}],"link":[{"type":"seealso","other":{"reference":"Patient/z"}}]}`

// TestCustomGroupsAreExtracted compares what custom expressions give with what they mean.
func TestCustomGroupsAreExtracted(t *testing.T) {
	table, faults := search.NewTable(customs, index.Check)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	rows := rowsByGroup(t, table, customPatient)
	got := map[string][]string{}
	for _, p := range table.Parameters(r4.TypePatient) {
		if p.Custom {
			for _, term := range p.Terms {
				got[p.Code] = append(got[p.Code], rows[term.Group(search.Main)]...)
			}
			for _, b := range p.Bindings {
				for _, c := range b.Components {
					got[p.Code] = append(got[p.Code], rows[c[0].Group(search.Main)]...)
				}
			}
		}
	}
	clinic := table.Parameter(r4.TypePatient, "clinic").Terms[0]
	got["clinic:identifier"] = rows[clinic.Group(search.FacetIdentifier)]
	want := map[string][]string{
		"eye": {"|blue"}, "sex": {"http://hl7.org/fhir/administrative-gender|male", "http://hl7.org/fhir/administrative-gender|female", "http://hl7.org/fhir/administrative-gender|male"},
		"clinic": {"Organization o", "Practitioner q"}, "clinic:identifier": {"|i"}, // a search limits the first by the type of the row
		"kin":    {"1: http://hl7.org/fhir/administrative-gender|female", "2: http://hl7.org/fhir/administrative-gender|male", "1: a", "2: b"},
		"linked": {"3: http://hl7.org/fhir/link-type|seealso", "3: Patient z"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestGroupsDoNotDependOnOthers is search's invariant 4: R4's groups have the same rows
// beside custom ones, and each custom parameter the same by itself, but for the numbers of
// its elements.
func TestGroupsDoNotDependOnOthers(t *testing.T) {
	table, _ := search.NewTable(customs, index.Check)
	all := rowsByGroup(t, table, customPatient)
	for group, want := range rowsByGroup(t, search.R4(), customPatient) {
		if d := cmp.Diff(want, all[group]); d != "" {
			t.Errorf("group %08x of R4 has other rows beside custom ones: %s", group, d)
		}
	}
	for i := range customs {
		p := table.Parameter(r4.TypePatient, customs[i].Code)
		own := p.CustomGroups()
		some := rowsByGroup(t, table.Only(func(typ r4.TypeID, g *search.Group) bool {
			return typ == r4.TypePatient && slices.Contains(own, g)
		}), customPatient)
		for _, g := range own {
			if len(p.Bindings) == 0 {
				if d := cmp.Diff(all[g.ID(search.Main)], some[g.ID(search.Main)]); d != "" {
					t.Errorf("%s by itself: %s", p.Code, d)
				}
			} else if len(some[g.ID(search.Main)]) != len(all[g.ID(search.Main)]) || len(some[g.ID(search.Main)]) == 0 {
				t.Errorf("%s by itself has %q, with others %q", p.Code, some[g.ID(search.Main)], all[g.ID(search.Main)])
			}
		}
		for group := range some {
			if !slices.ContainsFunc(own, func(g *search.Group) bool {
				return slices.Contains([]search.GroupID{g.ID(search.Main), g.ID(search.FacetText), g.ID(search.FacetOfType), g.ID(search.FacetIdentifier)}, group) ||
					slices.ContainsFunc(g.Targets, func(t r4.TypeID) bool { return g.IdentifiersOf(t) == group })
			}) {
				t.Errorf("%s by itself has rows of group %08x, which is not its own", p.Code, group)
			}
		}
		if p.Code == "sex" && len(own) != 1 {
			t.Errorf("sex has %d groups of its own, but Patient.gender is R4's", len(own))
		}
	}
}
