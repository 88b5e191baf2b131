package profile

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
)

// Resource is one conformance resource as it was read.
type Resource struct {
	Type    string // StructureDefinition, ValueSet, CodeSystem, Questionnaire, ImplementationGuide
	URL     string // canonical URL without version
	Version string // business version; may be empty
	Name    string
	File    string // where it was read; not part of its identity
	JSON    []byte // its text, compact
}

// String names the resource in messages: ValueSet http://example.org/vs|1.0.
func (r *Resource) String() string {
	s := r.Type + " " + fhir.Cut(r.URL)
	if r.Version != "" {
		s += "|" + fhir.Cut(r.Version)
	}
	return s
}

// Canonical gives url|version, or the URL alone without a version.
func (r *Resource) Canonical() string {
	if r.Version == "" {
		return r.URL
	}
	return r.URL + "|" + r.Version
}

// The limits of reading, invariant 3.
const (
	maxResource = 64 << 20 // bytes of one resource
	maxFile     = 1 << 30  // bytes of one file, unpacked
	maxBundles  = 8        // levels of Bundles within Bundles
)

var used = map[string]bool{
	"StructureDefinition": true, "ValueSet": true, "CodeSystem": true, "Questionnaire": true, "ImplementationGuide": true,
}

// Read reads the conformance resources in files: JSON, NDJSON, Bundles, all of
// them maybe compressed (gzip), npm packages (.tgz), and folders of these. It
// calls add for each and stops at its first error. Resources of other types are
// passed over. Errors name the file, and the line or the member of a package.
func Read(names []string, add func(Resource) error) error {
	for _, name := range names {
		st, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("read definitions: %w", err)
		}
		if !st.IsDir() {
			if err := readFile(name, add); err != nil {
				return err
			}
			continue
		}
		err = filepath.WalkDir(name, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !isDefinitionFile(file) {
				return err
			}
			return readFile(file, add)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func isDefinitionFile(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	return slices.Contains([]string{".json", ".ndjson", ".jsonl", ".tgz", ".tar"}, filepath.Ext(name))
}

func readFile(name string, add func(Resource) error) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read definitions: %w", err)
	}
	defer f.Close()
	return ReadFrom(f, name, add)
}

// ReadFrom is [Read] for the content of one file, whose name is for messages and
// tells a package by its end, .tgz or .tar.
func ReadFrom(r io.Reader, name string, add func(Resource) error) error {
	b := bufio.NewReaderSize(r, 1<<16)
	if magic, _ := b.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		defer z.Close()
		b = bufio.NewReaderSize(z, 1<<16)
	}
	limited := &io.LimitedReader{R: b, N: maxFile}
	var err error
	if n := strings.TrimSuffix(strings.ToLower(name), ".gz"); strings.HasSuffix(n, ".tgz") || strings.HasSuffix(n, ".tar") {
		err = readPackage(limited, name, add)
	} else {
		err = readDocuments(limited, name, add)
	}
	if limited.N <= 0 {
		return fmt.Errorf("read %s: more than %d MB of definitions", name, maxFile>>20)
	}
	return err
}

// readPackage reads an npm package: the JSON files in its folder package, not
// those below it, which are examples and other matter.
func readPackage(r io.Reader, name string, add func(Resource) error) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		dir, file := path.Split(path.Clean(h.Name))
		if h.Typeflag != tar.TypeReg || dir != "package/" || path.Ext(file) != ".json" || file == "package.json" || file[0] == '.' {
			continue
		}
		if h.Size > maxResource {
			return fmt.Errorf("read %s: %s has %d MB; at most %d are read", name, h.Name, h.Size>>20, maxResource>>20)
		}
		if err := readDocuments(t, name+"/"+file, add); err != nil {
			return err
		}
	}
}

// readDocuments reads one JSON text after the other, so NDJSON too.
func readDocuments(r io.Reader, name string, add func(Resource) error) error {
	d := json.NewDecoder(r)
	for n := 1; ; n++ {
		var text json.RawMessage
		err := d.Decode(&text)
		if errors.Is(err, io.EOF) {
			return nil
		}
		where := name
		if n > 1 {
			where = fmt.Sprintf("%s, resource %d", name, n)
		}
		if err != nil {
			return fmt.Errorf("read %s: byte %d: %w", where, d.InputOffset(), err)
		}
		if err := readResource(text, where, maxBundles, add); err != nil {
			return err
		}
	}
}

func readResource(text []byte, where string, bundles int, add func(Resource) error) error {
	var head struct {
		ResourceType, URL, Version, Name string
		Entry                            []struct{ Resource json.RawMessage }
	}
	if len(text) > maxResource {
		return fmt.Errorf("read %s: a resource has %d MB; at most %d are read", where, len(text)>>20, maxResource>>20)
	}
	if err := json.Unmarshal(text, &head); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) && !used[head.ResourceType] && head.ResourceType != "Bundle" {
			return nil // such as the name of a Patient
		}
		return fmt.Errorf("read %s: %w", where, err)
	}
	if head.ResourceType == "Bundle" {
		if bundles == 0 {
			return fmt.Errorf("read %s: Bundles within Bundles, more than %d levels", where, maxBundles)
		}
		for i, e := range head.Entry {
			if len(e.Resource) == 0 {
				continue
			}
			if err := readResource(e.Resource, fmt.Sprintf("%s, entry %d", where, i), bundles-1, add); err != nil {
				return err
			}
		}
		return nil
	}
	if !used[head.ResourceType] {
		return nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return fmt.Errorf("read %s: %w", where, err)
	}
	res := Resource{Type: head.ResourceType, URL: head.URL, Version: head.Version, Name: head.Name, File: where, JSON: compact.Bytes()}
	switch {
	case res.URL != "":
	case res.Type != "StructureDefinition":
		return nil // nothing can refer to it
	default:
		return &DefinitionError{Resource: res, Reason: "no url; a definition is found by its canonical URL"}
	}
	return add(res)
}
