package fhirpath_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhirpath"
)

const ruleObservation = `{"resourceType":"Observation","id":"obs-rules","status":"final","code":{"text":"x"},
"valueQuantity":{"value":1E-7,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"},
"component":[{"code":{"text":"tablets"},"valueQuantity":{"value":2,"unit":"tablet"}},{"code":{"text":"years"},"valueQuantity":{"value":3}}]}`

// ruleBundle has more references than are searched for without an index.
const ruleBundle = `{"resourceType":"Bundle","type":"collection","entry":[
{"fullUrl":"http://e.org/fhir/Patient/p1","resource":{"resourceType":"Patient","id":"p1","contained":[{"resourceType":"Organization","id":"org","name":"one of p1"}],
"managingOrganization":{"reference":"#org"},"link":[{"type":"seealso","other":{"reference":"Patient/p2"}},{"type":"seealso","other":{"reference":"http://e.org/fhir/Patient/p2"}},
{"type":"seealso","other":{"reference":"Patient/p1/_history/3"}}]}},
{"fullUrl":"http://e.org/fhir/Patient/p2","resource":{"resourceType":"Patient","id":"p2","contained":[{"resourceType":"Organization","id":"org","name":"one of p2"}],
"managingOrganization":{"reference":"#org"},"link":[{"type":"seealso","other":{"reference":"Patient/p1"}},{"type":"seealso","other":{"reference":"http://e.org/fhir/Patient/p2"}},
{"type":"seealso","other":{"reference":"http://e.org/fhir/Patient/p1"}},{"type":"seealso","other":{"reference":"Patient/p3"}},{"type":"seealso","other":{"reference":"|"}}]}}]}`

// TestRules has one case or more for each rule of the specification that engines
// tend to read differently. A nil want is an error of the evaluation.
func TestRules(t *testing.T) {
	tests := []struct {
		name, resource, expression string
		want                       []string
	}{
		{"N1 10.1: the type of each item", twinPatient, "contact.type().name", []string{"BackboneElement", "BackboneElement"}},
		{"R4: getValue of several items", twinPatient, "name.given.getValue()", []string{}},
		{"R4: getValue of one", twinPatient, "birthDate.getValue()", []string{"1974-12-25"}},
		{"N1 5.5.8: a number as text has no exponent", ruleObservation, "value.value.toString()", []string{"0.0000001"}},
		{"N1 5.5.8: nor has one joined to text", ruleObservation, "value.value & ''", []string{"0.0000001"}},
		{"N1 6.1.1: a date is no String", twinPatient, "birthDate = '1974-12-25'", []string{"false"}},
		{"N1 6.1.1: and is not among Strings", twinPatient, "birthDate in ('x' | '1974-12-25')", []string{"false"}},
		{"N1 6.1.1: a String without value", twinPatient, "name[0].given[1] = 'Peter'", []string{}},
		{"texts without value are not joined", twinPatient, "name.given.join(',')", []string{"Peter,James,Jim"}},
		{"N1 5.5.1: a criterion without value", twinPatient, "iif(active, 'a', 'b')", []string{"b"}},
		{"N1 5.5.1: $index within iif is that of the loop around", twinPatient, "(4 | 5).select($this.iif($index = 0, 'a', 'b'))", []string{"a", "b"}},
		{"$index outside of a loop", twinPatient, "$index", []string{}},
		{"$index of sort", twinPatient, "(4 | 5 | 6).sort(-$index)", []string{"6", "5", "4"}},

		{"N1 6.6.3: the finer unit of a sum", twinPatient, "3 'm' + 3 'cm'", []string{"303 'cm'"}},
		{"N1 6.6.4: and of a difference", twinPatient, "3 'cm' - 3 'm'", []string{"-297 'cm'"}},
		{"calendar years and months", twinPatient, "1 year + 3 months", []string{"15 months"}},
		{"N1 6.6.1: a number keeps the unit", twinPatient, "2.5 * 1 year | 3 days * 2 | 1 year / 2", []string{"2.5 year", "6 days", "0.5 year"}},
		{"N1 6.6.1: units that are none have no product", twinPatient, "(2 '' * 3 '') | (2 'm' / 3 'nope')", []string{}},
		{"a unit of no system keeps it too", ruleObservation, "component[0].value * 2", []string{"4 'tablet'"}},
		{"the average of calendar durations", twinPatient, "(1 day).combine(2 days).avg()", []string{"1.5 day"}},
		{"N1 2.1: the least Integer", twinPatient, "-2147483648", []string{"-2147483648"}},
		{"N1 6.6.4: has no positive", twinPatient, "-(-2147483648)", []string{}},

		{"defineVariable in each operand", twinPatient, "defineVariable('a', 1).select(%a) | defineVariable('a', 2).select(%a)", []string{"1", "2"}},
		{"defineVariable sees the whole input", twinPatient, "name.defineVariable('n', given.count()).select(use & %n.toString())", []string{"official4", "usual4"}},
		{"and $this is it", twinPatient, "(1 | 2).defineVariable('s', $this.sum()).select(%s + $this)", []string{"4", "5"}},
		{"a lambda within sees items", twinPatient, "(1 | 2).defineVariable('s', select($this + 1).sum()).first() + %s", nil},
		{"a fragment is looked for in the resource that it is in", ruleBundle, "entry.resource.managingOrganization.resolve().name", []string{"one of p1", "one of p2"}},
		{"R4 2.36.4.1: entries are found by type and id, and by fullUrl", ruleBundle, "entry.resource.link.other.resolve().id", []string{"p2", "p2", "p1", "p1", "p2", "p1"}},
		{"a fragment as a String", twinPatient, "'#org-1'.resolve().name", []string{"One"}},

		{"the time of a dateTime", twinPatient, "@2014-01-25T14:30:14.559Z.timeOf()", []string{"14:30:14.559"}},
		{"a date has none", twinPatient, "@2014-01-25.timeOf()", []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := parsed(t, tt.resource)
			for _, o := range []fhirpath.Options{{Type: f.Tree.Nodes[f.Node].Type, Strict: true}, {}} {
				p, err := fhirpath.Compile(tt.expression, o)
				var items []fhirpath.Value
				if err == nil {
					items, err = p.Eval(fhirpath.NewEvaluator(fhirpath.Environment{}), f)
				}
				if tt.want == nil {
					if err == nil {
						t.Errorf("gives %v, want an error", texts(items))
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, texts(items)); diff != "" {
					t.Errorf("strict %v: %s", o.Strict, diff)
				}
			}
		})
	}
}
