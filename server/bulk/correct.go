package bulk

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/annotations"
	"github.com/fhirlake/fhirlake/sinks/ids"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	"github.com/fhirlake/fhirlake/sinks/parquet/entities"
	"github.com/fhirlake/fhirlake/sinks/rawlog"
	"github.com/fhirlake/fhirlake/stages/identify"
	"github.com/fhirlake/fhirlake/stages/shred"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// corrector puts right, while nobody commits, what an import numbered before others
// wrote the same resources (docs/decisions/0018).
type corrector struct {
	job    *importJob
	stages []pipeline.Stage // up to identify
	secret []byte
	number int64 // of the manifest to come
}

// correct supersedes the rows of the import's resources that were written in the
// meantime, withdraws their versions, and writes them again as the versions that
// follow. What it makes comes into o and b. ctx does not end it: the import is as good
// as published, and it is short.
func (c *corrector) correct(at *lake.Moment, b *snapshot.Builder, o *snapshot.PublishOptions) error {
	void, err := c.overtaken(at, o)
	if err != nil || len(void) == 0 {
		return err
	}
	var again []snapshot.Entry
	for _, e := range void {
		supersede(o.Superseded, e.Address)
		if now := at.Written[e.Key]; now.Deleted || now.Content != e.Content {
			again = append(again, e)
		}
	}
	slices.SortFunc(again, func(a, b snapshot.Entry) int {
		return cmp.Or(cmp.Compare(a.Address.Segment, b.Address.Segment), cmp.Compare(a.Address.Row, b.Address.Row))
	})
	res, searched, err := c.rewrite(at, b, again, void)
	if err != nil {
		return fmt.Errorf("import what was written in the meantime: %w", err)
	}
	o.Search = append(o.Search, searched...)
	o.Corrections, o.CorrectionEntries = res.IDs, res.Entries+res.Withdrawn
	for segment, rows := range res.Superseded {
		for it := rows.Iterator(); it.HasNext(); {
			supersede(o.Superseded, snapshot.Address{Segment: segment, Row: it.Next()})
		}
	}
	return nil
}

func supersede(rows map[uint32]*roaring.Bitmap, a snapshot.Address) {
	if rows[a.Segment] == nil {
		rows[a.Segment] = roaring.New()
	}
	rows[a.Segment].Add(a.Row)
}

// overtaken gives the entries of the import's layer whose resources were written.
func (c *corrector) overtaken(at *lake.Moment, o *snapshot.PublishOptions) (void []snapshot.Entry, err error) {
	if len(at.Written) == 0 {
		return nil, nil
	}
	index, err := snapshot.OpenIDs(c.job.store.Dir(), o.IDs.Path)
	if err != nil {
		return nil, err
	}
	defer index.Close()
	var buf []byte
	for k := range at.Written {
		e, ok, err := index.Lookup(k, &buf)
		if err != nil {
			return nil, err
		}
		if ok {
			void = append(void, e)
		}
	}
	return void, nil
}

// rewrite runs the rows of some entries through the import's chain once more.
func (c *corrector) rewrite(at *lake.Moment, b *snapshot.Builder, again, void []snapshot.Entry) (res ids.Result, index []snapshot.SearchIndex, err error) {
	d, err := snapshot.NewFrameReader()
	if err != nil {
		return res, nil, err
	}
	defer d.Close()
	src := &reread{b: b, dir: c.job.store.Dir(), frames: d, rest: again, file: &pipeline.File{Name: "the import"}}
	identifier, err := identify.New(c.secret, written(at.Written), at.Updated)
	if err != nil {
		return res, nil, err
	}
	for _, s := range b.Segments() {
		b.Roll(s.ResourceType) // its files are finished
	}
	number := c.number
	columns := parquet.New(b, parquet.Options{})
	log := rawlog.New(b)
	entries := ids.New(c.job.store.Dir(), ids.Rel(number, c.job.job.ID+"-corrections"))
	entries.Withdraw(void)
	sinks := append([]pipeline.Sink{columns, log, entries, entities.New(b, number, entities.Options{})}, annotations.Sinks(b, number, c.job.kinds()...)...)
	var searched indexing
	if c.job.SearchIndex {
		name := fmt.Sprintf("%d-%s-corrections", number, c.job.job.ID)
		if searched, err = newIndexing(c.job.store.Dir(), name, c.secret, c.job.rows, c.job.Workers, c.job.Memory); err != nil {
			return res, nil, err
		}
		sinks = append(sinks, searched.sinks...)
	}
	reading, err := c.job.reading.stages(identifier, true)
	if err != nil {
		return res, nil, err
	}
	figures, err := pipeline.Run(context.Background(), pipeline.Config{
		Source:  src,
		Stages:  slices.Concat(c.stages, []pipeline.Stage{identifier}, reading, []pipeline.Stage{log.Compress(), shred.New()}, searched.stages),
		Sinks:   sinks,
		Lenient: c.job.lenient(),
		Workers: c.job.Workers,
		Memory:  searched.inFlight(c.job.Memory),
	})
	if err != nil {
		return res, nil, err
	}
	res = entries.Result()
	if res.Entries != int64(len(again)) || res.Withdrawn != int64(len(void)) {
		return res, nil, fmt.Errorf("%d of %d resources came through, %d were rejected", res.Entries, len(again), figures.Rejected)
	}
	return res, searched.result(), nil
}

// written lets the identify stage ask what others have written.
type written map[snapshot.Key]lake.Current

func (w written) NewLookup() func([][2]uint64, []identify.Version) error {
	return func(keys [][2]uint64, versions []identify.Version) error {
		for i, k := range keys {
			c := w[k]
			versions[i] = versionOf(&c)
		}
		return nil
	}
}

// reread is a source of rows that the builder's segments have.
type reread struct {
	b      *snapshot.Builder
	dir    string
	frames *snapshot.FrameReader
	rest   []snapshot.Entry // by address
	file   *pipeline.File
	line   int64

	open    *snapshot.Resources
	ordinal uint32 // of open
}

// batchBytes is the size of a batch.
const batchBytes = 1 << 20

// Next fills a batch with the next rows.
func (r *reread) Next(ctx context.Context, b *pipeline.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(r.rest) == 0 {
		return io.EOF
	}
	for len(r.rest) > 0 && len(b.Data) < batchBytes {
		line, err := r.read(r.rest[0].Address)
		if err != nil {
			return err
		}
		r.rest = r.rest[1:]
		r.line++
		start := len(b.Data)
		b.Data = append(append(b.Data, line...), '\n')
		b.Records = append(b.Records, pipeline.Record{
			File: r.file, Line: r.line, Entry: -1,
			Start: uint32(start), End: uint32(start + len(line)), Root: fhir.NoNode,
		})
		b.Input += int64(len(line)) + 1
	}
	b.Pad()
	return nil
}

func (r *reread) read(a snapshot.Address) ([]byte, error) {
	if r.open == nil || r.ordinal != a.Segment {
		if err := r.Close(); err != nil {
			return nil, err
		}
		var err error
		if r.open, err = snapshot.OpenResources(r.dir, r.b.ByOrdinal(a.Segment).Resources.Path); err != nil {
			return nil, err
		}
		r.ordinal = a.Segment
	}
	return r.frames.Line(r.open, int64(a.Row))
}

// Close closes the file that is open.
func (r *reread) Close() error {
	if r.open == nil {
		return nil
	}
	err := r.open.Close()
	r.open = nil
	return err
}
