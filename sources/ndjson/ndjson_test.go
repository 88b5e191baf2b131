package ndjson_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sources/ndjson"
)

// rec is what a test wants to know of a record.
type rec struct {
	File   string
	Line   int64
	Offset int64
	Text   string // "!" and the code of the issue when it is rejected
}

// result is all that a source gave.
type result struct {
	Records []rec
	Batches []string // number of records and input bytes of each
	Input   int64
}

func readAll(t testing.TB, src pipeline.Source) (result, error) {
	t.Helper()
	var (
		res result
		b   pipeline.Batch
	)
	for {
		b.Reset()
		err := src.Next(context.Background(), &b)
		if err == io.EOF {
			return res, nil
		}
		if err != nil {
			return res, err
		}
		if cap(b.Data) < len(b.Data)+pipeline.Padding {
			t.Fatalf("no padding: len %d, cap %d", len(b.Data), cap(b.Data))
		}
		codes := map[int]string{}
		for _, is := range b.Issues {
			codes[is.Record] += is.Code
		}
		for i := range b.Records {
			r := &b.Records[i]
			if r.Entry != -1 {
				t.Errorf("Entry = %d", r.Entry)
			}
			text := string(b.Line(r))
			if r.Status == pipeline.Rejected {
				text = "!" + codes[i]
			}
			res.Records = append(res.Records, rec{r.File.Name, r.Line, r.Offset, text})
		}
		res.Batches = append(res.Batches, fmt.Sprintf("%d/%d", len(b.Records), b.Input))
		res.Input += b.Input
		data := b.Data[:cap(b.Data)]
		for i := range data {
			data[i] = pipeline.PoisonByte
		}
	}
}

func open(t testing.TB, opt ndjson.Options, inputs ...string) *ndjson.Source {
	t.Helper()
	src, err := ndjson.Open(context.Background(), inputs, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

func write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func gz(parts ...string) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		w := gzip.NewWriter(&b)
		io.WriteString(w, p)
		w.Close()
	}
	return b.Bytes()
}

func zst(text string) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return w.EncodeAll([]byte(text), nil)
}

// plainTwin is the obvious splitter that the fast one must agree with.
func plainTwin(name, text string, maxLine int) []rec {
	var res []rec
	line, offset := int64(1), int64(0)
	text, cut := strings.CutPrefix(text, "\xef\xbb\xbf")
	if cut {
		offset = 3
	}
	for text != "" {
		l, rest, _ := strings.Cut(text, "\n")
		if len(l) > maxLine {
			res = append(res, rec{name, line, offset, "!too-long"})
		} else if strings.Trim(l, " \t\r") != "" {
			res = append(res, rec{name, line, offset, strings.TrimSuffix(l, "\r")})
		}
		offset += int64(len(l)) + 1
		line++
		text = rest
	}
	return res
}

func TestLines(t *testing.T) {
	tests := []struct{ name, text string }{
		{"empty", ""},
		{"one", "{}\n"},
		{"no-last-newline", "{\"a\":1}\n{\"b\":2}"},
		{"crlf", "{\"a\":1}\r\n\r\n{\"b\":2}\r\n"},
		{"blank-lines", "\n\n{}\n \t \n\n{}\n\n"},
		{"only-blank", "\n \n\n"},
		{"byte-order-mark", "\xef\xbb\xbf{\"a\":1}\n{}\n"},
		{"mark-alone", "\xef\xbb\xbf"},
		{"not-objects", "hello\n[1]\n  {} \n"},
		{"cut-first-line", "{\"resourceType\":\"Patient\"\n{\"resourceType\":\"Patient\",\"id\":\"b\"}\n"},
		{"long-lines", strings.Repeat("{\""+strings.Repeat("x", 300)+"\":1}\n{}\n", 5)},
		{"very-long", "{}\n" + strings.Repeat("y", 5000) + "\n{}\n" + strings.Repeat("z", 9000)},
		{"very-long-first", strings.Repeat("y", 5000) + "\r\n{}\n"},
		{"limit", strings.Repeat("a", 4096) + "\n" + strings.Repeat("b", 4097) + "\n{}"},
		{"many", manyLines(3000, 80, 7)},
		{"ragged", manyLines(400, 900, 8)},
	}
	for _, tt := range tests {
		for _, size := range []int{64, 100, 1 << 10, 1 << 20} {
			if testing.Short() && size > 100 {
				continue
			}
			want := plainTwin("in.ndjson", tt.text, 4096)
			dir := t.TempDir()
			for form, data := range map[string][]byte{"plain": []byte(tt.text), "gzip": gz(tt.text), "zstd": zst(tt.text)} {
				path := write(t, dir, form+"/in.ndjson", data)
				var first result
				for _, readers := range []int{1, 4} {
					opt := ndjson.Options{BatchSize: size, MaxLine: 4096, Readers: readers, ReadAhead: int64(2 * size)}
					src := open(t, opt, filepath.Dir(path))
					got, err := readAll(t, src)
					if err != nil {
						t.Fatalf("%s %s %d: %v", tt.name, form, size, err)
					}
					if d := cmp.Diff(want, got.Records); d != "" {
						t.Fatalf("%s %s %d: (-want +got)\n%s", tt.name, form, size, d)
					}
					if got.Input != int64(len(tt.text)) {
						t.Errorf("%s %s %d: input %d, want %d", tt.name, form, size, got.Input, len(tt.text))
					}
					if total, ok := src.Total(); !ok || total != int64(len(data)) || src.Read() != total {
						t.Errorf("%s %s %d: total %d read %d, want %d", tt.name, form, size, total, src.Read(), len(data))
					}
					if readers == 1 {
						first = got
					} else if d := cmp.Diff(first.Batches, got.Batches); d != "" {
						t.Errorf("%s %s %d: batches depend on readers\n%s", tt.name, form, size, d)
					}
				}
			}
		}
	}
}

func manyLines(n, max int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"id\":\"pat-%d\",\"x\":\"%s\"}\n", i, strings.Repeat("v", r.IntN(max)))
	}
	return b.String()
}

func TestStdin(t *testing.T) {
	text := manyLines(2000, 50, 3)
	want := plainTwin("-", text, 1<<20)
	var batches []string
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(text), "bytes": iotest.OneByteReader(strings.NewReader(text)),
		"half": iotest.HalfReader(strings.NewReader(text)), "err": iotest.DataErrReader(strings.NewReader(text)),
		"gzip": bytes.NewReader(gz(text[:500], text[500:])),
	} {
		src := open(t, ndjson.Options{BatchSize: 1000, Stdin: r}, "-")
		got, err := readAll(t, src)
		if err != nil {
			t.Fatal(name, err)
		}
		if d := cmp.Diff(want, got.Records); d != "" {
			t.Fatal(name, d)
		}
		if batches == nil {
			batches = got.Batches
		} else if d := cmp.Diff(batches, got.Batches); d != "" {
			t.Errorf("%s: batches depend on the reads:\n%s", name, d)
		}
		if _, known := src.Total(); known {
			t.Error("the total of a pipe is known")
		}
	}
}

func TestStdinCancel(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	src := open(t, ndjson.Options{Stdin: r}, "-")
	ctx, cancel := context.WithCancel(context.Background())
	go cancel()
	if err := src.Next(ctx, new(pipeline.Batch)); !errors.Is(err, context.Canceled) {
		t.Errorf("Next: %v", err)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
}
