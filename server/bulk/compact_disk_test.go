package bulk

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// TestDiskIsBoundedByWhatIsKept updates resources again and again, some more than others,
// with a fold now and then. What the snapshot takes is never more than a fifth above what
// it would take without a dead row and with one layer.
func TestDiskIsBoundedByWhatIsKept(t *testing.T) {
	if testing.Short() {
		t.Skip("writes some 60,000 versions")
	}
	m := newModel(t, 21)
	kept := compact.Retention{Versions: 2}
	var known int64 // see compact.Options.Kept
	worst := 0.0
	for round := range 36 {
		var writes []lake.Write
		seen := map[int]bool{}
		for range 2000 {
			n := m.rng.IntN(4000)
			if m.rng.IntN(2) == 0 {
				n %= 400 // what is written most
			}
			if seen[n] {
				continue
			}
			seen[n] = true
			writes = append(writes, observation(fmt.Sprintf("r%d", n), m.rng.Uint64()))
		}
		for len(writes) > 0 {
			n := min(len(writes), 100)
			if _, err := m.lake.Commit(context.Background(), writes[:n]); err != nil {
				t.Fatal(err)
			}
			writes = writes[n:]
			m.now = m.now.Add(time.Millisecond)
		}
		known = m.compactWith(CompactOptions{Retention: kept, Kept: known}).Kept
		if round%12 != 11 {
			continue
		}
		before := m.manifest()
		m.compactWith(CompactOptions{Retention: kept, Whole: true, Kept: known})
		after := m.manifest()
		worst = max(worst, float64(before.Bytes)/float64(after.Bytes))
	}
	t.Logf("at most %.3f times what is kept", worst)
	if worst > 1.2 {
		t.Errorf("the files took %.3f times what is kept, want 1.2 at most", worst)
	}
}

// observation is a write of a resource of some 600 bytes that compress badly.
func observation(id string, content uint64) lake.Write {
	w := lake.Write{Type: r4.TypeObservation, ID: id, Method: delta.Update, Content: content}
	w.Stamp = func(dst []byte, number uint32, updated string) []byte {
		dst = fmt.Appendf(dst, `{"resourceType":"Observation","id":"%s","meta":{"versionId":"%d","lastUpdated":"%s"},"status":"final","code":{"text":"`, id, number, updated)
		for i := range uint64(30) {
			dst = fmt.Appendf(dst, "%016x", (content+i)*0x9E3779B97F4A7C15)
		}
		return append(dst, `"}}`...)
	}
	return w
}
