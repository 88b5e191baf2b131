package search_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// put writes resources in one commit, without a check. "" as text deletes.
func (s *store) put(resources map[string]string) {
	s.t.Helper()
	var writes []lake.Write
	for ref, text := range resources {
		typ, id, _ := strings.Cut(ref, "/")
		t := r4.ResourceTypeByName([]byte(typ))
		w := lake.Write{Type: t, ID: id, Method: delta.Delete}
		if text != "" {
			w.Method, w.Content = delta.Update, xxhash.Sum64String(text)
			w.Stamp = func(dst []byte, number uint32, updated string) []byte {
				return append(dst, fmt.Sprintf(`{"resourceType":"%s","id":"%s","meta":{"versionId":"%d","lastUpdated":"%s"},%s}`, typ, id, number, updated, text)...)
			}
		}
		writes = append(writes, w)
	}
	if _, err := s.lake.Commit(s.t.Context(), writes); err != nil {
		s.t.Fatal(err)
	}
}

func (s *store) ids(typ, query string) []string {
	s.t.Helper()
	ids, _ := s.walk(typ, query)
	for i, id := range ids {
		_, ids[i], _ = strings.Cut(id, "/")
	}
	slices.Sort(ids)
	return ids
}

// compact folds what was written into the snapshot.
func (s *store) compact() {
	s.t.Helper()
	if _, err := bulk.Compact(s.t.Context(), bulk.CompactOptions{Lake: s.lake, Whole: true, SearchIndex: true}); err != nil {
		s.t.Fatal(err)
	}
}

// compactBeside folds what was written, beside writers, when no import is at work.
func (s *store) compactBeside() {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	if _, err := bulk.Compact(s.t.Context(), bulk.CompactOptions{Lake: s.lake, SearchIndex: true}); err != nil {
		s.t.Error(err)
	}
}

func (s *store) want(typ, query string, want ...string) {
	s.t.Helper()
	if d := cmp.Diff(want, s.ids(typ, query)); d != "" {
		s.t.Errorf("%s?%s (-want +got):\n%s", typ, query, d)
	}
	p, err := s.search(typ, query+"&_summary=count")
	if err != nil {
		s.t.Fatal(err)
	}
	if p.Total != int64(len(want)) {
		s.t.Errorf("%s?%s: total %d, want %d", typ, query, p.Total, len(want))
	}
}

// TestSearchSeesWhatWasWritten goes through the lives of some resources: written,
// changed, deleted, written again, folded into the snapshot, and changed there.
func TestSearchSeesWhatWasWritten(t *testing.T) {
	s := newStore(t, nil)
	check := func(male, female, ofFemale []string) {
		t.Helper()
		s.want("Patient", "gender=male", male...)
		s.want("Patient", "gender=female", female...)
		s.want("Observation", "patient.gender=female", ofFemale...)
		s.want("Patient", "gender=male,female&_sort=gender,-_id", slices.Sorted(slices.Values(append(slices.Clone(male), female...)))...)
		s.want("Patient", "gender:not=female", male...)
	}
	check(nil, nil, nil)
	s.put(map[string]string{
		"Patient/a": `"gender":"male"`, "Patient/b": `"gender":"female"`, "Observation/o": `"subject":{"reference":"Patient/b"}`,
	})
	for range 2 {
		check([]string{"a"}, []string{"b"}, []string{"o"})
		s.put(map[string]string{"Patient/a": `"gender":"female"`, "Patient/b": `"gender":"male"`})
		check([]string{"b"}, []string{"a"}, nil)
		s.put(map[string]string{"Observation/p": `"subject":{"reference":"Patient/a"},"status":"final"`})
		check([]string{"b"}, []string{"a"}, []string{"p"})
		s.want("Patient", "_has:Observation:patient:status=final", "a")
		s.put(map[string]string{"Patient/b": "", "Observation/p": ""})
		check(nil, []string{"a"}, nil)
		s.want("Patient", "_has:Observation:patient:status=final")
		s.put(map[string]string{"Patient/b": `"gender":"female"`, "Patient/a": `"gender":"male","active":true`})
		check([]string{"a"}, []string{"b"}, []string{"o"})
		s.compact()
	}
	check([]string{"a"}, []string{"b"}, []string{"o"})
	p, err := s.search("Patient", "gender=male")
	if err != nil || len(p.Matches) != 1 || !strings.Contains(string(p.Matches[0].JSON), `"active":true`) || p.Matches[0].Number != 6-1 {
		t.Errorf("the match is not the current version: %+v, %v", p, err)
	}
}

// TestPagesAreOfOneState reads the pages of a search while what it finds is changed,
// deleted, added to, imported over and folded in.
func TestPagesAreOfOneState(t *testing.T) {
	for _, sort := range []string{"", "&_sort=-birthdate,_id"} {
		s := newStore(t, nil)
		all := map[string]string{}
		var want []string
		for i := range 60 {
			id := fmt.Sprintf("pat-%02d", i)
			all["Patient/"+id] = fmt.Sprintf(`"gender":"male","birthDate":"19%02d-01-01"`, 10+i%7)
			want = append(want, "Patient/"+id)
		}
		s.put(all)
		s.compact()
		s.put(map[string]string{"Patient/pat-03": `"gender":"male","birthDate":"1990-01-01"`})
		query := "gender=male&_count=7" + sort
		first, err := s.search("Patient", query)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		page := first
		for n := 0; ; n++ {
			for i := range page.Matches {
				got = append(got, "Patient/"+page.Matches[i].ID)
			}
			if page.Next == "" {
				break
			}
			switch n {
			case 0:
				s.put(map[string]string{"Patient/pat-00": "", "Patient/pat-59": "", "Patient/pat-30": `"gender":"female"`})
			case 1:
				s.put(map[string]string{"Patient/new": `"gender":"male"`, "Patient/pat-40": `"gender":"male","birthDate":"2001"`})
			case 2:
				s.compact()
				s.want("Patient", "gender=female", "pat-30")
			case 3:
				s.put(map[string]string{"Patient/pat-01": ""})
			}
			if page, err = s.search("Patient", query+"&_page="+page.Next); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("with%s (-want +got):\n%s", sort, d)
		}
		if page.Total != 60 {
			t.Errorf("the last page says %d, want 60", page.Total)
		}
		var f *outcome.Fault
		if _, err := s.search("Patient", "gender=female&_count=7"+sort+"&_page="+first.Next); !errors.As(err, &f) || f.Kind != outcome.Malformed {
			t.Errorf("a token of another search: %v", err)
		}
		s.reopen()
		if _, err := s.search("Patient", query+"&_page="+first.Next); !errors.As(err, &f) || f.Kind != outcome.Gone {
			t.Errorf("a token of a state that is gone: %v", err)
		}
	}
}
