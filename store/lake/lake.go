// Package lake is one data store as its readers and writers see it: single
// resources, the delta over the snapshot. It decides which version is the current
// one, what a conditional write may do, and which number and time a new version gets.
// How versions become durable is store/delta's, what files are store/snapshot's, what
// a valid resource is its callers'.
//
// Invariants, cited by number elsewhere:
//
//  1. Of a resource that delta and snapshot both have, the greater version number is
//     the newer version.
//  2. A reader looks into the delta first and into the snapshot then. What moves from
//     one to the other is in the snapshot before it leaves the delta, so a reader
//     finds it.
//  3. meta.lastUpdated never falls from one commit to the next.
//  4. What makes a commit conditional and the commit itself happen under the locks of
//     the keys it writes.
//
// Read [Lake] and [Write] first.
package lake

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/highwayhash"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// The errors that a caller branches on, beside the types in this file.
var (
	// ErrNotFound says that the data store never had the resource or version, or has
	// it no more.
	ErrNotFound = errors.New("no such resource")
	// ErrToken says that a text is no page token.
	ErrToken = errors.New("the page token is not valid")
	// ErrClosed says that the lake was closed.
	ErrClosed = delta.ErrClosed
	// ErrNoSpace says that the disk is full: nothing was written, reads go on.
	ErrNoSpace = delta.ErrNoSpace
	// ErrReadOnly says that writes are refused since a write failed in a way that
	// leaves open what is on disk: the process must be started again.
	ErrReadOnly = delta.ErrReadOnly
)

// GoneError says that the resource, or the version asked for, is a deletion.
type GoneError struct{ Version delta.Version }

func (e *GoneError) Error() string {
	return fmt.Sprintf("%s/%s was deleted in version %d", e.Version.Type, e.Version.ID, e.Version.Number)
}

// Options says how to open a lake.
type Options struct {
	Secret     []byte           // key of the data store's hashes, 32 bytes
	Now        func() time.Time // nil: time.Now
	FrameCache int64            // bytes of decoded frames that are kept; 0: 64 MiB
	OpenFiles  int              // of segments, that are kept open; 0: 256
	Delta      delta.Options    // its clock is Now
}

// Resource is one version of a resource.
type Resource struct {
	delta.Version
	JSON   []byte        // as stored, with meta.versionId and meta.lastUpdated; nil for a deletion
	Beside beside.Values // what is kept beside it
}

// Lake is an open data store. One process has it open; its caller owns the root. It is
// safe for concurrent use.
type Lake struct {
	secret []byte
	now    func() time.Time
	snap   *snapshot.Store
	delta  *delta.Store
	view   atomic.Pointer[view]
	swap   sync.Mutex    // one change of view at a time
	shown  chan struct{} // closed with the next change of view; guarded by swap
	files  *files
	frames *frames
	spans  spans

	// publishing is held shared by commits, and alone for the moment in which an
	// import is published.
	publishing sync.RWMutex
	locks      [stripes]sync.Mutex
	floor      atomic.Int64 // time of the last publication, UTC microseconds: no commit is earlier
	texts      sync.Pool    // of *[]byte, for what is stamped
}

// Open opens the data store in dir: its snapshot and its delta, <dir>/delta. It reads
// the manifest and the tables of the id indexes, and no resource.
func Open(dir string, o Options) (*Lake, error) {
	if len(o.Secret) != 32 {
		return nil, fmt.Errorf("open data store: the hash key has %d bytes, want 32", len(o.Secret))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FrameCache <= 0 {
		o.FrameCache = 64 << 20
	}
	if o.OpenFiles <= 0 {
		o.OpenFiles = 256
	}
	snap, err := snapshot.Open(dir)
	if err != nil {
		return nil, err
	}
	l := &Lake{secret: o.Secret, now: o.Now, snap: snap}
	l.files = newFiles(snap, o.OpenFiles)
	l.frames = newFrames(o.FrameCache)
	o.Delta.Now = l.time
	if l.delta, err = delta.Open(filepath.Join(dir, "delta"), o.Delta); err != nil {
		return nil, err
	}
	if err := l.Published(); err != nil {
		return nil, errors.Join(err, l.delta.Close())
	}
	return l, nil
}

// time is the clock, but never before what was published (invariant 3). The delta sees
// to it that commits are in order.
func (l *Lake) time() time.Time {
	now := l.now()
	if floor := l.floor.Load(); now.UnixMicro() < floor {
		return time.UnixMicro(floor)
	}
	return now
}

// Close waits for the commits that are under way and closes the files. Readers end
// before, or fail with [ErrClosed].
func (l *Lake) Close() error {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	l.swap.Lock()
	defer l.swap.Unlock()
	v := l.view.Swap(nil)
	if v == nil {
		return nil
	}
	v.done()
	err := l.delta.Close()
	l.frames.close()
	l.files.close()
	return err
}

// Delta is the store of what no snapshot has, for compaction and backup.
func (l *Lake) Delta() *delta.Store { return l.delta }

// Snapshot is the store of the files, for compaction and backup. Who publishes in it
// calls [Lake.Published].
func (l *Lake) Snapshot() *snapshot.Store { return l.snap }

// Secret is the key of the data store's hashes. The caller does not change it.
func (l *Lake) Secret() []byte { return l.secret }

// Key gives the keyed hash of a resource's type and id, as the id index has it
// (docs/decisions/0002).
func (l *Lake) Key(t r4.TypeID, id string) snapshot.Key {
	var buf [160]byte
	b := append(buf[:0], t.String()...)
	b = append(b, '/')
	b = append(b, id...)
	sum := highwayhash.Sum128(b, l.secret)
	return snapshot.Key{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}
}
