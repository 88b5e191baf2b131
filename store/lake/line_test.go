package lake

import (
	"encoding/json"
	"testing"
)

func TestReadHeadFindsWhatALineSaysOfItself(t *testing.T) {
	for name, c := range map[string]struct{ line, typ, id, updated string }{
		"first":                     {`{"resourceType":"Patient","id":"a","meta":{"versionId":"1","lastUpdated":"T"}}`, "Patient", "a", "T"},
		"last, with white space":    {"{ \"x\" : [ {\"id\":\"no\"} , \"}\" ] ,\t\"n\" : -1.5e3 , \"meta\" : { \"lastUpdated\" : \"T\" } , \"id\" : \"a\" , \"resourceType\" : \"Patient\" }", "Patient", "a", "T"},
		"escapes":                   {`{"x\"id":"\\","resourceType":"P\u0061tient","id":"\u0061","meta":{"tag":[{"lastUpdated":"no"}],"lastUpdated":"T"}}`, "Patient", "a", "T"},
		"members of the same names": {`{"contained":[{"resourceType":"Device","id":"no"}],"resourceType":"Patient","id":"a","meta":{"lastUpdated":"T"}}`, "Patient", "a", "T"},
	} {
		h, err := readHead([]byte(c.line), true)
		if err != nil || string(h.resourceType) != c.typ || string(h.id) != c.id || string(h.updated) != c.updated {
			t.Errorf("%s: %s %s %s %v", name, h.resourceType, h.id, h.updated, err)
		}
	}
	for _, line := range []string{``, `{}`, `{"id":"a"}`, `{"resourceType":"Patient","id":"a"}`, `{"resourceType":"Patient","id":"a","meta":7}`, `"resourceType`} {
		if h, err := readHead([]byte(line), true); err == nil {
			t.Errorf("%s: took it as %s/%s of %s", line, h.resourceType, h.id, h.updated)
		}
	}
}

// FuzzReadHead compares with encoding/json what is the text of an object whose first
// members are type and id; of other text it wants an end.
func FuzzReadHead(f *testing.F) {
	f.Add(`{"resourceType":"Patient","id":"a","meta":{"lastUpdated":"T"}}`)
	f.Add(`{"a":{"b":[1,2,"]}"]},"id":"\"x","resourceType":"Y"}`)
	f.Add(`{"id":1,"resourceType":null`)
	f.Fuzz(func(t *testing.T, text string) {
		readHead([]byte(text), true)
		var want struct{ ResourceType, ID string }
		if json.Unmarshal([]byte(text), &want) != nil {
			return
		}
		again, err2 := json.Marshal(map[string]any{"id": want.ID, "resourceType": want.ResourceType, "a": text, "meta": map[string]string{"lastUpdated": text}})
		if err2 != nil {
			t.Fatal(err2)
		}
		if h, err := readHead(again, true); err != nil || string(h.id) != want.ID || string(h.resourceType) != want.ResourceType {
			t.Errorf("%s: %q %q %v", again, h.resourceType, h.id, err)
		}
	})
}
