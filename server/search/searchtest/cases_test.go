package searchtest_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/server/search/searchtest"
)

func TestCases(t *testing.T) {
	cases, err := searchtest.Cases()
	if err != nil {
		t.Fatal(err)
	}
	p := query.Parser{Parameters: search.R4(), Features: query.Near | query.FirstStored | query.Narrative | query.Content | query.Terminology}
	searches, found := 0, 0
	for _, c := range cases {
		t.Run(c.Section, func(t *testing.T) {
			s, err := searchtest.NewStore(search.R4())
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Put([]byte(c.Resources), now.UnixMicro()); err != nil {
				t.Fatal(err)
			}
			for _, x := range c.Searches {
				searches++
				found += len(x.IDs) + len(x.Included)
				q, err := p.Parse(x.Search.Request(now))
				if err != nil {
					t.Errorf("%s: %v", x.Search, err)
					continue
				}
				matches, err := s.Search(q)
				if err != nil {
					t.Errorf("%s: %v", x.Search, err)
					continue
				}
				ids := idsOf(matches)
				if len(q.Selects[0].Sort) == 0 {
					slices.Sort(ids)
				}
				if diff := cmp.Diff(x.IDs, ids, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", x.Search, diff)
				}
				included := idsOf(s.Include(q, matches))
				slices.Sort(included)
				if diff := cmp.Diff(x.Included, included, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s includes: (-want +got)\n%s", x.Search, diff)
				}
			}
		})
	}
	if searches < 170 || found < 280 {
		t.Errorf("%d searches that find %d resources: cases are missing", searches, found)
	}
}

func idsOf(list []*searchtest.Resource) (ids []string) {
	for _, x := range list {
		ids = append(ids, x.ID)
	}
	return ids
}

// TestStoreForgetsOldVersions: what was replaced or deleted is not found, and createdAt
// stays that of version 1.
func TestStoreForgetsOldVersions(t *testing.T) {
	s, err := searchtest.NewStore(search.R4())
	if err != nil {
		t.Fatal(err)
	}
	put := func(text string, hour int64) {
		t.Helper()
		if err := s.Put([]byte(text), now.UnixMicro()+hour*3_600_000_000); err != nil {
			t.Fatal(err)
		}
	}
	find := func(text string, want ...string) {
		t.Helper()
		found, err := s.Search(parse(t, text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, idsOf(found), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", text, diff)
		}
	}
	put(`{"resourceType":"Patient","id":"a","gender":"male"}
{"resourceType":"Patient","id":"b","gender":"male"}
{"resourceType":"Patient","id":"c","gender":"male"}`, 0)
	put(`{"resourceType":"Patient","id":"b","gender":"female"}`, 1)
	find("Patient?gender=male", "a", "c")
	find("Patient?createdAt=2024-06-01T12:00&_lastUpdated=2024-06-01T13:00", "b")
	s.Delete(searchtest.Key{Type: r4.TypePatient, ID: "a"})
	find("Patient?gender=male", "c")
	find("Patient?gender:missing=false", "b", "c")
	put(`{"resourceType":"Patient","id":"a"}`, 2)
	find("Patient?createdAt=2024-06-01T12:00&_lastUpdated=2024-06-01T14:00", "a")
	if s.Len() != 3 {
		t.Errorf("%d resources", s.Len())
	}
}
