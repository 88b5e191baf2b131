// Package ducktest compares what SQL says of resources with the resources, leaf by leaf,
// for the tests of those who make the files that package duck reads.
package ducktest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// SameMembers compares the members of a resource, or of an object in it, with the columns
// that SQL gives for them: every leaf of one is in the other. Numbers are json.Number.
// The path is for the error, which names the first leaf that differs.
func SameMembers(path string, want, got map[string]any) error {
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

// sameLeaves compares a value. A column may hold as text what is no text in the JSON: a
// decimal its digits, an extension or what else has no columns its JSON.
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
		return SameMembers(path, w, g)
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
