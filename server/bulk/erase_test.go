package bulk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// store writes one version of a patient.
func (m *model) store(id, family string) { m.storeAs(id, family, xxhash.Sum64String(family)) }

func (m *model) storeAs(id, family string, content uint64) {
	m.t.Helper()
	if err := m.tryStore(id, family, content); err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) tryStore(id, family string, content uint64) error {
	w := lake.Write{Type: r4.TypePatient, ID: id, Method: delta.Update, Content: content}
	w.Stamp = func(dst []byte, number uint32, updated string) []byte {
		at, _ := time.Parse(time.RFC3339, updated)
		return append(dst, stamped(id, int(number), at, family)...)
	}
	_, err := m.lake.Commit(context.Background(), []lake.Write{w})
	return err
}

// importing imports patients, with something done before it is published.
func (m *model) importing(beside func(), lines ...string) {
	m.t.Helper()
	o := m.f.opts
	o.Lake, o.Now = m.lake, m.clock
	o.Stdin = &meanwhile{strings.NewReader(strings.Join(lines, "\n") + "\n"), beside}
	if _, err := m.f.try(o, "-"); err != nil {
		m.t.Fatal(err)
	}
}

// contentOf gives the hash that an import finds of a patient's content.
func contentOf(t *testing.T, line string) uint64 {
	m := newModel(t, 1)
	m.importing(nil, line)
	v, err := m.lake.Read(r4.TypePatient, "victim", nil)
	if err != nil {
		t.Fatal(err)
	}
	return v.Content
}

// many gives patients that are there so that a row is few of its segment's.
func many(prefix string) (lines []string) {
	for i := range 50 {
		lines = append(lines, patient(prefix+string(rune('A'+i%26))+string(rune('a'+i/26)), "other"))
	}
	return lines
}

// TestNothingOfWhatIsErasedIsLeft erases a resource of which the store has rows that are
// no versions, and so have no entry that leads to them.
func TestNothingOfWhatIsErasedIsLeft(t *testing.T) {
	victim := Resource{r4.TypePatient, "victim"}
	for name, fill := range map[string]func(m *model){
		"only in the delta": func(m *model) { m.store("victim", "v") },
		"only in the snapshot": func(m *model) {
			m.importing(nil, append(many("a"), patient("victim", "v"))...)
		},
		"in both": func(m *model) {
			m.importing(nil, append(many("a"), patient("victim", "v"))...)
			m.store("victim", "w")
		},
		"deleted": func(m *model) {
			m.importing(nil, append(many("a"), patient("victim", "v"))...)
			if _, err := m.lake.Commit(context.Background(), []lake.Write{{Type: r4.TypePatient, ID: "victim", Method: delta.Delete}}); err != nil {
				m.t.Fatal(err)
			}
		},
		"a line that lost against a later one": func(m *model) {
			m.importing(nil, slices.Concat([]string{patient("victim", "v")}, many("a"), []string{patient("victim", "w")})...)
		},
		"an import that took back what was written beside it": func(m *model) {
			m.importing(func() {
				m.now = m.now.Add(time.Minute)
				m.storeAs("victim", "v", contentOf(m.t, patient("victim", "v"))) // as the import has it, whose row is void
			}, append(many("a"), patient("victim", "v"))...)
		},
		"a version that the retention let go, in a large segment": func(m *model) {
			for _, family := range []string{"v", "w"} {
				lines := []string{patient("victim", family)}
				for i := range 62_000 {
					lines = append(lines, fmt.Sprintf(`{"resourceType":"Patient","id":"%s%d"}`, family, i))
				}
				m.importing(nil, lines...)
				m.now = m.now.Add(time.Second)
			}
			m.compactWith(CompactOptions{Retention: compact.Retention{Versions: 1}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newModel(t, 1)
			m.importing(nil, `{"resourceType":"Basic","id":"stays"}`)
			fill(m)
			m.now = m.now.Add(time.Second)
			m.compactWith(CompactOptions{Erase: []Resource{victim}})
			m.expectErased([]Resource{victim})
			if _, err := m.lake.Read(victim.Type, victim.ID, nil); !errors.Is(err, lake.ErrNotFound) {
				t.Errorf("read: %v, want ErrNotFound", err)
			}
			if _, err := m.lake.Read(r4.TypeBasic, "stays", nil); err != nil {
				t.Errorf("read what stays: %v", err)
			}
			m.checkSound()
		})
	}
}
