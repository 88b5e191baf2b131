package ndjson_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/sources/ndjson"
	"github.com/fhirlake/fhirlake/store/blob"
)

func TestIsASource(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a-big.ndjson", []byte(manyLines(1000, 60, 1)))
	write(t, dir, "b.ndjson.gz", gz(manyLines(1000, 60, 2)))
	write(t, dir, "c.ndjson.zst", zst(manyLines(1000, 60, 3)))
	for _, name := range []string{"d", "e", "f"} {
		write(t, dir, name+".ndjson", []byte(manyLines(20, 60, 4)+"\n\n"+strings.Repeat("x", 9000)))
	}
	pipetest.TestSource(t, func(t *testing.T) pipeline.Source {
		return open(t, ndjson.Options{BatchSize: 4096, MaxLine: 8000, ReadAhead: 1 << 15, Readers: 3}, dir)
	})
}

func TestBrokenCompression(t *testing.T) {
	text := manyLines(3000, 100, 5)
	g, z := gz(text), zst(text)
	flip := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 0x55; return b }
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"gzip-cut", g[:len(g)/2], `^in.ndjson: the gzip data ends too early, after byte \d+ of the file and line \d+ of the text: unexpected EOF$`},
		{"gzip-cut-head", g[:6], `^in.ndjson: the gzip data ends too early, after byte 6 of the file and line 0 of the text: unexpected EOF$`},
		{"gzip-broken", flip(g), `^in.ndjson: the gzip data is broken near byte \d+ of the file, after line \d+ of the text: `},
		{"gzip-tail", append(bytes.Clone(g), "tail"...), `^in.ndjson: the gzip data (is broken near|ends too early, after) byte \d+ `},
		{"zstd-cut", z[:len(z)/2], `^in.ndjson: the zstd data ends too early, after byte \d+ of the file and line \d+ of the text: unexpected EOF$`},
		{"zstd-broken", flip(z), `^in.ndjson: the zstd data is broken near byte \d+ of the file, after line \d+ of the text: `},
		{"zstd-tail", append(bytes.Clone(z), "tail of text"...), `^in.ndjson: the zstd data is broken near byte \d+ of the file, after line \d+ of the text: `},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "in.ndjson", tt.data)
			src := open(t, ndjson.Options{BatchSize: 10_000}, dir)
			_, err := readAll(t, src)
			if err == nil || !regexp.MustCompile(tt.want).MatchString(err.Error()) {
				t.Errorf("error: %v\nwant:  %s", err, tt.want)
			}
			if again := src.Next(context.Background(), new(pipeline.Batch)); !errors.Is(again, err) {
				t.Errorf("Next again: %v", again)
			}
		})
	}
}

// remote is an object elsewhere whose reads fail after some bytes.
type remote struct {
	name string
	size int64
	read int64 // bytes that can be read
	err  error
}

func (r *remote) Name() string                                { return r.name }
func (r *remote) Size() int64                                 { return r.size }
func (r *remote) Open(context.Context) (ndjson.Handle, error) { return &remoteHandle{of: r}, nil }

type remoteHandle struct {
	of *remote
	at int64
}

func (h *remoteHandle) Read(p []byte) (int, error) {
	n, err := h.ReadAt(p, h.at)
	h.at += int64(n)
	return n, err
}

func (h *remoteHandle) ReadAt(p []byte, off int64) (n int, err error) {
	for n = range p {
		if off+int64(n) >= h.of.read {
			return n, h.of.err
		}
		p[n] = "{}\n"[(off+int64(n))%3]
	}
	return len(p), nil
}

func (*remoteHandle) Close() error     { return nil }
func (*remoteHandle) Unchanged() error { return nil }

// An error of a read names the object once: itself, or by the source.
func TestErrorsOfReadsNameTheObjectOnce(t *testing.T) {
	denied := &blob.Error{URI: blob.URI{Bucket: "lake", Key: "in/a.ndjson"}, Found: "read: access is denied"}
	plain := errors.New("no answer")
	for _, tt := range []struct {
		name string
		o    remote
		want string
	}{
		{"at the start", remote{name: "s3://lake/in/a.ndjson", size: 3000, err: denied}, "s3://lake/in/a.ndjson: read: access is denied"},
		{"in the middle", remote{name: "a.ndjson", size: 3000, read: 1500, err: denied}, "s3://lake/in/a.ndjson: read: access is denied"},
		{"when a big one is looked at", remote{name: "a.ndjson", size: 60_000, err: denied}, "s3://lake/in/a.ndjson: read: access is denied"},
		{"in a range", remote{name: "a.ndjson", size: 60_000, read: 40_000, err: denied}, "s3://lake/in/a.ndjson: read: access is denied"},
		{"of the system", remote{name: "a.ndjson", size: 3000, read: 1500, err: plain}, "a.ndjson: read at byte 1500: no answer"},
		{"of the system, when looked at", remote{name: "a.ndjson", size: 60_000, err: plain}, "a.ndjson: read at byte 0: no answer"},
		{"of the system, in a range", remote{name: "a.ndjson", size: 60_000, read: 40_000, err: plain}, "a.ndjson: read at byte 40000: no answer"},
		{"changed", remote{name: "a.ndjson", size: 3000, err: &ndjson.ChangedError{Name: "a.ndjson", What: "removed"}}, "a.ndjson: the file changed while it was read: removed; start again when nothing writes to it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := ndjson.New([]ndjson.Object{&tt.o}, ndjson.Options{BatchSize: 4096})
			defer src.Close()
			if _, err := readAll(t, src); err == nil || err.Error() != tt.want {
				t.Errorf("error: %v, want %s", err, tt.want)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	text := manyLines(50, 100, 6)
	skippable := append([]byte{0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3}, zst(text)...)
	for name, data := range map[string][]byte{
		"gzip-members": gz(text[:100], "", text[100:]), "zstd-frames": append(zst(text[:77]), zst(text[77:])...), "zstd-skippable": skippable,
	} {
		dir := t.TempDir()
		write(t, dir, "plain-name.ndjson", data)
		got, err := readAll(t, open(t, ndjson.Options{}, dir))
		if err != nil {
			t.Fatal(name, err)
		}
		if d := cmp.Diff(plainTwin("plain-name.ndjson", text, 1<<20), got.Records); d != "" {
			t.Error(name, d)
		}
	}
}

func TestChanged(t *testing.T) {
	for _, size := range []int{500, 100_000} { // read from start to end, and by ranges
		text := []byte(strings.Repeat("{\"x\":1}\n", size/8))
		changes := map[string]struct {
			change func(path string) error
			want   string
		}{
			"grown":   {func(p string) error { return os.WriteFile(p, append(bytes.Clone(text), "{}\n"...), 0) }, `bytes and now has`},
			"shrunk":  {func(p string) error { return os.Truncate(p, int64(size/2)) }, `bytes and now has`},
			"touched": {func(p string) error { return os.Chtimes(p, time.Time{}, time.Unix(1e9, 0)) }, `it was written at 2001-09-09T01:46:40.000Z`},
			"removed": {os.Remove, `there is no such file or folder`},
		}
		for name, c := range changes {
			dir := t.TempDir()
			path := write(t, dir, "in.ndjson", text)
			src := open(t, ndjson.Options{BatchSize: 1000}, dir)
			if err := c.change(path); err != nil {
				t.Fatal(err)
			}
			_, err := readAll(t, src)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "in.ndjson: ") {
				t.Errorf("%s before the read: %v", name, err)
			}
			if name == "removed" {
				continue
			}
			var changed *ndjson.ChangedError
			if !errors.As(err, &changed) {
				t.Errorf("%s: error is a %T", name, err)
			}
			if size < 1000 {
				continue
			}
			// And while it is read.
			path = write(t, dir, "in.ndjson", text)
			src = open(t, ndjson.Options{BatchSize: 1000, ReadAhead: 3000, Readers: 1}, dir)
			if err := src.Next(context.Background(), new(pipeline.Batch)); err != nil {
				t.Fatal(err)
			}
			if err := c.change(path); err != nil {
				t.Fatal(err)
			}
			if _, err := readAll(t, src); !errors.As(err, &changed) {
				t.Errorf("%s while it is read: %v", name, err)
			}
		}
	}
}

const pretty = "\n{\n  \"resourceType\": \"Patient\",\n  \"text\" : { \"div\": \"a  b \\\" {\" },\r\n  \"n\": [ 1, 2 ]\n}\n"

func TestDocument(t *testing.T) {
	const small = `{"resourceType":"Patient","text":{"div":"a  b \" {"},"n":[1,2]}`
	big := "{\n  \"resourceType\": \"Bundle\",\n \"entry\": [\n" + strings.Repeat("  { \"a\": 1 },\n", 2000) + " {}\n ]\n}\n"
	bigSmall := `{"resourceType":"Bundle","entry":[` + strings.Repeat(`{"a":1},`, 2000) + "{}]}"
	tests := []struct {
		name, text string
		want       []rec // nil: as lines
	}{
		{"small", pretty, []rec{{"in.json", 2, 1, small}}},
		{"no-last-newline", strings.TrimSpace(pretty), []rec{{"in.json", 1, 0, small}}},
		{"mark", "\xef\xbb\xbf{\n}", []rec{{"in.json", 1, 3, "{}"}}},
		{"big", big, []rec{{"in.json", 1, 0, bigSmall}}},
		{"cut-document", pretty[:60], []rec{{"in.json", 2, 1, `{"resourceType":"Patient","text":{"div":"a  b \"`}}},
		{"two-documents", pretty + pretty, nil},
		{"ndjson-first-line-cut", "{\"resourceType\":\"Patient\",\"a\":[1,\n" + strings.Repeat("{\"resourceType\":\"Patient\"}\n", 10), nil},
		{"ndjson-first-line-cut-in-string", "{\"resourceType\":\"Pat\n{\"resourceType\":\"Patient\"}\n", nil},
		{"ndjson-first-lines-cut", "{\"a\":[1,\n{\"a\":[1,\n{\"a\":[1,\n{\"id\":\"1\",\"resourceType\":\"Patient\"}\n", nil},
		{"one-line", "{\"resourceType\":\"Patient\"}", nil},
		{"one-damaged-line", "{\"resourceType\" :\t[\n\n", nil},
		{"one-line-then-more", "{}\n{\n}\n", nil},
	}
	for _, tt := range tests {
		for _, size := range []int{200, 1000, 1 << 20} {
			if tt.name == "cut-document" && size < 1000 {
				continue
			}
			dir := t.TempDir()
			write(t, dir, "in.json", []byte(tt.text))
			src := open(t, ndjson.Options{BatchSize: size, MaxLine: 1 << 20}, dir)
			got, err := readAll(t, src)
			if err != nil {
				t.Fatal(tt.name, err)
			}
			want := tt.want
			if want == nil {
				want = plainTwin("in.json", tt.text, 1<<20)
			}
			if d := cmp.Diff(want, got.Records); d != "" {
				t.Errorf("%s %d: (-want +got)\n%s", tt.name, size, d)
			}
			if got.Input != int64(len(tt.text)) {
				t.Errorf("%s %d: input %d of %d", tt.name, size, got.Input, len(tt.text))
			}
		}
	}
	t.Run("too-big", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "in.json", []byte(big))
		_, err := readAll(t, open(t, ndjson.Options{MaxLine: 5000}, dir))
		if err == nil || err.Error() != "in.json: the file is one JSON document and longer than 5000 bytes; write it as NDJSON, one resource a line, or allow longer lines" {
			t.Error(err)
		}
	})
}

// Documents and lines of small files share a batch.
func TestDocumentsShareABatch(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.ndjson", "b.ndjson", "c.ndjson"} {
		write(t, dir, name, []byte(pretty))
	}
	write(t, dir, "bb.ndjson", []byte("{}\n{}"))
	got, err := readAll(t, open(t, ndjson.Options{}, dir))
	if err != nil || len(got.Records) != 5 || len(got.Batches) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRealData(t *testing.T) {
	root := os.Getenv("FHIRLAKE_TESTDATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	dir := filepath.Join(root, "synthea-small")
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no test data: %v", err)
		}
		t.Skipf("no test data; set FHIRLAKE_TESTDATA: %v", err)
	}
	src := open(t, ndjson.Options{}, dir)
	got, err := readAll(t, src)
	if err != nil || len(got.Records) != 16_399 {
		t.Errorf("%d records of 16399, %v", len(got.Records), err)
	}
	if total, _ := src.Total(); src.Read() != total {
		t.Errorf("read %d of %d", src.Read(), total)
	}
}

// The splitter agrees with the obvious one, whatever the bytes, the batch size
// and the way of reading.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("{}\n{\"a\":1}\r\n\n \n{}"), uint16(8))
	f.Add([]byte("\xef\xbb\xbf{\n}\n"), uint16(4))
	f.Add([]byte(strings.Repeat("long line ", 30)+"\n{}\n"), uint16(16))
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		if len(data) >= 2 && (data[0] == 0x1f || data[0] == 0x28 || data[0]&0xf0 == 0x50) {
			return // may be compressed
		}
		dir := t.TempDir()
		write(t, dir, "in.ndjson", data)
		opt := ndjson.Options{BatchSize: int(size)%512 + 4, MaxLine: 100, Readers: 2}
		file, ferr := readAll(t, open(t, opt, dir))
		opt.Stdin = io.MultiReader(bytes.NewReader(data))
		pipe, perr := readAll(t, open(t, opt, "-"))
		if (ferr == nil) != (perr == nil) {
			t.Fatalf("file: %v, pipe: %v", ferr, perr)
		}
		if ferr != nil {
			return // a document longer than the limit
		}
		for i := range pipe.Records {
			pipe.Records[i].File = "in.ndjson"
		}
		if file.Input != int64(len(data)) || pipe.Input != file.Input {
			t.Errorf("input %d and %d of %d", file.Input, pipe.Input, len(data))
		}
		want := plainTwin("in.ndjson", string(data), 100)
		if len(file.Records) == 1 && len(want) > 1 {
			return // one document on many lines
		}
		if d := cmp.Diff(want, file.Records); d != "" {
			t.Errorf("file: (-want +got)\n%s", d)
		}
		if d := cmp.Diff(want, pipe.Records); d != "" && len(pipe.Records) != 1 {
			t.Errorf("pipe: (-want +got)\n%s", d)
		}
	})
}
