package snapshot

import (
	"bytes"
	"encoding/json"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func manifestText(t testing.TB) []byte {
	m := &Manifest{
		Format: 1, Number: 2, CreatedAt: testNow, JobID: "j", NextSegment: 2,
		Segments: []Segment{{
			Ordinal: 1, ID: "u-1", ResourceType: "Patient", Rows: 3, Current: 2, Schema: 1,
			Columns:    File{"files/Patient/u-1.parquet", 10, "xxh64:0123456789abcdef"},
			Resources:  File{"files/Patient/u-1.ndjson.zst", 10, "xxh64:0123456789abcdef"},
			Superseded: &File{"files/Patient/u-1.2.superseded", 10, "xxh64:0123456789abcdef"},
			Annotations: []Annotation{
				{Kind: Entities, Rows: 20, File: File{"files/Patient/u-1.2.entities.parquet", 10, "xxh64:0123456789abcdef"}},
				{Kind: "issues", Rows: 1, File: File{"files/Patient/u-1.1.issues.zst", 10, "xxh64:0123456789abcdef"}},
			},
		}},
		Layers: []Layer{{Number: 1, Entries: 3, IDs: File{"index/1.ids", 10, "xxh64:0123456789abcdef"}}},
		Search: []SearchIndex{{File: File{"index/1-s.duckdb", 10, "xxh64:0123456789abcdef"}, Version: 1, Segments: []uint32{1}, Gone: []uint32{0}}},
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestParseManifest(t *testing.T) {
	good := string(manifestText(t))
	if _, err := ParseManifest([]byte(good)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, old, new, want string }{
		{"newer format", `"format":1`, `"format":2,"fields":"unknown here"`, "newer version"},
		{"no format", `"format":1,`, ``, "format 0"},
		{"unknown field", `"number":2`, `"number":2,"extra":1`, "unknown field"},
		{"text after", `"gone":[0]}]}`, `"gone":[0]}]} {}`, "after top-level"},
		{"number", `"number":2`, `"number":0`, "not positive"},
		{"leaves the folder", `files/Patient/u-1.parquet`, `../other/u-1.parquet`, "where"},
		{"absolute", `files/Patient/u-1.parquet`, `/etc/passwd`, "where"},
		{"id leaves the folder", `"id":"u-1"`, `"id":"../../u"`, "no file name"},
		{"type leaves the folder", `"resourceType":"Patient"`, `"resourceType":".."`, "no file name"},
		{"ids leave the folder", `index/1.ids`, `index/../../1.ids`, "not an id index"},
		{"bitmap of another", `u-1.2.superseded`, `u-2.2.superseded`, "not a bitmap of this segment"},
		{"bitmap leaves", `u-1.2.superseded`, `u-1.2/../../x.superseded`, "not a bitmap of this segment"},
		{"kind leaves", `"kind":"issues"`, `"kind":"../x"`, "annotations of kind"},
		{"kinds out of order", `"kind":"issues"`, `"kind":"a"`, "do not rise"},
		{"annotations of another", `u-1.1.issues.zst`, `u-2.1.issues.zst`, "not the annotations of kind issues"},
		{"annotations leave", `u-1.1.issues.zst`, `u-1.1/../../issues.zst`, "not the annotations of kind issues"},
		{"too many annotations", `"kind":"issues","rows":1`, `"kind":"issues","rows":4`, "4 of 3 rows"},
		{"a table as lines", `u-1.2.entities.parquet`, `u-1.2.entities.zst`, "not the annotations of kind entities"},
		{"lines as a table", `u-1.1.issues.zst`, `u-1.1.issues.parquet`, "not the annotations of kind issues"},
		{"an empty table", `"kind":"entities","rows":20`, `"kind":"entities","rows":0`, "0 of 3 rows"},
		{"empty annotations", `"kind":"issues","rows":1`, `"kind":"issues","rows":0`, "0 of 3 rows"},
		{"checksum", `xxh64:0123456789abcdef`, `xxh64:0123456789ABCDEF`, "checksum"},
		{"no rows", `"rows":3`, `"rows":0`, "0 rows"},
		{"too many rows", `"rows":3`, `"rows":4294967297`, "rows"},
		{"current rows", `"current":2`, `"current":4`, "4 of 3"},
		{"sum without bitmap", `"current":2`, `"current":3`, "does not fit its bitmap"},
		{"ordinal", `"ordinal":1`, `"ordinal":2`, "next free ordinal"},
		{"layer number", `"layers":[{"number":1`, `"layers":[{"number":3`, "out of order"},
		{"search index leaves", `index/1-s.duckdb`, `index/../1-s.duckdb`, "not a search index"},
		{"search index of nothing", `"segments":[1],`, `"segments":[],`, "ordinals do not rise"},
		{"search index of a segment twice", `"segments":[1],`, `"segments":[1,1],`, "ordinals do not rise"},
		{"search index of another segment", `"segments":[1],`, `"segments":[0],`, "segment 0 is covered twice or does not exist"},
		{"search index without a live segment", `"gone":[0]`, `"gone":[1]`, "segment 1 is not gone"},
		{"search index of no version", `"version":1,`, ``, "version 0"},
		{"size", `"bytes":10`, `"bytes":-1`, "-1 bytes"},
		{"not JSON", `{`, `<`, "parse manifest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(good, tt.old, tt.new, 1)
			if text == good {
				t.Fatal("the test changes nothing")
			}
			_, err := ParseManifest([]byte(text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestManifestsThatWereChanged flips a bit in each byte of a manifest's file.
func TestManifestsThatWereChanged(t *testing.T) {
	m, err := ParseManifest(manifestText(t))
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.text()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseManifest(text)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, again); d != "" {
		t.Errorf("(-written +read):\n%s", d)
	}
	for at := range text {
		bad := bytes.Clone(text)
		bad[at] ^= 1 << (at % 8)
		if _, err := ParseManifest(bad); err == nil {
			t.Errorf("byte %d, %q for %q: nobody sees that it changed", at, bad[at], text[at])
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	text := manifestText(f)
	f.Add(text)
	f.Add(bytes.ReplaceAll(text, []byte("files/"), []byte("../")))
	f.Add([]byte(`{"format":1,"number":1,"segments":null,"layers":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseManifest(text)
		if err != nil {
			return
		}
		for _, file := range m.Files() {
			if !filepath.IsLocal(filepath.FromSlash(file.Path)) || path.Clean(file.Path) != file.Path {
				t.Errorf("path %q leaves the data store", file.Path)
			}
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseManifest(again); err != nil {
			t.Errorf("not readable once written: %v", err)
		}
	})
}
