package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/profile"
)

func TestRegenerationGivesTheCommittedBytes(t *testing.T) {
	archive := os.Getenv("FHIRLAKE_R4_PACKAGE")
	if archive == "" {
		t.Skip("FHIRLAKE_R4_PACKAGE does not name the archive of hl7.fhir.r4.examples@4.0.1")
	}
	want, err := generate(archive)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../base.gz")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("base.gz differs from what the generator writes")
	}
}

func TestSlimming(t *testing.T) {
	for _, c := range []struct{ name, resource, text, want string }{
		{
			"a profile keeps what it asks for", "StructureDefinition",
			`{"resourceType":"StructureDefinition","id":"x","url":"u","derivation":"constraint","text":{"div":"<div/>"},"snapshot":{},
				"differential":{"id":"y","element":[{"path":"Patient.name","short":"s","min":1,"patternString":"p","binding":{"strength":"required","description":"d"},"constraint":[{"key":"k","xpath":"x"}]}]}}`,
			`{"derivation":"constraint","differential":{"element":[{"binding":{"strength":"required"},"constraint":[{"key":"k"}],"min":1,"path":"Patient.name","patternString":"p"}]},"resourceType":"StructureDefinition","url":"u"}`,
		},
		{"a type of R4 is left out", "StructureDefinition", `{"derivation":"specialization"}`, ``},
		{
			"a value set keeps its codes", "ValueSet", `{"url":"u","title":"t","compose":{"lockedDate":"2000","include":[{"system":"s","concept":[{"code":"c","display":"C"}]}]}}`,
			`{"compose":{"include":[{"concept":[{"code":"c"}],"system":"s"}]},"url":"u"}`,
		},
		{
			"a code system keeps its hierarchy", "CodeSystem", `{"content":"complete","concept":[{"code":"a","definition":"d","concept":[{"code":"b","display":"B"}]}]}`,
			`{"concept":[{"code":"a","concept":[{"code":"b"}]}],"content":"complete"}`,
		},
		{"a code system without its codes is left out", "CodeSystem", `{"content":"fragment"}`, ``},
	} {
		got, err := slimmed(profile.Resource{Type: c.resource, JSON: []byte(c.text)})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if d := cmp.Diff(c.want, string(got)); d != "" {
			t.Errorf("%s: -want +got\n%s", c.name, d)
		}
	}
}
