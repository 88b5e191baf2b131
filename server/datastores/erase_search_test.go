package datastores_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatIsErasedLeavesTheDiskThoughItIsSearched erases while pages of a search may still be asked
// for, which hold the files of the snapshot of before.
func TestWhatIsErasedLeavesTheDiskThoughItIsSearched(t *testing.T) {
	for _, test := range []struct{ operation, target string }{{"$erase", "Basic/victim"}, {"$purge", "Patient/pat-3"}} {
		t.Run(test.operation, func(t *testing.T) {
			var lines []string
			for i := range 40 {
				lines = append(lines, fmt.Sprintf(`{"resourceType":"Patient","id":"pat-%d","name":[{"family":"common"}]}`, i))
			}
			lines = append(lines, `{"resourceType":"Basic","id":"victim","code":{"text":"hush"},"subject":{"reference":"Patient/pat-3"}}`)
			input := filepath.Join(t.TempDir(), "in.ndjson")
			if err := os.WriteFile(input, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			s := newSearched(t, input)
			_, next, _ := s.turn(s.url + "/Patient?family=common&_count=3")
			if status, _, err := s.turn(next); status != 200 {
				t.Fatalf("a further page: status %d, %v", status, err)
			}
			before := s.files()
			if status, err := s.send("POST", test.target+"/"+test.operation, ""); status != 204 {
				t.Fatalf("status %d, %v", status, err)
			}
			after := map[string]bool{}
			for _, name := range s.files() {
				after[name] = true
			}
			for _, name := range before {
				if strings.Contains(name, "Basic") && after[name] || filepath.Ext(name) == ".duckdb" && after[name] {
					t.Errorf("%s has what was erased and is still there", name)
				}
			}
			if status, _, err := s.turn(next); status != 410 {
				t.Errorf("a page of before: status %d, want 410, %v", status, err)
			}
			if b := s.get(s.url + "/Basic?_summary=count"); *b.Total != 0 {
				t.Errorf("%d of what was erased are found", *b.Total)
			}
			if all := s.walk("Patient?family=common&_count=10", nil); len(all) < 39 {
				t.Errorf("%d of what was not erased are found", len(all))
			}
		})
	}
}

// TestErasingBesideSearches erases while others search and turn pages: nobody waits for the
// other without an end, and afterwards the files are one snapshot's.
func TestErasingBesideSearches(t *testing.T) {
	var lines []string
	for i := range 60 {
		lines = append(lines, fmt.Sprintf(`{"resourceType":"Patient","id":"pat-%d","name":[{"family":"common"}]}`, i))
	}
	input := filepath.Join(t.TempDir(), "in.ndjson")
	if err := os.WriteFile(input, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newSearched(t, input)
	first := "Patient?family=common&_count=7"
	turn := func() func(int) error {
		url := ""
		return func(int) error {
			if url == "" {
				url = s.url + "/" + first
			}
			var status int
			var err error
			status, url, err = s.turn(url)
			if err == nil && status != 200 && status != 410 {
				err = fmt.Errorf("status %d", status)
			}
			return err
		}
	}
	end := s.beside(turn(), turn(), turn())
	for i := range 6 {
		if status, err := s.send("POST", fmt.Sprintf("Patient/pat-%d/$erase", i), ""); status != 204 {
			t.Errorf("status %d, %v", status, err)
		}
	}
	end()
	var manifests, indexes []string
	for _, name := range s.files() {
		switch {
		case strings.Contains(name, "manifest-"):
			manifests = append(manifests, name)
		case filepath.Ext(name) == ".duckdb":
			indexes = append(indexes, name)
		}
	}
	if len(manifests) != 1 || len(indexes) != 1 {
		t.Errorf("left are %v and %v", manifests, indexes)
	}
}

// turn asks for a page and gives its status and where the next one is.
func (s *searched) turn(url string) (status int, next string, err error) {
	res, err := s.client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	var b searchset
	if err := json.NewDecoder(res.Body).Decode(&b); err != nil {
		return 0, "", err
	}
	for _, l := range b.Link {
		if l.Relation == "next" {
			next = l.URL
		}
	}
	return res.StatusCode, next, nil
}

// files gives all files of the snapshot.
func (s *searched) files() (all []string) {
	s.t.Helper()
	l, err := s.set.Lake(s.id)
	if err != nil {
		s.t.Fatal(err)
	}
	dir := l.Snapshot().Dir()
	for _, pattern := range []string{"snapshot/*", "index/*", "files/*/*"} {
		some, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, some...)
	}
	return all
}
