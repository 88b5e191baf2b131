package bulk

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/duck/ducktest"
)

// rows gives what SELECT * says of a resource type, by logical id.
func rows(t *testing.T, db *duck.DB, resourceType string) map[string]map[string]any {
	t.Helper()
	var out bytes.Buffer
	if _, err := db.Write(context.Background(), &out, fmt.Sprintf(`SELECT * FROM %q`, resourceType), duck.NDJSON, 0); err != nil {
		t.Fatalf("%s: %v", resourceType, err)
	}
	byID := map[string]map[string]any{}
	for line := range bytes.Lines(out.Bytes()) {
		row := decode(t, line)
		byID[row["id"].(string)] = row
	}
	return byID
}

// TestEveryLeafComesBackThroughSQL compares each input with its row, both ways.
func TestEveryLeafComesBackThroughSQL(t *testing.T) {
	for _, set := range []string{"synthea-small", "r4-examples"} {
		t.Run(set, func(t *testing.T) {
			dir := corpus.Folder(t, set)
			l := newLake(t)
			l.opts.Level = validate.Minimal
			res := l.load(dir)
			m, release, err := l.store.Current()
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			db, err := duck.Open(context.Background(), duck.Options{Store: l.store, Manifest: m, TempDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			byType := map[string]map[string]map[string]any{}
			refused, failed := int64(0), 0
			eachLine(t, dir, func(file string, n int, line []byte) {
				want := withoutVersion(decode(t, line))
				typ, id := want["resourceType"].(string), want["id"].(string)
				if byType[typ] == nil {
					byType[typ] = rows(t, db, typ)
				}
				row, ok := byType[typ][id]
				if !ok {
					refused++
					return
				}
				if err := ducktest.SameMembers(typ, want, withoutVersion(row)); err != nil && failed < 10 {
					failed++
					t.Errorf("%s:%d %s/%s: %v", file, n, typ, id, err)
				}
			})
			if refused != res.Rejected {
				t.Errorf("%d resources are not in SQL, %d were rejected", refused, res.Rejected)
			}
		})
	}
}
