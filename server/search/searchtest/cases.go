package searchtest

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// Case is a rule of the specification, by its section, with resources and what searches
// find in them. They are stored at the time that is now for the search, 2024-06-01T12:00Z.
type Case struct {
	Section   string
	Resources string // NDJSON
	Searches  []Found
}

// Found is what a search finds: the ids, in order when the search sorts and else sorted,
// and those of what it includes, sorted.
type Found struct {
	Search   Search
	IDs      []string
	Included []string
}

//go:embed cases.txt
var cases string

// Cases gives the cases, for Store and for what is to be as right: of what is in them
// near, createdAt, _text, _content and value sets need features.
func Cases() ([]Case, error) {
	var all []Case
	for line := range strings.Lines(cases) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			continue
		case line[0] == '#':
			all = append(all, Case{Section: strings.TrimSpace(line[1:])})
			continue
		case line[0] == '{':
			all[len(all)-1].Resources += line + "\n"
			continue
		}
		text, ids, ok := strings.Cut(line, "->")
		if !ok {
			return nil, fmt.Errorf("case %s: no -> in %s", all[len(all)-1].Section, line)
		}
		search, err := ParseSearch(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		ids, included, _ := strings.Cut(ids, "+")
		c := &all[len(all)-1]
		c.Searches = append(c.Searches, Found{search, strings.Fields(ids), strings.Fields(included)})
	}
	return all, nil
}

// ParseSearch reads what Search.String gives: Type?..., ?..., Type/id/Type?... or
// Type/id/*?...
func ParseSearch(text string) (s Search, err error) {
	path, raw, _ := strings.Cut(text, "?")
	s.Raw = raw
	parts := strings.Split(path, "/")
	last := parts[len(parts)-1]
	if len(parts) == 3 {
		s.Compartment = &query.Compartment{Type: r4.ResourceTypeByName([]byte(parts[0])), ID: parts[1]}
	}
	if s.Type = r4.ResourceTypeByName([]byte(last)); s.Type == 0 && last != "" && last != "*" {
		return s, fmt.Errorf("search %s: %s is no resource type", text, last)
	}
	return s, nil
}
