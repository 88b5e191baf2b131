package delta

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// # What happens when the disk fails
//
// Pebble ends the process when the log or the manifest cannot be written, since
// it cannot tell any more what is on disk. A server has other data stores and
// readers to serve, so the guard lies between pebble and the file system, sees
// each failure first, and from the first one that leaves a doubt it refuses
// every change to the files. Pebble's goroutines may then do what they like: it
// reaches no disk, and opening the folder anew finds what was there at the
// failure, which has every acknowledged write (rule 4).
//
// Pebble cannot live with an error of its log (it panics with a lock released
// twice, which no recover stops). So after the failure changes of logs and of
// the folder seem to succeed, and whoever writes asks the guard, once pebble
// says that a batch is synced, whether it is true. All else gets errFrozen.
//
// A full disk is milder when a table being written meets it: pebble tries tables
// again. Until there is room, writes are refused and pebble's next table waits.
// Only when the log or the manifest meets the end of the disk is the store
// frozen. The reserve makes that rare: writes are refused while there is still
// room for what is under way.

// errFrozen is what pebble gets for a change after a failure.
var errFrozen = errors.New("the files are not touched after a failure")

// fullPause is how long pebble's tables wait before they try a full disk again.
const fullPause = 200 * time.Millisecond

type guard struct {
	vfs.FS
	dir     string
	reserve int64

	opened  atomic.Bool // Open is through
	full    atomic.Bool
	failed  atomic.Pointer[failure]
	closing chan struct{}
	once    sync.Once
}

func newGuard(fs vfs.FS, dir string, reserve int64) *guard {
	return &guard{FS: fs, dir: dir, reserve: reserve, closing: make(chan struct{})}
}

// Unwrap gives pebble the file system below.
func (g *guard) Unwrap() vfs.FS { return g.FS }

// close lets go whoever waits for room.
func (g *guard) close() { g.once.Do(func() { close(g.closing) }) }

// fail freezes the files for the given reason; the first one counts.
func (g *guard) fail(cause error) { g.failed.CompareAndSwap(nil, &failure{cause}) }

// failure is nil or why the files are frozen.
func (g *guard) failure() error {
	if f := g.failed.Load(); f != nil {
		return f
	}
	return nil
}

// room tells whether writes may go on: ErrNoSpace when they may not.
func (g *guard) room() error {
	need := g.reserve
	if g.full.Load() {
		need += need / 4 // come back with some distance
	}
	if u, err := g.FS.GetDiskUsage(g.dir); err == nil && need > 0 && u.AvailBytes < uint64(need) {
		g.full.Store(true)
		return fmt.Errorf("%w: %d MiB are free, %d MiB are kept in reserve", ErrNoSpace, u.AvailBytes>>20, need>>20)
	}
	g.full.Store(false)
	return nil
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// changed looks at the outcome of a change to a file of the store.
func (g *guard) changed(what, name string, err error) error {
	switch {
	case err == nil || os.IsNotExist(err) || errors.Is(err, errFrozen):
	case isNoSpace(err) && isTable(name):
		g.full.Store(true)
	case g.opened.Load():
		g.fail(fmt.Errorf("%s %s: %w", what, g.PathBase(name), err))
	}
	return err
}

// isTable tells whether pebble can do without a file: it writes a table again.
func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

// pretends tells whether changes of a file seem to succeed after a failure.
func (g *guard) pretends(name string) bool { return strings.HasSuffix(name, ".log") || name == g.dir }

// ours tells whether a file is one of the store, and not of a checkpoint.
func (g *guard) ours(name string) bool { return name == g.dir || g.PathDir(name) == g.dir }

// waitForRoom holds a new table back while the disk is full or the files are
// frozen: pebble repeats failed flushes and compactions without a pause.
func (g *guard) waitForRoom() {
	if !g.opened.Load() {
		return
	}
	for g.failed.Load() != nil || g.full.Load() {
		select {
		case <-g.closing:
			return
		case <-time.After(fullPause):
		}
		if g.failed.Load() == nil && g.room() == nil {
			return
		}
	}
}

// open opens a file of the store for writing, or makes one.
func (g *guard) open(name string, do func() (vfs.File, error)) (vfs.File, error) {
	if !g.ours(name) {
		return do()
	}
	if isTable(name) {
		g.waitForRoom()
	}
	var f vfs.File
	err := errFrozen
	if g.failed.Load() == nil {
		f, err = do()
		err = g.changed("open", name, err)
	}
	if err != nil {
		if !g.opened.Load() || !g.pretends(name) {
			return nil, err
		}
		f = vfs.NewMemFile(nil)
	}
	file := &guardedFile{File: f, g: g, name: name}
	if isManifest(g.PathBase(name)) {
		file.seal = &sealer{}
	}
	return file, nil
}

// change does one change to the folder under the rules of the guard.
func (g *guard) change(what, name string, do func() error) error {
	if !g.ours(name) {
		return do()
	}
	if g.failed.Load() != nil {
		return errFrozen
	}
	return g.changed(what, name, do())
}

// The methods of vfs.FS that change something.

func (g *guard) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.open(name, func() (vfs.File, error) { return g.FS.Create(name, c) })
}

func (g *guard) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return g.open(name, func() (vfs.File, error) { return g.FS.OpenReadWrite(name, c, o...) })
}

func (g *guard) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.open(to, func() (vfs.File, error) { return g.FS.ReuseForWrite(from, to, c) })
}

func (g *guard) OpenDir(name string) (vfs.File, error) {
	return g.open(name, func() (vfs.File, error) { return g.FS.OpenDir(name) })
}

func (g *guard) Link(from, to string) error {
	return g.change("link", to, func() error { return g.FS.Link(from, to) })
}

func (g *guard) Remove(name string) error {
	if isManifest(g.PathBase(name)) {
		if err := g.change("remove", name, func() error { return g.FS.Remove(name + sealSuffix) }); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return g.change("remove", name, func() error { return g.FS.Remove(name) })
}

func (g *guard) RemoveAll(name string) error {
	return g.change("remove", name, func() error { return g.FS.RemoveAll(name) })
}

func (g *guard) Rename(from, to string) error {
	return g.change("rename", to, func() error { return g.FS.Rename(from, to) })
}

// guardedFile is a file of the store that is open for writing, or its folder.
type guardedFile struct {
	vfs.File
	g    *guard
	name string
	seal *sealer // of a manifest
}

// do makes a change of n bytes under the rules of the guard.
func (f *guardedFile) do(what string, n int, change func() (int, error)) (int, error) {
	err := errFrozen
	if f.g.failed.Load() == nil {
		var got int
		if got, err = change(); err == nil && got < n {
			err = fmt.Errorf("%d of %d bytes were taken", got, n)
		}
		err = f.g.changed(what, f.name, err)
	}
	if err != nil && !(f.g.opened.Load() && f.g.pretends(f.name)) {
		return 0, err
	}
	return n, nil
}

func (f *guardedFile) Write(p []byte) (int, error) {
	if f.seal != nil {
		f.seal.wrote(p) // first, for the file below may change p
	}
	return f.do("write", len(p), func() (int, error) { return f.File.Write(p) })
}

func (f *guardedFile) WriteAt(p []byte, at int64) (int, error) {
	return f.do("write", len(p), func() (int, error) { return f.File.WriteAt(p, at) })
}

func (f *guardedFile) Sync() error { return f.synced(f.File.Sync) }

func (f *guardedFile) SyncData() error { return f.synced(f.File.SyncData) }

func (f *guardedFile) synced(sync func() error) error {
	_, err := f.do("sync", 0, func() (int, error) {
		if err := sync(); err != nil || f.seal == nil {
			return 0, err
		}
		return 0, f.seal.seal(f.g.FS, f.name)
	})
	return err
}

func (f *guardedFile) SyncTo(length int64) (full bool, err error) {
	_, err = f.do("sync", 0, func() (n int, err error) { full, err = f.File.SyncTo(length); return 0, err })
	return full, err
}

func (f *guardedFile) Close() error {
	if f.seal != nil {
		return errors.Join(f.File.Close(), f.seal.close())
	}
	return f.File.Close()
}

// Preallocate is a hint, so it fails nothing; a write tells whether there is room.
func (f *guardedFile) Preallocate(offset, length int64) error {
	if f.g.failed.Load() != nil {
		return errFrozen
	}
	return f.File.Preallocate(offset, length)
}

// events listens to what pebble finds out in the background.
func (g *guard) events() *pebble.EventListener {
	return &pebble.EventListener{
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			g.fail(&damage{g.PathBase(i.Path), i.Details})
		},
		BackgroundError: func(err error) {
			if pebble.IsCorruptionError(err) {
				g.fail(engineError(err))
			}
		},
	}
}

// silent is pebble's logger: its lines are of no use to a user. What it calls
// fatal freezes the files, and pebble goes on in memory.
type silent struct{ g *guard }

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (l silent) Fatalf(format string, args ...any) {
	l.g.fail(fmt.Errorf(format, args...))
}
