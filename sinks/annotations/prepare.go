package annotations

import (
	"context"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// What is kept for what comes next. Most batches have no lines, and what one had would stay
// with it.
const (
	keepBuffer = 4 << 20  // the largest buffer of a frame
	keepFrames = 8        // buffers of frames
	keepLines  = 64 << 10 // the largest buffer of lines of a batch
)

// product is the lines of a batch, each without the part that names its row.
type product struct {
	text  []byte
	lines []line
}

// line is the next size bytes of text, of Batch.Records[record].
type line struct{ record, size int }

// Prepare writes the lines on the workers.
func (s *Sink) Prepare() pipeline.Stage { return stage{s.kind} }

type stage struct{ kind Kind }

func (s stage) Name() string { return string(s.kind.name) }

func (s stage) NewWorker() (pipeline.Worker, error) {
	return &worker{kind: s.kind, payload: s.kind.payload()}, nil
}

type worker struct {
	kind    Kind
	payload Payload
	kept    []pipeline.Kept // of a stored batch, that are still to come
	data    []byte
	text    []byte // lines of the batch at hand
}

func (w *worker) Process(_ context.Context, b *pipeline.Batch) error {
	p := w.kind.slot.Of(b)
	w.text, p.lines = w.text[:0], p.lines[:0]
	if w.kept = b.Kept; !b.Stored {
		w.payload.Start(b)
	}
	for i := range b.Records {
		r := &b.Records[i]
		if r.Status != pipeline.Pending {
			continue
		}
		b.At = i
		if w.data = w.append(w.data[:0], b, i); len(w.data) == 0 {
			continue
		}
		at := len(w.text)
		w.text = snapshot.AppendAnnotation(w.text, r.Type, r.ID, r.Version, w.data)
		p.lines = append(p.lines, line{i, len(w.text) - at})
	}
	p.text = append(p.text[:0], w.text...) // as long as it has to be
	if cap(w.text) > keepBuffer {
		w.text = nil
	}
	return nil
}

// append appends what is to be kept of record i.
func (w *worker) append(dst []byte, b *pipeline.Batch, i int) []byte {
	if !b.Stored {
		return w.payload.Append(dst, i)
	}
	for ; len(w.kept) > 0 && w.kept[0].Record <= i; w.kept = w.kept[1:] {
		if k := &w.kept[0]; k.Record == i && k.Kind == w.kind.name {
			dst = append(dst, k.Data...)
		}
	}
	return dst
}
