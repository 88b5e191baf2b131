// Package dictionary owns the folder <root>/terminology: the terms of the terminologies
// that users imported, and one index of them and the core lexicon, compiled, that all
// processes of a machine share. How releases are written and how an index works is left
// to stages/nlp/terminology. The page docs/formats/terminology.md has the format.
//
// Invariants:
//
//  1. Only the owner of the root writes. What the list of sources names was synced before
//     the list was replaced, and names of files are never used again.
//  2. Bytes of an index that was mapped stay until the process ends, even when the file is
//     gone: whoever reads a text need not tell when it ends.
//
// Read [Open] and [Dictionary] first.
package dictionary

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/store/disk"
	"github.com/fhirlake/fhirlake/store/root"
)

// A Dictionary is what NLP of a root knows: the core lexicon and what was imported. It is
// safe for concurrent use.
type Dictionary struct {
	root *root.Root
	dir  string
	log  func(error)

	now     atomic.Pointer[state]
	checked atomic.Int64 // when the file was looked at, in nanoseconds since begun
	begun   time.Time
}

// state is the dictionary as one list of sources has it.
type state struct {
	file  fs.FileInfo // of the list; nil when there is none
	list  list
	index *terminology.Index
}

// Options are optional.
type Options struct {
	// Log is told why a dictionary that another process changed cannot be used; the one
	// before it stays in use.
	Log func(error)
}

// Open gives the dictionary of a root; without imported terminologies it is the core
// lexicon. An index that another version of the program made is made again: by the owner
// of the root on disk, by others in memory.
func Open(r *root.Root, o Options) (*Dictionary, error) {
	d := newDictionary(r, o)
	s, err := d.load(false)
	if err != nil {
		return nil, fmt.Errorf("open dictionary: %w", err)
	}
	d.now.Store(s)
	return d, nil
}

// ToRepair gives a dictionary that [Open] cannot open, so that what is damaged in it can be
// imported again or removed. Until then it has the core lexicon.
func ToRepair(r *root.Root, o Options) *Dictionary {
	d := newDictionary(r, o)
	d.now.Store(&state{index: nlp.CoreIndex()})
	return d
}

func newDictionary(r *root.Root, o Options) *Dictionary {
	return &Dictionary{root: r, dir: r.TerminologyDir(), log: o.Log, begun: time.Now()}
}

// checkInterval is how old the knowledge of what other processes did may be.
const checkInterval = time.Second

// Current is the index as it is now; it stays usable when there is a newer one. It costs
// some nanoseconds, and once in a second a look at the file.
func (d *Dictionary) Current() *terminology.Index {
	now := int64(time.Since(d.begun))
	last := d.checked.Load()
	if now-last >= int64(checkInterval) && d.checked.CompareAndSwap(last, now) {
		d.refresh()
	}
	return d.now.Load().index
}

// Sources are the terminologies that were imported, in the order in which they count.
func (d *Dictionary) Sources() []Source {
	return append([]Source{}, d.now.Load().list.Sources...)
}

// refresh takes what another process made of the dictionary, or another Dictionary of this
// one. While this process changes it there is nothing to wait for.
func (d *Dictionary) refresh() {
	if !changing.TryLock() {
		return
	}
	defer changing.Unlock()
	st, err := os.Stat(d.listFile())
	if errors.Is(err, fs.ErrNotExist) {
		st, err = nil, nil
	}
	if err == nil && same(st, d.now.Load().file) {
		return
	}
	var s *state
	if err == nil {
		s, err = d.load(true)
	}
	if err != nil {
		if d.log != nil {
			d.log(fmt.Errorf("reload dictionary: %w", err))
		}
		return
	}
	d.now.Store(s)
}

func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// maxTries is how often a look begins again because the owner replaced what was read.
const maxTries = 10

// load reads the list and maps its index, or makes one that is not there in this version.
// Locked tells whether the caller holds changing.
func (d *Dictionary) load(locked bool) (*state, error) {
	for try := 1; ; try++ {
		s, err := d.readList()
		if err != nil {
			return nil, err
		}
		if len(s.list.Sources) == 0 {
			s.index = nlp.CoreIndex()
			return s, nil
		}
		if s.list.Index.madeHere() {
			s.index, err = d.mapIndex(&s.list.Index)
			gone := errors.Is(err, fs.ErrNotExist)
			if gone && !d.root.Exclusive() && try < maxTries {
				continue
			}
			if !gone && !errors.Is(err, terminology.ErrFormat) {
				return s, err
			}
		}
		if d.root.Exclusive() {
			return d.rebuild(locked)
		}
		s.index, err = d.compile(s.list.Sources)
		if !errors.Is(err, fs.ErrNotExist) || try == maxTries {
			return s, err
		}
	}
}

// mapIndex gives the index of a file, used in place.
func (d *Dictionary) mapIndex(i *indexFile) (*terminology.Index, error) {
	f, err := os.Open(filepath.Join(d.dir, i.File))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := disk.Map(f)
	if err != nil {
		return nil, err
	}
	return terminology.Load(b)
}

// compile makes the index of the core lexicon and the sources.
func (d *Dictionary) compile(sources []Source) (*terminology.Index, error) {
	c := terminology.NewCompiler()
	for _, t := range nlp.CoreTerms() {
		c.Add(&t)
	}
	for i := range sources {
		if err := readTerms(filepath.Join(d.dir, sources[i].File), &sources[i], c.Add); err != nil {
			return nil, err
		}
	}
	return c.Index(), nil
}
