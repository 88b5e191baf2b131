package parse

import (
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// suggestElement names the element of typ that key may have meant.
func suggestElement(typ r4.TypeID, key string) string {
	if name, ok := strings.CutPrefix(key, "_"); ok && typ.ElementByName(name) != 0 {
		return "; only a primitive element has a '_' companion"
	}
	elements := r4.Elements(typ)
	names := make([]string, 0, len(elements))
	for _, e := range elements {
		if e.Choice == key {
			return "; a choice names its type, as in '" + e.Name + "'"
		}
		names = append(names, e.Name)
	}
	return suggest(names, key)
}

func suggestType(name []byte) string {
	var names []string
	for _, t := range r4.ResourceTypes() {
		names = append(names, t.String())
	}
	return suggest(names, string(name))
}

// suggest gives the name nearest to key, if any is near.
func suggest(names []string, key string) string {
	if len(key) > 64 {
		return ""
	}
	best, limit := "", max(1, min(3, len(key)/3))
	for _, n := range names {
		if d := len(n) - len(key); max(d, -d) > limit {
			continue // the distance is as large at least
		}
		if strings.EqualFold(n, key) {
			best = n
			break
		}
		if d := distance(n, key); d <= limit {
			best, limit = n, d-1
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean '" + best + "'?"
}

// distance counts the letters to insert, drop, change or swap with their
// neighbour to turn a into b.
func distance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
