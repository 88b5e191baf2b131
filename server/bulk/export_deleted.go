package bulk

import (
	"bytes"
	"context"
	"fmt"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/blob"
)

const (
	deletedEntries = 500     // of one Bundle
	deletedChunk   = 1 << 20 // bytes of text that are compressed at once
)

// deletions writes which resources were deleted, as transactions of DELETE entries, one a
// line (Bulk Data Access 2.0, "deleted" of the response). It is NDJSON also beside Parquet.
func (e *export) deletions(ctx context.Context) error {
	w := &deletedFile{e: e}
	err := e.from.Delta.Deletions(micros(e.Since), func(t r4.TypeID, id string, updated int64) error {
		if e.Types != nil && !e.Types(t) || !e.Until.IsZero() && updated >= micros(e.Until) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return w.add(t, id)
	})
	if err == nil {
		err = w.close()
	}
	if err != nil && w.to != nil {
		w.to.Abort()
	}
	if err != nil {
		return fmt.Errorf("write what was deleted: %w", err)
	}
	return nil
}

// deletedFile is the file of deletions. It is made with the first of them.
type deletedFile struct {
	e       *export
	to      blob.File
	file    ExportFile
	text    []byte // not written yet
	entries int    // of the Bundle that is open
}

func (w *deletedFile) add(t r4.TypeID, id string) error {
	switch w.entries {
	case 0:
		w.text = append(w.text, `{"resourceType":"Bundle","type":"transaction","entry":[`...)
	default:
		w.text = append(w.text, ',')
	}
	w.text = append(w.text, `{"request":{"method":"DELETE","url":`...)
	w.text = append(fhir.AppendQuoted(w.text, t.String()+"/"+id), "}}"...)
	if w.entries++; w.entries < deletedEntries {
		return nil
	}
	return w.bundle()
}

// bundle ends a Bundle.
func (w *deletedFile) bundle() error {
	w.text, w.entries = append(w.text, "]}\n"...), 0
	w.file.Resources++
	if len(w.text) < deletedChunk {
		return nil
	}
	return w.flush()
}

func (w *deletedFile) flush() (err error) {
	if w.to == nil {
		name := fmt.Sprintf("deleted/deleted-%d-0-0.ndjson", w.e.Run)
		if end := string(w.e.Format); w.e.Format == ExportNDJSONGzip || w.e.Format == ExportNDJSONZstd {
			name = fmt.Sprintf("deleted/deleted-%d-0-0.%s", w.e.Run, end)
		}
		if w.to, err = w.e.Output.Create(name); err != nil {
			return err
		}
		w.file.Type, w.file.Name = "Bundle", name
	}
	text, err := w.packed()
	if err != nil {
		return err
	}
	n, err := w.to.Write(text)
	w.file.Bytes += int64(n)
	w.text = w.text[:0]
	return err
}

// packed is the text as the file has it: one frame or member.
func (w *deletedFile) packed() ([]byte, error) {
	switch w.e.Format {
	case ExportNDJSONGzip:
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		if err != nil {
			return nil, err
		}
		z.Write(w.text) // into memory
		err = z.Close()
		return b.Bytes(), err
	case ExportNDJSONZstd:
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		return z.EncodeAll(w.text, nil), nil
	}
	return w.text, nil
}

func (w *deletedFile) close() error {
	if w.entries > 0 {
		if err := w.bundle(); err != nil {
			return err
		}
	}
	if len(w.text) > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if w.to == nil {
		return nil
	}
	to := w.to
	w.to = nil
	w.e.res.Deleted = append(w.e.res.Deleted, w.file)
	w.e.res.Written += w.file.Bytes
	return to.Close()
}
