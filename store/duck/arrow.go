package duck

/*
#include <stdint.h>
#include <stdbool.h>

// Of DuckDB's C interface: handles are pointers. The bindings have these behind a build tag.
extern void *duckdb_to_arrow_schema(void *options, void **types, const char **names, uint64_t n, void *schema);
extern void *duckdb_data_chunk_to_arrow(void *options, void *chunk, void *array);
extern bool duckdb_error_data_has_error(void *error);
extern const char *duckdb_error_data_message(void *error);
extern void duckdb_destroy_error_data(void **error);
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	bindings "github.com/duckdb/duckdb-go-bindings"
)

// WriteArrow runs a query and writes its result as a stream of Arrow's IPC format, a record
// batch for each chunk of DuckDB, with DuckDB's own types. It returns the number of rows.
func (d *DB) WriteArrow(ctx context.Context, w io.Writer, query string) (n int64, err error) {
	if d.o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.o.Timeout)
		defer cancel()
	}
	n, err = d.writeArrow(ctx, w, query)
	var lost *writeError
	if errors.As(err, &lost) {
		return n, lost.err
	}
	if err != nil {
		err = explain(ctx, err)
	}
	return n, err
}

// writeError is an error of who takes the result.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }

func (d *DB) writeArrow(ctx context.Context, w io.Writer, query string) (n int64, err error) {
	s, err := d.prepare(ctx, query)
	if err != nil {
		return 0, err
	}
	st, err := d.engine.query(ctx, s.text)
	if err != nil {
		return 0, err
	}
	defer st.close()
	options := bindings.ResultGetArrowOptions(&st.result)
	defer bindings.DestroyArrowOptions(&options)
	schema, err := st.schema(options)
	if err != nil {
		return 0, err
	}
	out := ipc.NewWriter(w, ipc.WithSchema(schema))
	for {
		batch, err := st.batch(ctx, options, schema)
		if err != nil {
			return n, err
		}
		if batch == nil {
			break
		}
		err = out.Write(batch)
		n += batch.NumRows()
		batch.Release()
		if err != nil {
			return n, &writeError{err}
		}
	}
	if err := out.Close(); err != nil {
		return n, &writeError{err}
	}
	return n, nil
}

// schema gives the columns of the result.
func (s *stream) schema(options bindings.ArrowOptions) (*arrow.Schema, error) {
	names := s.columns()
	if len(names) == 0 {
		return nil, errors.New("the result has no columns")
	}
	types, texts := make([]unsafe.Pointer, len(names)), make([]*C.char, len(names))
	kept := make([]bindings.LogicalType, len(names))
	var text []byte // all names, each with a NUL
	for _, name := range names {
		text = append(append(text, name...), 0)
	}
	at := 0
	for i, name := range names {
		kept[i] = bindings.ColumnLogicalType(&s.result, bindings.IdxT(i))
		types[i] = kept[i].Ptr
		texts[i] = (*C.char)(unsafe.Pointer(&text[at]))
		at += len(name) + 1
	}
	defer func() {
		for i := range kept {
			bindings.DestroyLogicalType(&kept[i])
		}
	}()
	var pins runtime.Pinner // texts point to Go's memory
	pins.Pin(&text[0])
	defer pins.Unpin()
	var out cdata.CArrowSchema
	err := arrowError(C.duckdb_to_arrow_schema(options.Ptr, &types[0], &texts[0], C.uint64_t(len(names)), unsafe.Pointer(&out)))
	if err != nil {
		return nil, err
	}
	return cdata.ImportCArrowSchema(&out)
}

// batch gives the next chunk; nil at the end.
func (s *stream) batch(ctx context.Context, options bindings.ArrowOptions, schema *arrow.Schema) (arrow.RecordBatch, error) {
	if err := s.c.run(ctx, s.fetchChunk); err != nil {
		return nil, s.reason(ctx, err)
	}
	if s.chunk.Ptr == nil {
		return nil, nil
	}
	var out cdata.CArrowArray
	if err := arrowError(C.duckdb_data_chunk_to_arrow(options.Ptr, s.chunk.Ptr, unsafe.Pointer(&out))); err != nil {
		return nil, err
	}
	return cdata.ImportCRecordBatchWithSchema(&out, schema)
}

// arrowError takes over an error of DuckDB.
func arrowError(e unsafe.Pointer) error {
	defer C.duckdb_destroy_error_data(&e)
	if !C.duckdb_error_data_has_error(e) {
		return nil
	}
	return fmt.Errorf("write as Arrow: %s", C.GoString(C.duckdb_error_data_message(e)))
}
