package dictionary

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// listName is the file that names all others of the folder.
const listName = "sources.json"

// listVersion is the version of the format of the folder.
const listVersion = 1

// list is the content of the file.
type list struct {
	Version int       `json:"version"`
	Next    int       `json:"next"` // number for the names of the next files
	Index   indexFile `json:"index"`
	Sources []Source  `json:"sources"`
}

// indexFile is a compiled index, with what it was made by.
type indexFile struct {
	File     string `json:"file"`
	Terms    int    `json:"terms"`   // different texts
	Version  string `json:"version"` // of the dictionary
	Core     string `json:"core"`    // nlp.CoreVersion
	Compiler string `json:"compiler"`
}

// madeHere tells whether this program would make the same index.
func (i *indexFile) madeHere() bool {
	return i.File != "" && i.Core == nlp.CoreVersion() && i.Compiler == terminology.CompilerVersion()
}

// A Source is a terminology that was imported.
type Source struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"` // one of release.Kinds
	Version string    `json:"version,omitempty"`
	Terms   int       `json:"terms"` // as read: a text for each concept that it stands for
	Added   time.Time `json:"added"`
	Read    []string  `json:"read"` // the files that were read, as they were named then

	File  string `json:"file"` // its terms
	Bytes int64  `json:"bytes"`
	CRC   uint32 `json:"crc32c"`
}

func (d *Dictionary) listFile() string { return filepath.Join(d.dir, listName) }

// readList reads the list; there may be none.
func (d *Dictionary) readList() (*state, error) {
	f, err := os.Open(d.listFile())
	if errors.Is(err, fs.ErrNotExist) {
		return &state{list: list{Version: listVersion, Next: 1}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &state{file: st}
	if err := json.NewDecoder(f).Decode(&s.list); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; remove the folder and import the terminologies again", d.listFile(), err)
	}
	if s.list.Version != listVersion {
		return nil, fmt.Errorf("%s has version %d; this program knows %d", d.listFile(), s.list.Version, listVersion)
	}
	return s, nil
}

// thisIndex describes an index that this program made.
func thisIndex(x *terminology.Index, file string) indexFile {
	return indexFile{File: file, Terms: x.Len(), Version: x.Version(), Core: nlp.CoreVersion(), Compiler: terminology.CompilerVersion()}
}
