package ndjson

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/store/blob"
)

// lines is a stage that makes stored batches of those of [pipetest.Lines], whose texts are
// "Patient" and "Basic" with a number.
type lines struct{ packed bool }

func (lines) Name() string                          { return "stored" }
func (l lines) NewWorker() (pipeline.Worker, error) { return l, nil }

func (l lines) Process(_ context.Context, b *pipeline.Batch) error {
	st := pipeline.StoredOf.Of(b)
	*st = pipeline.Stored{Packed: st.Packed[:0]}
	var text []byte
	for i := range b.Records {
		line := b.Line(&b.Records[i])
		name, _, _ := bytes.Cut(line, []byte(" "))
		st.Type = r4.ResourceTypeByName(name)
		st.Resources++
		text = append(append(text, line...), '\n')
	}
	if l.packed {
		z, err := zstd.NewWriter(nil)
		if err != nil {
			return err
		}
		defer z.Close()
		st.Packed, b.Data = z.EncodeAll(text, st.Packed), b.Data[:0]
		return nil
	}
	b.Data = text
	return nil
}

func input() string {
	var s strings.Builder
	for i := range 400 {
		fmt.Fprintf(&s, "Basic %d\n", i)
	}
	for i := range 600 {
		fmt.Fprintf(&s, "Patient %d\n", i)
	}
	return s.String()
}

func named(t r4.TypeID, n int) string { return fmt.Sprintf("%s/%s-%d.ndjson", t, t, n) }

// read gives the files of a folder, decompressed.
func read(dir string) (files map[string]string, err error) {
	files = map[string]string{}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		var r io.Reader = bytes.NewReader(text)
		switch filepath.Ext(path) {
		case ".gz":
			r, err = gzip.NewReader(r)
		case ".zst":
			r, err = zstd.NewReader(r)
		}
		if err != nil {
			return err
		}
		text, err = io.ReadAll(r)
		files[filepath.ToSlash(rel)] = string(text)
		return err
	})
	return files, err
}

func open(t *testing.T, dir string) blob.Output {
	t.Helper()
	o, err := blob.NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestSink(t *testing.T) {
	for _, how := range []Compression{Plain, Gzip, Zstd} {
		for _, packed := range []bool{false, true} {
			if packed && how != Zstd {
				continue // nobody asks a source for frames that are not wanted
			}
			t.Run(fmt.Sprintf("%q packed=%v", how, packed), func(t *testing.T) {
				pipetest.TestSink(t, func(t *testing.T) pipetest.SinkSetup {
					dir := t.TempDir()
					return pipetest.SinkSetup{
						Sink:   New(Options{Output: open(t, filepath.Join(dir, "out")), Name: named, Compression: how, FileBytes: 200}),
						Result: pipetest.Files(dir),
					}
				}, func(*testing.T) pipeline.Source { return pipetest.Lines("in", input(), 10) }, lines{packed})
			})
		}
	}
}

func TestFilesAreOfOneTypeAndBoundedSize(t *testing.T) {
	for _, how := range []Compression{Plain, Gzip, Zstd} {
		t.Run(string("ndjson"+how), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			var told []File
			s := New(Options{
				Output: open(t, dir), Name: named, Compression: how, FileBytes: 1000,
				Written: func(f File) { told = append(told, f) },
			})
			if _, err := pipeline.Run(context.Background(), pipeline.Config{
				Source: pipetest.Lines("in", input(), 10), Stages: []pipeline.Stage{lines{}}, Sinks: []pipeline.Sink{s},
			}); err != nil {
				t.Fatal(err)
			}
			files, err := read(dir)
			if err != nil {
				t.Fatal(err)
			}
			var all strings.Builder
			resources := int64(0)
			for _, f := range told {
				st, err := os.Stat(filepath.Join(dir, f.Name))
				if err != nil {
					t.Fatal(err)
				}
				if st.Size() != f.Bytes || f.Bytes >= 1200 {
					t.Errorf("%s has %d bytes, told %d of some 1000", f.Name, st.Size(), f.Bytes)
				}
				text := files[f.Name]
				if n := strings.Count(text, "\n"); int64(n) != f.Resources {
					t.Errorf("%s has %d lines, told %d", f.Name, n, f.Resources)
				}
				for line := range strings.Lines(text) {
					if !strings.HasPrefix(line, f.Type.String()+" ") {
						t.Errorf("%s has %q", f.Name, line)
					}
				}
				all.WriteString(text)
				resources += f.Resources
			}
			if diff := cmp.Diff(input(), all.String()); diff != "" {
				t.Errorf("text of the files (-want +got):\n%s", diff)
			}
			if len(told) != len(files) || len(told) < 4 || resources != 1000 || s.Resources() != 1000 {
				t.Errorf("told of %d files with %d resources, there are %d; the sink says %d", len(told), resources, len(files), s.Resources())
			}
		})
	}
}

// full is an output that has room for some bytes.
type full struct {
	blob.Output
	room int
}

var errFull = errors.New("no space left")

func (f *full) Create(name string) (blob.File, error) {
	w, err := f.Output.Create(name)
	return &fullFile{w, f}, err
}

type fullFile struct {
	blob.File
	of *full
}

func (f *fullFile) Write(p []byte) (int, error) {
	if f.of.room -= len(p); f.of.room < 0 {
		return 0, errFull
	}
	return f.File.Write(p)
}

func TestAnErrorNamesTheFileAndLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	s := New(Options{Output: &full{open(t, dir), 5000}, Name: named, FileBytes: 1000})
	_, err := pipeline.Run(context.Background(), pipeline.Config{
		Source: pipetest.Lines("in", input(), 10), Stages: []pipeline.Stage{lines{}}, Sinks: []pipeline.Sink{s},
	})
	if !errors.Is(err, errFull) || !strings.Contains(err.Error(), "Patient/Patient-") {
		t.Errorf("error: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
}

func TestBatchesWithoutResourcesMakeNoFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	s := New(Options{Output: open(t, dir), Name: named, Compression: Zstd})
	if _, err := pipeline.Run(context.Background(), pipeline.Config{
		Source: pipetest.Lines("in", "Basic 1\n", 1), Stages: []pipeline.Stage{none{}}, Sinks: []pipeline.Sink{s},
	}); err != nil {
		t.Fatal(err)
	}
	files, err := read(dir)
	if names := slices.Collect(func(yield func(string) bool) {
		for n := range files {
			yield(n)
		}
	}); err != nil || len(names) > 0 {
		t.Errorf("files %v, %v", names, err)
	}
}

// none leaves nothing of a batch.
type none struct{}

func (none) Name() string                        { return "none" }
func (none) NewWorker() (pipeline.Worker, error) { return none{}, nil }
func (none) Process(_ context.Context, b *pipeline.Batch) error {
	*pipeline.StoredOf.Of(b) = pipeline.Stored{}
	return nil
}
