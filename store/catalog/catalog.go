// Package catalog owns the list of data stores and jobs of a root: one JSON
// file each, replaced whole, so that a file is always readable. Field names are
// those of the HealthLake API; what is ours beside them starts with a small
// letter. The resources of a data store are package snapshot's.
//
//	<root>/catalog/datastores/<id>.json
//	<root>/catalog/jobs/<id>.json
//
// Invariants:
//
//  1. Only the owner of the root writes; a reader never does.
//  2. Folders go only when the file that says so is durable: a crash in the
//     middle of a deletion is finished by the next owner.
//
// Read [Catalog], [DataStore] and [Job] first.
package catalog

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fhirlake/fhirlake/store/disk"
	"github.com/fhirlake/fhirlake/store/root"
)

// DefaultName is the data store that is used when none is named.
const DefaultName = "default"

// keepDeleted is how long a deleted data store stays visible: the SDKs' waiters
// want to see DELETED, and HealthLake keeps it as long.
const keepDeleted = 7 * 24 * time.Hour

// Errors to branch on; each comes wrapped with what it is about.
var (
	// ErrNotFound says that no data store or job has this name or id.
	ErrNotFound = errors.New("not found")
	// ErrBusy says that a data store cannot go while a job works in it.
	ErrBusy = errors.New("in use by a job")
	// ErrReadOnly says that this process does not own the root.
	ErrReadOnly = errors.New("this process does not own the root")
)

// Options of a catalog; the zero value is what commands use.
type Options struct {
	Now     func() time.Time // nil: time.Now
	Random  io.Reader        // of ids and keys; nil: crypto/rand
	Region  string           // of ARNs; "": us-east-1
	Account string           // of ARNs; "": 000000000000
	// BaseURL is where data stores are served, without a slash at its end. It
	// makes DatastoreEndpoint; "": http://127.0.0.1:8080.
	BaseURL string
}

// Catalog is safe for concurrent use.
type Catalog struct {
	root *root.Root
	o    Options
	fs   disk.FS
	mu   sync.Mutex // held while writing; readers see whole files without it

	// The owner's: the state of every record, to tell what changes, and the jobs that
	// requests with a token have made.
	states  map[string]string
	tokens  map[jobToken]string
	lastJob time.Time // when the last job was added
	watcher Watcher
}

// A Watcher is told of every change of state of a record, when it is durable. It is called
// with the catalog locked: it must not call it, and returns soon.
type Watcher interface {
	DataStoreChanged(*DataStore)
	// JobChanged is given the data store of the job, nil when its record is gone.
	JobChanged(*Job, *DataStore)
}

// Watch has w told of changes from now on; the owner calls it before others use the catalog.
func (c *Catalog) Watch(w Watcher) { c.watcher = w }

// Open opens the catalog of a root. The owner's open puts right what a process
// that died left behind: its jobs are shown as FAILED, begun deletions end.
func Open(r *root.Root, o Options) (*Catalog, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	o.Region = cmp.Or(o.Region, "us-east-1")
	o.Account = cmp.Or(o.Account, "000000000000")
	o.BaseURL = cmp.Or(strings.TrimRight(o.BaseURL, "/"), "http://127.0.0.1:8080")
	c := &Catalog{root: r, o: o, fs: disk.OS{}, states: map[string]string{}, tokens: map[jobToken]string{}}
	if !r.Exclusive() {
		return c, nil
	}
	for _, d := range []string{c.folder(datastores), c.folder(jobs)} {
		if err := c.fs.MkdirAll(d); err != nil {
			return nil, fmt.Errorf("open catalog: %w", err)
		}
	}
	if err := c.recover(); err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	return c, nil
}

// The two folders, with the word that errors use.
const (
	datastores = "datastores"
	jobs       = "jobs"
)

var nouns = map[string]string{datastores: "data store", jobs: "job"}

func (c *Catalog) folder(kind string) string { return filepath.Join(c.root.CatalogDir(), kind) }

// Dirs gives the folders of the catalog's files, for checks.
func (c *Catalog) Dirs() []string { return []string{c.folder(datastores), c.folder(jobs)} }

// Close is for symmetry with the other stores: the root holds the lock.
func (c *Catalog) Close() error { return nil }

func (c *Catalog) recover() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, err := readAll[DataStore](c.folder(datastores))
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, d := range all {
		switch {
		case d.Status == StatusDeleting:
			if err := c.finishDelete(d); err != nil {
				return err
			}
		case d.Status == StatusDeleted && c.o.Now().Sub(d.DeletedAt.Time) > keepDeleted:
			gone[d.ID] = true
			if err := c.fs.Remove(c.file(datastores, d.ID)); err != nil {
				return err
			}
			continue
		}
		c.states[d.ID] = d.Status
	}
	return c.recoverJobs(gone)
}

func (c *Catalog) file(kind, id string) string {
	return filepath.Join(c.folder(kind), id+".json")
}

func (c *Catalog) write(kind, id string, v any) error {
	if !c.root.Exclusive() {
		return fmt.Errorf("write %s %s: %w", nouns[kind], id, ErrReadOnly)
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s %s: %w", nouns[kind], id, err)
	}
	if err := disk.Replace(c.fs, c.file(kind, id), append(text, '\n')); err != nil {
		return fmt.Errorf("write %s %s: %w", nouns[kind], id, err)
	}
	return nil
}

// IsID tells whether a text has the form of an id of a data store or a job.
func IsID(s string) bool {
	if len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}

// read reads one record. An id that has not the form of one is not looked for:
// it may come from a URL and name any path.
func read[T any](c *Catalog, kind, id string) (*T, error) {
	if !IsID(id) {
		return nil, fmt.Errorf("%s %q: %w", nouns[kind], id, ErrNotFound)
	}
	v, err := readFile[T](c.file(kind, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s %q: %w", nouns[kind], id, ErrNotFound)
	}
	return v, err
}

func readFile[T any](name string) (*T, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	v := new(T)
	if err := json.Unmarshal(text, v); err != nil {
		return nil, fmt.Errorf("read catalog: %s: %w", filepath.Base(name), err)
	}
	return v, nil
}

// readAll reads the records of a folder; a missing folder has none. Leftovers
// of an unfinished write are passed over.
func readAll[T any](dir string) ([]*T, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	var all []*T
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || !IsID(id) {
			continue
		}
		v, err := readFile[T](filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // purged since the folder was read
		}
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// random gives n bytes as hexadecimal text.
func (c *Catalog) random(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(c.o.Random, b); err != nil {
		return "", fmt.Errorf("make id: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// NewJobID makes an id for a job.
func (c *Catalog) NewJobID() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random(16)
}

// Time is a time as the API's JSON has it: a number, seconds since 1970 with
// milliseconds. The zero Time is 0.
type Time struct{ time.Time }

// At makes a Time, to the millisecond.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// IsZero serves the JSON option omitzero.
func (t Time) IsZero() bool { return t.Time.IsZero() }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("0"), nil
	}
	ms := t.UnixMilli()
	return fmt.Appendf(nil, "%d.%03d", ms/1000, ms%1000), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(b []byte) error {
	var seconds float64
	if err := json.Unmarshal(b, &seconds); err != nil {
		return err
	}
	*t = Time{}
	if seconds != 0 {
		*t = Time{time.UnixMilli(int64(seconds*1000 + 0.5)).UTC()}
	}
	return nil
}

func byTime[T any](all []T, at func(T) time.Time, id func(T) string) {
	slices.SortFunc(all, func(a, b T) int {
		return cmp.Or(at(a).Compare(at(b)), cmp.Compare(id(a), id(b)))
	})
}
