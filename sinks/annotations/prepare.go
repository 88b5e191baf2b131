package annotations

import (
	"context"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// keepBuffer is the largest buffer that is kept for the next batch or frame.
const keepBuffer = 4 << 20

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
}

func (w *worker) Process(_ context.Context, b *pipeline.Batch) error {
	p := w.kind.slot.Of(b)
	p.text, p.lines = p.text[:0], p.lines[:0]
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
		at := len(p.text)
		p.text = snapshot.AppendAnnotation(p.text, r.Type, r.ID, r.Version, w.data)
		p.lines = append(p.lines, line{i, len(p.text) - at})
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
