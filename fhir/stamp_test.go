package fhir_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// tree parses one resource, which must be valid.
func tree(t *testing.T, text string) (*fhir.Tree, fhir.NodeID) {
	t.Helper()
	tr, res := parsed(text)
	if res.Failed() {
		t.Fatalf("%s: %v", text, res.Issues)
	}
	return tr, res.Root
}

func parsed(text string) (*fhir.Tree, parse.Result) {
	tr := &fhir.Tree{}
	data := make([]byte, len(text), len(text)+16)
	copy(data, text)
	tr.Reset(data)
	return tr, parse.NewParser().Parse(tr, 0, uint32(len(text)))
}

const stamp = `"versionId":"3","lastUpdated":"2026-01-02T03:04:05.000Z"`

func TestStampSetsVersionAndTimeAndNothingElse(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"no meta": {
			`{"resourceType":"Basic","id":"a","code":{"text":"x"}}`,
			`{"resourceType":"Basic","id":"a","meta":{` + stamp + `},"code":{"text":"x"}}`,
		},
		"no meta and the id last": {
			`{"resourceType":"Basic","code":{"text":"x"},"id":"a"}`,
			`{"resourceType":"Basic","code":{"text":"x"},"id":"a","meta":{` + stamp + `}}`,
		},
		"meta without version": {
			`{"resourceType":"Basic","id":"a","meta":{"profile":["http://p"]},"code":{"text":"x"}}`,
			`{"resourceType":"Basic","id":"a","meta":{` + stamp + `,"profile":["http://p"]},"code":{"text":"x"}}`,
		},
		"meta with another version": {
			`{"resourceType":"Basic","meta":{"versionId":"9","source":"urn:s","lastUpdated":"2020-01-01T00:00:00Z"},"id":"a","code":{"text":"x"}}`,
			`{"resourceType":"Basic","meta":{` + stamp + `,"source":"urn:s"},"id":"a","code":{"text":"x"}}`,
		},
		"white space stays": {
			`{ "resourceType" : "Basic", "id":"a" , "meta" : { "versionId" : "1" , "source":"urn:s" } ,"code":{"text":"x"} }`,
			`{ "resourceType" : "Basic", "id":"a" , "meta" : {` + stamp + `,"source":"urn:s"} ,"code":{"text":"x"} }`,
		},
	} {
		tr, root := tree(t, tc.in)
		if got := string(fhir.AppendStamped(nil, tr, root, 3, "2026-01-02T03:04:05.000Z")); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tc.want)
		}
	}
}

func TestStampOfFaultyMeta(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"a version that is no string": {
			`{"resourceType":"Basic","id":"a","meta":{"versionId":9,"lastUpd\u0061ted":{"a":[1]},"source":"urn:s"}}`,
			`{"resourceType":"Basic","id":"a","meta":{` + stamp + `,"source":"urn:s"}}`,
		},
		"unknown members, with quotes in their names": {
			`{"resourceType":"Basic","id":"a","meta":{"a\"b\\" : 1,"\\":"x","\"":[]}}`,
			`{"resourceType":"Basic","id":"a","meta":{` + stamp + `,"a\"b\\" : 1,"\\":"x","\"":[]}}`,
		},
		"an empty object": {
			`{"resourceType":"Basic","id":"a","meta":{}}`,
			`{"resourceType":"Basic","id":"a","meta":{` + stamp + `}}`,
		},
	} {
		tr, res := parsed(tc.in)
		if !res.Failed() {
			t.Errorf("%s: the parser finds no fault in it", name)
		}
		got := string(fhir.AppendStamped(nil, tr, res.Root, 3, "2026-01-02T03:04:05.000Z"))
		if got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tc.want)
		}
		before := string(fhir.AppendContent(nil, tr, res.Root))
		tr, res = parsed(got)
		if after := string(fhir.AppendContent(nil, tr, res.Root)); after != before {
			t.Errorf("%s: the content changes with the stamp:\n%q\n%q", name, before, after)
		}
	}
}

func TestKeyIsTheTextBeforeTheValue(t *testing.T) {
	tr, res := parsed(`{"resourceType":"Patient" , "_birthDate" : {"id":"x"},"a\\\"b":"c\"","\\":[1],"":null}`)
	var got []string
	for c := tr.FirstChild(res.Root); c != fhir.NoNode; c = tr.NextSibling(res.Root, c) {
		got = append(got, string(tr.Key(c)))
	}
	if diff := cmp.Diff([]string{"resourceType", "_birthDate", `a\\\"b`, `\\`, ""}, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestContentIsTheSameBeforeAndAfterTheStamp(t *testing.T) {
	for _, in := range []string{
		`{"resourceType":"Basic","id":"a","code":{"text":"x"}}`,
		`{"resourceType":"Basic","code":{"text":"x"},"id":"a"}`,
		`{"meta":{"profile":["http://p"]},"resourceType":"Basic","id":"a","code":{"text":"x"}}`,
		`{"resourceType":"Basic","id":"a","code":{"text":"x"},"meta":{"versionId":"7"}}`,
		`{"resourceType":"Basic","id":"a","meta":{"lastUpdated":"2020-01-01T00:00:00Z","tag":[{"code":"t"}],"security":[{"code":"s"}]},"code":{"text":"x"}}`,
		`{ "resourceType":"Basic" , "meta" : { "versionId" : "7" } , "id":"a","code":{"text":"x"}}`,
		`{ "meta" : { "source" : "urn:s" } , "resourceType":"Basic", "id":"a","code":{"text":"x"}}`,
		`{"resourceType":"Basic","id":"a","extension":[ {"url":"http://v","valueCode":"c"} , {"url":"http://w","valueCode":"c"} ],"code":{"text":"x"}}`,
		`{"meta":{"versionId":"7"},"extension":[{"url":"http://v","valueCode":"c"}],"resourceType":"Basic","id":"a","code":{"text":"x"}}`,
	} {
		tr, root := tree(t, in)
		before := string(fhir.AppendContent(nil, tr, root))
		var buf []byte
		if got := string(fhir.Content(&buf, tr, root)); got != before {
			t.Errorf("Content gives %s, AppendContent %s", got, before)
		}
		stamped := string(fhir.AppendStamped(nil, tr, root, 12, "2026-01-02T03:04:05.000Z"))
		tr, root = tree(t, stamped)
		if after := string(fhir.AppendContent(nil, tr, root)); after != before {
			t.Errorf("%s:\nbefore %q\nafter  %q", in, before, after)
		}
		shown := []byte(stamped)
		for _, url := range derived {
			shown = fhir.AppendExtended(nil, shown, url, []byte(`{"extension":[{"url":"`+url+`x","valueString":"x"}],"url":"`+url+`"}`))
			tr, root = tree(t, string(shown))
			if after := string(fhir.Content(&buf, tr, root)); after != before {
				t.Errorf("%s:\nbefore %q\nshown  %q", in, before, after)
			}
		}
	}
}

// derived are the extensions that show what is derived.
var derived = []string{fhir.ValidationIssueURL, fhir.DecorationURL, fhir.GeneratedURL}

func TestOnlyWholeURLsAreDerived(t *testing.T) {
	for _, url := range derived {
		if !fhir.IsDerivedURL(url) || fhir.IsDerivedURL(url+"x") || fhir.IsDerivedURL(url[:len(url)-1]) {
			t.Errorf("%s, or one like it, is not told", url)
		}
	}
}

func TestContentLeavesOutWhatIsDerived(t *testing.T) {
	for _, url := range derived {
		testDerived(t, `{"valueString":"x","url":"`+url+`"}`)
	}
}

func testDerived(t *testing.T, ours string) {
	t.Helper()
	for in, want := range map[string]string{
		`{"resourceType":"Basic","extension":[` + ours + `],"id":"a"}`:                               `{"resourceType":"Basic","id":"a"}`,
		`{"extension":[` + ours + `],"resourceType":"Basic","id":"a"}`:                               `{"resourceType":"Basic","id":"a"}`,
		`{"meta":{"versionId":"1"},"extension":[` + ours + `],"resourceType":"Basic"}`:               `{"resourceType":"Basic"}`,
		`{"extension":[` + ours + `] , "meta":{"versionId":"1"},"resourceType":"Basic"}`:             `{ "resourceType":"Basic"}`,
		`{"resourceType":"Basic","extension":[` + ours + `,{"url":"u"}, ` + ours + `]}`:              `{"resourceType":"Basic","extension":[{"url":"u"}]}`,
		`{"resourceType":"Basic","extension":[{"url":"u"},5,` + ours + `,{"url":"v"}]}`:              `{"resourceType":"Basic","extension":[{"url":"u"},5,{"url":"v"}]}`,
		`{"resourceType":"Basic","contained":[{"resourceType":"Basic","extension":[` + ours + `]}]}`: `{"resourceType":"Basic","contained":[{"resourceType":"Basic","extension":[` + ours + `]}]}`,
		`{"resourceType":"Basic","extension":[{"url":"u","extension":[` + ours + `]}]}`:              `{"resourceType":"Basic","extension":[{"url":"u","extension":[` + ours + `]}]}`,
		`{"resourceType":"Basic","modifierExtension":[` + ours + `]}`:                                `{"resourceType":"Basic","modifierExtension":[` + ours + `]}`,
		`{"resourceType":"Basic","extension":` + ours + `}`:                                          `{"resourceType":"Basic","extension":` + ours + `}`,
	} {
		tr, res := parsed(in)
		if got := string(fhir.AppendContent(nil, tr, res.Root)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestContentTellsResourcesApart(t *testing.T) {
	seen := map[string]string{}
	for _, in := range []string{
		`{"resourceType":"Basic","id":"a","code":{"text":"x"}}`,
		`{"resourceType":"Basic","id":"a","code":{"text":"y"}}`,
		`{"resourceType":"Basic","id":"a","meta":{"source":"urn:s"},"code":{"text":"x"}}`,
		`{"resourceType":"Basic","id":"a","meta":{"source":"urn:t"},"code":{"text":"x"}}`,
		`{"resourceType":"Basic","id":"a","meta":{"source":"urn:s","tag":[{"code":"t"}]},"code":{"text":"x"}}`,
	} {
		tr, root := tree(t, in)
		c := string(fhir.AppendContent(nil, tr, root))
		if other, ok := seen[c]; ok {
			t.Errorf("the same content:\n%s\n%s", other, in)
		}
		seen[c] = in
	}
}

func TestOneLineKeepsAllButTheBreaks(t *testing.T) {
	b := []byte("{\n  \"a\": 1,\r\n\n\"b\":2\n}")
	fhir.OneLine(b)
	if want := "{   \"a\": 1,\r  \"b\":2 }"; string(b) != want {
		t.Errorf("got %q, want %q", b, want)
	}
}

func TestUnescapedIsWhatEncodingJSONDecodes(t *testing.T) {
	for _, s := range []string{
		``, `plain`, `a\"b\\c\/d`, `\b\f\n\r\t`, `\u00e9\u4e2d`, `\ud83d\ude00!`, `caf\u00e9 \u0041`, `é中😀`,
	} {
		var want string
		if err := json.Unmarshal([]byte(`"`+s+`"`), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(fhir.AppendUnescaped(nil, []byte(s)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s, diff)
		}
	}
}

func FuzzQuotedStringsDecodeToTheSame(f *testing.F) {
	f.Add("plain")
	f.Add("q\"\\\n\x00\x7fé\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		q := fhir.AppendQuoted(nil, s)
		var got string
		if err := json.Unmarshal(q, &got); err != nil {
			t.Fatalf("%q gives %q: %v", s, q, err)
		}
		if want := string(bytes.ToValidUTF8([]byte(s), []byte("\ufffd"))); len(want) == len(s) && got != want {
			t.Errorf("%q came back as %q", want, got)
		}
		if un := fhir.AppendUnescaped(nil, q[1:len(q)-1]); string(un) != got {
			t.Errorf("AppendUnescaped gives %q, encoding/json %q", un, got)
		}
	})
}
