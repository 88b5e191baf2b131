// Package profiles owns the folder <root>/profiles: the conformance resources that
// users add, in one file that is replaced whole. What they mean is left to package
// fhir/profile. The page docs/formats/profiles.md has the format.
//
// Read [Load] and [Save] first.
package profiles

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/store/disk"
	"github.com/fhirlake/fhirlake/store/root"
)

// fileName is the only file of the folder.
const fileName = "definitions.ndjson.gz"

// ErrReadOnly says that this process does not own the root.
var ErrReadOnly = errors.New("this process does not own the root")

// index is the first line of the file: what the others are, so that they need not
// be parsed to be found.
type index struct {
	ResourceType string  `json:"resourceType"` // indexType, which no resource has: other readers pass over it
	Version      int     `json:"version"`
	Definitions  []entry `json:"definitions"`
}

type entry struct {
	Type    string `json:"type"`
	URL     string `json:"url"`
	Version string `json:"version,omitempty"`
	Name    string `json:"name,omitempty"`
	Bytes   int    `json:"bytes"` // of the line, without its end
}

const (
	indexType = "fhirlake-definitions"
	version   = 1
)

// Load reads the definitions of a root; there may be none. It works beside an
// owner: the file is always whole. A definition is parsed when it is needed.
func Load(r *root.Root) (*profile.Registry, error) {
	name := filepath.Join(r.ProfilesDir(), fileName)
	packed, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return profile.NewRegistry(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("load profiles: %w", err)
	}
	reg, err := decode(packed)
	if err != nil {
		return nil, fmt.Errorf("load profiles: %s is damaged: %w; remove it and add the profiles again", name, err)
	}
	return reg, nil
}

func decode(packed []byte) (*profile.Registry, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	first, text, _ := bytes.Cut(text, []byte("\n"))
	var x index
	if err := json.Unmarshal(first, &x); err != nil {
		return nil, err
	}
	if x.ResourceType != indexType || x.Version != version {
		return nil, fmt.Errorf("it has version %d of the format; this program knows %d", x.Version, version)
	}
	reg := profile.NewRegistry()
	for i, e := range x.Definitions {
		if e.Bytes < 0 || e.Bytes >= len(text) || text[e.Bytes] != '\n' {
			return nil, fmt.Errorf("line %d is not as long as the index says", i+2)
		}
		res := profile.Resource{Type: e.Type, URL: e.URL, Version: e.Version, Name: e.Name, JSON: text[:e.Bytes:e.Bytes]}
		if _, err := reg.Add(res); err != nil {
			return nil, err
		}
		text = text[e.Bytes+1:]
	}
	return reg, nil
}

// Save makes the definitions those of the root, at once and durably. The order of
// the list does not matter: the same definitions give the same bytes.
func Save(r *root.Root, list []profile.Resource) error {
	if !r.Exclusive() {
		return fmt.Errorf("save profiles: %w", ErrReadOnly)
	}
	text, err := encode(list)
	if err != nil {
		return fmt.Errorf("save profiles: %w", err)
	}
	files := disk.OS{}
	if err := files.MkdirAll(r.ProfilesDir()); err != nil {
		return fmt.Errorf("save profiles: %w", err)
	}
	if err := files.SyncDir(r.Dir()); err != nil {
		return fmt.Errorf("save profiles: %w", err)
	}
	if err := disk.Replace(files, filepath.Join(r.ProfilesDir(), fileName), text); err != nil {
		return fmt.Errorf("save profiles: %w", err)
	}
	return nil
}

func encode(list []profile.Resource) ([]byte, error) {
	sorted := slices.SortedFunc(slices.Values(list), func(a, b profile.Resource) int {
		return slices.CompareFunc([]string{a.Type, a.URL, a.Version}, []string{b.Type, b.URL, b.Version}, strings.Compare)
	})
	x := index{ResourceType: indexType, Version: version, Definitions: []entry{}}
	for _, d := range sorted {
		x.Definitions = append(x.Definitions, entry{d.Type, d.URL, d.Version, d.Name, len(d.JSON)})
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if err := json.NewEncoder(z).Encode(&x); err != nil {
		return nil, err
	}
	for i := range sorted {
		if _, err := z.Write(append(slices.Clip(sorted[i].JSON), '\n')); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
