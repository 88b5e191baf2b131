package bulk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/ndjson"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	lakesource "github.com/fhirlake/fhirlake/sources/lake"
	"github.com/fhirlake/fhirlake/stages/index"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/shred"
	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// ExportFormat is what the files of an export are.
type ExportFormat string

// The formats, as the command line has them.
const (
	ExportNDJSON     ExportFormat = "ndjson"
	ExportNDJSONGzip ExportFormat = "ndjson.gz"
	ExportNDJSONZstd ExportFormat = "ndjson.zst"
	ExportParquet    ExportFormat = "parquet"
)

// ParseExportFormat gives the format of a name; "" is NDJSON.
func ParseExportFormat(name string) (ExportFormat, error) {
	switch f := ExportFormat(name); f {
	case "":
		return ExportNDJSON, nil
	case ExportNDJSON, ExportNDJSONGzip, ExportNDJSONZstd, ExportParquet:
		return f, nil
	}
	return "", fmt.Errorf("format %q is not known; there are %s, %s, %s and %s", name, ExportNDJSON, ExportNDJSONGzip, ExportNDJSONZstd, ExportParquet)
}

// ExportOptions says what of a data store is written where.
type ExportOptions struct {
	// Lake is the data store. When it is nil, Store is, and what is in no snapshot yet is
	// left out.
	Lake  *lake.Lake
	Store *snapshot.Store

	Output blob.Output // Export publishes or discards it
	Format ExportFormat
	// Run is the number that names of files have; 0 is that of the snapshot.
	Run       uint64
	FileBytes int64 // of a file after which the next one begins; 0: 1 GiB
	// TempDir gives a folder for Parquet files on their way.
	TempDir func() (dir string, remove func(), err error)

	Types func(r4.TypeID) bool // nil: all
	// OfPatients leaves only what is in the compartments of patients: of Patients, or of all when
	// it is nil.
	OfPatients bool
	Patients   Patients
	// Stages change records, or leave some of them, see leave; they are parsed when there are any.
	Stages []pipeline.Stage
	// Select finds what of a state is wanted, by searches; nil: all. It needs Lake.
	Select func(ctx context.Context, view *lake.View) (Selection, error)
	// Elements are those that are left of resources, with a type before the name or without, see
	// [Elements]; nil: all.
	Elements []string
	// Since and Until are bounds of meta.lastUpdated, Since included, Until not; zero is
	// none.
	Since, Until time.Time
	// WithoutNotes shows resources without what NLP found in them.
	WithoutNotes bool
	// Associated says which Provenance resources go with what is exported.
	Associated Associated
	// Deleted writes beside the resources which ones were deleted between Since and Until. It
	// needs Lake.
	Deleted bool

	Workers int   // 0: GOMAXPROCS
	Memory  int64 // bytes for what is in flight; 0: the pipeline's default
	Monitor *pipeline.Monitor
	Now     func() time.Time // nil: time.Now
}

// ExportResult is what an export came to.
type ExportResult struct {
	Snapshot  int64        `json:"snapshot"` // number of the manifest that was read, with what was written since
	Time      time.Time    `json:"time"`     // of the state
	Resources int64        `json:"resources"`
	Bytes     int64        `json:"bytes"`   // of NDJSON, before compression
	Written   int64        `json:"written"` // bytes of the files
	Files     []ExportFile `json:"files"`
	Deleted   []ExportFile `json:"deleted,omitempty"` // Bundles of DELETE entries

	Figures pipeline.Figures `json:"-"`
}

// ExportFile is one file of an export.
type ExportFile struct {
	Type      string `json:"type"`
	Name      string `json:"name"` // in the output, with forward slashes
	Resources int64  `json:"resources"`
	Bytes     int64  `json:"bytes"`
}

// Export writes the current resources of one state of a data store, as they are shown, into
// files of one resource type each. Nobody sees a file before all are there; after an
// error none is. Reads, writes, imports and compactions go on meanwhile.
func Export(ctx context.Context, o ExportOptions) (res *ExportResult, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("export: %w", err), o.Output.Discard())
		}
	}()
	if o.Now == nil {
		o.Now = time.Now
	}
	e, err := o.begin(ctx)
	if err != nil {
		return nil, err
	}
	err = e.run(ctx)
	if err = errors.Join(err, e.close()); err != nil {
		return nil, err
	}
	return e.res, nil
}

// export is one export on its way.
type export struct {
	*ExportOptions
	store *snapshot.Store
	from  lakesource.CurrentOptions
	close func() error // lets go of the state
	res   *ExportResult
}

// begin fixes the state.
func (o *ExportOptions) begin(ctx context.Context) (*export, error) {
	e := &export{ExportOptions: o, store: o.Store, res: &ExportResult{Time: o.Now().UTC(), Files: []ExportFile{}}}
	if o.Lake != nil {
		e.store = o.Lake.Snapshot()
		view, err := e.view(ctx)
		if err != nil {
			return nil, err
		}
		e.from.Delta, e.from.Snapshot, e.close = view, view.Manifest(), view.Close
	} else {
		m, release, err := e.store.Current()
		if err != nil {
			return nil, err
		}
		e.from.Snapshot, e.close = m, func() error { release(); return nil }
	}
	e.from.Store, e.from.Types = e.store, o.Types
	if o.WithoutNotes {
		e.from.Without = []beside.Kind{beside.NLP}
	}
	e.from.Since, e.from.Until = micros(o.Since), micros(o.Until)
	e.res.Snapshot = e.from.Snapshot.Number
	if o.Run == 0 {
		o.Run = uint64(e.from.Snapshot.Number)
	}
	return e, nil
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// name is the name of a type's file, but for its end: HealthLake's layout.
func (e *export) name(t r4.TypeID, number int) string {
	return fmt.Sprintf("%s/%s-%d-0-%d", t, t, e.Run, number)
}

func (e *export) run(ctx context.Context) error {
	if e.Deleted {
		if err := e.deletions(ctx); err != nil {
			return err
		}
	}
	if e.Associated != AsTheyAre {
		return e.associated(ctx)
	}
	return e.write(ctx, nil)
}

// write writes what is wanted of the state, whose names go to seen, when that is not nil, and
// publishes the output.
func (e *export) write(ctx context.Context, seen *exportedNames) error {
	c := pipeline.Config{Workers: e.Workers, Memory: e.Memory, Monitor: e.Monitor, Lenient: true}
	some := e.some(seen)
	if e.Format == ExportParquet {
		dir, remove, err := e.TempDir()
		if err != nil {
			return err
		}
		defer remove()
		b := snapshot.NewTemporary(dir)
		e.from.Records = true
		c.Stages = []pipeline.Stage{parse.New(), shred.New()}
		c.Sinks = []pipeline.Sink{parquet.New(b, parquet.Options{}), &columnFiles{e: e, dir: dir, builder: b}}
	} else {
		e.from.Packed = e.Format == ExportNDJSONZstd && len(some) == 0
		e.from.Records = len(some) > 0
		how := map[ExportFormat]ndjson.Compression{ExportNDJSONGzip: ndjson.Gzip, ExportNDJSONZstd: ndjson.Zstd}[e.Format]
		c.Sinks = []pipeline.Sink{ndjson.New(ndjson.Options{
			Output: e.Output, Compression: how, FileBytes: e.FileBytes,
			Name: func(t r4.TypeID, number int) string { return e.name(t, number) + ".ndjson" },
			Written: func(f ndjson.File) {
				e.wrote(ExportFile{Type: f.Type.String(), Name: f.Name, Resources: f.Resources, Bytes: f.Bytes})
			},
		})}
	}
	src, err := lakesource.NewCurrent(e.from)
	if err != nil {
		return err
	}
	c.Source = src
	c.Stages = slices.Concat([]pipeline.Stage{src.Load()}, some, c.Stages)
	e.res.Figures, err = pipeline.Run(ctx, c)
	e.res.Bytes = e.res.Figures.Bytes
	if n := e.res.Figures.Rejected; err == nil && n > 0 {
		err = fmt.Errorf("%d stored resources cannot be read again; `fhirlake fsck` tells more", n)
	}
	return errors.Join(err, src.Release())
}

// some gives the stages that leave only a part of what the source gives; none when all of it is
// wanted.
func (e *export) some(seen *exportedNames) (stages []pipeline.Stage) {
	if e.OfPatients {
		of := newOfPatients(e.Patients)
		wanted := e.from.Types
		e.from.Types = func(t r4.TypeID) bool { return of.types(t) && (wanted == nil || wanted(t)) }
		stages = append(stages, parse.New(), index.New(search.R4()), of)
	}
	if len(e.Stages) > 0 {
		stages = append(append(stages, parse.New()), e.Stages...) // again: texts have moved
	}
	if seen != nil {
		stages = append(stages, parse.New(), seen)
	}
	if e.Elements != nil {
		stages = append(stages, parse.New(), newElements(e.Elements))
	}
	return stages
}

func (e *export) wrote(f ExportFile) {
	e.res.Files = append(e.res.Files, f)
	e.res.Resources += f.Resources
	e.res.Written += f.Bytes
}

// columnFiles is the sink that takes finished Parquet files to the output and publishes it.
type columnFiles struct {
	e       *export
	dir     string
	builder *snapshot.Builder
	numbers map[r4.TypeID]int
}

var _ pipeline.Sink = (*columnFiles)(nil)

func (*columnFiles) Name() string { return "files" }

func (*columnFiles) Write(context.Context, *pipeline.Batch) ([]pipeline.Task, error) { return nil, nil }

func (*columnFiles) Flush(context.Context) ([]pipeline.Task, error) { return nil, nil }

// Commit copies the files, which the sink before has committed.
func (s *columnFiles) Commit(ctx context.Context) error {
	s.numbers = map[r4.TypeID]int{}
	for _, seg := range s.builder.Segments() {
		if err := ctx.Err(); err != nil {
			return err
		}
		t := r4.ResourceTypeByName([]byte(seg.ResourceType))
		name := s.e.name(t, s.numbers[t]) + ".parquet"
		s.numbers[t]++
		if err := s.copy(seg, name); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		s.e.wrote(ExportFile{Type: seg.ResourceType, Name: name, Resources: seg.Rows, Bytes: seg.Columns.Bytes})
	}
	return s.e.Output.Publish()
}

func (s *columnFiles) copy(seg *snapshot.SegmentBuilder, name string) error {
	from, err := os.Open(s.dir + string(os.PathSeparator) + seg.Columns.Path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := s.e.Output.Create(name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		to.Abort()
		return err
	}
	return to.Close()
}

func (s *columnFiles) Close() error { return s.e.Output.Discard() }

// RunOf makes the number of an export's file names of a job's id.
func RunOf(jobID string) uint64 {
	n, err := strconv.ParseUint(jobID[:min(16, len(jobID))], 16, 64)
	if err != nil {
		return 0
	}
	return n >> 1 // HealthLake's are positive
}
