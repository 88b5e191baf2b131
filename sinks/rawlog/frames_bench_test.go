package rawlog

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/bench/corpus"
)

// BenchmarkFrameSize makes the table of docs/decisions/0006-frame-size.md: what
// the size of a frame costs in time, in bytes and at a point read.
func BenchmarkFrameSize(b *testing.B) {
	var files [][]byte
	resources := 0
	set := corpus.Files(b, corpus.Folder(b, "synthea-120"))
	for _, name := range corpus.Names(set) {
		resources += bytes.Count(set[name], []byte("\n"))
		files = append(files, set[name])
	}
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault} {
		for _, size := range []int{16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10} {
			frames, total := cutFrames(files, size)
			z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(level), zstd.WithWindowSize(size))
			if err != nil {
				b.Fatal(err)
			}
			d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
			if err != nil {
				b.Fatal(err)
			}
			packed := make([][]byte, len(frames))
			b.Run(fmt.Sprintf("compress/%s/%dKiB", level, size>>10), func(b *testing.B) {
				b.SetBytes(total)
				var out int
				for b.Loop() {
					out = 0
					for i, f := range frames {
						packed[i] = z.EncodeAll(f, packed[i][:0])
						out += len(packed[i])
					}
				}
				b.ReportMetric(float64(out)/float64(resources), "bytes/resource")
			})
			b.Run(fmt.Sprintf("decode/%s/%dKiB", level, size>>10), func(b *testing.B) {
				var text []byte
				n := 0
				for b.Loop() { // one frame, another one each time
					if text, err = d.DecodeAll(packed[n%len(packed)], text[:0]); err != nil {
						b.Fatal(err)
					}
					n++
				}
			})
			d.Close()
		}
	}
}

// cutFrames cuts files into frames of whole lines, each of size bytes or as much
// more as its last line needs.
func cutFrames(files [][]byte, size int) (frames [][]byte, total int64) {
	for _, text := range files {
		total += int64(len(text))
		for len(text) > 0 {
			n := len(text)
			if n > size {
				if i := bytes.IndexByte(text[size:], '\n'); i >= 0 {
					n = size + i + 1
				}
			}
			frames, text = append(frames, text[:n]), text[n:]
		}
	}
	return frames, total
}
