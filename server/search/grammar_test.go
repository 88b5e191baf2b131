package search_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	fhirsearch "github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search"
)

func parseQuery(t testing.TB, typ, query string, strict bool) (*search.Query, error) {
	t.Helper()
	return search.Parse(search.Scope{
		Table: fhirsearch.R4(), Type: r4.ResourceTypeByName([]byte(typ)), Base: base, Strict: strict,
	}, params(t, query))
}

func TestFaultsOfQueriesAreToldByName(t *testing.T) {
	for _, tt := range []struct {
		typ, query, want string
		kind             outcome.Kind
	}{
		{"Patient", "colour=red", "parameter 'colour' is not known for Patient", outcome.Malformed},
		{"Patient", "gender=", "parameter 'gender' has no value", outcome.Malformed},
		{"Patient", "gender:exact=male", "the modifier 'exact' is not answered", outcome.Malformed},
		{"Patient", "gender:in=http://example.org/vs", "the modifier 'in' is not answered", outcome.Malformed},
		{"Patient", "name:missing=maybe", "'maybe' is neither true nor false", outcome.Malformed},
		{"Patient", "birthdate=yesterday", "'yesterday' is no date or time", outcome.Malformed},
		{"Patient", "birthdate=ge", "'ge' is no date or time", outcome.Malformed},
		{"Patient", "gender=male,,female", "an empty value", outcome.Malformed},
		{"Patient", "identifier=a|b|c", "more than one |", outcome.Malformed},
		{"Patient", "identifier=|", "neither system nor code", outcome.Malformed},
		{"Patient", "identifier:of-type=a|b", "is not system|code|value", outcome.Malformed},
		{"Patient", "name.family=x", "name is no reference", outcome.Malformed},
		{"Patient", "organization.colour=x", "is not known", outcome.Malformed},
		{"Patient", "organization:Patient.name=x", "does not point to Patient", outcome.Malformed},
		{"Patient", "organization:Nobody.name=x", "'Nobody' is no resource type", outcome.Malformed},
		{"Patient", "_has:Observation:patient=x", "expected _has:Type:reference:parameter", outcome.Malformed},
		{"Patient", "_has:Observation:code:code=x", "code is no reference", outcome.Malformed},
		{"Device", "_has:Encounter:patient:class=x", "does not point to Device", outcome.Malformed},
		{"Patient", "_sort=colour", "no parameter of these resources: 'colour'", outcome.Malformed},
		{"Patient", "_sort=name&_sort=gender", "_sort is given twice", outcome.Malformed},
		{"Patient", "_count=-1", "'-1' is no number", outcome.Malformed},
		{"Patient", "_total=maybe", "none of none, estimate, accurate", outcome.Malformed},
		{"Patient", "_summary=all", "none of true, text", outcome.Malformed},
		{"Patient", "_include=Patient", "is not Type:parameter:Target", outcome.Malformed},
		{"Patient", "_include=Patient:name", "name is no reference", outcome.Malformed},
		{"Patient", "_include=Patient:colour", "does not have: 'colour'", outcome.Malformed},
		{"Patient", "_content=x", "words of texts are not indexed", outcome.Malformed},
		{"Patient", "_page=AAAA", "no page of this search", outcome.Malformed},
		{"Observation", "value-quantity=5|mg", "is not number|system|code", outcome.Malformed},
		{"Observation", "value-quantity=five", "'five' is no number", outcome.Malformed},
		{"Observation", "code-value-quantity=a", "as many parts", outcome.Malformed},
		{"Observation", "code-value-quantity=a$", "an empty part", outcome.Malformed},
		{"Observation", "subject:Device=Patient/1", "is no Device", outcome.Malformed},
		{"Patient", strings.Repeat("gender=male&name=", 1) + strings.Repeat("x,", 6000) + "x", "more than 5000 values", outcome.TooCostly},
		{"Patient", strings.Repeat("link:Patient.", 30) + "name=x", "more than 16 hops", outcome.TooCostly},
		{"", "colour=red", "not known for all of these types", outcome.Malformed},
		{"", "_type=Nobody&_id=1", "'Nobody' is no resource type", outcome.Malformed},
	} {
		s := search.Scope{Table: fhirsearch.R4(), Type: r4.ResourceTypeByName([]byte(tt.typ)), Strict: true}
		_, err := search.Parse(s, params(t, tt.query))
		if strings.Contains(tt.query, "_page") { // which only the index can tell
			_, err = emptyStore(t).search(tt.typ, tt.query)
		}
		var f *outcome.Fault
		if !errors.As(err, &f) || f.Kind != tt.kind || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s?%s: %v, want %q", tt.typ, clip(tt.query), err, tt.want)
		}
	}
}

func clip(s string) string { return s[:min(len(s), 60)] }

func TestWhatIsNotKnownIsLeftOutAndTold(t *testing.T) {
	q, err := parseQuery(t, "Patient", "gender=male&colour=red&_content=x&_sort=colour&name=&_contained=true&gender=male", false)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]search.Param{{Name: "gender", Value: "male"}}, q.Kept); d != "" {
		t.Errorf("kept (-want +got):\n%s", d)
	}
	var names []string
	for _, x := range q.Ignored {
		names = append(names, x.Name)
	}
	if d := cmp.Diff([]string{"colour", "_content", "_sort", "name", "_contained"}, names); d != "" {
		t.Errorf("left out (-want +got):\n%s", d)
	}
	if len(q.Conditions) != 1 {
		t.Errorf("%d conditions, want 1: the same one twice is one", len(q.Conditions))
	}
}

func TestEscapes(t *testing.T) {
	q, err := parseQuery(t, "Patient", `name:exact=a\,b,c\|d,e\$f,g\\h,i\j`, true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range q.Conditions[0].Leaf.Values {
		got = append(got, v.Text)
	}
	if d := cmp.Diff([]string{"a,b", "c|d", "e$f", `g\h`, `i\j`}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	q, err = parseQuery(t, "Patient", `identifier=urn:a\|b|c\|d`, true)
	if err != nil {
		t.Fatal(err)
	}
	if v := q.Conditions[0].Leaf.Values[0]; v.System != "urn:a|b" || v.Code != "c|d" {
		t.Errorf("system %q, code %q", v.System, v.Code)
	}
}

func TestValuesThatAreNoTextAreRefused(t *testing.T) {
	for _, value := range []string{"a\x00b", "a\xffb"} {
		_, err := search.Parse(search.Scope{Table: fhirsearch.R4(), Type: r4.TypePatient}, []search.Param{{Name: "name", Value: value}})
		if err == nil {
			t.Errorf("%q was taken", value)
		}
	}
}

// FuzzSearch: any query gets an answer or is refused as a fault of its sender, and never
// becomes an SQL text that DuckDB refuses.
func FuzzSearch(f *testing.F) {
	for _, q := range hostile {
		f.Add(q[0], q[1])
	}
	s := newStore(f, nil)
	f.Fuzz(func(t *testing.T, typ, query string) {
		var list []search.Param
		for part := range strings.SplitSeq(query, "&") {
			name, value, _ := strings.Cut(part, "=")
			list = append(list, search.Param{Name: name, Value: value})
		}
		q, err := search.Parse(search.Scope{Table: fhirsearch.R4(), Type: r4.ResourceTypeByName([]byte(typ)), Base: base}, list)
		if err == nil {
			_, err = s.index.Search(t.Context(), q, false)
		}
		var fault *outcome.Fault
		if err != nil && !errors.As(err, &fault) {
			t.Errorf("%s?%s: %v", typ, query, err)
		}
	})
}

// hostile has SQL and broken escapes in every position.
var hostile = [][2]string{
	{"Patient", `name=';DROP TABLE x;--`},
	{"Patient", `name:contains=%' OR 1=1 --`},
	{"Patient", `name:exact='"\`},
	{"Patient", `'; SELECT 1 --=x`},
	{"Patient", `name:';--=x`},
	{"Patient", `_id=' OR ''='`},
	{"", `_id=a',b\',c''&_type=Patient`},
	{"Patient", `gender=male';--`},
	{"Patient", `identifier=';--|';--`},
	{"Patient", `birthdate=ge2020';--`},
	{"Patient", `birthdate=ap1600,ne0001,sa9999-12-31`},
	{"Patient", `organization.name=';--`},
	{"Patient", `organization:Organization';.name=x`},
	{"Patient", `_has:Observation:patient:code=';--`},
	{"Patient", `_has:Observation:patient:_has:Provenance:target:agent=';--`},
	{"Patient", `_sort=name';--`},
	{"Patient", `_sort=-birthdate,name,gender,_id,_lastUpdated,organization,link,email`},
	{"Patient", `_include=Patient:organization';--&_revinclude=Observation:patient:';`},
	{"Patient", `_include=*&_revinclude=Provenance:*&_count=3`},
	{"Observation", `value-quantity=5.4e2|http://unitsofmeasure.org|mg,ap1e400,lt-1e-400||';--`},
	{"Observation", `code-value-quantity=a|b$lt5|';--|'`},
	{"Observation", `component-code-value-quantity=a$5&combo-code=x&subject:missing=true&code:not=x&code:text=';--`},
	{"Observation", `value-date=1&value-string=\&value-concept:of-type=a|b|c`},
	{"Observation", `_lastUpdated=ap2020&_tag=a|&_profile:below=http://'&_source:above=http://a/b/c`},
	{"ValueSet", `url:below=';--&url:above=a/b/';--&version=1&reference=http://example.org/x|2`},
	{"", `_lastUpdated=gt2000`},
	{"", `_count=0`},
	{"List", `_list=';--`},
	{"Location", `near=1|2|3`},
	{"Encounter", `length=gt5||min`},
	{"RiskAssessment", `probability=ap0.5,ne1,eb-5`},
	{"MolecularSequence", `window-start=1`},
	{"Patient", `_page=AAAA`},
	{"Patient", `phonetic=x&telecom=mail\,to`},
	{"Patient", "name=\\"},
	{"Patient", `address:contains=,`},
	{"Patient", `a=1&a=1&a=1`},
}

func TestHostileQueriesAreAnsweredOrRefused(t *testing.T) {
	s := emptyStore(t)
	for _, h := range hostile {
		name := strings.ReplaceAll(strings.ReplaceAll(h[1], "%", "%25"), ";", "%3B")
		_, err := s.search(h[0], name)
		var f *outcome.Fault
		if err != nil && !errors.As(err, &f) {
			t.Errorf("%s?%s: %v", h[0], h[1], err)
		}
	}
}
