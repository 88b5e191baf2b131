// Package duck owns SQL: an in-memory DuckDB whose views are the current rows
// of a snapshot, one view for each resource type, one of what validation found in them
// and one of what NLP found in them, in a sandbox that can read these files and nothing
// else. It is the only package that uses cgo. Where files lie and which rows are current
// is package snapshot's.
//
// Invariants:
//
//  1. Only one SELECT-like statement of the user is ever run, and DuckDB's own
//     parser decides what is one: the files that a query may read could be
//     overwritten by a COPY, because DuckDB's allow list knows no read-only.
//  2. DuckDB is handed the manifest's explicit file list, never a glob.
//
// Read [Open], [DB] and [Rows] first.
package duck

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Options says what to open. Store and Manifest are required; the caller holds
// the manifest (see snapshot.Store.Current) until the DB is closed.
type Options struct {
	Store    *snapshot.Store
	Manifest *snapshot.Manifest
	// Hidden has rows, by segment ordinal, that are left out as superseded ones are, and
	// Added has rows that the views have besides: what was written since the manifest
	// was published. Neither is changed, here or by the caller.
	Hidden map[uint32]*roaring.Bitmap
	Added  []Layer
	// MemoryLimit is in bytes; 0 means 1 GiB. DuckDB's own default would be
	// most of the machine.
	MemoryLimit int64
	// TempDir takes what does not fit memory, and results on their way to
	// Parquet. Without it a query that needs more memory fails.
	TempDir string
	// TempLimit bounds what is spilled, in bytes; 0 means 16 times MemoryLimit.
	TempLimit int64
	Threads   int           // 0: as many as there are processors
	Timeout   time.Duration // of a query; 0: none but the context's
}

// Layer is segments that no manifest names, in a folder that is laid out as a data
// store's is.
type Layer struct {
	Dir      string
	Segments []snapshot.Segment
	Hidden   map[uint32]*roaring.Bitmap // rows that are left out, by ordinal in this layer
}

// segment is one that the views read: of the manifest, or of a layer.
type segment struct {
	*snapshot.Segment
	dir    string
	hidden *roaring.Bitmap // nil for none
}

func (s *segment) path(f *snapshot.File) string {
	return filepath.Join(s.dir, filepath.FromSlash(f.Path))
}

// issues is where the issues of its rows lie.
func (s *segment) issues() string { return s.path(&s.Annotation(snapshot.Issues).File) }

// DB answers queries over one manifest. It is safe for concurrent use.
type DB struct {
	o      Options
	engine *engine
	result string // where WriteParquet lets DuckDB write; "" without TempDir

	mu    sync.Mutex // guards made, and the making of views
	made  map[string]viewState
	types map[string][]*segment // with current rows

	flawed []*segment // with current rows, and issues of some of their rows
	noted  []*segment // with current rows, and entities that NLP found in some

	resultMu sync.Mutex // one result file at a time
}

// Open starts a DuckDB. Views are made by the first query that names them, so
// opening costs the same for any number of types.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Store == nil || o.Manifest == nil {
		return nil, errors.New("open DuckDB: no store or no manifest")
	}
	if o.MemoryLimit <= 0 {
		o.MemoryLimit = 1 << 30
	}
	if o.TempLimit <= 0 {
		o.TempLimit = 16 * o.MemoryLimit
	}
	e, err := openEngine()
	if err != nil {
		return nil, fmt.Errorf("open DuckDB: %w", err)
	}
	d := &DB{o: o, engine: e, made: map[string]viewState{}, types: map[string][]*segment{}}
	for i := range o.Manifest.Segments {
		if s := &o.Manifest.Segments[i]; s.Current > 0 {
			d.add(&segment{s, o.Store.Dir(), o.Hidden[s.Ordinal]})
		}
	}
	for _, l := range o.Added {
		for i := range l.Segments {
			s := &segment{&l.Segments[i], l.Dir, l.Hidden[l.Segments[i].Ordinal]}
			if s.hidden == nil || s.hidden.GetCardinality() < uint64(s.Rows) {
				d.add(s)
			}
		}
	}
	if o.TempDir != "" {
		d.result = filepath.Join(o.TempDir, "result.parquet")
	}
	if err := e.exec(ctx, d.sandbox()); err != nil {
		e.close()
		return nil, fmt.Errorf("open DuckDB: %w", err)
	}
	return d, nil
}

func (d *DB) add(s *segment) {
	d.types[s.ResourceType] = append(d.types[s.ResourceType], s)
	if s.Annotation(snapshot.Issues) != nil {
		d.flawed = append(d.flawed, s)
	}
	if s.Annotation(snapshot.Entities) != nil {
		d.noted = append(d.noted, s)
	}
}

// maxAllowedPaths is how many files are allowed one by one. DuckDB takes some
// 60 us for each, 0.3 s for 5,000; with more, the folder of the data store's
// files is allowed. What that adds is of the same data store.
const maxAllowedPaths = 1000

// sandbox gives the settings, the last of which makes all of them final.
func (d *DB) sandbox() string {
	var b strings.Builder
	set := func(name, value string) { fmt.Fprintf(&b, "SET GLOBAL %s=%s;\n", name, value) }
	set("memory_limit", fmt.Sprintf("'%dKiB'", max(d.o.MemoryLimit>>10, 1)))
	if d.o.Threads > 0 {
		set("threads", fmt.Sprint(d.o.Threads))
	}
	// An empty temp_directory is what turns spilling off.
	set("temp_directory", quote(d.o.TempDir))
	if d.o.TempDir != "" {
		set("max_temp_directory_size", fmt.Sprintf("'%dKiB'", max(d.o.TempLimit>>10, 1)))
	}
	set("TimeZone", "'UTC'")
	// A view is bound when it is made and when it is used: this reads each
	// file's footer once instead of each time.
	set("parquet_metadata_cache", "true")
	set("autoinstall_known_extensions", "false")
	set("autoload_known_extensions", "false")
	set("allow_community_extensions", "false")
	files := d.files("")
	if len(files) > maxAllowedPaths {
		set("allowed_directories", "["+quote(filepath.Join(d.o.Store.Dir(), "files")+string(filepath.Separator))+"]")
		files = d.files(d.o.Store.Dir())
	}
	b.WriteString("SET GLOBAL allowed_paths=[")
	for _, f := range files {
		b.WriteString(quote(f) + ",")
	}
	if d.result != "" {
		b.WriteString(quote(d.result))
	}
	b.WriteString("];\n")
	set("enable_external_access", "false")
	b.WriteString("CREATE SCHEMA fhirlake;\n")
	set("lock_configuration", "true")
	return b.String()
}

// files gives the files that the views read, but for those of the folder without.
func (d *DB) files(without string) []string {
	var all []string
	for _, segments := range d.types {
		for _, s := range segments {
			if s.dir != without {
				all = append(all, s.path(&s.Columns))
			}
		}
	}
	for _, s := range d.flawed {
		if s.dir != without {
			all = append(all, s.issues())
		}
	}
	for _, s := range d.noted {
		if s.dir != without {
			all = append(all, s.entities())
		}
	}
	return all
}

// Close frees DuckDB's memory. Queries have ended before.
func (d *DB) Close() error {
	d.engine.close()
	return nil
}

// gone gives the rows of a segment that are not current; nil for none.
func (d *DB) gone(s *segment) (*roaring.Bitmap, error) {
	rows, err := d.o.Store.Superseded(s.Segment)
	if err != nil || s.hidden == nil || s.hidden.IsEmpty() {
		return rows, err
	}
	if rows == nil {
		rows = roaring.New()
	}
	rows.Or(s.hidden)
	if int64(rows.Maximum()) >= s.Rows {
		return nil, fmt.Errorf("row %d of segment %d is to be hidden, which has %d rows", rows.Maximum(), s.Ordinal, s.Rows)
	}
	return rows, nil
}

// hasGone tells whether any row of some segments is not current.
func hasGone(segments []*segment) bool {
	return slices.ContainsFunc(segments, func(s *segment) bool {
		return s.Superseded != nil || s.hidden != nil && !s.hidden.IsEmpty()
	})
}

// quote makes an SQL string literal, ident an SQL identifier.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
func ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
