package snapshot

import (
	"encoding/json"
	"testing"
)

func TestReadHeadFindsWhatALineSaysOfItself(t *testing.T) {
	for name, c := range map[string]struct{ line, typ, id, updated string }{
		"first":                     {`{"resourceType":"Patient","id":"a","meta":{"versionId":"1","lastUpdated":"T"}}`, "Patient", "a", "T"},
		"last, with white space":    {"{ \"x\" : [ {\"id\":\"no\"} , \"}\" ] ,\t\"n\" : -1.5e3 , \"meta\" : { \"lastUpdated\" : \"T\" , \"versionId\":\"1\" } , \"id\" : \"a\" , \"resourceType\" : \"Patient\" }", "Patient", "a", "T"},
		"escapes":                   {`{"x\"id":"\\","resourceType":"P\u0061tient","id":"\u0061","meta":{"tag":[{"lastUpdated":"no"}],"versionId":"1","lastUpdated":"T"}}`, "Patient", "a", "T"},
		"members of the same names": {`{"contained":[{"resourceType":"Device","id":"no"}],"resourceType":"Patient","id":"a","meta":{"versionId":"1","lastUpdated":"T"}}`, "Patient", "a", "T"},
	} {
		h, err := ReadHead([]byte(c.line), true)
		if err != nil || string(h.ResourceType) != c.typ || string(h.ID) != c.id || string(h.LastUpdated) != c.updated {
			t.Errorf("%s: %s %s %s %v", name, h.ResourceType, h.ID, h.LastUpdated, err)
		}
	}
	for _, line := range []string{``, `{}`, `{"id":"a"}`, `{"resourceType":"Patient","id":"a"}`, `{"resourceType":"Patient","id":"a","meta":7}`, `"resourceType`} {
		if h, err := ReadHead([]byte(line), true); err == nil {
			t.Errorf("%s: took it as %s/%s of %s", line, h.ResourceType, h.ID, h.LastUpdated)
		}
	}
}

// FuzzReadHead compares with encoding/json what is the text of an object whose first
// members are type and id; of other text it wants an end.
func FuzzReadHead(f *testing.F) {
	f.Add(`{"resourceType":"Patient","id":"a","meta":{"versionId":"1","lastUpdated":"T"}}`)
	f.Add(`{"a":{"b":[1,2,"]}"]},"id":"\"x","resourceType":"Y"}`)
	f.Add(`{"id":1,"resourceType":null`)
	f.Fuzz(func(t *testing.T, text string) {
		ReadHead([]byte(text), true)
		var want struct{ ResourceType, ID string }
		if json.Unmarshal([]byte(text), &want) != nil {
			return
		}
		again, err2 := json.Marshal(map[string]any{"id": want.ID, "resourceType": want.ResourceType, "a": text, "meta": map[string]string{"lastUpdated": text, "versionId": "1"}})
		if err2 != nil {
			t.Fatal(err2)
		}
		if h, err := ReadHead(again, true); err != nil || string(h.ID) != want.ID || string(h.ResourceType) != want.ResourceType {
			t.Errorf("%s: %q %q %v", again, h.ResourceType, h.ID, err)
		}
	})
}
