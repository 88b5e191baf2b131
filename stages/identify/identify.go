// Package identify gives each record its identity: the keyed hash of type and
// logical id, the hash of its content, and from the versions that the store has
// the versionId that it will get (design: an import is an upsert by type and
// id). It declares what it asks of the store ([Versions]) and knows no storage.
//
// Read [Stage] first.
package identify

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/minio/highwayhash"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
)

// KeySize is the length in bytes of the secret that keys the hashes of a data
// store.
const KeySize = 32

// Version is what the store knows of the current version of a resource.
type Version struct {
	Content uint64 // content hash
	Number  uint32 // versionId; 0: the store has none
	Deleted bool   // the current version is a deletion
	// HasRow says that a row of the snapshot counts as current, and that Segment and Row
	// are its address. The current version may be a newer one that no snapshot has yet.
	HasRow  bool
	Segment uint32
	Row     uint32
}

// Versions answers which versions of resources the store had when the job began.
// NewLookup is called once for each worker; the func that it gives is used by one
// goroutine. It sets versions[i] for keys[i]; Number 0 says that there is none.
type Versions interface {
	NewLookup() func(keys [][2]uint64, versions []Version) error
}

// Stage is the identify stage.
type Stage struct {
	secret   []byte
	versions Versions
	at       int64
}

var _ pipeline.Stage = (*Stage)(nil)

// New makes the stage for a data store whose hashes are keyed by secret, of
// KeySize bytes. versions may be nil for an empty store. Every record gets at, to the
// millisecond, as its meta.lastUpdated.
func New(secret []byte, versions Versions, at time.Time) (*Stage, error) {
	if len(secret) != KeySize {
		return nil, fmt.Errorf("identify: the key of the data store has %d bytes, want %d", len(secret), KeySize)
	}
	return &Stage{secret: secret, versions: versions, at: at.UnixMilli() * 1000}, nil
}

// Name is "identify".
func (s *Stage) Name() string { return "identify" }

// NewWorker makes a worker with its own lookup.
func (s *Stage) NewWorker() (pipeline.Worker, error) {
	w := &worker{secret: s.secret, at: s.at}
	if s.versions != nil {
		w.lookup = s.versions.NewLookup()
	}
	return w, nil
}

type worker struct {
	secret   []byte
	at       int64
	lookup   func(keys [][2]uint64, versions []Version) error
	buf      []byte
	keys     [][2]uint64
	records  []int32 // that the keys belong to
	versions []Version
}

// keepBuffer is the largest buffer that a worker keeps from batch to batch.
const keepBuffer = 4 << 20

// Process identifies every record that is still accepted.
func (w *worker) Process(_ context.Context, b *pipeline.Batch) error {
	w.keys, w.records = w.keys[:0], w.records[:0]
	for i := range b.Records {
		r := &b.Records[i]
		if r.Status != pipeline.Pending {
			continue
		}
		if r.ID == nil {
			b.Reject(i, fhir.Issue{
				Severity:    fhir.Error,
				Code:        fhir.CodeRequired,
				Expression:  r.Type.String() + ".id",
				Diagnostics: "missing id: an imported resource needs the logical id under which it is stored",
			})
			continue
		}
		if r.Flawed { // and yet here: the batch is lenient
			if element, why := unstorable(&b.Tree, r); why != "" {
				b.Reject(i, fhir.Issue{
					Severity:    fhir.Error,
					Code:        fhir.CodeStructure,
					Expression:  r.Type.String() + element,
					Diagnostics: why,
				})
				continue
			}
		}
		fhir.OneLine(b.Line(r))
		w.buf = AppendIdentity(w.buf[:0], r.Type, r.ID)
		sum := highwayhash.Sum128(w.buf, w.secret)
		r.Key = [2]uint64{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}
		r.Content = highwayhash.Sum64(fhir.Content(&w.buf, &b.Tree, r.Root), w.secret)
		r.Version, r.Updated = 1, w.at
		if w.lookup != nil {
			w.keys, w.records = append(w.keys, r.Key), append(w.records, int32(i))
		}
	}
	if cap(w.buf) > keepBuffer {
		w.buf = nil
	}
	return w.follow(b)
}

// follow looks up the versions of all records at once: one by one, each would
// wait for memory.
func (w *worker) follow(b *pipeline.Batch) error {
	if len(w.keys) == 0 {
		return nil
	}
	w.versions = slices.Grow(w.versions[:0], len(w.keys))[:len(w.keys)]
	clear(w.versions)
	if err := w.lookup(w.keys, w.versions); err != nil {
		return fmt.Errorf("look up versions: %w", err)
	}
	for i, at := range w.records {
		if v := &w.versions[i]; v.Number > 0 {
			succeed(&b.Records[at], v)
		}
	}
	return nil
}

// succeed makes r the successor of v, or finds that nothing changed.
func succeed(r *pipeline.Record, v *Version) {
	r.Version = v.Number + 1
	r.Replaces, r.BaseSegment, r.BaseRow = v.HasRow, v.Segment, v.Row
	if !v.Deleted && v.Content == r.Content {
		r.Version = v.Number
		r.Status = pipeline.Unchanged
	}
}

// AppendIdentity appends what the key of a resource hashes: its type, a slash,
// its logical id.
func AppendIdentity(dst []byte, t r4.TypeID, id []byte) []byte {
	dst = append(dst, t.String()...)
	dst = append(dst, '/')
	return append(dst, id...)
}
