package datastores_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/server/datastores"
)

// everythingPage is what the tests look at of a page of $everything.
type everythingPage struct {
	Total *int
	Link  []struct{ Relation, URL string }
	Entry []struct {
		Resource struct {
			ResourceType, ID string
			ImplicitRules    string // what the tests tell versions by
		}
		Search struct{ Mode string }
	}
}

// compartment is a patient with what is about them, which one writer changes. Each state is
// the version of each resource, by type and id.
type compartment struct {
	*searched
	mu     sync.Mutex
	states []map[string]string // after each write that was begun
	ended  int                 // writes that were acknowledged
}

// write does a write that makes changes; "" deletes.
func (c *compartment) write(changes map[string]string, do func() error) error {
	c.mu.Lock()
	next := map[string]string{}
	if len(c.states) > 0 {
		next = maps.Clone(c.states[len(c.states)-1])
	}
	for ref, version := range changes {
		if next[ref] = version; version == "" {
			delete(next, ref)
		}
	}
	c.states = append(c.states, next)
	c.mu.Unlock()
	err := do()
	c.mu.Lock()
	c.ended++
	c.mu.Unlock()
	return err
}

func (c *compartment) count() (begun, ended int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.states), c.ended
}

// aboutPatient is a resource of the compartment of Patient/p, or what these refer to.
func aboutPatient(ref, version string) string {
	typ, id, _ := strings.Cut(ref, "/")
	text := fmt.Sprintf(`{"resourceType":"%s","id":"%s","implicitRules":"urn:%s"`, typ, id, version)
	switch typ {
	case "Observation":
		text += `,"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"},"performer":[{"reference":"Practitioner/doc"}]`
	case "Condition":
		text += `,"subject":{"reference":"Patient/p"},"recorder":{"reference":"Practitioner/nurse"}`
	}
	return text + "}"
}

// commit writes changes as one transaction.
func (c *compartment) commit(changes map[string]string) error {
	var entries []string
	for ref, version := range changes {
		if version == "" {
			entries = append(entries, fmt.Sprintf(`{"request":{"method":"DELETE","url":"%s"}}`, ref))
		} else {
			entries = append(entries, fmt.Sprintf(`{"resource":%s,"request":{"method":"PUT","url":"%s"}}`, aboutPatient(ref, version), ref))
		}
	}
	return c.write(changes, func() error {
		status, err := c.send("POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[`+strings.Join(entries, ",")+`]}`)
		if err == nil && status != 200 {
			err = fmt.Errorf("transaction: %d", status)
		}
		return err
	})
}

// walkEverything reads all pages; to is the number of writes begun when the first was
// there. It gives the version of each resource that is no include.
func (c *compartment) walkEverything(query string) (got map[string]string, pages, to int) {
	c.t.Helper()
	got = map[string]string{}
	for url := c.url + "/Patient/p/$everything" + query; url != ""; pages++ {
		res, err := c.client.Get(url)
		if err != nil {
			c.t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		var b everythingPage
		if err == nil {
			err = json.Unmarshal(text, &b)
		}
		if err != nil || res.StatusCode != 200 {
			c.t.Fatalf("%s: %d %.300s %v", url, res.StatusCode, text, err)
		}
		if pages == 0 {
			to, _ = c.count()
		}
		included := map[string]bool{}
		for _, e := range b.Entry {
			ref := e.Resource.ResourceType + "/" + e.Resource.ID
			if e.Search.Mode == "include" {
				if included[ref] || e.Resource.ResourceType != "Practitioner" {
					c.t.Errorf("%s comes beside a page, or twice", ref)
				}
				included[ref] = true
				continue
			}
			if _, twice := got[ref]; twice {
				c.t.Errorf("%s comes twice", ref)
			}
			got[ref] = strings.TrimPrefix(e.Resource.ImplicitRules, "urn:")
		}
		for _, e := range b.Entry {
			if e.Resource.ResourceType == "Observation" && !included["Practitioner/doc"] {
				c.t.Errorf("page %d has %s without its performer", pages, e.Resource.ID)
			}
		}
		url = ""
		for _, l := range b.Link {
			if l.Relation == "next" {
				url = l.URL
			}
		}
	}
	return got, pages, to
}

// TestEverythingIsOfOneMoment: all pages of $everything together are the compartment as it
// was after one write between the request and its first page, each resource once, while
// transactions, deletions, imports and compactions go on.
func TestEverythingIsOfOneMoment(t *testing.T) {
	c := &compartment{searched: newSearched(t)}
	first := map[string]string{"Patient/p": "v0", "Practitioner/doc": "v0", "Practitioner/nurse": "v0"}
	var refs []string
	for i := range 40 {
		refs = append(refs, fmt.Sprintf("Observation/o%d", i), fmt.Sprintf("Condition/c%d", i))
		first[refs[len(refs)-1]], first[refs[len(refs)-2]] = "v0", "v0"
	}
	if err := c.commit(first); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	folder := t.TempDir()
	var publishing sync.Mutex
	end := c.beside(func(n int) error {
		changes := map[string]string{}
		for range 2 + rnd.IntN(6) {
			ref := refs[rnd.IntN(len(refs))]
			if changes[ref] = fmt.Sprintf("v%d", n+1); rnd.IntN(3) == 0 {
				changes[ref] = ""
			}
		}
		if n%30 != 29 {
			return c.commit(changes)
		}
		var lines strings.Builder
		for ref, version := range changes {
			if version == "" {
				delete(changes, ref)
				continue
			}
			lines.WriteString(aboutPatient(ref, version) + "\n")
		}
		if len(changes) == 0 {
			return nil
		}
		name := filepath.Join(folder, fmt.Sprintf("in-%d.ndjson", n))
		if err := os.WriteFile(name, []byte(lines.String()), 0o644); err != nil {
			return err
		}
		publishing.Lock()
		defer publishing.Unlock()
		return c.write(changes, func() error { return c.importFiles(name) })
	}, func(int) error {
		time.Sleep(100 * time.Millisecond)
		publishing.Lock()
		defer publishing.Unlock()
		_, err := c.compact.Compact(context.Background(), c.id, datastores.Request{Workers: 1})
		return err
	})
	walked := 0
	for n := range everythingWalks {
		_, from := c.count()
		got, pages, to := c.walkEverything([...]string{"?_count=9", "?_count=17&_type=Observation,Practitioner", ""}[n%3])
		walked += pages
		ok := false
		for at := from; at <= to && !ok; at++ {
			c.mu.Lock()
			state := maps.Clone(c.states[at-1])
			c.mu.Unlock()
			maps.DeleteFunc(state, func(ref, _ string) bool {
				return strings.HasPrefix(ref, "Practitioner/") || n%3 == 1 && !strings.HasPrefix(ref, "Observation/")
			})
			ok = maps.Equal(state, got)
		}
		if !ok {
			t.Errorf("walk %d has %d resources and is of no moment between %d and %d writes: %v", n, len(got), from, to, got)
			break
		}
	}
	end()
	begun, _ := c.count()
	t.Logf("%d writes, %d walks of %d pages", begun, everythingWalks, walked)
	if begun < 10 || walked < 3*everythingWalks {
		t.Errorf("%d writes, %d pages: too few to tell anything", begun, walked)
	}
}
