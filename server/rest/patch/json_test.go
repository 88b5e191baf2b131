package patch

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/outcome"
)

func TestJSONPatch(t *testing.T) {
	const patient = `{"resourceType":"Patient","id":"p1","name":[{"family":"A","given":["B","C"]}],"multipleBirthInteger":1.00,"a/b":1,"m~n":2}`
	for _, c := range []struct {
		name, doc, patch, want string // want begins with "4" for a status and the error
	}{
		{"add a member", `{"a":1}`, `[{"op":"add","path":"/b","value":[1.50]}]`, `{"a":1,"b":[1.50]}`},
		{"add replaces a member in its place", `{"a":1,"b":2}`, `[{"op":"add","path":"/a","value":3}]`, `{"a":3,"b":2}`},
		{"add into an array", patient, `[{"op":"add","path":"/name/0/given/1","value":"X"}]`, strings.Replace(patient, `"B","C"`, `"B","X","C"`, 1)},
		{"add at the end of an array", patient, `[{"op":"add","path":"/name/0/given/-","value":"X"}]`, strings.Replace(patient, `"B","C"`, `"B","C","X"`, 1)},
		{"add the whole document", `{"a":1}`, `[{"op":"add","path":"","value":{"b":2}}]`, `{"b":2}`},
		{"add beyond the end", patient, `[{"op":"add","path":"/name/0/given/3","value":"X"}]`, "422 operation 0 of the JSON Patch, add /name/0/given/3: there is no place 3 in the array"},
		{"add below nothing", `{"a":1}`, `[{"op":"add","path":"/b/c","value":1}]`, "422 operation 0 of the JSON Patch, add /b/c: there is no member 'b'"},
		{"add below a scalar", `{"a":1}`, `[{"op":"add","path":"/a/c","value":1}]`, "422 operation 0 of the JSON Patch, add /a/c: 'c' is below a value that is no object or array"},
		{"index with a leading zero", `{"a":[1,2]}`, `[{"op":"remove","path":"/a/01"}]`, "422 operation 0 of the JSON Patch, remove /a/01: '01' is no index of an array"},
		{"minus is no index to remove", `{"a":[1,2]}`, `[{"op":"remove","path":"/a/-"}]`, "422 operation 0 of the JSON Patch, remove /a/-: '-' is no index of an array"},
		{"remove", patient, `[{"op":"remove","path":"/name/0/given"}]`, strings.Replace(patient, `,"given":["B","C"]`, "", 1)},
		{"remove what is not there", `{"a":1}`, `[{"op":"remove","path":"/b"}]`, "422 operation 0 of the JSON Patch, remove /b: there is no member 'b'"},
		{"replace keeps the place and other digits", patient, `[{"op":"replace","path":"/id","value":"p2"}]`, strings.Replace(patient, `"p1"`, `"p2"`, 1)},
		{"replace what is not there", `{"a":1}`, `[{"op":"replace","path":"/b","value":1}]`, "422 operation 0 of the JSON Patch, replace /b: there is no member 'b'"},
		{"move", `{"a":{"b":1.10},"c":{}}`, `[{"op":"move","from":"/a/b","path":"/c/d"}]`, `{"a":{},"c":{"d":1.10}}`},
		{"move within an array", `{"a":[1,2,3]}`, `[{"op":"move","from":"/a/0","path":"/a/2"}]`, `{"a":[2,3,1]}`},
		{"move into itself", `{"a":{}}`, `[{"op":"move","from":"/a","path":"/a/b"}]`, "400 operation 0 of the JSON Patch: it moves a value into itself"},
		{"copy is no alias", `{"a":{"b":1}}`, `[{"op":"copy","from":"/a","path":"/c"},{"op":"add","path":"/c/b","value":2}]`, `{"a":{"b":1},"c":{"b":2}}`},
		{"test numbers by value", patient, `[{"op":"test","path":"/multipleBirthInteger","value":1}]`, patient},
		{"test strings by value", `{"a":"\u00e9"}`, `[{"op":"test","path":"/a","value":"é"}]`, `{"a":"\u00e9"}`},
		{"test objects without order", `{"a":{"x":[true],"y":null}}`, `[{"op":"test","path":"/a","value":{"y":null,"x":[true]}}]`, `{"a":{"x":[true],"y":null}}`},
		{"test that fails undoes all", `{"a":1}`, `[{"op":"add","path":"/b","value":1},{"op":"test","path":"/a","value":2}]`, "422 operation 1 of the JSON Patch, test /a: the value is another one"},
		{"escapes of pointers", patient, `[{"op":"replace","path":"/a~1b","value":3},{"op":"remove","path":"/m~0n"}]`, strings.Replace(patient, `"a/b":1,"m~n":2`, `"a/b":3`, 1)},
		{"escapes of keys", `{"\u0061":1}`, `[{"op":"replace","path":"/a","value":2}]`, `{"\u0061":2}`},
		{"no operations", patient, `[]`, patient},
		{"unknown members are ignored", `{"a":1}`, `[{"op":"test","path":"/a","value":1,"comment":"x"}]`, `{"a":1}`},

		{"no JSON", `{}`, `[{]`, "400 not well-formed JSON: expected a key at byte 3"},
		{"no array", `{}`, `{}`, "400 a JSON Patch is an array of operations (RFC 6902, 3)"},
		{"unknown op", `{}`, `[{"op":"merge","path":""}]`, "400 operation 0 of the JSON Patch: op is none of add, remove, replace, move, copy, test"},
		{"no path", `{}`, `[{"op":"remove"}]`, "400 operation 0 of the JSON Patch: it has no path"},
		{"no pointer", `{}`, `[{"op":"remove","path":"a"}]`, "400 operation 0 of the JSON Patch: its path is no JSON Pointer: it does not begin with '/'"},
		{"bad escape", `{}`, `[{"op":"remove","path":"/a~2"}]`, "400 operation 0 of the JSON Patch: its path is no JSON Pointer: '~' stands before 0 or 1 only"},
		{"no value", `{}`, `[{"op":"add","path":"/a"}]`, "400 operation 0 of the JSON Patch: it has no value"},
		{"no from", `{}`, `[{"op":"copy","path":"/a"}]`, "400 operation 0 of the JSON Patch: it has no from"},
		{"a member twice", `{}`, `[{"op":"add","op":"test","path":"/a","value":1}]`, "400 operation 0 of the JSON Patch: member 'op' occurs twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := ReadJSON([]byte(c.patch))
			var got []byte
			if err == nil {
				got, err = p.Apply([]byte(c.doc), 1000)
			}
			if g := shown(t, got, err); g != c.want {
				t.Errorf("got  %s\nwant %s", g, c.want)
			}
		})
	}
}

// shown is the result, or the status and text of the fault.
func shown(t *testing.T, got []byte, err error) string {
	t.Helper()
	if err == nil {
		return string(got)
	}
	var f *outcome.Fault
	if !errors.As(err, &f) {
		t.Fatalf("%v is no fault", err)
	}
	return strconv.Itoa(f.Status()) + " " + f.Error()
}

func TestJSONPatchLimits(t *testing.T) {
	double := `{"op":"copy","from":"","path":"/a"},{"op":"copy","from":"","path":"/b"},`
	grow := "[" + strings.TrimSuffix(strings.Repeat(double, 40), ",") + "]"
	deep := `[{"op":"add","path":"/a","value":` + strings.Repeat("[", 3000) + "1" + strings.Repeat("]", 3000) + `},
		{"op":"copy","from":"/a","path":"/a` + strings.Repeat("/0", 1500) + `"}]`
	work := `[{"op":"add","path":"/a","value":[` + strings.TrimSuffix(strings.Repeat("1,", 50_000), ",") + `]}` + strings.Repeat(`,{"op":"move","from":"/a","path":"/b"},{"op":"move","from":"/b","path":"/a"}`, 1000) + `]`
	for _, c := range []struct {
		name, patch string
		limit       int
		want        string
	}{
		{"growth", grow, 1 << 20, "413"},
		{"depth", deep, 1 << 30, "422"},
		{"work", work, 1 << 20, "422"},
	} {
		p, err := ReadJSON([]byte(c.patch))
		if err == nil {
			_, err = p.Apply([]byte(`{"x":[1,2,3]}`), c.limit)
		}
		if err == nil || !strings.HasPrefix(shown(t, nil, err), c.want) {
			t.Errorf("%s: %v, want status %s", c.name, err, c.want)
		}
	}
	if _, err := ReadJSON([]byte("[" + strings.Repeat(`{},`, maxOperations) + "{}]")); err == nil {
		t.Error("more operations than the limit are read")
	}
	if _, err := readValue([]byte(strings.Repeat("[", 1<<20))); err == nil {
		t.Error("more levels than the limit are read")
	}
}

func FuzzJSONPatch(f *testing.F) {
	f.Add([]byte(`[{"op":"add","path":"/a/-","value":[1.0]}]`), []byte(`{"a":[{"b":null}]}`))
	f.Add([]byte(`[{"op":"move","from":"/a/0","path":"/b"},{"op":"copy","from":"","path":"/a/0"}]`), []byte(`{"a":["\u0000é"]}`))
	f.Fuzz(func(t *testing.T, patch, doc []byte) {
		p, err := ReadJSON(patch)
		if err != nil {
			return
		}
		got, err := p.Apply(doc, 1<<16)
		if err != nil {
			return
		}
		if len(got) > len(doc)+1<<16 {
			t.Fatalf("the result has %d bytes", len(got))
		}
		if _, err := readValue(got); err != nil {
			t.Fatalf("the result %q: %v", got, err)
		}
	})
}
