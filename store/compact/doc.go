// Package compact decides what a compaction does: which layers of the snapshot become
// one, which segments are written anew, which old versions go, and when the delta is to
// be folded in. It reads id indexes and writes nothing: sources/lake gives the rows that
// are to be written, sinks/ids writes the index, server/bulk wires them and publishes.
//
// # Layers and segments
//
// A compaction takes the newest layers, never some from the middle: the newest layer
// that has a key must have its latest version (store/snapshot, invariant 5). It takes
// as many as keeps the layers growing by a factor of two or more towards the older ones, so
// that n entries lie in some log2(n) layers and are rewritten as often. Only the id index, some 28 bytes a version, is merged for
// all of them. Rows are ten times as large and stay where they are, but for segments
// that are small or have many dead rows.
//
// A row is dead when no version is in it: it lost against a later line of its import, or
// its version is no longer kept. Dead rows take room and nothing else. Where they are
// more than a tenth of a segment, the segment is written anew without them.
//
// Invariants, cited by number elsewhere:
//
//  1. A version that is kept is in the new state exactly once: its entry in the new
//     layer, its row in a segment that stays or in a new one.
//  2. What a plan keeps depends on the manifest, the retention and the time alone.
//
// Read [Plan] first.
package compact

import (
	"time"

	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Retention says which old versions a data store keeps. The zero value keeps all. The
// current version is always kept, a deletion too.
type Retention struct {
	Versions int           // of a resource, the current one among them; 0: any number
	Age      time.Duration // for how long a version is kept after it was replaced; 0: for ever
}

// All tells that nothing ever goes.
func (r Retention) All() bool { return r.Versions <= 0 && r.Age <= 0 }

// Keep gives the versions of one resource that are kept at a time. They come and go with
// the newest first.
func (r Retention) Keep(versions []snapshot.Entry, now time.Time) []snapshot.Entry {
	if r.Versions > 0 && len(versions) > r.Versions {
		versions = versions[:r.Versions]
	}
	if r.Age > 0 {
		for i := 1; i < len(versions); i++ {
			if now.UnixMicro()-versions[i-1].Updated > r.Age.Microseconds() {
				return versions[:i]
			}
		}
	}
	return versions
}
