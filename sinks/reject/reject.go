// Package reject writes the report of an import in HealthLake's layout: for each
// input a file of the records that were taken (SUCCESS), of those that were taken
// with errors (SUCCESS_WITH_SEARCH_VALIDATION_FAILURES) and of those that were not
// (FAILURE), and keeps a sample of the rejects for people. What it writes is visible
// only after Publish (docs/formats/report.md).
//
// Read [Sink] first.
package reject

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
)

// SampleSize is how many rejects Sample keeps.
const SampleSize = 10

// Reject is one refused record, for messages.
type Reject struct {
	Pos   fhir.Pos
	Issue fhir.Issue // the first error
}

// The folders of a report. Every record has a line in one of them.
const (
	Success    = "SUCCESS"
	WithIssues = "SUCCESS_WITH_SEARCH_VALIDATION_FAILURES"
	Failure    = "FAILURE"
)

var folders = [...]string{Success, WithIssues, Failure}

// folderOf gives the index in folders of where a record belongs.
func folderOf(r *pipeline.Record) int {
	switch {
	case r.Status == pipeline.Rejected:
		return 2
	case r.Flawed:
		return 1
	}
	return 0
}

// FileCount is what one input came to.
type FileCount struct {
	Name       string
	Accepted   int64
	WithIssues int64 // of Accepted, those with an error
	Rejected   int64
}

// Sink writes the report folder, or only counts when it has none.
type Sink struct {
	dir     string
	updated string
	current *outputs
	names   map[string]bool
	order   []*outputs
	sample  []Reject
	walk    pipeline.IssueWalk

	committed bool // the files are complete
}

type outputs struct {
	FileCount
	file *pipeline.File
	base string
	out  [len(folders)]*output
}

// finish completes the files of an input.
func (o *outputs) finish() error {
	var err error
	for _, out := range o.out {
		err = errors.Join(err, out.finish())
	}
	return err
}

// output is one report file under its temporary name.
type output struct {
	f    *os.File
	w    *bufio.Writer
	name string // final
	done bool   // closed, waiting for its name
}

// finish writes what is buffered, syncs and closes the file.
func (o *output) finish() error {
	if o == nil || o.done {
		return nil
	}
	o.done = true
	if err := errors.Join(o.w.Flush(), o.f.Sync(), o.f.Close()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	o.w, o.f = nil, nil
	return nil
}

var (
	_ pipeline.Sink     = (*Sink)(nil)
	_ pipeline.Preparer = (*Sink)(nil)
)

// New makes a sink that reports into dir, or nowhere when dir is empty. updated
// is the time that accepted resources get.
func New(dir string, updated time.Time) *Sink {
	return &Sink{dir: dir, updated: fhir.FormatInstant(updated), names: map[string]bool{}}
}

// Name is "reject".
func (s *Sink) Name() string { return "reject" }

// Sample gives the first rejects.
func (s *Sink) Sample() []Reject { return s.sample }

// Files gives the counts of every input that had records, in input order.
func (s *Sink) Files() []FileCount {
	var fs []FileCount
	for _, o := range s.order {
		fs = append(fs, o.FileCount)
	}
	return fs
}

// Prepare formats the lines on the workers.
func (s *Sink) Prepare() pipeline.Stage { return stage{updated: s.updated, off: s.dir == ""} }

// Write reports a batch.
func (s *Sink) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	p := slot.Of(b)
	s.walk.Start(b)
	for i := range b.Received() {
		r := &b.Records[i]
		o, err := s.outputs(r.File)
		if err != nil {
			return nil, err
		}
		folder := folderOf(r)
		switch folders[folder] {
		case Failure:
			o.Rejected++
			s.note(b, i)
		case WithIssues:
			o.WithIssues++
			o.Accepted++
		default:
			o.Accepted++
		}
		if s.dir == "" {
			continue
		}
		if err := s.write(o, folder, p.text[p.start[i]:p.start[i+1]]); err != nil {
			return nil, err
		}
	}
	if cap(p.text) > keepBuffer {
		p.text = nil // a batch of faulty resources passed, and it will be used again
	}
	return nil, nil
}

// note adds a reject to the sample while it has room.
func (s *Sink) note(b *pipeline.Batch, i int) {
	if len(s.sample) == SampleSize {
		return
	}
	for _, is := range s.walk.Of(i) {
		if is.Severity <= fhir.Error {
			s.sample = append(s.sample, Reject{b.Pos(&b.Records[i]), is})
			return
		}
	}
}

// outputs gives the report files of an input. Inputs come one after the other,
// so when the next one begins, those of the last one are done.
func (s *Sink) outputs(f *pipeline.File) (*outputs, error) {
	if s.current != nil && s.current.file == f {
		return s.current, nil
	}
	if s.current != nil {
		if err := s.current.finish(); err != nil {
			return nil, err
		}
	}
	s.current = &outputs{FileCount: FileCount{Name: f.Name}, file: f, base: s.baseName(f.Name)}
	s.order = append(s.order, s.current)
	return s.current, nil
}

// baseName is the input's base name without .ndjson, .gz, .zst; a name that was
// taken gets its folder in front, and if that is taken too, a number.
func (s *Sink) baseName(name string) string {
	base := trimSuffixes(filepath.Base(name))
	for n := 1; s.names[base]; n++ {
		base = trimSuffixes(filepath.Base(name))
		if dir := filepath.Base(filepath.Dir(name)); dir != "." && dir != string(filepath.Separator) {
			base = dir + "-" + base
		}
		if n > 1 {
			base += "-" + strconv.Itoa(n)
		}
	}
	s.names[base] = true
	return base
}

func trimSuffixes(name string) string {
	for _, suffix := range []string{".gz", ".zst", ".ndjson"} {
		name = strings.TrimSuffix(name, suffix)
	}
	if name == "" || name == "-" {
		return "stdin"
	}
	return name
}

func (s *Sink) write(o *outputs, folder int, line []byte) error {
	out := o.out[folder]
	if out == nil {
		dir := filepath.Join(s.dir, folders[folder])
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		name := filepath.Join(dir, o.base+".ndjson")
		f, err := os.Create(name + ".part")
		if err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		out = &output{f: f, w: bufio.NewWriterSize(f, 64<<10), name: name}
		o.out[folder] = out
	}
	if _, err := out.w.Write(line); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// Flush has nothing to do: Commit writes what is buffered.
func (s *Sink) Flush(context.Context) ([]pipeline.Task, error) { return nil, nil }

// Commit completes the files, still under their temporary names: what can fail of
// the report has to fail before the job is published. Then comes Publish, or
// Discard.
func (s *Sink) Commit(context.Context) error {
	for _, o := range s.order {
		if err := o.finish(); err != nil {
			return err
		}
	}
	s.committed = true
	return nil
}

// Publish gives the files their names. What an earlier job left under a name that
// this one has no lines for goes.
func (s *Sink) Publish() error {
	if s.dir == "" {
		return nil
	}
	for _, o := range s.order {
		for folder, out := range o.out {
			var err error
			if out != nil {
				err = os.Rename(out.name+".part", out.name)
			} else {
				err = removeIfThere(filepath.Join(s.dir, folders[folder], o.base+".ndjson"))
			}
			if err != nil {
				return fmt.Errorf("write report: %w", err)
			}
		}
	}
	return nil
}

// Discard removes the files of a job that was not published.
func (s *Sink) Discard() error {
	var err error
	for _, o := range s.order {
		for _, out := range o.out {
			if out == nil {
				continue
			}
			if !out.done {
				out.f.Close()
				out.done = true
			}
			err = errors.Join(err, removeIfThere(out.name+".part"))
		}
	}
	return err
}

// Close discards what Commit has not completed.
func (s *Sink) Close() error {
	if s.committed {
		return nil
	}
	return s.Discard()
}

// removeIfThere removes a file that may be gone.
func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// WriteManifest puts Manifest.json into a report folder, and the same file as
// manifest.json, which is how HealthLake's documentation spells it. On a file
// system that does not tell the two apart there is one.
func WriteManifest(dir string, content []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	for _, name := range []string{"Manifest.json", "manifest.json"} {
		part := filepath.Join(dir, name+".part")
		if err := os.WriteFile(part, content, 0o644); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		if err := os.Rename(part, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	return nil
}
