package dictionary

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/store/root"
)

// A Fault is a file of a dictionary that is not as it should be.
type Fault struct {
	File     string // in the folder
	Err      error
	Leftover bool // no list names it; it does no harm
}

// Checked is what a check found.
type Checked struct {
	Files  int
	Bytes  int64
	Faults []Fault
}

// Check reads every file of the dictionary of a root. It changes nothing, and works beside an
// owner that does.
func Check(r *root.Root) Checked {
	d := newDictionary(r, Options{})
	for try := 1; ; try++ {
		c, before := d.checkOnce()
		after, err := d.readList()
		if len(c.Faults) == 0 || err != nil || try == maxTries || same(before, after.file) {
			return c
		}
	}
}

// checkOnce gives the list that it checked as well.
func (d *Dictionary) checkOnce() (c Checked, checked fs.FileInfo) {
	fault := func(file string, err error) { c.Faults = append(c.Faults, Fault{File: file, Err: err}) }
	s, err := d.readList()
	if err != nil {
		fault(listName, err)
		return c, nil
	}
	sizes := map[string]int64{}
	entries, err := os.ReadDir(d.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		fault("", err)
	}
	for _, e := range entries {
		if st, err := e.Info(); err == nil {
			sizes[e.Name()] = st.Size()
		}
	}
	named := map[string]bool{}
	count := func(name string) {
		named[name] = true
		if size, ok := sizes[name]; ok {
			c.Files++
			c.Bytes += size
		}
	}
	if s.file != nil {
		count(listName)
	}
	for i := range s.list.Sources {
		o := &s.list.Sources[i]
		count(o.File)
		if err := readTerms(filepath.Join(d.dir, o.File), o, func(*terminology.Term) {}); err != nil {
			fault(o.File, err)
		}
	}
	if x := &s.list.Index; x.File != "" {
		count(x.File)
		// That of another version of the program is made again when it is opened.
		if index, err := d.mapIndex(x); err != nil && x.madeHere() {
			fault(x.File, fmt.Errorf("%w; the next owner of the root makes it again", err))
		} else if err == nil && index.Version() != x.Version {
			fault(x.File, fmt.Errorf("it has version %s; the list says %s", index.Version(), x.Version))
		}
	}
	for _, e := range entries {
		if !named[e.Name()] {
			c.Faults = append(c.Faults, Fault{File: e.Name(), Err: errors.New("no list names it"), Leftover: true})
		}
	}
	return c, s.file
}
