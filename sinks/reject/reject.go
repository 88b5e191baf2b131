// Package reject writes the report of an import in HealthLake's layout: for each
// input a file of the records that were taken (SUCCESS) and one of those that
// were not (FAILURE), and keeps a sample of the rejects for people. What it
// writes is visible only after Publish (docs/formats/report.md).
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
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/pipeline"
)

// SampleSize is how many rejects Sample keeps.
const SampleSize = 10

// Reject is one refused record, for messages.
type Reject struct {
	Pos   fhir.Pos
	Issue fhir.Issue // the first error
}

// FileCount is what one input came to.
type FileCount struct {
	Name               string
	Accepted, Rejected int64
}

// Sink writes the report folder, or only counts when it has none.
type Sink struct {
	dir     string
	updated string
	current *outputs
	names   map[string]bool
	order   []*outputs
	sample  []Reject
	line    []byte
	issues  []fhir.Issue

	committed bool // the files are complete
}

type outputs struct {
	FileCount
	file             *pipeline.File
	base             string
	success, failure *output
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

// Prepare formats the lines of accepted records on the workers.
func (s *Sink) Prepare() pipeline.Stage { return stage{updated: s.updated, off: s.dir == ""} }

// Write reports a batch.
func (s *Sink) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	p := slot.Of(b)
	issues := sortedIssues(b)
	for i := range b.Records {
		r := &b.Records[i]
		o, err := s.outputs(r.File)
		if err != nil {
			return nil, err
		}
		if r.Status != pipeline.Rejected {
			o.Accepted++
			if s.dir == "" {
				continue
			}
			if err := s.write(&o.success, "SUCCESS", o.base, p.text[p.start[i]:p.start[i+1]]); err != nil {
				return nil, err
			}
			continue
		}
		o.Rejected++
		s.issues = s.issues[:0]
		for ; len(issues) > 0 && issues[0].Record <= i; issues = issues[1:] {
			if issues[0].Record == i {
				s.issues = append(s.issues, issues[0].Issue)
			}
		}
		if err := s.reject(o, b, r); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (s *Sink) reject(o *outputs, b *pipeline.Batch, r *pipeline.Record) error {
	if len(s.sample) < SampleSize {
		for _, is := range s.issues {
			if is.Severity <= fhir.Error {
				s.sample = append(s.sample, Reject{b.Pos(r), is})
				break
			}
		}
	}
	if s.dir == "" {
		return nil
	}
	l := append(s.line[:0], `{"lineId":`...)
	l = strconv.AppendInt(l, r.Line, 10)
	l = append(l, `,"UpdateResourceResponse":{"jsonBlob":`...)
	l = outcome.Append(l, s.issues, outcome.At{Line: r.Line, Offset: r.Offset})
	l = append(l, `,"statusCode":`...)
	l = strconv.AppendInt(l, int64(outcome.Status(s.issues)), 10)
	l = append(l, "}}\n"...)
	s.line = l
	return s.write(&o.failure, "FAILURE", o.base, l)
}

// sortedIssues puts the issues of a batch in the order of its records: each
// stage starts again at the first one.
func sortedIssues(b *pipeline.Batch) []pipeline.RecordIssue {
	if !slices.IsSortedFunc(b.Issues, byRecord) {
		slices.SortStableFunc(b.Issues, byRecord)
	}
	return b.Issues
}

func byRecord(a, b pipeline.RecordIssue) int { return a.Record - b.Record }

// outputs gives the report files of an input. Inputs come one after the other,
// so when the next one begins, those of the last one are done.
func (s *Sink) outputs(f *pipeline.File) (*outputs, error) {
	if s.current != nil && s.current.file == f {
		return s.current, nil
	}
	if s.current != nil {
		if err := errors.Join(s.current.success.finish(), s.current.failure.finish()); err != nil {
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

func (s *Sink) write(o **output, folder, base string, line []byte) error {
	if *o == nil {
		dir := filepath.Join(s.dir, folder)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		name := filepath.Join(dir, base+".ndjson")
		f, err := os.Create(name + ".part")
		if err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		*o = &output{f: f, w: bufio.NewWriterSize(f, 64<<10), name: name}
	}
	if _, err := (*o).w.Write(line); err != nil {
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
		if err := errors.Join(o.success.finish(), o.failure.finish()); err != nil {
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
		for folder, out := range map[string]*output{"SUCCESS": o.success, "FAILURE": o.failure} {
			var err error
			if out != nil {
				err = os.Rename(out.name+".part", out.name)
			} else {
				err = removeIfThere(filepath.Join(s.dir, folder, o.base+".ndjson"))
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
		for _, out := range []*output{o.success, o.failure} {
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

// product is the SUCCESS lines of a batch: line i is text[start[i]:start[i+1]],
// empty for a rejected record.
type product struct {
	text  []byte
	start []int
}

var slot = pipeline.NewSlot[product]()

type stage struct {
	updated string
	off     bool
}

func (stage) Name() string { return "report" }

func (s stage) NewWorker() (pipeline.Worker, error) { return worker(s), nil }

type worker struct {
	updated string
	off     bool
}

func (w worker) Process(_ context.Context, b *pipeline.Batch) error {
	if w.off {
		return nil
	}
	p := slot.Of(b)
	p.text, p.start = p.text[:0], p.start[:0]
	for i := range b.Records {
		p.start = append(p.start, len(p.text))
		if r := &b.Records[i]; r.Status != pipeline.Rejected {
			p.text = w.appendSuccess(p.text, r)
		}
	}
	p.start = append(p.start, len(p.text))
	return nil
}

func (w worker) appendSuccess(l []byte, r *pipeline.Record) []byte {
	l = append(l, `{"lineId":`...)
	l = strconv.AppendInt(l, r.Line, 10)
	l = append(l, `,"UpdateResourceResponse":{"jsonBlob":{"resourceType":"`...)
	l = append(l, r.Type.String()...)
	l = append(l, `","id":"`...)
	l = append(l, r.ID...)
	l = append(l, `","meta":{"versionId":"`...)
	l = strconv.AppendUint(l, uint64(r.Version), 10)
	status := `200}}`
	if r.Status == pipeline.Unchanged {
		l = append(l, `"}},"statusCode":`...)
	} else {
		if r.Version == 1 {
			status = `201}}`
		}
		l = append(l, `","lastUpdated":"`...)
		l = append(l, w.updated...)
		l = append(l, `"}},"statusCode":`...)
	}
	l = append(l, status...)
	return append(l, '\n')
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
