package delta

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Options are the settings of a Store; the zero value is good.
type Options struct {
	// Memory bounds, in bytes, what is held of recent writes and of blocks read,
	// half each; both are taken as they are needed. 0: 128 MiB.
	Memory int64
	// Reserve is how much of the disk, in bytes, stays free: with less, writes
	// are refused with ErrNoSpace. 0: 256 MiB; negative: none.
	Reserve int64
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	fs vfs.FS // tests put one that fails here
}

const (
	defaultMemory  = 128 << 20
	minMemory      = 8 << 20
	defaultReserve = 256 << 20
	memTables      = 4  // that fill up while earlier ones go to disk
	maxSublevels   = 24 // of tables that overlap: more make reads slow
	backlogPause   = 2 * time.Millisecond
	never          = 1 << 20 // a limit of the engine that is left to awaitBacklog
)

func (o Options) withDefaults() Options {
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	o.Memory = max(o.Memory, minMemory)
	if o.Reserve == 0 {
		o.Reserve = defaultReserve
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.fs == nil {
		o.fs = vfs.Default
	}
	return o
}

// pebble gives the engine's options; decision 0017 has the figures behind them.
func (o Options) pebble(g *guard, readOnly bool) *pebble.Options {
	p := &pebble.Options{
		FS: g, Logger: silent{g}, EventListener: g.events(),
		Comparer:                    comparer,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		CacheSize:                   o.Memory / 2,
		MemTableSize:                uint64(o.Memory / 2 / memTables),
		MemTableStopWritesThreshold: never,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       never,
		LBaseMaxBytes:               o.Memory / 2,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		FlushDelayDeleteRange:       10 * time.Second,
		ReadOnly:                    readOnly,
		ErrorIfNotExists:            readOnly,
	}
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		p.Levels[i].BlockSize = 8 << 10
	}
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	return p
}

// A Store is one delta store. It is safe for concurrent use.
type Store struct {
	dir   string
	opts  Options
	guard *guard
	db    *pebble.DB
	lock  *pebble.Lock

	life      sync.RWMutex // readers hold it shared, Close takes it
	closed    bool         // under life
	snapshots atomic.Int64

	// writing is a lock that one can stop waiting for. Its holder alone changes
	// the fields below.
	writing   chan struct{}
	seq       uint64 // of the last entry
	updated   int64  // of the last entry
	sinceLook int64  // bytes written since free space and backlog were looked at

	durable atomic.Uint64 // all entries up to this Seq are on disk (rule 2)
	floor   atomic.Uint64 // entries up to this Seq were dropped
	drop    sync.Mutex    // one Drop at a time
}

// Open opens the delta store in dir, or makes one. It returns ErrLocked when it is
// open elsewhere, and an error that wraps ErrCorrupt and names the file when one
// is damaged.
func Open(dir string, o Options) (*Store, error) { return open(dir, o, false) }

func open(dir string, o Options, readOnly bool) (s *Store, err error) {
	o = o.withDefaults()
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("open delta store: %w", err)
	}
	if !readOnly {
		if err := o.fs.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("open delta store: %w", err)
		}
	}
	s = &Store{dir: dir, opts: o, guard: newGuard(o.fs, dir, o.Reserve), writing: make(chan struct{}, 1)}
	if s.lock, err = pebble.LockDirectory(dir, o.fs); err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("open delta store: %w", err)
		}
		return nil, fmt.Errorf("open delta store: %w: %w", ErrLocked, err)
	}
	err = s.checkLog()
	if err == nil {
		err = s.start(readOnly)
	}
	if err != nil {
		s.lock.Close()
		return nil, fmt.Errorf("open delta store %s: %w", dir, err)
	}
	s.guard.opened.Store(true)
	return s, nil
}

// checkLog makes sure that all is there which the newest log says was durable
// (see Marks). Where the log alone does not show it, the store is opened without
// changing it: opening it for writing would do away with the log.
func (s *Store) checkLog() error {
	name, readable, durable, err := newestLog(s.opts.fs, s.dir)
	if err != nil || durable <= readable {
		return err
	}
	look := &Store{dir: s.dir, opts: s.opts, guard: newGuard(s.opts.fs, s.dir, 0), lock: s.lock}
	if err := look.start(true); err != nil {
		return err
	}
	look.guard.close()
	if err := look.db.Close(); err != nil {
		return err
	}
	if durable > look.seq {
		return &damage{name, fmt.Errorf("commits %d to %d are missing", look.seq+1, durable)}
	}
	return nil
}

// start opens the engine and finds where the store stood.
func (s *Store) start(readOnly bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &damage{"", fmt.Errorf("%v", p)}
		}
	}()
	if err := verifySeal(s.opts.fs, s.dir); err != nil {
		return err
	}
	po := s.opts.pebble(s.guard, readOnly)
	po.Lock = s.lock
	if s.db, err = pebble.Open(s.dir, po); err != nil {
		err = engineError(err)
		if d, ok := err.(*damage); ok && d.file == "" {
			d.file = damagedLog(s.opts.fs, s.dir)
		}
		return err
	}
	if err = s.recoverState(readOnly); err == nil {
		err = s.guard.failure()
	}
	if err != nil {
		s.guard.close()
		s.db.Close()
	}
	return engineError(err)
}

// recoverState reads the format, the floor and the last entry.
func (s *Store) recoverState(readOnly bool) error {
	switch v, closer, err := s.db.Get(keyFormat); {
	case errors.Is(err, pebble.ErrNotFound) && readOnly:
		return errors.New("there is no delta store")
	case errors.Is(err, pebble.ErrNotFound):
		if err := s.db.Set(keyFormat, binary.LittleEndian.AppendUint32(nil, formatVersion), pebble.Sync); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		format := binary.LittleEndian.Uint32(append(v[:len(v):len(v)], 0, 0, 0, 0))
		closer.Close()
		if format != formatVersion {
			return fmt.Errorf("the delta store has format %d, this program knows %d", format, formatVersion)
		}
	}
	floor, updated, err := readFloor(s.db)
	if err != nil {
		return err
	}
	s.floor.Store(floor)
	s.seq, s.updated = floor, updated
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceSeq}, UpperBound: []byte{spaceSeq + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	if it.Last() {
		seq, err := seqOf(it.Key())
		if err != nil {
			return err
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		var last Change
		if err := parseChange(seq, v, &last); err != nil {
			return err
		}
		if seq > s.seq {
			s.seq, s.updated = seq, last.Updated
		}
	}
	s.durable.Store(s.seq)
	return it.Error()
}

// readFloor gives Seq and time of the last entry that was dropped, or zeros.
func readFloor(r pebble.Reader) (seq uint64, updated int64, err error) {
	v, closer, err := r.Get(keyFloor)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	defer closer.Close()
	if len(v) != 16 {
		return 0, 0, fmt.Errorf("%w: the record of what was dropped has %d bytes", ErrCorrupt, len(v))
	}
	return binary.LittleEndian.Uint64(v), int64(binary.LittleEndian.Uint64(v[8:])), nil
}

func floorValue(seq uint64, updated int64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, seq), uint64(updated))
}

// Close writes what is in memory into tables, so that the next Open has no log to
// read, and closes the files. Snapshots must be closed before: else it returns an
// error and the store stays open.
func (s *Store) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return ErrClosed
	}
	if n := s.snapshots.Load(); n > 0 {
		return fmt.Errorf("close delta store: %d snapshots are open", n)
	}
	s.closed = true
	s.guard.close()
	s.writing <- struct{}{} // kept: there are no more writers
	err := errors.Join(s.flush(), s.db.Close())
	if f := s.guard.failure(); f != nil {
		err = f // what the engine says of frozen files is only noise
	}
	return errors.Join(err, s.lock.Close())
}

// flush writes what is in memory into tables, or leaves it to the log when the
// disk has no room or fails.
func (s *Store) flush() error {
	if s.guard.failure() != nil || s.guard.full.Load() {
		return nil
	}
	done, err := s.db.AsyncFlush()
	if err != nil {
		return err
	}
	tick := time.NewTicker(fullPause)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-tick.C:
			if s.guard.failure() != nil || s.guard.full.Load() {
				return nil
			}
		}
	}
}

// begin keeps the store open until the returned function is called.
func (s *Store) begin() (end func(), err error) {
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return nil, ErrClosed
	}
	return s.life.RUnlock, nil
}

// Latest returns the newest version of a resource, deletions included, and whether
// there is one. JSON and the data of Beside are appended to dst and share its memory.
func (s *Store) Latest(t r4.TypeID, id string, dst []byte) (Entry, bool, error) {
	return s.read(t, id, 1<<32-1, false, dst)
}

// ByNumber returns one version of a resource, as Latest does.
func (s *Store) ByNumber(t r4.TypeID, id string, number uint32, dst []byte) (Entry, bool, error) {
	return s.read(t, id, number, true, dst)
}

func (s *Store) read(t r4.TypeID, id string, number uint32, exact bool, dst []byte) (Entry, bool, error) {
	end, err := s.begin()
	if err != nil {
		return Entry{}, false, err
	}
	defer end()
	upTo := s.durable.Load() // before the iterator, which then has all up to it
	return readVersion(s.db, upTo, t, id, number, exact, dst)
}

// pointRead asks the filters of all levels: most ids are not in the delta.
var pointRead = pebble.IterOptions{UseL6Filters: true}

// readVersion finds the newest version with Seq up to upTo and a number up to the
// given one, or exactly that.
func readVersion(r pebble.Reader, upTo uint64, t r4.TypeID, id string, number uint32, exact bool, dst []byte) (e Entry, ok bool, err error) {
	if len(id) == 0 || len(id) > MaxID || !validID(id) || !t.IsResourceType() {
		return Entry{}, false, nil
	}
	var buf [maxKey]byte
	it, err := r.NewIter(&pointRead)
	if err != nil {
		return Entry{}, false, fmt.Errorf("read delta store: %w", err)
	}
	defer func() {
		if cerr := it.Close(); err == nil && cerr != nil {
			e, ok, err = Entry{}, false, damaged("read delta store", cerr)
		}
	}()
	for found := it.SeekPrefixGE(appendVersionKey(buf[:0], t, id, number)); found; found = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return Entry{}, false, damaged("read delta store", err)
		}
		seq, err := valueSeq(v)
		if err != nil {
			return Entry{}, false, fmt.Errorf("read delta store: %w", err)
		}
		if seq > upTo {
			continue
		}
		key := it.Key()
		_, _, n, err := parseVersionKey(key)
		if err == nil {
			err = parseValue(key, v, &e)
		}
		if err != nil {
			return Entry{}, false, fmt.Errorf("read delta store: %w", err)
		}
		if exact && n != number {
			return Entry{}, false, nil
		}
		e.Type, e.ID, e.Number = t, id, n
		e.keep(dst)
		return e, true, nil
	}
	return Entry{}, false, damaged("read delta store", it.Error())
}

// keep moves JSON and the data of Beside from the engine's memory to the end of dst.
func (e *Entry) keep(dst []byte) {
	at := len(dst)
	dst = append(dst, e.JSON...)
	for i := range e.Beside {
		dst = append(dst, e.Beside[i].Data...)
	}
	next := func(n int) []byte {
		at += n
		return dst[at-n : at]
	}
	if e.JSON != nil {
		e.JSON = next(len(e.JSON))
	}
	for i := range e.Beside {
		e.Beside[i].Data = next(len(e.Beside[i].Data))
	}
}

// damaged wraps an error of the engine, ErrCorrupt where it is damage.
func damaged(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, engineError(err))
}

// Checkpoint makes in dir, which must not be there yet, a delta store with all
// that is durable now, while writing goes on. On the same file system tables are
// linked, so it costs little more than the log.
func (s *Store) Checkpoint(dir string) error {
	end, err := s.begin()
	if err != nil {
		return err
	}
	defer end()
	if err := s.guard.failure(); err != nil {
		return fmt.Errorf("checkpoint of the delta store: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("checkpoint of the delta store: %w", err)
	}
	if strings.HasPrefix(dir+string(os.PathSeparator), s.dir+string(os.PathSeparator)) {
		return fmt.Errorf("checkpoint of the delta store: %s lies in the store", dir)
	}
	if err := s.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return damaged("checkpoint of the delta store", err)
	}
	if err := s.guard.failure(); err != nil {
		return fmt.Errorf("checkpoint of the delta store: %w", err)
	}
	if err := sealManifest(s.opts.fs, dir); err != nil {
		return fmt.Errorf("checkpoint of the delta store: %w", err)
	}
	return nil
}

// Stats are figures about a Store.
type Stats struct {
	Entries    uint64 // that are there
	LastSeq    uint64 // of the last durable entry
	DroppedSeq uint64 // entries up to this one were dropped
	Disk       uint64 // bytes, log included
	Tables     int64  // files
	Log        uint64 // bytes of log that hold what is in no table yet
	Memory     uint64 // bytes of memtables and block cache
	Flushes    int64
	Compacting int64 // compactions under way
	Full       bool  // writes are refused for want of room
	Failure    error // nil, or why no writes are taken until the store is opened anew
}

// Stats returns figures about the store, zeros when it is closed.
func (s *Store) Stats() Stats {
	end, err := s.begin()
	if err != nil {
		return Stats{}
	}
	defer end()
	m := s.db.Metrics()
	last, floor := s.durable.Load(), s.floor.Load()
	return Stats{
		Entries: last - min(floor, last), LastSeq: last, DroppedSeq: floor,
		Disk: m.DiskSpaceUsage(), Tables: m.Total().TablesCount, Log: m.WAL.Size,
		Memory:  m.MemTable.Size + uint64(m.BlockCache.Size),
		Flushes: m.Flush.Count, Compacting: m.Compact.NumInProgress,
		Full: s.guard.full.Load(), Failure: s.guard.failure(),
	}
}
