package search_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// history is what a data store had after each write, by one writer.
type history struct {
	mu    sync.Mutex
	all   []map[string]string // gender by reference
	begun atomic.Int64        // writes that were begun
	ended atomic.Int64        // writes that were acknowledged
}

// matching lists who has a gender after a number of writes.
func (h *history) matching(n int64, gender string) (refs []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ref, g := range h.all[n] {
		if g == gender {
			refs = append(refs, ref)
		}
	}
	slices.Sort(refs)
	return refs
}

// write does a write, whose outcome is in the history before it begins.
func (h *history) write(changes map[string]string, do func()) {
	h.mu.Lock()
	next := maps.Clone(h.all[len(h.all)-1])
	for ref, gender := range changes {
		if next[ref] = gender; gender == "" {
			delete(next, ref)
		}
	}
	h.all = append(h.all, next)
	h.mu.Unlock()
	h.begun.Add(1)
	do()
	h.ended.Add(1)
}

// TestAnswersAreOfOneMomentBesideWriters: while transactions, deletions, imports and
// compactions go on, each answer, all of its pages together, is what the definition gives
// for one moment between the request and the answer to its first page; what was
// acknowledged before is in it.
func TestAnswersAreOfOneMomentBesideWriters(t *testing.T) {
	s := newStore(t, nil)
	h := &history{all: []map[string]string{{}}}
	stop := make(chan struct{})
	var all sync.WaitGroup
	var walks, pages atomic.Int64
	for n, text := range []string{"gender=male&_count=4", "gender=male&_count=3&_sort=-birthdate,_id", "gender=male&_count=5&_sort=_lastUpdated&_total=accurate"} {
		all.Go(func() {
			r := query.Request{Type: r4.TypePatient, Raw: []string{text}}
			for {
				select {
				case <-stop:
					return
				default:
				}
				from := h.ended.Load()
				var to int64
				var got []string
				for next, total := "", int64(-1); ; {
					_, p, err := s.ask(r, next)
					if err != nil {
						t.Errorf("%s: %v", text, err)
						return
					}
					if next == "" {
						to = h.begun.Load()
					}
					for i := range p.Matches {
						got = append(got, "Patient/"+p.Matches[i].ID)
						if !strings.Contains(string(p.Matches[i].JSON), `"male"`) {
							t.Errorf("%s: a match of another moment: %s", text, p.Matches[i].JSON)
						}
					}
					if total >= 0 && p.Total >= 0 && p.Total != total {
						t.Errorf("%s: total %d, and %d before", text, p.Total, total)
					}
					total = max(total, p.Total)
					pages.Add(1)
					if next = p.Next; next == "" {
						if total >= 0 && int(total) != len(got) {
							t.Errorf("%s: total %d of %d", text, total, len(got))
						}
						break
					}
				}
				walks.Add(1)
				slices.Sort(got)
				ok := false
				for at := from; at <= to && !ok; at++ {
					ok = slices.Equal(got, h.matching(at, "male"))
				}
				if !ok {
					t.Errorf("walk %d of %s, after %d to %d writes: %v; after the first: %v", n, text, from, to, got, h.matching(from, "male"))
					return
				}
			}
		})
	}
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
				s.compactBeside()
			}
		}
	})
	rnd := rand.New(rand.NewPCG(7, 8))
	rounds := besideRounds
	for n := range rounds {
		changes, texts := map[string]string{}, map[string]string{}
		for range 1 + rnd.IntN(4) {
			ref := fmt.Sprintf("Patient/p%02d", rnd.IntN(24))
			gender := []string{"male", "male", "female", ""}[rnd.IntN(4)]
			if changes[ref] = gender; gender == "" {
				texts[ref] = ""
			} else {
				texts[ref] = fmt.Sprintf(`"gender":"%s","birthDate":"19%02d-01-01","multipleBirthInteger":%d`, gender, 10+rnd.IntN(60), n)
			}
		}
		if n%25 != 24 {
			h.write(changes, func() { s.put(texts) })
			continue
		}
		var lines strings.Builder
		for ref, text := range texts {
			if text == "" {
				delete(changes, ref)
				continue
			}
			fmt.Fprintf(&lines, `{"resourceType":"Patient","id":"%s",%s}`+"\n", strings.TrimPrefix(ref, "Patient/"), text)
		}
		if len(changes) == 0 {
			continue
		}
		input := filepath.Join(t.TempDir(), "in.ndjson")
		if err := os.WriteFile(input, []byte(lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		s.publishing.Lock()
		h.write(changes, func() { s.load(input) })
		s.publishing.Unlock()
	}
	close(stop)
	all.Wait()
	t.Logf("%d writes, %d walks of %d pages", h.ended.Load(), walks.Load(), pages.Load())
	if walks.Load() < 20 || pages.Load() < walks.Load()+20 {
		t.Errorf("%d walks of %d pages: too few to tell anything", walks.Load(), pages.Load())
	}
}

// TestPagesLiveTheirTimeOverManyPublications: an idle walk outlives publications, however
// many there are, and no longer than its token.
func TestPagesLiveTheirTimeOverManyPublications(t *testing.T) {
	s := newStore(t, nil)
	all := map[string]string{}
	for i := range 10 {
		all[fmt.Sprintf("Patient/p%d", i)] = `"gender":"male"`
	}
	s.put(all)
	first, err := s.search("Patient", "gender=male&_count=4")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		s.put(map[string]string{fmt.Sprintf("Patient/p%d", i%10): `"gender":"female"`})
		s.compact()
		s.want("Patient", "gender=female", patients(min(i+1, 10))...)
	}
	got := len(first.Matches)
	for next := first.Next; next != ""; {
		p, err := s.search("Patient", "gender=male&_count=4&_page="+next)
		if err != nil {
			t.Fatal(err)
		}
		got, next = got+len(p.Matches), p.Next
	}
	if got != 10 {
		t.Errorf("%d resources on the pages, want 10", got)
	}
}

func patients(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("p%d", i))
	}
	return ids
}

// BenchmarkFirstSearchAfterPublication is of 50,000 changes in the delta: of the search that
// meets a new index, and of one that comes when an import was published.
func BenchmarkFirstSearchAfterPublication(b *testing.B) {
	s := newStore(b, nil)
	for n := range 50 {
		all := map[string]string{}
		for i := range 1000 {
			all[fmt.Sprintf("Observation/o%d-%d", n, i)] = fmt.Sprintf(`"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"c%d"}]},"subject":{"reference":"Patient/p%d"},"effectiveDateTime":"2020-01-01","valueQuantity":{"value":%d,"unit":"mg"}`, i%50, i, i)
		}
		s.put(all)
	}
	ask := func() {
		if _, err := s.search("Observation", "code=c7&_count=10"); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			s.reopen()
			ask()
		}
	})
	n := 0
	b.Run("import", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			n++
			input := filepath.Join(b.TempDir(), "in.ndjson")
			if err := os.WriteFile(input, fmt.Appendf(nil, `{"resourceType":"Patient","id":"x%d"}`+"\n", n), 0o644); err != nil {
				b.Fatal(err)
			}
			s.load(input)
			b.StartTimer()
			ask()
		}
	})
}
