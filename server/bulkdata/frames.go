package bulkdata

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/klauspost/compress/zstd"
)

// frames reads the text of a file of zstd frames from any place on: the frames, which have
// their sizes, are found by the headers of their blocks, without decoding them. It belongs to one
// goroutine.
type frames struct {
	from  io.ReaderAt
	size  int64   // of the file
	table []frame // in order
	total int64   // bytes of text

	decoder *zstd.Decoder
	open    bool  // decoder stands at pos
	pos     int64 // in the text
}

// frame is where one begins in the file, and its text.
type frame struct{ at, text int64 }

var _ io.ReadSeekCloser = (*frames)(nil)

func newFrames(from io.ReaderAt, size int64) (*frames, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	f := &frames{from: from, size: size, decoder: decoder}
	if err := f.index(); err != nil {
		decoder.Close()
		return nil, err
	}
	return f, nil
}

// index finds the frames.
func (f *frames) index() error {
	from, size := f.from, f.size
	var buf [zstd.HeaderMaxSize]byte
	for at := int64(0); at < size; {
		n, err := from.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && err != io.EOF {
			return err
		}
		var h zstd.Header
		if err := h.Decode(buf[:n]); err != nil {
			return fmt.Errorf("read frame at %d: %w", at, err)
		}
		if h.Skippable {
			at += int64(h.HeaderSize) + int64(h.SkippableSize)
			continue
		}
		end, err := f.after(at+int64(h.HeaderSize), h.HasCheckSum)
		if err != nil {
			return err
		}
		text := int64(h.FrameContentSize)
		if !h.HasFCS { // one of less than 256 bytes has no room for it
			if text, err = f.length(at, end); err != nil {
				return fmt.Errorf("read frame at %d: %w", at, err)
			}
		}
		f.table = append(f.table, frame{at, f.total})
		f.total += text
		at = end
	}
	return nil
}

// length decodes a frame to know how long its text is.
func (f *frames) length(at, end int64) (int64, error) {
	if err := f.decoder.Reset(io.NewSectionReader(f.from, at, end-at)); err != nil {
		return 0, err
	}
	return io.Copy(io.Discard, f.decoder)
}

// after is where the frame ends whose blocks begin at a place (RFC 8878, 3.1.1.2).
func (f *frames) after(at int64, sum bool) (int64, error) {
	for last := false; !last; {
		var b [3]byte
		if _, err := f.from.ReadAt(b[:], at); err != nil {
			return 0, fmt.Errorf("read block at %d: %w", at, err)
		}
		head := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		last = head&1 != 0
		at += 3
		if head>>1&3 == 1 { // one byte, repeated
			at++
		} else {
			at += int64(head >> 3)
		}
	}
	if sum {
		at += 4
	}
	if at > f.size {
		return 0, io.ErrUnexpectedEOF
	}
	return at, nil
}

// Seek implements [io.Seeker].
func (f *frames) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += f.total
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	f.open = f.open && offset == f.pos
	f.pos = offset
	return offset, nil
}

// Read implements [io.Reader].
func (f *frames) Read(p []byte) (int, error) {
	if f.pos >= f.total {
		return 0, io.EOF
	}
	if !f.open {
		i := sort.Search(len(f.table), func(i int) bool { return f.table[i].text > f.pos }) - 1
		at := f.table[i]
		if err := f.decoder.Reset(io.NewSectionReader(f.from, at.at, f.size-at.at)); err != nil {
			return 0, err
		}
		if _, err := io.CopyN(io.Discard, f.decoder, f.pos-at.text); err != nil {
			return 0, err
		}
		f.open = true
	}
	n, err := f.decoder.Read(p)
	f.pos += int64(n)
	if err == io.EOF && f.pos < f.total {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close lets the memory of the decoder go.
func (f *frames) Close() error {
	f.decoder.Close()
	return nil
}
