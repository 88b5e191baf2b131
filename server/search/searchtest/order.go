package searchtest

import (
	"cmp"

	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// Compare compares two resources that a search found by its sort keys: negative when a
// comes first, 0 when either may. How values of a kind are ordered is told at
// [query.SortKey].
func Compare(q *query.Query, a, b *Resource) int {
	x, y := keysOf(q, a), keysOf(q, b)
	for i := range x {
		v, w := orderOf(a, x[i]), orderOf(b, y[i])
		if v.there != w.there {
			if v.there {
				return -1
			}
			return 1
		}
		c := v.compare(w)
		if x[i].Descending {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

func keysOf(q *query.Query, r *Resource) []query.SortKey {
	for i := range q.Selects {
		if q.Selects[i].Type == r.Type {
			return q.Selects[i].Sort
		}
	}
	return nil
}

// orderValue is what a resource is sorted by: one of the fields is used.
type orderValue struct {
	there  bool
	text   string
	time   int64
	number float64
}

func (v orderValue) compare(w orderValue) int {
	return cmp.Or(cmp.Compare(v.text, w.text), cmp.Compare(v.time, w.time), cmp.Compare(v.number, w.number))
}

// orderOf gives the value of a resource that comes first in the direction of the key.
func orderOf(x *Resource, k query.SortKey) (best orderValue) {
	switch k.Param.Origin {
	case search.OriginID:
		return orderValue{there: true, text: x.ID}
	case search.OriginUpdated:
		return orderValue{there: true, time: x.Updated}
	case search.OriginCreated:
		return orderValue{there: true, time: x.Created}
	}
	take := func(v orderValue) {
		v.there = true
		if c := v.compare(best); !best.there || c < 0 && !k.Descending || c > 0 && k.Descending {
			best = v
		}
	}
	pick := func(low, high float64) float64 {
		if k.Descending {
			return high
		}
		return low
	}
	for _, t := range k.Param.Terms {
		group := t.Group(search.Main)
		for _, r := range x.tokens {
			if r.Group == group && !r.Code.Empty() {
				take(orderValue{text: x.text(r.Code)})
			}
		}
		for _, r := range x.strings {
			if r.Group == group && !r.Word {
				take(orderValue{text: x.text(r.Folded)})
			}
		}
		for _, r := range x.dates {
			if r.Group != group {
				continue
			}
			if k.Descending {
				take(orderValue{time: r.End})
			} else {
				take(orderValue{time: r.Start})
			}
		}
		for _, r := range x.numbers {
			if r.Group == group {
				take(orderValue{number: pick(r.Low, r.High)})
			}
		}
		for _, r := range x.quantities {
			if r.Group == group {
				take(orderValue{number: pick(r.Low, r.High)})
			}
		}
		for _, r := range x.references {
			if r.Group == group && (t.Target == 0 || r.Type == t.Target) {
				if s := referenceText(x, r); s != "" {
					take(orderValue{text: s})
				}
			}
		}
		for _, r := range x.uris {
			if r.Group == group {
				take(orderValue{text: x.text(r.Value)})
			}
		}
	}
	return best
}

// referenceText is what references are ordered by.
func referenceText(x *Resource, r search.Reference) string {
	if url := x.text(r.URL); url != "" {
		return url
	}
	if r.ID.Empty() {
		return ""
	}
	return Key{r.Type, x.text(r.ID)}.String()
}
