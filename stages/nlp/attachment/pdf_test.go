package attachment_test

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/stages/nlp/attachment"
)

// pdfFile writes a PDF of objects, of which the first is the catalog. Trailer
// goes into its trailer.
func pdfFile(trailer string, objects ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n")
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	trailer = strings.ReplaceAll(trailer, "XREF", fmt.Sprint(xref))
	fmt.Fprintf(&b, "trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, trailer, xref)
	return b.Bytes()
}

func pdfStream(dictionary, data string) string {
	return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", dictionary, len(data), data)
}

// pdfPages are the objects of a document with a page for each content; the object
// before them is the font F1, and more may follow.
func pdfPages(font string, contents ...string) []string {
	objects := []string{"<</Type/Catalog/Pages 2 0 R>>", "", font}
	var kids strings.Builder
	for _, c := range contents {
		n := len(objects) + 1
		fmt.Fprintf(&kids, "%d 0 R ", n)
		objects = append(objects, fmt.Sprintf("<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R/Resources<</Font<</F1 3 0 R>>>>>>", n+1), c)
	}
	objects[1] = fmt.Sprintf("<</Type/Pages/Kids[%s]/Count %d>>", kids.String(), len(contents))
	return objects
}

const helvetica = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"

// lineOf shows a line of text at a height of the page.
func lineOf(y int, text string) string {
	return fmt.Sprintf("BT /F1 12 Tf 72 %d Td (%s) Tj ET\n", y, text)
}

func deflated(s string) string {
	var b strings.Builder
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(s)) // into memory
	_ = w.Close()
	return pdfStream("/Filter/FlateDecode", b.String())
}

const toUnicode = `/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def
1 begincodespacerange <0000> <ffff> endcodespacerange
2 beginbfchar <0001> <00c5> <0002> <00730061> endbfchar
1 beginbfrange <0003> <0004> <0063> endbfrange
endcmap end end`

func TestPDF(t *testing.T) {
	if testing.Short() {
		t.Skip("starting the reader of PDF takes seconds, and longer with -race")
	}
	twoLines := lineOf(700, "FAMILY HISTORY:") + lineOf(680, `Mother: breast cancer, 37 \260C`)
	composite := append(pdfPages("<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[6 0 R]/ToUnicode 7 0 R>>",
		pdfStream("", "BT /F1 12 Tf 72 700 Td <00010002000300040003> Tj ET")),
		"<</Type/Font/Subtype/CIDFontType2/BaseFont/X/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/DW 600/FontDescriptor 8 0 R>>",
		pdfStream("", toUnicode),
		"<</Type/FontDescriptor/FontName/X/Flags 4/FontBBox[0 0 1 1]/ItalicAngle 0/Ascent 1/Descent 0/CapHeight 1/StemV 1>>")
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"lines", pdfFile("", pdfPages(helvetica, pdfStream("", twoLines))...), "FAMILY HISTORY:\nMother: breast cancer, 37 °C\n"},
		{"compressed", pdfFile("", pdfPages(helvetica, deflated(twoLines))...), "FAMILY HISTORY:\nMother: breast cancer, 37 °C\n"},
		{"pages", pdfFile("", pdfPages(helvetica, pdfStream("", lineOf(700, "one")), pdfStream("", ""), pdfStream("", lineOf(700, "two")))...), "one\ntwo\n"},
		{"words apart by their places", pdfFile("", pdfPages(helvetica, pdfStream("", "BT /F1 12 Tf 72 700 Td [(no) -400 (fe) 5 (ver)] TJ ET"))...), "no fever\n"},
		{"a hyphenated word", pdfFile("", pdfPages(helvetica, pdfStream("", lineOf(700, "hyper-")+lineOf(686, "tension and more")))...), "hypertension and more\n"},
		{"a font with its own characters", pdfFile("", composite...), "Åsacdc\n"},
		{"a loop of trailers", pdfFile("/Prev XREF", pdfPages(helvetica, pdfStream("", lineOf(700, "sound")))...), "sound\n"},
		{"a cross-reference table of billions", bytes.Replace(pdfFile("", pdfPages(helvetica, pdfStream("", lineOf(700, "sound")))...),
			[]byte("xref\n0 6\n"), []byte("xref\n2000000000 6\n"), 1), "sound\n"},
		{"deep nesting", pdfFile("", pdfPages(helvetica, pdfStream("", strings.Repeat("[", 1<<20)), pdfStream("", lineOf(700, "sound")))...), "sound\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d attachment.Decoder
			got, err := d.Text("application/pdf", c.data)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}

	bomb := deflated(strings.Repeat(lineOf(700, "more and more"), 3<<20))
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"encrypted", pdfFile(fmt.Sprintf("/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -44/O(%[1]s)/U(%[1]s)>>", strings.Repeat("x", 32)),
			pdfPages(helvetica, pdfStream("", lineOf(700, "secret")))...), "the PDF is encrypted"},
		{"a scan", pdfFile("", pdfPages(helvetica, pdfStream("", "q 612 0 0 792 0 0 cm BI /W 1 /H 1 /BPC 8 /CS /G ID \x80 EI Q"))...), "the PDF has no text"},
		{"cut", []byte("%PDF-1.7\n1 0 obj\n<<"), "the PDF is damaged"},
		{"pages in pages", pdfFile("", "<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[2 0 R 2 0 R]/Count 1000000000>>"), "the PDF is damaged"},
		{"gigabytes in a stream", pdfFile("", pdfPages(helvetica, bomb)...), "the PDF is damaged, or needs more memory than a document may take"},
		{"too many bytes", append([]byte("%PDF-1.7\n"), make([]byte, 32<<20)...), "the PDF has more than 32 MB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d attachment.Decoder
			text, err := d.Text("", c.data)
			var u *attachment.Unreadable
			if !errors.As(err, &u) {
				t.Fatalf("text %q, error %v, want an Unreadable", text, err)
			}
			if u.Error() != c.want {
				t.Errorf("got %q, want %q", u, c.want)
			}
		})
	}

	t.Run("many at once", func(t *testing.T) {
		var wait sync.WaitGroup
		for i := range 8 {
			wait.Go(func() {
				var d attachment.Decoder
				want := fmt.Sprintf("page of %d\n", i)
				data := pdfFile("", pdfPages(helvetica, pdfStream("", lineOf(700, want[:len(want)-1])))...)
				for range 3 {
					if got, err := d.Text("application/pdf", data); err != nil || string(got) != want {
						t.Errorf("got %q, %v, want %q", got, err, want)
					}
				}
			})
		}
		wait.Wait()
	})
}

func FuzzPDF(f *testing.F) {
	if testing.Short() {
		f.Skip("starting the reader of PDF takes seconds, and longer with -race")
	}
	twoPages := pdfFile("/Prev XREF", pdfPages(helvetica, pdfStream("", lineOf(700, "one")), deflated(lineOf(700, "two")))...)
	var d attachment.Decoder
	if _, err := d.Text("application/pdf", twoPages); err != nil { // starts the reader, which no input has the time for
		f.Fatal(err)
	}
	f.Add(twoPages)
	f.Add(pdfFile("/Encrypt<</Filter/Standard/V 1/R 2/P -44/O()/U()>>", pdfPages(helvetica, pdfStream("", ""))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		var d attachment.Decoder
		text, err := d.Text("application/pdf", data)
		var u *attachment.Unreadable
		if err != nil && !errors.As(err, &u) {
			t.Fatal(err)
		}
		if !utf8.Valid(text) {
			t.Errorf("not UTF-8: %.200q", text)
		}
	})
}
