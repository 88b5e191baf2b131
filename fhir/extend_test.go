package fhir_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
)

func TestExtensionIsPutInAndAllElseStays(t *testing.T) {
	const ext = `{"url":"u","valueString":"x"}`
	for name, tc := range map[string]struct{ in, want string }{
		"no extension": {
			`{"resourceType":"Patient","id":"a"}`,
			`{"resourceType":"Patient","id":"a","extension":[` + ext + `]}`,
		},
		"no member at all": {`{}`, `{"extension":[` + ext + `]}`},
		"white space stays": {
			` { "resourceType" : "Patient" , "id" : "a" } `,
			` { "resourceType" : "Patient" , "id" : "a","extension":[` + ext + `] } `,
		},
		"after the extensions that are there": {
			`{"extension":[ {"url":"v","valueCode":"c"} ] ,"id":"a"}`,
			`{"extension":[ {"url":"v","valueCode":"c"},` + ext + ` ] ,"id":"a"}`,
		},
		"an empty array": {`{"extension":[ ],"id":"a"}`, `{"extension":[` + ext + ` ],"id":"a"}`},
		"in the place of an older one": {
			`{"extension":[{"url":"u","valueString":"old"}],"id":"a"}`,
			`{"extension":[` + ext + `],"id":"a"}`,
		},
		"in the place of an older one among others": {
			`{"extension":[ {"url":"u"}, {"url":"v"}, {"valueString":"]}","ur\u006c":"\u0075"} , {"url":"w"} ]}`,
			`{"extension":[{"url":"v"} , {"url":"w"},` + ext + ` ]}`,
		},
		"extensions further down do not count": {
			`{"name":[{"extension":[{"url":"u"}]}],"contained":[{"resourceType":"Basic","extension":[{"url":"u"}]}]}`,
			`{"name":[{"extension":[{"url":"u"}]}],"contained":[{"resourceType":"Basic","extension":[{"url":"u"}]}],"extension":[` + ext + `]}`,
		},
		"names in strings are no members": {
			`{"text":"\"extension\":[]","b":"\\","c":"\\\""}`,
			`{"text":"\"extension\":[]","b":"\\","c":"\\\"","extension":[` + ext + `]}`,
		},
		"an escaped name":           {`{"ext\u0065nsion":[1]}`, `{"ext\u0065nsion":[1,` + ext + `]}`},
		"the name's twin":           {`{"_extension":[1]}`, `{"_extension":[1],"extension":[` + ext + `]}`},
		"an object in its place":    {`{"extension":{"url":"v"},"id":"a"}`, `{"extension":[{"url":"v"},` + ext + `],"id":"a"}`},
		"a number in its place":     {`{"extension":-1e5}`, `{"extension":[-1e5,` + ext + `]}`},
		"a string in its place":     {`{"extension":"a]\"","id":"a"}`, `{"extension":["a]\"",` + ext + `],"id":"a"}`},
		"null in its place":         {`{"extension":null}`, `{"extension":[null,` + ext + `]}`},
		"two of them":               {`{"extension":[1],"extension":[2]}`, `{"extension":[1],"extension":[2,` + ext + `]}`},
		"items that are no objects": {`{"extension":["u",{"url":["u"]}]}`, `{"extension":["u",{"url":["u"]},` + ext + `]}`},
		"no object":                 {`[1]`, `[1]`},
		"nothing":                   {``, ``},
	} {
		if got := string(fhir.AppendExtended(nil, []byte(tc.in), "u", []byte(ext))); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tc.want)
		}
	}
}

// FuzzAppendExtended compares with what decoding, adding and encoding gives.
func FuzzAppendExtended(f *testing.F) {
	f.Add([]byte(`{"a":[{"b":"\"}"}],"extension":[{"url":"u"},{"url":"v"},3]}`))
	f.Add([]byte(`{"extension":{"x":[]},"b":-1.5e3}`))
	f.Add([]byte(`{"a" "b"}`))
	f.Add([]byte(`{"":{`))
	ext := map[string]any{"url": "u", "valueString": "x"}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := fhir.AppendExtended(nil, text, "u", []byte(`{"url":"u","valueString":"x"}`))
		var want map[string]any
		if json.Unmarshal(text, &want) != nil || want == nil || bytes.Count(text, []byte("xtension")) > 1 || bytes.Count(text, []byte(`\u`)) > 0 {
			return // not what is stored, or with repeated keys, of which the decoder merges the values
		}
		if bytes.Count(text, []byte("url")) > 1 {
			return // likewise, within an extension
		}
		list, isList := want["extension"].([]any)
		var kept []any
		if v, ok := want["extension"]; ok && !isList {
			kept = []any{v}
		}
		for _, v := range list {
			if o, ok := v.(map[string]any); !ok || o["url"] != "u" {
				kept = append(kept, v)
			}
		}
		want["extension"] = append(kept, ext)
		var have map[string]any
		if err := json.Unmarshal(got, &have); err != nil {
			t.Fatalf("%s gives %s: %v", text, got, err)
		}
		if !reflect.DeepEqual(want, have) {
			t.Errorf("%s gives %s, want %v", text, got, want)
		}
	})
}
