package beside_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

var (
	issues = beside.Value{Kind: beside.Issues, Data: []byte(`[{"severity":"error","code":"value","diagnostics":"odd"}]`)}
	nlp    = beside.Value{Kind: beside.NLP, Data: []byte(`{"engine":"7","dictionary":"ab","texts":[{"path":"content[0].attachment","status":"SUCCESS"}]}`)}
	other  = beside.Value{Kind: "zzz", Data: []byte(`1`)}
)

// byHand shows a resource with issues, if there are any, and then with NLP.
func byHand(t *testing.T, resource string, v beside.Values) string {
	t.Helper()
	text := []byte(resource)
	if data := v.Of(beside.Issues); data != nil {
		list, err := outcome.ParseIssues(data)
		if err != nil {
			t.Fatal(err)
		}
		text = outcome.AppendShown(nil, text, list)
	}
	if data := v.Of(beside.NLP); data != nil {
		var err error
		if text, err = entity.AppendShown(nil, text, data); err != nil {
			t.Fatal(err)
		}
	}
	return string(text)
}

func TestAResourceIsShownWithAllThatIsBesideIt(t *testing.T) {
	const document = `{"resourceType":"DocumentReference","id":"a","extension":[{"url":"http://e","valueCode":"c"}],"status":"current"}`
	for name, tc := range map[string]struct {
		kept beside.Values
		urls []string // of its extensions
	}{
		"nothing":             {nil, nil},
		"issues":              {beside.Values{issues}, []string{fhir.ValidationIssueURL}},
		"NLP":                 {beside.Values{nlp}, []string{fhir.DecorationURL}},
		"both":                {beside.Values{issues, nlp}, []string{fhir.ValidationIssueURL, fhir.DecorationURL}},
		"a kind of tomorrow":  {beside.Values{other}, nil},
		"that and one of now": {beside.Values{nlp, other}, []string{fhir.DecorationURL}},
	} {
		got, err := beside.AppendShown([]byte("before "), r4.TypeDocumentReference, []byte(document), tc.kept)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff("before "+byHand(t, document, tc.kept), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, url := range []string{fhir.ValidationIssueURL, fhir.DecorationURL} {
			want := strings.Contains(strings.Join(tc.urls, " "), url)
			if strings.Contains(string(got), `"url":"`+url+`"`) != want {
				t.Errorf("%s: extension %s: want %v: %s", name, url, want, got)
			}
		}
		again, err := beside.AppendShown(nil, r4.TypeDocumentReference, got[len("before "):], tc.kept)
		if err != nil || string(again) != string(got[len("before "):]) {
			t.Errorf("%s, shown again: %v\n%s\n%s", name, err, got, again)
		}
	}
}

func TestTypesWithoutExtensionsAreShownAsTheyAre(t *testing.T) {
	for _, typ := range r4.ResourceTypes() {
		text := `{"resourceType":"` + typ.String() + `","id":"a"}`
		got, err := beside.AppendShown(nil, typ, []byte(text), beside.Values{issues, nlp})
		if err != nil {
			t.Fatal(err)
		}
		want := typ == r4.TypeBundle || typ == r4.TypeBinary || typ == r4.TypeParameters
		if (string(got) == text) != want || beside.Shows(typ) == want {
			t.Errorf("%s is shown as %s", typ, got)
		}
	}
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	for _, k := range []beside.Kind{beside.Issues, beside.NLP} {
		got, err := beside.AppendShown([]byte("before"), r4.TypePatient, []byte(`{}`), beside.Values{{Kind: k, Data: []byte(`{"secret`)}})
		if err == nil || string(got) != "before" || !strings.Contains(err.Error(), string(k)) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %s, %v", k, got, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, v := range map[string]beside.Values{
		"falling":          {nlp, issues},
		"twice":            {nlp, nlp},
		"empty":            {{Kind: beside.NLP}},
		"without a name":   {{Data: []byte("1")}},
		"letters":          {{Kind: "NLP", Data: []byte("1")}},
		"a way out":        {{Kind: "../x", Data: []byte("1")}},
		"a very long name": {{Kind: beside.Kind(strings.Repeat("x", beside.MaxKind+1)), Data: []byte("1")}},
	} {
		if v.Check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
	all := beside.Values{issues, nlp, other}
	if err := all.Check(); err != nil {
		t.Error(err)
	}
	if n := len(issues.Data) + len(nlp.Data) + len(other.Data); all.Size() != n {
		t.Errorf("%d bytes, want %d", all.Size(), n)
	}
	if all.Of("none") != nil || string(all.Of("zzz")) != "1" {
		t.Error("Of gives what is not asked for")
	}
	for _, k := range []beside.Kind{beside.Issues, beside.NLP, "zzz"} {
		if got := beside.KindOf([]byte(k)); got != k {
			t.Errorf("%s came back as %s", k, got)
		}
	}
}
