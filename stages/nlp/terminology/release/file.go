package release

import (
	"archive/zip"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// A File is one file of a release, maybe compressed (gzip), maybe in a zip archive. It is
// not unpacked on disk.
type File struct {
	Name string // for people: in an archive, after the archive's own name
	Size int64  // of what Open counts

	inner string // the part of Name at and below what was asked for, with slashes
	open  func() (io.ReadCloser, error)
}

// Open gives the content, unpacked. Tick is called with the number of bytes that were
// read of Size; its error ends reading. It may be nil.
func (f *File) Open(tick func(n int) error) (io.ReadCloser, error) {
	raw, err := f.open()
	if err != nil {
		return nil, err
	}
	b := bufio.NewReaderSize(&counter{raw, tick}, 1<<16)
	if magic, _ := b.Peek(2); string(magic) != "\x1f\x8b" {
		return readCloser{b, raw}, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.Name, err), raw.Close())
	}
	return readCloser{z, raw}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

type counter struct {
	r    io.Reader
	tick func(n int) error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.tick != nil {
		if terr := c.tick(n); terr != nil {
			return 0, terr
		}
	}
	return n, err
}

// base is the name of the file without folders and the suffix of gzip.
func (f *File) base() string {
	b := path.Base(f.inner)
	if strings.HasSuffix(strings.ToLower(b), ".gz") {
		b = b[:len(b)-len(".gz")]
	}
	return b
}

// extensions are those of files that may be of a release, when a folder or an archive is
// looked through.
var extensions = map[string]bool{".txt": true, ".xml": true, ".obo": true, ".tsv": true, ".csv": true, ".rrf": true}

func (f *File) eligible() bool { return extensions[strings.ToLower(path.Ext(f.base()))] }

// list gives the files of what was asked for: a file, a folder with all below it, or an
// archive. Only one that was named itself may have any name.
func list(name string) ([]File, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return listFile(name, filepath.Base(name), st.Size(), true)
	}
	var out []File
	err = filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(name, p)
		if err != nil {
			return err
		}
		files, err := listFile(p, path.Join(filepath.Base(name), filepath.ToSlash(rel)), st.Size(), false)
		out = append(out, files...)
		return err
	})
	return out, err
}

// listFile gives a file, or the content of an archive.
func listFile(name, inner string, size int64, named bool) ([]File, error) {
	f := File{Name: name, Size: size, inner: inner, open: func() (io.ReadCloser, error) { return os.Open(name) }}
	isZip := strings.HasSuffix(strings.ToLower(name), ".zip")
	if !named && !isZip {
		if !f.eligible() {
			return nil, nil
		}
		return []File{f}, nil
	}
	if !isZip {
		var err error
		if isZip, err = startsAsZip(name); err != nil {
			return nil, err
		}
	}
	if !isZip {
		return []File{f}, nil
	}
	z, err := zip.OpenReader(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer z.Close()
	var out []File
	for _, e := range z.File {
		member := File{
			Name: name + "/" + e.Name, Size: int64(e.UncompressedSize64), inner: inner + "/" + e.Name,
			open: func() (io.ReadCloser, error) { return openMember(name, e.Name) },
		}
		if e.Mode().IsRegular() && member.eligible() {
			out = append(out, member)
		}
	}
	return out, nil
}

func startsAsZip(name string) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var head [4]byte
	_, err = io.ReadFull(f, head[:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return string(head[:]) == "PK\x03\x04", err
}

// openMember opens one file of an archive; closing it closes both.
func openMember(archive, member string) (io.ReadCloser, error) {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", archive, err)
	}
	for _, e := range z.File {
		if e.Name == member {
			r, err := e.Open()
			if err != nil {
				return nil, errors.Join(fmt.Errorf("%s/%s: %w", archive, member, err), z.Close())
			}
			return readCloser{r, z}, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("%s/%s: %w", archive, member, fs.ErrNotExist), z.Close())
}
