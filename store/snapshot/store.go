package snapshot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cespare/xxhash/v2"

	"github.com/fhirlake/fhirlake/store/disk"
)

// Store is the folder of one data store. Any number of processes may read it;
// one, the owner of the root, may publish and sweep. It is safe for concurrent
// use.
type Store struct {
	dir string
	fs  disk.FS
	mu  sync.Mutex // one publication or sweep at a time
}

// Open opens a data store's folder. It writes nothing: a folder that does not
// exist is an empty data store.
func Open(dir string) (*Store, error) {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("open data store: %w", err)
	case !st.IsDir():
		return nil, fmt.Errorf("open data store: %s is not a folder", dir)
	}
	return &Store{dir: dir, fs: disk.OS{}}, nil
}

// SetFS makes s publish and sweep through another file system: tests have one that stops
// at some step. It is called before s is used.
func (s *Store) SetFS(fs disk.FS) { s.fs = fs }

// Dir is the data store's folder.
func (s *Store) Dir() string { return s.dir }

// Path is where a file of the manifest lies.
func (s *Store) Path(f *File) string { return filepath.Join(s.dir, filepath.FromSlash(f.Path)) }

// Current gives the published state. Until release is called, no file that the
// manifest names is swept, by this process or another. The manifest of a data
// store without content has the number 0; it must not be changed by the caller.
func (s *Store) Current() (m *Manifest, release func(), err error) {
	for range 100 {
		n, err := s.current()
		if err != nil {
			return nil, nil, err
		}
		if n == 0 {
			return &Manifest{Format: ManifestFormat}, func() {}, nil
		}
		m, release, err = s.hold(n)
		if errors.Is(err, errSwept) {
			continue // a newer one was published in between
		}
		return m, release, err
	}
	return nil, nil, fmt.Errorf("read data store: %s names a manifest that is missing", currentName)
}

// current reads CURRENT; 0 when nothing was ever published.
func (s *Store) current() (int64, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, currentName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read data store: %w", err)
	}
	name, ok := strings.CutSuffix(string(text), "\n")
	n, ok2 := manifestNumber(name)
	if !ok || !ok2 {
		return 0, fmt.Errorf("read data store: %s does not name a manifest", currentName)
	}
	return n, nil
}

// errSwept says that a manifest went while it was being opened.
var errSwept = errors.New("manifest was swept")

// hold opens a manifest under a shared lock, which is what [Store.Sweep] looks
// at. Sweeping takes the lock alone before it removes the name, so a manifest
// whose name is still there once the lock is had stays until release.
func (s *Store) hold(n int64) (*Manifest, func(), error) {
	name := filepath.Join(s.dir, snapshotDir, manifestName(n))
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, errSwept
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read data store: %w", err)
	}
	m, err := s.readLocked(f, name, n)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return m, sync.OnceFunc(func() { f.Close() }), nil
}

func (s *Store) readLocked(f *os.File, name string, n int64) (*Manifest, error) {
	if err := disk.Lock(f, true, true); err != nil {
		return nil, fmt.Errorf("read data store: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read data store: %w", err)
	}
	if now, err := os.Stat(name); err != nil || !os.SameFile(st, now) {
		return nil, errSwept
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read data store: %w", err)
	}
	m, err := ParseManifest(text)
	if err == nil && m.Number != n {
		err = fmt.Errorf("it says number %d", m.Number)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", manifestName(n), err)
	}
	return m, nil
}

// Superseded reads the bitmap of a segment's rows that are no longer current;
// nil when all are. It checks the file's checksum and sums.
func (s *Store) Superseded(seg *Segment) (*roaring.Bitmap, error) {
	if seg.Superseded == nil {
		return nil, nil
	}
	b, err := readBitmap(s.Path(seg.Superseded), seg)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", seg.Superseded.Path, err)
	}
	return b, nil
}

func readBitmap(name string, seg *Segment) (*roaring.Bitmap, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if sum := checksum(text); int64(len(text)) != seg.Superseded.Bytes || sum != seg.Superseded.Checksum {
		return nil, fmt.Errorf("%d bytes with %s, the manifest says %d with %s",
			len(text), sum, seg.Superseded.Bytes, seg.Superseded.Checksum)
	}
	b := roaring.New()
	if err := b.UnmarshalBinary(text); err != nil {
		return nil, fmt.Errorf("not a roaring bitmap: %w", err)
	}
	if b.IsEmpty() || int64(b.Maximum()) >= seg.Rows || int64(b.GetCardinality()) != seg.Rows-seg.Current {
		return nil, fmt.Errorf("%d rows are superseded, the manifest says %d of %d", b.GetCardinality(), seg.Rows-seg.Current, seg.Rows)
	}
	return b, nil
}

func checksum(b []byte) string { return fmt.Sprintf("xxh64:%016x", xxhash.Sum64(b)) }

// Verify reads a whole file and compares size and checksum with the manifest.
func (s *Store) Verify(f *File) error {
	file, err := os.Open(s.Path(f))
	if err != nil {
		return err
	}
	defer file.Close()
	h := xxhash.New()
	n, err := io.Copy(h, file)
	if err != nil {
		return err
	}
	if n != f.Bytes {
		return fmt.Errorf("%d bytes, the manifest says %d", n, f.Bytes)
	}
	if sum := fmt.Sprintf("xxh64:%016x", h.Sum64()); sum != f.Checksum {
		return fmt.Errorf("content has %s, the manifest says %s", sum, f.Checksum)
	}
	return nil
}
