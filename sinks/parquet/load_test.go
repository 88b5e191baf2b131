package parquet_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/shred"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

var clock = time.Date(2024, 2, 29, 12, 30, 45, 678e6, time.UTC)

// testdata gives the text of every NDJSON file of a data set, by base name.
func testdata(tb testing.TB, set string) map[string][]byte {
	tb.Helper()
	if testing.Short() {
		tb.Skip("whole data sets take minutes under the race detector; the other tests race the same code")
	}
	return corpus.Files(tb, corpus.Folder(tb, set))
}

// batches cuts NDJSON into parsed batches of about size bytes.
func batches(tb testing.TB, text []byte, size int) []*pipeline.Batch {
	tb.Helper()
	var all []*pipeline.Batch
	worker, err := parse.New().NewWorker()
	if err != nil {
		tb.Fatal(err)
	}
	for len(text) > 0 {
		n := min(size, len(text))
		if i := bytes.IndexByte(text[n:], '\n'); i >= 0 {
			n += i + 1
		} else {
			n = len(text)
		}
		all = append(all, batchOf(tb, worker, text[:n]))
		text = text[n:]
	}
	for i, b := range all {
		b.Seq = int64(i)
	}
	return all
}

func batchOf(tb testing.TB, parser pipeline.Worker, text []byte) *pipeline.Batch {
	tb.Helper()
	b := &pipeline.Batch{Data: bytes.Clone(text), Input: int64(len(text))}
	b.Pad()
	for start := 0; start < len(text); {
		end := start + bytes.IndexByte(text[start:], '\n')
		if end < start {
			end = len(text)
		}
		if end > start {
			b.Records = append(b.Records, pipeline.Record{Start: uint32(start), End: uint32(end), Version: 1, Updated: clock.UnixMicro(), Root: -1, Entry: -1})
		}
		start = end + 1
	}
	if err := parser.Process(context.Background(), b); err != nil {
		tb.Fatal(err)
	}
	return b
}

// store is what writing batches has made.
type store struct {
	dir     string
	builder *snapshot.Builder
	sink    *parquet.Sink
}

// write shreds the batches and writes them; run may reorder the work of tasks.
func write(tb testing.TB, all []*pipeline.Batch, opts parquet.Options, run func([]pipeline.Task)) *store {
	tb.Helper()
	st := newStore(tb, opts)
	worker, err := shred.New().NewWorker()
	if err != nil {
		tb.Fatal(err)
	}
	ctx := context.Background()
	for _, b := range all {
		if err := worker.Process(ctx, b); err != nil {
			tb.Fatal(err)
		}
		tasks, err := st.sink.Write(ctx, b)
		if err != nil {
			tb.Fatal(err)
		}
		run(tasks)
	}
	st.finish(tb, run)
	return st
}

func newStore(tb testing.TB, opts parquet.Options) *store {
	dir := tb.TempDir()
	n := 0
	builder := snapshot.NewBuilder(dir, &snapshot.Manifest{NextSegment: 7}, func() string {
		n++
		return fmt.Sprintf("00000000-0000-0000-0000-%012d", n)
	})
	return &store{dir, builder, parquet.New(builder, opts)}
}

func (st *store) finish(tb testing.TB, run func([]pipeline.Task)) {
	tb.Helper()
	tasks, err := st.sink.Flush(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	run(tasks)
	if err := st.sink.Commit(context.Background()); err != nil {
		tb.Fatal(err)
	}
	if err := st.sink.Close(); err != nil {
		tb.Fatal(err)
	}
}

// inOrder runs tasks one by one.
func inOrder(tb testing.TB) func([]pipeline.Task) {
	return func(tasks []pipeline.Task) {
		for _, t := range tasks {
			if t.Run != nil {
				if err := t.Run(context.Background()); err != nil {
					tb.Fatal(err)
				}
			}
			if t.Done != nil {
				if err := t.Done(); err != nil {
					tb.Fatal(err)
				}
			}
		}
	}
}
