package profiles_test

import "testing"

func TestSlicing(t *testing.T) {
	slicing := func(typ, path, more string) string {
		return `"slicing":{"discriminator":[{"type":"` + typ + `","path":"` + path + `"}],"rules":"open"` + more + `}`
	}
	rules := func(rules, more string) []string {
		return patient(`{"path":"Patient.identifier","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"` + rules + `"` + more + `}},
			{"path":"Patient.identifier","sliceName":"a","max":"1"},{"path":"Patient.identifier.system","fixedUri":"urn:a"},
			{"path":"Patient.identifier","sliceName":"b","min":1},{"path":"Patient.identifier.system","fixedUri":"urn:b"},{"path":"Patient.identifier.value","min":1}`)
	}
	ids := func(systems ...string) string {
		text := `{"resourceType":"Patient","identifier":[`
		for i, s := range systems {
			if i > 0 {
				text += ","
			}
			text += `{"system":"urn:` + s + `","value":"v"}`
		}
		return text + `]}`
	}
	component := func(value string) string {
		return `{"resourceType":"Observation","status":"final","code":{"text":"x"},"component":[{"code":{"text":"c"},` + value + `}]}`
	}
	for _, c := range []checkCase{
		{"by value", rules("open", ""), ids("b", "a", "c"), nil},
		{
			"counts", rules("open", ""), ids("a", "a"),
			[]string{"error Patient: found 2 of slice a of identifier; expected at most 1", "error Patient: found 0 of slice b of identifier; expected at least 1"},
		},
		{
			"what a slice asks", rules("open", ""), `{"resourceType":"Patient","identifier":[{"system":"urn:b"},{"system":"urn:c"}]}`,
			[]string{"error Patient.identifier[0]: found 0 of element value; expected at least 1"},
		},
		{
			"closed", rules("closed", ""), ids("b", "c"),
			[]string{"error Patient.identifier[1]: it is in none of the slices of identifier, and no others are allowed"},
		},
		{"open at the end", rules("openAtEnd", ""), ids("b", "a", "c", "d"), nil},
		{
			"others before the end", rules("openAtEnd", ""), ids("c", "b"),
			[]string{"error Patient.identifier[1]: it is in slice b and stands behind what is in none; others are allowed at the end only"},
		},
		{
			"ordered", rules("open", `,"ordered":true`), ids("b", "a"),
			[]string{"error Patient.identifier[1]: slice a stands behind slice b; expected the order of the profile"},
		},
		{
			"by pattern of the value itself", patient(`{"path":"Patient.identifier",` + slicing("pattern", "$this", "") + `},{"path":"Patient.identifier","sliceName":"a","min":1,"patternIdentifier":{"system":"urn:a","use":"old"}}`),
			ids("a"),
			[]string{"error Patient: found 0 of slice a of identifier; expected at least 1"},
		},
		{
			"by a part of a pattern further up", observation(`{"path":"Observation.category",` + slicing("value", "coding.code", "") + `},
				{"path":"Observation.category","sliceName":"lab","min":1,"patternCodeableConcept":{"coding":[{"system":"s","code":"lab"}]}}`),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"category":[{"coding":[{"code":"z"},{"system":"s","code":"lab"}]}]}`, nil,
		},
		{
			"by values further down", observation(`{"path":"Observation.component",` + slicing("value", "code", "") + `},{"path":"Observation.component","sliceName":"c","min":1},
				{"path":"Observation.component.code.coding.code","fixedCode":"k"}`),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"component":[{"code":{"coding":[{"code":"j"},{"code":"k"}]}}]}`,
			[]string{`error Observation.component[0].code.coding[0].code: "j" is not the fixed value; expected "k"`},
		},
		{
			"by a binding", observation(`{"path":"Observation.category",`+slicing("value", "$this", "")+`},
				{"path":"Observation.category","sliceName":"colour","max":"1","binding":{"strength":"required","valueSet":"http://example.org/colours"}}`, colourSet),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"category":[{"coding":[{"system":"http://example.org/c","code":"red"}]},{"text":"x"},{"coding":[{"system":"http://example.org/c","code":"blue"}]}]}`,
			[]string{"error Observation: found 2 of slice colour of category; expected at most 1"},
		},
		{
			"by what exists", patient(`{"path":"Patient.name",` + slicing("exists", "period", "") + `},{"path":"Patient.name","sliceName":"past","max":"1"},{"path":"Patient.name.period","min":1},
				{"path":"Patient.name","sliceName":"present","max":"1"},{"path":"Patient.name.period","max":"0"}`),
			`{"resourceType":"Patient","name":[{"text":"a"},{"text":"b"},{"text":"c","period":{"start":"2000"}}]}`,
			[]string{"error Patient: found 2 of slice present of name; expected at most 1"},
		},
		{
			"by type of a choice", observation(`{"path":"Observation.component.value[x]",` + slicing("type", "$this", "") + `},
				{"path":"Observation.component.value[x]","sliceName":"valueQuantity","type":[{"code":"Quantity"}]},{"path":"Observation.component.value[x].unit","min":1}`),
			component(`"valueQuantity":{"value":1}`),
			[]string{"error Observation.component[0].value.ofType(Quantity): found 0 of element unit; expected at least 1"},
		},
		{"by type of a choice, another variant", observation(`{"path":"Observation.component.valueQuantity.unit","min":1}`), component(`"valueString":"x"`), nil},
		{
			"by type of a choice that is closed", observation(`{"path":"Observation.value[x]","slicing":{"discriminator":[{"type":"type","path":"$this"}],"rules":"closed"}},{"path":"Observation.valueQuantity","min":1}`),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueString":"x"}`,
			[]string{
				"error Observation.value.ofType(string): it is in none of the slices of value, and no others are allowed",
				"error Observation: found 0 of slice valueQuantity of value; expected at least 1",
			},
		},
		{
			"by type of what a reference leads to", observation(`{"path":"Observation.performer",` + slicing("type", "resolve()", "") + `},
				{"path":"Observation.performer","sliceName":"org","max":"1","type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Organization"]}]}`),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"performer":[{"reference":"Organization/1"},{"reference":"Patient/1"},{"reference":"#o"}],"contained":[{"resourceType":"Organization","id":"o"}]}`,
			[]string{"error Observation: found 2 of slice org of performer; expected at most 1"},
		},
		{
			"by profile of what a reference leads to",
			append(observation(`{"path":"Observation.performer",`+slicing("profile", "resolve()", "")+`},
				{"path":"Observation.performer","sliceName":"named","min":1,"type":[{"code":"Reference","targetProfile":["http://example.org/named"]}]}`),
				structure("http://example.org/named", "Organization", `{"path":"Organization.name","min":1}`)),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"performer":[{"reference":"#o"}],"contained":[{"resourceType":"Organization","id":"o","active":true}]}`,
			[]string{"error Observation: found 0 of slice named of performer; expected at least 1"},
		},
		{
			"what cannot be told makes no alarm",
			append(observation(`{"path":"Observation.performer",`+slicing("profile", "resolve()", "")+`},
				{"path":"Observation.performer","sliceName":"named","min":1,"type":[{"code":"Reference","targetProfile":["http://example.org/named"]}]}`),
				structure("http://example.org/named", "Organization", `{"path":"Organization.name","min":1}`)),
			`{"resourceType":"Observation","status":"final","code":{"text":"x"},"performer":[{"reference":"Organization/elsewhere"}]}`, nil,
		},
		{
			"by an extension", patient(`{"path":"Patient.address",` + slicing("value", "extension('http://example.org/kind').value", "") + `},{"path":"Patient.address","sliceName":"sea","min":1},
				{"path":"Patient.address.extension","sliceName":"kind","type":[{"code":"Extension","profile":["http://example.org/kind"]}]},{"path":"Patient.address.extension.value[x]","fixedCode":"sea"}`),
			`{"resourceType":"Patient","address":[{"text":"a","extension":[{"url":"http://example.org/other","valueCode":"sea"},{"url":"http://example.org/kind","valueCode":"land"}]}]}`,
			[]string{"error Patient: found 0 of slice sea of address; expected at least 1"},
		},
		{
			"re-slices", patient(`{"id":"Patient.identifier","path":"Patient.identifier",` + slicing("value", "system", "") + `},
				{"id":"Patient.identifier:a","path":"Patient.identifier","sliceName":"a",` + slicing("value", "use", "") + `},{"id":"Patient.identifier:a.system","path":"Patient.identifier.system","fixedUri":"urn:a"},
				{"id":"Patient.identifier:a/old","path":"Patient.identifier","sliceName":"a/old","max":"1"},{"id":"Patient.identifier:a/old.use","path":"Patient.identifier.use","fixedCode":"old"}`),
			`{"resourceType":"Patient","identifier":[{"system":"urn:a","use":"old"},{"system":"urn:b","use":"old"},{"system":"urn:a","use":"old"}]}`,
			[]string{"error Patient: found 2 of slice a/old of identifier; expected at most 1"},
		},
		{
			"the default slice has the rest", patient(`{"path":"Patient.identifier",` + slicing("value", "system", "") + `},{"path":"Patient.identifier","sliceName":"a"},{"path":"Patient.identifier.system","fixedUri":"urn:a"},
				{"path":"Patient.identifier","sliceName":"@default","max":"1"}`),
			ids("x", "a", "y"),
			[]string{"error Patient: found 2 of slice @default of identifier; expected at most 1"},
		},
		{
			"slices that nothing tells apart ask nothing", patient(`{"path":"Patient.name","sliceName":"a","min":1},{"path":"Patient.name.family","min":1}`),
			`{"resourceType":"Patient","name":[{"text":"a"}]}`, nil,
		},
	} {
		c.run(t)
	}
}
