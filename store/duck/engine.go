package duck

import (
	"context"
	"errors"
	"strings"
	"time"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// engine is an in-memory DuckDB, spoken to through its C interface. The driver for
// database/sql holds the whole result of a query in memory, which no limit of DuckDB
// counts: 2.3 GB for one of 2 GB. The engine takes results as streams of chunks. It is safe for
// concurrent use.
type engine struct{ db bindings.Database }

// connection is one session. It belongs to one goroutine.
type connection struct{ c bindings.Connection }

func openEngine() (*engine, error) {
	e := &engine{}
	var message string
	if bindings.OpenExt("", &e.db, bindings.Config{}, &message) == bindings.StateError {
		bindings.Close(&e.db)
		return nil, errors.New(message)
	}
	return e, nil
}

// close frees the memory. Connections are closed before.
func (e *engine) close() { bindings.Close(&e.db) }

func (e *engine) connect() (*connection, error) {
	c := &connection{}
	if bindings.Connect(e.db, &c.c) == bindings.StateError {
		return nil, errors.New("no connection")
	}
	return c, nil
}

func (c *connection) close() { bindings.Disconnect(&c.c) }

// interruptInterval is how often an interrupt is repeated: one that comes just before
// DuckDB begins is lost.
const interruptInterval = 10 * time.Millisecond

// run calls f, which calls DuckDB, and interrupts it when ctx ends.
func (c *connection) run(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		for {
			bindings.Interrupt(c.c)
			select {
			case <-done:
				return
			case <-time.After(interruptInterval):
			}
		}
	})
	err := f()
	close(done)
	if !stop() {
		<-stopped // an interrupt that comes later would hit what is run next
	}
	return err
}

// exec runs statements that give nothing.
func (e *engine) exec(ctx context.Context, statements string) error {
	c, err := e.connect()
	if err != nil {
		return err
	}
	defer c.close()
	return c.run(ctx, func() error {
		var r bindings.Result
		defer bindings.DestroyResult(&r)
		if bindings.Query(c.c, statements, &r) == bindings.StateError {
			return errors.New(bindings.ResultError(&r))
		}
		return nil
	})
}

// stream is the result of one statement, a chunk at a time. It
// belongs to one goroutine, and ends with close.
type stream struct {
	e       *engine
	text    string
	c       *connection
	result  bindings.Result
	chunk   bindings.DataChunk
	vectors []vector // of chunk
	rows    int      // in chunk
	row     int      // the next one
}

// query runs one statement. Its columns are all text for who asks for rows.
func (e *engine) query(ctx context.Context, text string) (*stream, error) {
	if strings.IndexByte(text, 0) >= 0 {
		return nil, &Error{Message: "the query has a NUL character"}
	}
	c, err := e.connect()
	if err != nil {
		return nil, err
	}
	s := &stream{e: e, text: text, c: c}
	if err := c.run(ctx, s.begin); err != nil {
		s.close()
		return nil, s.reason(ctx, err)
	}
	return s, nil
}

// reason gives the error for which a stream has ended. When a thread of DuckDB fails, the
// one that fetches may say only that it was interrupted. Then the query is run once more,
// without its rows.
func (s *stream) reason(ctx context.Context, err error) error {
	if ctx.Err() != nil || !strings.HasPrefix(err.Error(), "INTERRUPT Error") || explainPrefix.MatchString(s.text) {
		return err
	}
	if again := s.e.exec(ctx, "EXPLAIN ANALYZE "+s.text); again != nil {
		return again
	}
	return &Error{Message: "the query failed while its result was being read", Hint: "run it again", cause: err}
}

func (s *stream) begin() error {
	var statement bindings.PreparedStatement
	defer bindings.DestroyPrepare(&statement)
	if bindings.Prepare(s.c.c, s.text, &statement) == bindings.StateError {
		return errors.New(bindings.PrepareError(statement))
	}
	var pending bindings.PendingResult
	defer bindings.DestroyPending(&pending)
	// Marked as deprecated, and nothing else in the C interface streams.
	if bindings.PendingPreparedStreaming(statement, &pending) == bindings.StateError {
		return errors.New(bindings.PendingError(pending))
	}
	if bindings.ExecutePending(pending, &s.result) == bindings.StateError {
		return errors.New(bindings.ResultError(&s.result))
	}
	s.vectors = make([]vector, bindings.ColumnCount(&s.result))
	return nil
}

// columns gives the names of the columns.
func (s *stream) columns() []string {
	names := make([]string, len(s.vectors))
	for i := range names {
		names[i] = bindings.ColumnName(&s.result, bindings.IdxT(i))
	}
	return names
}

// next fills row, whose texts are copies, with the next row; false at the end.
func (s *stream) next(ctx context.Context, row []Value) (bool, error) {
	for s.row == s.rows {
		if err := s.c.run(ctx, s.fetch); err != nil {
			return false, s.reason(ctx, err)
		}
		if s.chunk.Ptr == nil {
			return false, nil
		}
	}
	for i := range s.vectors {
		row[i] = s.vectors[i].value(s.row)
	}
	s.row++
	return true, nil
}

// fetchChunk takes the next chunk, if there is one.
func (s *stream) fetchChunk() error {
	bindings.DestroyDataChunk(&s.chunk)
	if s.chunk = bindings.FetchChunk(s.result); s.chunk.Ptr == nil {
		if message := bindings.ResultError(&s.result); message != "" {
			return errors.New(message)
		}
	}
	return nil
}

// fetch takes the rows of the next chunk.
func (s *stream) fetch() error {
	s.row, s.rows = 0, 0
	if err := s.fetchChunk(); err != nil || s.chunk.Ptr == nil {
		return err
	}
	s.rows = int(bindings.DataChunkGetSize(s.chunk))
	for i := range s.vectors {
		v := bindings.DataChunkGetVector(s.chunk, bindings.IdxT(i))
		s.vectors[i] = vector{bindings.VectorGetData(v), bindings.VectorGetValidity(v)}
	}
	return nil
}

func (s *stream) close() {
	bindings.DestroyDataChunk(&s.chunk)
	bindings.DestroyResult(&s.result)
	s.c.close()
}

// vector is a column of texts of a chunk. The memory is DuckDB's, and aligned to 8 bytes.
type vector struct {
	texts unsafe.Pointer // 16 bytes each: see value
	valid unsafe.Pointer // a bit for each row, set when it is not null; nil when none is
}

// inlined is the length up to which a text lies in its 16 bytes. Longer ones have a
// pointer in the last 8. A test has texts around this length.
const inlined = 12

// value copies the text of a row.
func (v *vector) value(row int) Value {
	if v.valid != nil {
		if word := *(*uint64)(unsafe.Add(v.valid, row/64*8)); word>>(row%64)&1 == 0 {
			return Value{Null: true}
		}
	}
	at := unsafe.Add(v.texts, row*16)
	n := *(*uint32)(at)
	text := unsafe.Add(at, 4)
	if n > inlined {
		text = *(*unsafe.Pointer)(unsafe.Add(at, 8))
	}
	return Value{Text: strings.Clone(unsafe.String((*byte)(text), n))}
}
