// Package delta keeps the versions of resources that no snapshot has yet: what
// REST wrote since the last compaction, deletions included, in a log-structured
// store (pebble) under <datastore>/delta/. It knows versions and their order; who
// may write what, and how delta and snapshot look as one, is store/lake's.
//
// Read [Store] first, then [Entry]. The rules that the package keeps:
//
//  1. A batch is whole or absent, and what was acknowledged is on disk.
//  2. Nobody reads what a crash could still take away: entries become readable,
//     in the order of Seq, when they are durable.
//  3. Seq rises by one with each entry, without gaps, also over restarts, and
//     Updated never falls from one Seq to the next.
//  4. After a failure that leaves it open what reached the disk (a failed fsync,
//     a torn log), the files are not touched again until the store is opened
//     anew. Writes are refused with the reason; what was acknowledged is readable.
//  5. No key and no content is in an error or a log line.
//
// docs/formats/delta.md has the layout, decision 0017 the figures behind the
// options.
package delta

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Method is how a version came to be, for Bundle.entry.request of a history
// (FHIR R4, 3.1.0.10).
type Method uint8

// The methods.
const (
	Create Method = iota + 1
	Update
	Patch
	Delete
)

// String returns the name of the method, for messages.
func (m Method) String() string {
	switch m {
	case Create:
		return "create"
	case Update:
		return "update"
	case Patch:
		return "patch"
	case Delete:
		return "delete"
	}
	return fmt.Sprintf("method %d", uint8(m))
}

// Version names one version of one resource.
type Version struct {
	Type    r4.TypeID
	ID      string    // logical id
	Number  uint32    // meta.versionId, from 1
	Updated int64     // meta.lastUpdated, UTC microseconds, whole milliseconds
	Content uint64    // keyed hash of the received content; 0 for a deletion
	Key     [2]uint64 // keyed hash of type and id
	Method  Method
}

// Entry is a version with what is stored of it.
type Entry struct {
	Version
	Seq    uint64        // place in the order of commits, from 1
	JSON   []byte        // the resource as it is stored; nil for a deletion
	Beside beside.Values // what is kept beside it

	// Idempotency, when it has a key, makes the write single: a second one with
	// the same key is refused with a *DuplicateKeyError until the key expires.
	// It is not given back on reading.
	Idempotency Idempotency
}

// Idempotency is a key that a client chose for a write.
type Idempotency struct {
	Key     string // up to MaxIdempotencyKey bytes
	Expires int64  // UTC microseconds
}

// Limits of what an entry may hold.
const (
	MaxID             = 64       // bytes of a logical id (FHIR R4, 2.24.0.1)
	MaxIdempotencyKey = 256      // bytes
	MaxContent        = 64 << 20 // bytes of JSON and Beside of one entry
	MaxBatch          = 512 << 20
)

// Errors that callers branch on, with errors.Is.
var (
	// ErrNoSpace: the disk is full, or nearly so. Nothing was written. Unless
	// the error is ErrReadOnly too, writes go on when there is room again.
	ErrNoSpace = errors.New("no space left for the delta store")
	// ErrReadOnly: writing failed in a way that only opening the store anew
	// mends; the error says what happened.
	ErrReadOnly = errors.New("the delta store takes no writes until it is opened anew")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("the delta store is closed")
	// ErrCorrupt: stored data does not agree with itself or its checksum.
	ErrCorrupt = errors.New("the delta store is damaged")
	// ErrLocked: another process, or another Store of this one, has the folder open.
	ErrLocked = errors.New("the delta store is in use")
)

// DuplicateKeyError says that an idempotency key was used before, and for what.
type DuplicateKeyError struct {
	Index  int // of the entry in the batch
	Type   r4.TypeID
	ID     string
	Number uint32
	seq    uint64 // 0 when it is in the same batch
}

func (e *DuplicateKeyError) Error() string {
	return fmt.Sprintf("the idempotency key was used before, for version %d of a %s", e.Number, e.Type)
}

// damage is ErrCorrupt with the file that is damaged, when one is known.
type damage struct {
	file  string
	cause error
}

func (d *damage) Error() string {
	if d.file == "" {
		return fmt.Sprintf("%v: %v", ErrCorrupt, d.cause)
	}
	return fmt.Sprintf("%v: %s: %v", ErrCorrupt, d.file, d.cause)
}

// Unwrap makes damage ErrCorrupt and its cause.
func (d *damage) Unwrap() []error { return []error{ErrCorrupt, d.cause} }

// engineError makes damage of the engine's error where it is that.
func engineError(err error) error {
	if err == nil || errors.Is(err, ErrCorrupt) || !pebble.IsCorruptionError(err) {
		return err
	}
	if i := pebble.ExtractDataCorruptionInfo(err); i != nil {
		return &damage{filepath.Base(i.Path), i.Details}
	}
	return &damage{"", err}
}

// A failure is why a store takes no writes any more.
type failure struct{ cause error }

func (f *failure) Error() string { return fmt.Sprintf("%v: %v", ErrReadOnly, f.cause) }

// Unwrap makes a failure ErrReadOnly, its cause, and ErrNoSpace where it is one.
func (f *failure) Unwrap() []error {
	if isNoSpace(f.cause) {
		return []error{ErrReadOnly, ErrNoSpace, f.cause}
	}
	return []error{ErrReadOnly, f.cause}
}

// check refuses what no key or value can hold.
func (e *Entry) check() error {
	switch {
	case !e.Type.IsResourceType():
		return fmt.Errorf("delta entry: type %d is no resource type", e.Type)
	case len(e.ID) == 0 || len(e.ID) > MaxID || !validID(e.ID):
		return fmt.Errorf("delta entry: a %s whose id is none", e.Type)
	case e.Number == 0:
		return fmt.Errorf("delta entry: a %s without a version number", e.Type)
	case e.Method < Create || e.Method > Delete:
		return fmt.Errorf("delta entry: a %s by %v", e.Type, e.Method)
	case (e.Method == Delete) != (len(e.JSON) == 0):
		return fmt.Errorf("delta entry: a %s by %v with %d bytes of content", e.Type, e.Method, len(e.JSON))
	case len(e.JSON) > MaxContent || e.Beside.Size() > MaxContent-len(e.JSON):
		return fmt.Errorf("delta entry: %d bytes of content and %d beside it are more than %d", len(e.JSON), e.Beside.Size(), MaxContent)
	case len(e.Idempotency.Key) > MaxIdempotencyKey:
		return fmt.Errorf("delta entry: an idempotency key of %d bytes, at most %d go", len(e.Idempotency.Key), MaxIdempotencyKey)
	}
	if err := e.Beside.Check(); err != nil {
		return fmt.Errorf("delta entry: beside a %s: %w", e.Type, err)
	}
	return nil
}

// validID tells whether s has the characters of a logical id only (FHIR R4,
// 2.24.0.1). Keys rely on it: no such character is a zero byte.
func validID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
