package searchtest_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/server/search/searchtest"
)

// TestGeneratedSearchesAreRead: each generated search is read strictly, its self link
// finds the same, most find something, and every prefix, modifier and kind of filter
// comes up.
func TestGeneratedSearchesAreRead(t *testing.T) {
	s := load(t, corpus.Folder(t, "r4-examples"))
	features := query.Near | query.ReferenceOrder | query.FirstStored | query.Narrative | query.Content
	g := searchtest.NewGenerator(s, rand.New(rand.NewPCG(1, 2)), features)
	p := query.Parser{Parameters: search.R4(), Features: features}
	const searches = 8_000
	found := 0
	seen := map[string]int{}
	for range searches {
		x := g.Next()
		q, err := p.Parse(x.Request(now))
		if err != nil {
			t.Errorf("%s: %v", x, err)
			continue
		}
		if len(q.Issues) > 0 {
			t.Errorf("%s: %v", x, q.Issues)
		}
		matches, err := s.Search(q)
		if err != nil {
			t.Errorf("%s: %v", x, err)
			continue
		}
		if len(matches) > 0 {
			found++
		}
		self := x
		self.Raw = q.Self()
		q2, err := p.Parse(self.Request(now))
		if err != nil {
			t.Errorf("%s, self %s: %v", x, self, err)
			continue
		}
		again, err := s.Search(q2)
		if err != nil || len(again) != len(matches) {
			t.Errorf("%s finds %d, its self link %s %d, %v", x, len(matches), self, len(again), err)
		}
		if len(s.Include(q, matches[:min(10, len(matches))])) > 0 {
			seen["included"]++
		}
		count(seen, q)
	}
	if found < searches/2 {
		t.Errorf("%d of %d searches find something", found, searches)
	}
	for _, want := range []string{
		" eq ", " ne ", " gt ", " lt ", " ge ", " le ", " sa ", " eb ", " ap ",
		" is not\n", " text is\n", " of type is\n", " identifier is\n", " is missing\n", " is there\n",
		" begins with ", " contains ", " exactly ", " leads to\n", " is subject of ", "  id is ", " first stored\n", " last stored\n",
		" token ", " without system", " of \"", " in any case", " reference to ", " uri ", " below uri ", " above uri ",
		" with ", " of version ", " within ", " sort by ", ", descending", "include ", "include reverse ", " iterate ", "included",
		"  any of\n", "types\n", "content has", "narrative has", " and ", " or ", "not ", " is item of List\n",
	} {
		if seen[want] == 0 && !contains(seen, want) {
			t.Errorf("no search has %q", want)
		}
	}
	t.Logf("%d of %d find something; %d kinds of lines", found, searches, len(seen))
}

var quoted = regexp.MustCompile(`"[^"]*"|\d+`)

// count counts the forms of the lines that a tree shows.
func count(seen map[string]int, q *query.Query) {
	for line := range strings.Lines(q.String()) {
		seen[quoted.ReplaceAllString(line, `"`)]++
	}
}

func contains(seen map[string]int, part string) bool {
	for line := range seen {
		if strings.Contains(line, part) {
			return true
		}
	}
	return false
}

// TestGeneratorIsRepeatable: the same seed gives the same searches.
func TestGeneratorIsRepeatable(t *testing.T) {
	s := load(t, corpus.Folder(t, "r4-examples"))
	list := func() (all []string) {
		g := searchtest.NewGenerator(s, rand.New(rand.NewPCG(7, 7)), query.Near|query.FirstStored)
		for range 200 {
			all = append(all, fmt.Sprint(g.Next()))
		}
		return all
	}
	a, b := list(), list()
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("search %d is %s and then %s", i, a[i], b[i])
		}
	}
}
