package search_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	fhirsearch "github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// TestASearchThatTakesTooLongSaysAtWhat: whenever the time of a search ends, before it is
// done, the fault says where it was.
func TestASearchThatTakesTooLongSaysAtWhat(t *testing.T) {
	s := newStore(t, nil)
	all := map[string]string{}
	for i := range 300 {
		all[fmt.Sprintf("Patient/p%d", i)] = fmt.Sprintf(`"name":[{"family":"n%d"}],"text":{"status":"generated","div":"<div>t%d</div>"}`, i%7, i)
		all[fmt.Sprintf("Observation/o%d", i)] = fmt.Sprintf(`"subject":{"reference":"Patient/p%d"},"status":"final"`, i)
	}
	s.put(all)
	if _, err := s.search("Patient", "name=n1"); err != nil { // takes in what was written
		t.Fatal(err)
	}
	ended := map[string]bool{}
	for _, q := range []string{
		"name=n1", "_sort=-birthdate,name&_total=accurate", "_has:Observation:patient:status=final&_total=accurate", "_content=t1", "_revinclude=Observation:*&_count=300", "_summary=count&name:contains=n",
	} {
		for limit := time.Microsecond; ; limit *= 2 {
			if limit > time.Minute {
				t.Fatalf("%s has no answer in %s", q, limit)
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			_, err := s.explained(ctx, "Patient", q, false)
			cancel()
			if err == nil {
				break
			}
			var f *outcome.Fault
			if errors.As(err, &f) && f.Kind == outcome.Unavailable {
				continue // it waited for what was written
			}
			if !errors.As(err, &f) || f.Kind != outcome.TooCostly || f.Status() != 422 {
				t.Fatalf("%s, in %s: %T %v", q, limit, err, err)
			}
			_, at, _ := strings.Cut(f.Issues[0].Diagnostics, ", at ")
			at, _, ok := strings.Cut(at, ";")
			if !ok || at == "" {
				t.Fatalf("%s, in %s: %s", q, limit, f.Issues[0].Diagnostics)
			}
			ended[at] = true
		}
	}
	if len(ended) == 0 {
		t.Error("no search took longer than a microsecond")
	}
	for at := range ended {
		t.Log(at)
	}
}

// TestRowsOfAPageAreBounded: what a page brings beside its matches has a limit, and the
// fault names what brings it.
func TestRowsOfAPageAreBounded(t *testing.T) {
	s := newStore(t, nil)
	s.put(map[string]string{"Patient/p": `"active":true`})
	for n := range 6 {
		all := map[string]string{}
		for i := range 1000 {
			all[fmt.Sprintf("Observation/o%d-%d", n, i)] = `"subject":{"reference":"Patient/p"}`
		}
		s.put(all)
	}
	_, err := s.search("Patient", "_id=p&_revinclude=Observation:patient")
	var f *outcome.Fault
	if !errors.As(err, &f) || f.Status() != 422 || f.Issues[0].Code != "too-costly" || !strings.Contains(f.Issues[0].Diagnostics, "Observation:patient") {
		t.Errorf("6,000 Observations with one Patient: %v; want a fault that names the include", err)
	}
}

// TestIncludesBehindManyOldVersions: what is included is found behind more versions that
// are not current than are looked at in one go.
func TestIncludesBehindManyOldVersions(t *testing.T) {
	s := newStore(t, nil)
	s.put(map[string]string{"Patient/p": `"active":true`})
	for n := range 21 {
		all := map[string]string{}
		for i := range 1000 {
			all[fmt.Sprintf("Observation/o%d", i)] = fmt.Sprintf(`"subject":{"reference":"Patient/p"},"valueInteger":%d`, n)
		}
		s.put(all)
		if _, err := s.search("Patient", "_id=p"); err != nil { // takes these versions in
			t.Fatal(err)
		}
	}
	p, err := s.search("Patient", "_id=p&_revinclude=Observation:patient")
	if err != nil || len(p.Included) != 1000 {
		t.Errorf("%d are included, want 1000; %v", len(p.Included), err)
	}
}

// explained answers a query of a type, with its plan when that is asked for.
func (s *store) explained(ctx context.Context, typ, text string, explain bool) (*search.Page, error) {
	p := query.Parser{Parameters: fhirsearch.R4(), Features: search.Features}
	q, err := p.Parse(query.Request{Type: r4.ResourceTypeByName([]byte(typ)), Raw: []string{text}, Strict: true, Bases: []string{base}, Now: modelNow})
	if err != nil {
		return nil, err
	}
	return s.index.Search(ctx, q, search.Request{Explain: explain})
}

// TestPlansShowWhatWasAsked: a plan that was asked for has the SQL of each step, and none
// comes unasked.
func TestPlansShowWhatWasAsked(t *testing.T) {
	s := newStore(t, nil)
	s.put(map[string]string{"Patient/p": `"gender":"male"`, "Observation/o": `"subject":{"reference":"Patient/p"}`})
	for _, c := range []struct {
		typ, query string
		want       []string
	}{
		{"Patient", "gender=male", []string{"SELECT", "token"}},
		{"Patient", "gender=male&_summary=count", []string{"SELECT", "token"}},
		{"Observation", "patient.gender=male&_sort=date", []string{"SELECT", "token", "reference", "date"}},
		{"Patient", "_id=p&_revinclude=Observation:patient", []string{"SELECT", "reference"}},
	} {
		for _, explain := range []bool{false, true} {
			p, err := s.explained(t.Context(), c.typ, c.query, explain)
			if err != nil {
				t.Fatal(err)
			}
			missing := func(w string) bool { return !strings.Contains(p.Plan, w) }
			if explain && slices.ContainsFunc(c.want, missing) || !explain && p.Plan != "" {
				t.Errorf("%s?%s, asked for: %v: %q; want %q", c.typ, c.query, explain, p.Plan, c.want)
			}
		}
	}
}
