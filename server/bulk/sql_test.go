package bulk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/duck"
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

// sameLeaves compares a value of a resource with what SQL gives for it: every
// leaf of one is in the other. A column may hold as text what is no text in the
// JSON: a decimal its digits, an extension or what else has no columns its JSON.
func sameLeaves(path string, want, got any) error {
	switch w := want.(type) {
	case map[string]any:
		if text, ok := got.(string); ok {
			return sameJSON(path, want, text)
		}
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: %v, want an object", path, got)
		}
		if text, ok := g["json"].(string); ok { // an extension that the typed columns cannot hold
			return sameJSON(path, want, text)
		}
		return sameMembers(path, w, g)
	case []any:
		if text, ok := got.(string); ok {
			return sameJSON(path, want, text)
		}
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Errorf("%s: %v, want %d items", path, got, len(w))
		}
		for i := range w {
			if err := sameLeaves(fmt.Sprintf("%s[%d]", path, i), w[i], g[i]); err != nil {
				return err
			}
		}
		return nil
	case json.Number:
		if fmt.Sprint(got) == w.String() {
			return nil
		}
	default:
		if want == got {
			return nil
		}
	}
	return fmt.Errorf("%s: %v, want %v", path, got, want)
}

func sameMembers(path string, want, got map[string]any) error {
	for k, w := range want {
		g, ok := got[k]
		if !ok || g == nil {
			return fmt.Errorf("%s.%s is missing", path, k)
		}
		if err := sameLeaves(path+"."+k, w, g); err != nil {
			return err
		}
	}
	for k, g := range got {
		if _, ok := want[k]; !ok && g != nil && !strings.Contains(k, "__") && !allNull(g) {
			return fmt.Errorf("%s.%s is %v, which no input has", path, k, g)
		}
	}
	return nil
}

// allNull tells a struct without any value but derived ones, such as a meta that
// has our version and time alone.
func allNull(v any) bool {
	m, ok := v.(map[string]any)
	for k, x := range m {
		ok = ok && (x == nil || strings.Contains(k, "__") || allNull(x))
	}
	return ok
}

func sameJSON(path string, want any, text string) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var got any
	if err := d.Decode(&got); err != nil {
		return fmt.Errorf("%s: %q is no JSON: %w", path, text, err)
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Errorf("%s: %v, want %v", path, got, want)
	}
	return nil
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
				if err := sameMembers(typ, want, withoutVersion(row)); err != nil && failed < 10 {
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
