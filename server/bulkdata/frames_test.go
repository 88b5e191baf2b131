package bulkdata

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// packed makes a file of frames of texts.
func packed(t testing.TB, texts ...[]byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var file []byte
	for _, text := range texts {
		file = z.EncodeAll(text, file)
	}
	return file
}

// TestFramesAreReadFromAnyPlace compares with the text, of frames that are small, large,
// alike, without sense, and empty.
func TestFramesAreReadFromAnyPlace(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	texts := [][]byte{[]byte("short"), bytes.Repeat([]byte("alike "), 100_000), noise, bytes.Repeat([]byte{'x'}, 1<<20), nil, []byte("end")}
	whole := bytes.Join(texts, nil)
	file := packed(t, texts...)
	f, err := newFrames(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := f.Seek(0, io.SeekEnd); err != nil || n != int64(len(whole)) {
		t.Fatalf("%d bytes, %v, want %d", n, err, len(whole))
	}
	if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	for range 200 {
		from := rng.IntN(len(whole))
		want := whole[from:min(len(whole), from+rng.IntN(200_000)+1)]
		got := make([]byte, len(want))
		if _, err := f.Seek(int64(from), io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(f, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes from %d: %v, equal %v", len(want), from, err, bytes.Equal(got, want))
		}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(f); err != nil || !bytes.Equal(all, whole) {
		t.Errorf("all of it: %v, %d bytes", err, len(all))
	}
}

func TestFramesThatAreCutAreAnError(t *testing.T) {
	file := packed(t, []byte("one"), bytes.Repeat([]byte("two"), 1000))
	for n := 1; n < len(file); n++ {
		f, err := newFrames(bytes.NewReader(file[:n]), int64(n))
		if err != nil {
			continue
		}
		if f.total == int64(len("one")) { // it ends behind the first one
			f.Close()
			continue
		}
		t.Errorf("%d of %d bytes: %d bytes of text", n, len(file), f.total)
		f.Close()
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(packed(f, []byte("one"), []byte("two")))
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd})
	f.Fuzz(func(_ *testing.T, file []byte) {
		r, err := newFrames(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		defer r.Close()
		io.Copy(io.Discard, io.LimitReader(r, 1<<20)) // an error is an answer
	})
}
