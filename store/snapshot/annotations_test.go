package snapshot

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// annotationLine is a line as the sink writes it.
func annotationLine(row uint32, data string) string {
	line := AppendAnnotationRow(nil, row)
	line = AppendAnnotation(line, r4.TypePatient, []byte("pat-1"), 2, []byte(data))
	return strings.TrimSuffix(string(line), "\n")
}

// writeAnnotations makes an annotations file of lines by frame. first overrides the
// rows that its table gives for them.
func writeAnnotations(t testing.TB, dir, rel string, first []uint32, frames ...[]string) {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var out []byte
	var table []AnnotationFrame
	for i, lines := range frames {
		text := strings.Join(lines, "\n") + "\n"
		c := z.EncodeAll([]byte(text), nil)
		out = append(out, c...)
		table = append(table, AnnotationFrame{Frame{uint32(len(c)), uint32(len(text)), uint32(len(lines))}, first[i]})
	}
	if err := os.WriteFile(filepath.Join(dir, rel), AppendAnnotationTables(out, table), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAnnotationsAreFoundByRow(t *testing.T) {
	dir := t.TempDir()
	if got, want := annotationLine(7, `{"a":[1]}`), `{"row":7,"resourceType":"Patient","id":"pat-1","versionId":"2","data":{"a":[1]}}`; got != want {
		t.Errorf("line %s, want %s", got, want)
	}
	data := map[uint32]string{3: `[1]`, 5: `{"data":"x,\"data\":1}"}`, 6: `"}"`, 1000: `null`, 4294967295: `[]`}
	line := func(row uint32) string { return annotationLine(row, data[row]) }
	writeAnnotations(t, dir, "a.zst", []uint32{3, 6, 4294967295}, []string{line(3), line(5)}, []string{line(6), line(1000)}, []string{line(4294967295)})
	a, err := OpenAnnotations(dir, "a.zst")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	d, err := NewFrameReader()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if a.Rows() != 5 || a.Frames() != 3 {
		t.Errorf("%d rows in %d frames, want 5 in 3", a.Rows(), a.Frames())
	}
	for _, row := range []uint32{1000, 0, 3, 4, 5, 2, 6, 999, 1001, 4294967294, 4294967295} {
		want, have := data[row]
		got, ok, err := d.Annotation(a, row)
		if err != nil || ok != have || string(got) != want {
			t.Errorf("row %d: %s, %v, %v, want %q, %v", row, got, ok, err, want, have)
		}
	}
	n := 0
	if err := d.EachAnnotation(a, func(row uint32, l, got []byte) error {
		n++
		if string(got) != data[row] || string(l) != line(row) {
			return fmt.Errorf("row %d: %s in %s", row, got, l)
		}
		return nil
	}); err != nil || n != 5 {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestReadingAnnotationsRefusesDamage(t *testing.T) {
	dir := t.TempDir()
	good := []string{annotationLine(1, "1"), annotationLine(2, "2")}
	for name, tc := range map[string]struct {
		first uint32
		lines []string
		want  string
	}{
		"the table names another row": {0, good, "not the one that belongs there"},
		"rows do not rise":            {1, []string{good[0], good[0]}, "row 1 after row 1"},
		"not a line of annotations":   {1, []string{good[0], `{"row":2}`}, "not the one that belongs there"},
		"a row beyond 32 bits":        {1, []string{good[0], strings.Replace(good[1], "2", "4294967296", 1)}, "not the one that belongs there"},
		"a row that is no number":     {1, []string{good[0], strings.Replace(good[1], "2", `"2"`, 1)}, "not the one that belongs there"},
	} {
		writeAnnotations(t, dir, "a.zst", []uint32{tc.first}, tc.lines)
		a, err := OpenAnnotations(dir, "a.zst")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		d, err := NewFrameReader()
		if err != nil {
			t.Fatal(err)
		}
		err = d.EachAnnotation(a, func(uint32, []byte, []byte) error { return nil })
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
		d.Close()
		a.Close()
	}
	writeResources(t, dir, "r.zst", [][]string{{"a"}})
	writeAnnotations(t, dir, "good.zst", []uint32{1}, good)
	whole, err := os.ReadFile(filepath.Join(dir, "good.zst"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cut.zst"), whole[:len(whole)-2], 0o644); err != nil {
		t.Fatal(err)
	}
	for _, rel := range []string{"r.zst", "cut.zst", "none.zst"} {
		if a, err := OpenAnnotations(dir, rel); err == nil {
			a.Close()
			t.Errorf("%s was opened", rel)
		}
	}
}

func FuzzSplitAnnotation(f *testing.F) {
	f.Add([]byte(annotationLine(3, `[{"a":"b"}]`)))
	f.Add([]byte(`{"row":1,"data":}`))
	f.Add([]byte(`{"row":,,"data":}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		row, data, ok := splitAnnotation(line)
		if !ok {
			return
		}
		if !bytes.Contains(line, data) {
			t.Errorf("data %q is no part of the line", data)
		}
		again := AppendAnnotation(AppendAnnotationRow(nil, row), r4.TypePatient, []byte("a"), 1, data)
		if r, d, ok := splitAnnotation(bytes.TrimSuffix(again, []byte{'\n'})); !ok || r != row || !bytes.Equal(d, data) {
			t.Errorf("row %d with %q came back as %d with %q, %v", row, data, r, d, ok)
		}
	})
}

// BenchmarkAnnotation is a point read: the search for the frame, its decoding, the
// line in it.
func BenchmarkAnnotation(b *testing.B) {
	dir := b.TempDir()
	for _, size := range []int{8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			var frames [][]string
			var first []uint32
			var lines []string
			n := 0
			for row := uint32(0); row < 20_000; row++ {
				l := annotationLine(row*3, fmt.Sprintf(`[{"severity":"error","code":"structure","expression":"Patient.name[%d]","diagnostics":"unknown element 'famly%d'; did you mean 'family'?"}]`, row%7, row*7919))
				if len(lines) == 0 {
					first = append(first, row*3)
				}
				lines = append(lines, l)
				if n += len(l); n >= size {
					frames, lines, n = append(frames, lines), nil, 0
				}
			}
			if len(lines) > 0 {
				frames = append(frames, lines)
			}
			writeAnnotations(b, dir, "a.zst", first, frames...)
			st, err := os.Stat(filepath.Join(dir, "a.zst"))
			if err != nil {
				b.Fatal(err)
			}
			a, err := OpenAnnotations(dir, "a.zst")
			if err != nil {
				b.Fatal(err)
			}
			defer a.Close()
			d, err := NewFrameReader()
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			b.ReportAllocs()
			row := uint32(1)
			for b.Loop() {
				row = row * 1664525 % 60_000
				if _, _, err := d.Annotation(a, row); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(st.Size())/20_000, "bytes/row")
		})
	}
}
