package ndjson

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/fhirlake/fhirlake/store/blob"
)

// InputError says what is wrong with an input that the user gave.
type InputError struct {
	Input    string // as given, or the path found below it
	Found    string
	Expected string
	Err      error // nil, or what the system said
}

func (e *InputError) Error() string {
	return fmt.Sprintf("input %s: %s; expected %s", e.Input, e.Found, e.Expected)
}

func (e *InputError) Unwrap() error { return e.Err }

const (
	expectInput = "an NDJSON file, a folder with such files, a glob, s3://bucket/prefix, or - for standard input"
	expectNames = "files named *.ndjson, *.jsonl or *.json, or one of these with .gz or .zst"
)

// inputError turns what the system says of a path into a sentence.
func inputError(path string, err error) error {
	e := &InputError{Input: path, Expected: expectInput, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Found = "there is no such file or folder"
		if dir := filepath.Dir(path); dir != "." {
			if _, derr := os.Stat(dir); errors.Is(derr, fs.ErrNotExist) {
				e.Found += fmt.Sprintf(", nor the folder %s", dir)
			}
		}
	case errors.Is(err, fs.ErrPermission):
		e.Found = "no permission to read it"
		e.Expected = "one that this user may read"
	default:
		e.Found = err.Error()
		var pe *fs.PathError
		if errors.As(err, &pe) {
			e.Found = pe.Err.Error()
		}
	}
	return e
}

// Open finds the inputs and makes a source of them. An input is
//
//   - a file of any name, regular or a pipe;
//   - a folder: its *.ndjson and *.jsonl files, each also with .gz, .zst or
//     .zstd, at any depth, in byte order of the names in each folder, named by
//     the path below the folder given. Only when it has none of these, its *.json
//     files, which are documents then. Hidden files and folders (with a dot in
//     front) are left out, and so are manifest.ndjson, log.ndjson and
//     manifest.json, the bookkeeping of bulk exports, see [Source.Skipped]. Links
//     to files are followed, links to folders are not;
//   - a glob that the shell has left alone, for files and folders;
//   - s3://bucket/key: an object, or those below the key as if it were a folder;
//   - a URL of another server, for Options.Web;
//   - the word - for Options.Stdin.
//
// All files must be there and readable: the first that is not is an [InputError].
func Open(ctx context.Context, inputs []string, opt Options) (*Source, error) {
	if len(inputs) == 0 {
		return nil, &InputError{Input: "list", Found: "it is empty", Expected: expectInput}
	}
	l := lister{ctx: ctx, stdin: opt.Stdin, blobs: opt.Blobs, web: opt.Web}
	for _, in := range inputs {
		if err := l.input(in); err != nil {
			return nil, err
		}
	}
	if l.remote {
		opt.Readers = max(opt.Readers, remoteReaders)
	}
	src := New(l.objects, opt)
	src.skipped = l.skipped
	return src, nil
}

type lister struct {
	ctx     context.Context
	stdin   io.Reader
	blobs   *blob.Client
	web     func(context.Context, string) ([]Object, error)
	objects []Object
	skipped []string
	remote  bool // some of the objects are read over a network
}

func (l *lister) input(in string) error {
	if in == "" {
		return &InputError{Input: `""`, Found: "the name is empty", Expected: expectInput}
	}
	if in == "-" {
		if l.stdin == nil {
			return &InputError{Input: "-", Found: "standard input is not there, or was given before", Expected: expectInput}
		}
		r := l.stdin
		l.stdin = nil
		l.objects = append(l.objects, &pipe{"-", func() (io.ReadCloser, error) { return io.NopCloser(r), nil }})
		return nil
	}
	if blob.IsURI(in) {
		return l.bucket(in)
	}
	if lower := strings.ToLower(in); strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://") {
		if l.web == nil {
			return &InputError{Input: in, Found: "other servers cannot be read here", Expected: expectInput}
		}
		all, err := l.web(l.ctx, in)
		l.objects, l.remote = append(l.objects, all...), true
		return err
	}
	info, err := os.Stat(in)
	if err != nil && errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(in, "*?[") {
		return l.glob(in)
	}
	if err != nil {
		return inputError(in, err)
	}
	if info.IsDir() {
		return l.folder(in)
	}
	return l.file(in, in, info)
}

func (l *lister) glob(pattern string) error {
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return &InputError{Input: pattern, Found: "the pattern is malformed", Expected: "a glob such as data/*.ndjson", Err: err}
	}
	for _, m := range matches {
		info, err := os.Stat(m)
		switch {
		case err != nil:
			err = inputError(m, err)
		case info.IsDir():
			err = l.folder(m)
		default:
			err = l.file(m, m, info)
		}
		if err != nil {
			return err
		}
	}
	if len(matches) == 0 {
		return &InputError{Input: pattern, Found: "the pattern matches no file", Expected: expectInput, Err: fs.ErrNotExist}
	}
	return nil
}

// file adds one file. It is opened for a moment: better to fail before the job
// than in it.
func (l *lister) file(path, name string, info fs.FileInfo) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		if info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice|fs.ModeSocket) == 0 {
			return &InputError{Input: path, Found: "it is neither a file nor a folder", Expected: expectInput}
		}
		l.objects = append(l.objects, &pipe{name, func() (io.ReadCloser, error) { return os.Open(path) }})
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return inputError(path, err)
	}
	f.Close()
	l.objects = append(l.objects, &localFile{name: name, path: path, info: info})
	return nil
}

// selection is what of a folder is taken.
type selection struct {
	l                *lister
	lines, documents []candidate
	others           int
	other            string
}

// candidate is a file of a folder that may be taken.
type candidate struct {
	name string // below the folder, with forward slashes
	take func() error
}

// see looks at the name of a file.
func (s *selection) see(name string, take func() error) {
	base := path.Base(name)
	c := candidate{name, take}
	switch kindOf(base) {
	case lineFile:
		s.lines = append(s.lines, c)
		return
	case documentFile:
		s.documents = append(s.documents, c)
		return
	case bookkeeping:
		s.l.skipped = append(s.l.skipped, name)
	}
	if s.others++; s.other == "" {
		s.other = base
	}
}

// take takes the files of a folder that are data by their names.
func (s *selection) take(folder string) error {
	take := s.lines
	if len(s.lines) == 0 {
		take = s.documents
	} else {
		for _, c := range s.documents {
			s.l.skipped = append(s.l.skipped, c.name)
		}
	}
	for _, c := range take {
		if err := c.take(); err != nil {
			return err
		}
	}
	if len(take) > 0 {
		return nil
	}
	e := &InputError{Input: folder, Found: "the folder is empty", Expected: expectNames}
	switch {
	case s.others == 1:
		e.Found = fmt.Sprintf("the folder has only %s", s.other)
	case s.others > 1:
		e.Found = fmt.Sprintf("the folder has %d other files, such as %s", s.others, s.other)
	}
	return e
}

func (l *lister) folder(root string) error {
	if dir, err := filepath.EvalSymlinks(root); err == nil {
		root = dir // WalkDir does not follow a link, even when it is the root
	}
	s := selection{l: l}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return inputError(path, err)
		}
		if path == root {
			return nil
		}
		if strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return fmt.Errorf("list %s: %w", root, err)
		}
		name = filepath.ToSlash(name)
		if kindOf(d.Name()) == otherFile {
			s.see(name, nil)
			return nil
		}
		info, err := os.Stat(path) // follows a link
		if err != nil {
			return inputError(path, err)
		}
		if !info.IsDir() {
			s.see(name, func() error { return l.file(path, name, info) })
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.take(root)
}

// fileKind is what a file of a folder is by its name.
type fileKind uint8

const (
	otherFile    fileKind = iota
	lineFile              // NDJSON
	documentFile          // one JSON document
	bookkeeping           // what exports put beside their data
)

func kindOf(name string) fileKind {
	name = strings.ToLower(name)
	for _, ext := range []string{".gz", ".zst", ".zstd"} {
		if s, ok := strings.CutSuffix(name, ext); ok {
			name = s
			break
		}
	}
	switch name {
	case "manifest.json", "manifest.ndjson", "log.ndjson":
		return bookkeeping
	}
	switch filepath.Ext(name) {
	case ".ndjson", ".jsonl":
		return lineFile
	case ".json":
		return documentFile
	}
	return otherFile
}
