// Package profiles owns the folder <root>/profiles: the conformance resources that
// users add, in one file that is replaced whole. What they mean is left to package
// fhir/profile. The page docs/formats/profiles.md has the format.
//
// Read [Load] and [Save] first.
package profiles

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
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

// Load reads the definitions of a root; there may be none. It works beside an
// owner: the file is always whole.
func Load(r *root.Root) (*profile.Registry, error) {
	reg := profile.NewRegistry()
	name := filepath.Join(r.ProfilesDir(), fileName)
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return reg, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load profiles: %w", err)
	}
	defer f.Close()
	err = profile.ReadFrom(f, name, func(res profile.Resource) error {
		_, err := reg.Add(res)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load profiles: %w", err)
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
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
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
