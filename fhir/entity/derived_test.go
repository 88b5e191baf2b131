package entity

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDerivedResourcesAreKeptAndShown(t *testing.T) {
	data := AppendDerived([]byte("x"), []byte(sample), "Linkage/l-1", []string{"Condition/c-1", "MedicationStatement/m-1"})[1:]
	var r Reader
	for range 2 { // its memory is used again
		got, err := r.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		var refs []string
		for _, ref := range got.Derived.Resources {
			refs = append(refs, string(ref))
		}
		if diff := cmp.Diff([]string{"Condition/c-1", "MedicationStatement/m-1"}, refs); diff != "" || string(got.Derived.Linkage) != "Linkage/l-1" {
			t.Errorf("linkage %s, resources %s", got.Derived.Linkage, diff)
		}
		if without, _ := new(Reader).Read([]byte(sample)); !cmp.Equal(twinOf(without), twinOf(got)) {
			t.Error("the rest of the result is another one")
		}
	}
	if got, err := r.Read([]byte(sample)); err != nil || got.Derived.Linkage != nil || len(got.Derived.Resources) > 0 {
		t.Errorf("a result without derived resources has %+v, %v", got.Derived, err)
	}

	const group = `{"extension":[{"url":"http://healthlake.amazonaws.com/linkage","valueReference":{"reference":"Linkage/l-1"}},` +
		`{"url":"http://healthlake.amazonaws.com/nlp-entity","valueReference":{"reference":"Condition/c-1"}},` +
		`{"url":"http://healthlake.amazonaws.com/nlp-entity","valueReference":{"reference":"MedicationStatement/m-1"}}],` +
		`"url":"http://healthlake.amazonaws.com/system-generated-resources/"}`
	shown, err := AppendShown(nil, []byte(document), data)
	if err != nil || strings.Count(string(shown), group) != 1 {
		t.Errorf("shown as %s, %v", shown, err)
	}
	if again, err := AppendShown(nil, shown, data); err != nil || strings.Count(string(again), DerivedURL) != 1 || strings.Count(string(again), `"`+DecorationURL+`"`) != 1 {
		t.Errorf("shown again: %s, %v", again, err)
	}
	if plain, err := AppendShown(nil, []byte(document), []byte(sample)); err != nil || strings.Contains(string(plain), DerivedURL) {
		t.Errorf("a document of which nothing is derived is shown as %s, %v", plain, err)
	}
}
