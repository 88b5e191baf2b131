package delta

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// faultFS is a file system in memory with a size, whose changes can be made to
// fail.
type faultFS struct {
	vfs.FS
	mu    sync.Mutex
	limit int64                       // bytes
	fault func(op, name string) error // asked under mu, unless nil
	sizes map[string]int64
}

func newFaultFS(limit int64) *faultFS {
	return &faultFS{FS: vfs.NewMem(), limit: limit, sizes: map[string]int64{}}
}

func (f *faultFS) set(limit int64, fault func(op, name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit, f.fault = limit, fault
}

func (f *faultFS) used() (n int64) {
	for _, size := range f.sizes {
		n += size
	}
	return n
}

func (f *faultFS) ask(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault == nil {
		return nil
	}
	return f.fault(op, filepath.Base(name))
}

func (f *faultFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return vfs.DiskUsage{AvailBytes: uint64(max(0, f.limit-f.used())), TotalBytes: uint64(f.limit)}, nil
}

func (f *faultFS) wrap(op, name string, file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, fs: f, name: name}, nil
}

func (f *faultFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.ask("create", name); err != nil {
		return nil, err
	}
	f.resize(name, 0)
	file, err := f.FS.Create(name, c)
	return f.wrap("create", name, file, err)
}

func (f *faultFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.ask("create", to); err != nil {
		return nil, err
	}
	f.move(from, to)
	file, err := f.FS.ReuseForWrite(from, to, c)
	return f.wrap("create", to, file, err)
}

func (f *faultFS) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	return f.wrap("open", "folder", file, err)
}

func (f *faultFS) Rename(from, to string) error {
	if err := f.ask("rename", to); err != nil {
		return err
	}
	f.move(from, to)
	return f.FS.Rename(from, to)
}

func (f *faultFS) Remove(name string) error {
	if err := f.ask("remove", name); err != nil {
		return err
	}
	f.mu.Lock()
	delete(f.sizes, name)
	f.mu.Unlock()
	return f.FS.Remove(name)
}

func (f *faultFS) resize(name string, size int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sizes[name] = size
}

func (f *faultFS) move(from, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sizes[to] = f.sizes[from]
	delete(f.sizes, from)
}

type faultFile struct {
	vfs.File
	fs   *faultFS
	name string
	at   int64
}

func (f *faultFile) Write(p []byte) (int, error) {
	if err := f.fs.ask("write", f.name); err != nil {
		return 0, err
	}
	f.fs.mu.Lock()
	grow := max(0, f.at+int64(len(p))-f.fs.sizes[f.name])
	if f.fs.used()+grow > f.fs.limit {
		f.fs.mu.Unlock()
		n, _ := f.File.Write(p[:len(p)/2]) // a torn write
		return n, syscall.ENOSPC
	}
	f.fs.sizes[f.name] += grow
	f.at += int64(len(p))
	f.fs.mu.Unlock()
	return f.File.Write(p)
}

func (f *faultFile) Sync() error {
	if err := f.fs.ask("sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) SyncData() error {
	if err := f.fs.ask("sync", f.name); err != nil {
		return err
	}
	return f.File.SyncData()
}

// big is an entry of some 8 KB that does not compress well.
func big(id string, number uint32) Entry {
	e := entry(patient, id, number, Update)
	r := rand.New(rand.NewPCG(uint64(number), uint64(len(id))))
	e.JSON = append(e.JSON[:len(e.JSON)-1], `,"text":"`...)
	for range 2000 {
		e.JSON = fmt.Appendf(e.JSON, "%04x", r.Uint32()&0xffff)
	}
	e.JSON = append(e.JSON, `"}`...)
	return e
}

// fill commits versions of ten resources until it cannot, or has n, and returns
// the numbers that were acknowledged.
func fill(tb testing.TB, s *Store, acked map[string]uint32, n int) error {
	tb.Helper()
	for i := range n {
		id := fmt.Sprint("p", i%10)
		if err := s.Commit([]Entry{big(id, acked[id]+1)}, nil); err != nil {
			return err
		}
		acked[id]++
	}
	return nil
}

// hasExactly tells whether the latest versions are the acknowledged ones.
func hasExactly(tb testing.TB, s *Store, acked map[string]uint32) {
	tb.Helper()
	for id, n := range acked {
		e, ok, err := s.Latest(patient, id, nil)
		if err != nil || !ok || e.Number != n || string(e.JSON) != string(big(id, n).JSON) {
			tb.Errorf("%s: got version %d, %v, %v; want %d", id, e.Number, ok, err, n)
		}
	}
}

// hasAtLeast tells whether the acknowledged versions are there; one more may be.
func hasAtLeast(tb testing.TB, s *Store, acked map[string]uint32) {
	tb.Helper()
	for id, n := range acked {
		e, ok, err := s.Latest(patient, id, nil)
		if n > 0 && (err != nil || !ok || e.Number < n || string(e.JSON) != string(big(id, e.Number).JSON)) {
			tb.Errorf("%s: got version %d, %v, %v; want at least %d", id, e.Number, ok, err, n)
		}
	}
}

func TestTheReserveRefusesWritesUntilThereIsRoom(t *testing.T) {
	fs := newFaultFS(24 << 20)
	s := openStore(t, "/delta", Options{Memory: minMemory, Reserve: 16 << 20, fs: fs})
	acked := map[string]uint32{}
	err := fill(t, s, acked, 10000)
	if !errors.Is(err, ErrNoSpace) || errors.Is(err, ErrReadOnly) {
		t.Fatalf("got %v", err)
	}
	if !s.Stats().Full {
		t.Error("the statistics do not say so")
	}
	hasExactly(t, s, acked)
	if err := s.Commit([]Entry{big("more", 1)}, nil); !errors.Is(err, ErrNoSpace) {
		t.Errorf("got %v", err)
	}
	fs.set(1<<30, nil)
	if err := fill(t, s, acked, 10); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	hasExactly(t, s, acked)
	sound(t, s)
}

func TestDiskFullToTheLastByte(t *testing.T) {
	for _, limit := range []int64{3 << 20, 5<<20 + 12345, 9<<20 + 777} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			fs := newFaultFS(limit)
			o := Options{Memory: minMemory, Reserve: -1, fs: fs}
			s, err := Open("/delta", o)
			if err != nil {
				t.Fatal(err)
			}
			acked := map[string]uint32{}
			if err := fill(t, s, acked, 10000); !errors.Is(err, ErrNoSpace) {
				t.Fatalf("got %v", err)
			}
			hasExactly(t, s, acked)
			v, err := s.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			for e, err := range v.Commits(Range{}) {
				if err != nil || e.Number > acked[e.ID] {
					t.Fatalf("a version that was not acknowledged, or %v", err)
				}
			}
			v.Close()
			s.Close() // says what happened; what counts is what is there
			fs.set(1<<30, nil)
			s = openStore(t, "/delta", o)
			hasAtLeast(t, s, acked)
			sound(t, s)
			if err := s.Commit([]Entry{big("more", 1)}, nil); err != nil {
				t.Errorf("after there is room: %v", err)
			}
		})
	}
}

// From some moment on, all changes of one kind fail. The store must refuse writes,
// go on serving what was acknowledged, close, and have it all after Open.
func TestEachKindOfFailure(t *testing.T) {
	eio := errors.New("input/output error")
	for _, tt := range []struct{ op, file string }{
		{"write", ".log"},
		{"sync", ".log"},
		{"create", ".log"},
		{"create", ".sst"},
		{"write", ".sst"},
		{"sync", ".sst"},
		{"write", "MANIFEST"},
		{"sync", "MANIFEST"},
		{"sync", "folder"},
	} {
		for _, after := range []int{0, 1, 2, 5} {
			t.Run(fmt.Sprint(tt.op, tt.file, after), func(t *testing.T) {
				fs := newFaultFS(1 << 30)
				o := Options{Memory: minMemory, Reserve: -1, fs: fs}
				s, err := Open("/delta", o)
				if err != nil {
					t.Fatal(err)
				}
				acked := map[string]uint32{}
				if err := fill(t, s, acked, 20); err != nil {
					t.Fatal(err)
				}
				left := after
				fs.set(1<<30, func(op, name string) error {
					if op != tt.op || !strings.Contains(name, tt.file) {
						return nil
					}
					if left--; left >= 0 {
						return nil
					}
					return eio
				})
				if err := fill(t, s, acked, 5000); !errors.Is(err, ErrReadOnly) || !errors.Is(err, eio) {
					t.Fatalf("got %v", err)
				}
				if err := s.Commit([]Entry{big("more", 1)}, nil); !errors.Is(err, ErrReadOnly) {
					t.Errorf("a write after the failure: %v", err)
				}
				if err := s.Stats().Failure; !errors.Is(err, eio) {
					t.Errorf("the statistics say %v", err)
				}
				hasExactly(t, s, acked)
				if err := s.Close(); !errors.Is(err, ErrReadOnly) {
					t.Errorf("close: %v", err)
				}
				fs.set(1<<30, nil)
				s = openStore(t, "/delta", o)
				hasAtLeast(t, s, acked)
				sound(t, s)
			})
		}
	}
}

// The power goes at random moments: what was not synced is there in part or not at
// all. What was acknowledged before is there.
func TestPowerLoss(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for round := range rounds {
		mem := vfs.NewCrashableMem()
		s, err := Open("/delta", Options{Memory: minMemory, Reserve: -1, fs: mem})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		acked := map[string]uint32{}
		var wg sync.WaitGroup
		for w := range 8 {
			id := fmt.Sprint("p", w)
			wg.Go(func() {
				for n := range uint32(60) {
					// Two resources in one batch: both or none.
					if err := s.Commit([]Entry{big(id, n+1), entry(observation, id, n+1, Update)}, nil); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					acked[id] = n + 1
					mu.Unlock()
				}
			})
		}
		r := rand.New(rand.NewPCG(uint64(round), 1))
		for range 4 {
			mu.Lock()
			want := map[string]uint32{}
			for id, n := range acked {
				want[id] = n
			}
			mu.Unlock()
			after := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: r})
			c, err := Open("/delta", Options{Memory: minMemory, Reserve: -1, fs: after})
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			hasAtLeast(t, c, want)
			for w := range 8 {
				id := fmt.Sprint("p", w)
				p, _, _ := c.Latest(patient, id, nil)
				o, _, _ := c.Latest(observation, id, nil)
				if p.Number != o.Number {
					t.Errorf("round %d: %s: half a batch: %d and %d", round, id, p.Number, o.Number)
				}
			}
			sound(t, c)
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// flip changes one byte of a file.
func flip(tb testing.TB, fs vfs.FS, name string, at int64) {
	tb.Helper()
	f, err := fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		tb.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], at); err != nil {
		tb.Fatal(err)
	}
}

// Whatever byte of whatever file is flipped: it is found and named, or it did no
// harm.
func TestFlippedBytesAreNamedAndNeverServed(t *testing.T) {
	for _, clean := range []bool{true, false} {
		t.Run(fmt.Sprint("closed ", clean), func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			o := Options{Memory: minMemory, Reserve: -1, fs: mem}
			s, err := Open("/delta", o)
			if err != nil {
				t.Fatal(err)
			}
			acked := map[string]uint32{}
			if err := fill(t, s, acked, 200); err != nil { // more than a memtable
				t.Fatal(err)
			}
			// The bytes at the end of the log are not to be told from a torn write.
			disk := mem.CrashClone(vfs.CrashCloneCfg{})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if clean {
				disk = mem
			}
			o.fs = disk
			names, err := disk.List("/delta")
			if err != nil {
				t.Fatal(err)
			}
			found := map[string]bool{}
			for _, name := range names {
				st, err := disk.Stat("/delta/" + name)
				if err != nil || st.Size() == 0 {
					continue
				}
				for part := range int64(7) {
					at := st.Size() * (part*2 + 1) / 15
					flip(t, disk, "/delta/"+name, at)
					if examine(t, fmt.Sprintf("%s at %d of %d", name, at, st.Size()), name, o, acked) {
						found[path.Ext(name)] = true
					}
					flip(t, disk, "/delta/"+name, at)
				}
			}
			for _, ext := range []string{".sst", sealSuffix} {
				if !found[ext] {
					t.Errorf("no damage was found in a file *%s of %v", ext, names)
				}
			}
			if !clean && !found[".log"] {
				t.Error("no damage was found in a log")
			}
			if _, err := Check(context.Background(), "/delta", o, func(p Problem) { t.Errorf("mended: %v", p) }); err != nil {
				t.Error(err)
			}
		})
	}
}

// examine checks a store with a damaged file: the check names the file, or all is
// there as it was. It tells whether the damage was found.
func examine(t *testing.T, what, name string, o Options, acked map[string]uint32) bool {
	t.Helper()
	var found []Problem
	if _, err := Check(context.Background(), "/delta", o, func(p Problem) { found = append(found, p) }); err != nil {
		t.Errorf("%s: check: %v", what, err)
	}
	if len(found) > 0 {
		// The engine's record of its options has no checksum; its reader objects.
		options := strings.HasPrefix(name, "OPTIONS")
		if p := found[0]; !options && (p.File != name || !errors.Is(p.Err, ErrCorrupt)) || strings.Contains(p.Error(), "\n") {
			t.Errorf("%s: found %v", what, p)
		}
	}
	s, err := open("/delta", o, true)
	if err != nil {
		if len(found) == 0 {
			t.Errorf("%s: open: %v, and the check found %v", what, err, found)
		}
		return true
	}
	defer s.Close()
	for id, n := range acked {
		for number := uint32(1); number <= n; number++ {
			e, ok, err := s.ByNumber(patient, id, number, nil)
			switch {
			case err != nil && len(found) > 0:
			case err != nil || !ok || string(e.JSON) != string(big(id, number).JSON):
				t.Fatalf("%s: %s/%d: served %v, %v; found %v", what, id, number, ok, err, found)
			}
		}
	}
	return len(found) > 0
}
