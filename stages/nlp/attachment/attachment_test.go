package attachment_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/nlp/attachment"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestDocuments reads testdata: the folder says the content type, a file is a
// document, `----`, and its text.
func TestDocuments(t *testing.T) {
	var d attachment.Decoder
	for folder, contentType := range map[string]string{
		"html": "text/html", "xml": "application/xml", "rtf": "application/rtf",
	} {
		paths, err := filepath.Glob("testdata/" + folder + "/*.txt")
		if err != nil || len(paths) == 0 {
			t.Fatal(folder, paths, err)
		}
		for _, path := range paths {
			t.Run(folder+"/"+strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
				file, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				input, want, ok := strings.Cut(string(file), "----\n")
				if !ok && !*update {
					t.Fatal("no ----")
				}
				text, err := d.Text(contentType, []byte(input))
				if err != nil {
					t.Fatal(err)
				}
				got := string(text) + "\n"
				if *update {
					if err := os.WriteFile(path, []byte(input+"----\n"+got), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

const (
	note    = "Åsa hat Fieber – 38 °C"
	note16L = "\xc5\x00s\x00a\x00 \x00h\x00a\x00t\x00"
	note16B = "\x00\xc5\x00s\x00a\x00 \x00h\x00a\x00t"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ name, contentType, data, want string }{
		{"plain UTF-8", "text/plain", note, note},
		{"charset in capitals, quoted", `Text/Plain ; format=flowed; CHARSET="UTF-8"`, note, note},
		{"charset after a quoted semicolon", `text/plain; x="a;charset=utf-16"; charset=iso-8859-1`, "\xc5sa", "Åsa"},
		{"empty", "text/plain", "", ""},
		{"markdown", "text/markdown", "# " + note, "# " + note},
		{"any text", "text/x-clinical-note", note, note},
		{"UTF-8 with a byte order mark", "text/plain", "\ufeff" + note, note},
		{"a mark against the charset", "text/plain; charset=iso-8859-1", "\ufeff" + note, note},
		{"Windows-1252 that does not say so", "text/plain", "\xc5sa: 38 \xb0C \x96 \x80 \x81", "Åsa: 38 °C – € \ufffd"},
		{"UTF-8 that is broken", "text/plain; charset=utf-8", "a\xc5b\xe2\x80", "a\ufffdb\ufffd\ufffd"},
		{"UTF-8 with a mark that is broken", "text/plain", "\ufeffa\xc5b", "a\ufffdb"},
		{"Latin-1", "text/plain;charset=ISO-8859-1", "\xc5sa", "Åsa"},
		{"Latin-1 by another name", "text/plain;charset=latin1", "\xc5sa", "Åsa"},
		{"windows-1252", "text/plain;charset=windows-1252", "\xc5 \x93x\x94", "Å “x”"},
		{"ASCII that is UTF-8", "text/plain;charset=us-ascii", note, note},
		{"ASCII that is neither", "text/plain;charset=US-ASCII", "\xc5sa", "Åsa"},
		{"UTF-16 with a little-endian mark", "text/plain", "\xff\xfe" + note16L, "Åsa hat"},
		{"UTF-16 with a big-endian mark", "text/plain; charset=utf-16", "\xfe\xff" + note16B, "Åsa hat"},
		{"UTF-16 by its zero bytes, little-endian", "text/plain", note16L, "Åsa hat"},
		{"UTF-16 by its zero bytes, big-endian", "text/plain", note16B, "Åsa hat"},
		{"utf-16 without a mark, big-endian", "text/plain; charset=utf-16", note16B, "Åsa hat"},
		{"utf-16le", "text/plain; charset=utf-16le", note16L, "Åsa hat"},
		{"utf-16be", "text/plain; charset=utf-16be", note16B, "Åsa hat"},
		{"UTF-16 with half a character", "text/plain; charset=utf-16le", "a\x00\x3d\xd8b", "a\ufffd\ufffd"},
		{"a charset of the web", "text/plain; charset=shift_jis", "\x93\xfa\x96\x7b", "日本"},
		{"a charset of IANA", "text/plain; charset=IBM850", "\x8fsa", "Åsa"},
		{"an unknown charset of what is UTF-8", "text/plain; charset=x-unknown", note, note},
		{"zero bytes in UTF-8", "text/plain; charset=utf-8", "a\x00b", "a\x00b"},

		{"RTF that is sent as plain text", "text/plain", `{\rtf1 a\par b}`, "a\nb"},
		{"no type, text", "", note, note},
		{"no type, HTML", "", " <html><body><p>a<p>b", "a\n\nb"},
		{"no type, XML", "", "<?xml version='1.0'?><a><b>x</b><c>y</c></a>", "x\ny"},
		{"no type, RTF", "", "\ufeff\r\n{\\rtf1 a}", "a"},
		{"no type, UTF-16", "", note16L, "Åsa hat"},
		{"no type, text with a control character", "", "\x1b[1mfever", "\x1b[1mfever"},
		{"octet-stream, text", "application/octet-stream", note, note},

		{"HTML, charset of the type", "text/html; charset=iso-8859-1", "<meta charset=utf-8>\xc5sa", "Åsa"},
		{"HTML, charset by meta", "text/html", "<meta charset=iso-8859-2>\xb3", "ł"},
		{"HTML, charset by http-equiv", "text/html", `<meta http-equiv=Content-Type content="text/html; charset=koi8-r">` + "\xc1", "а"},
		{"HTML, UTF-8 against its meta", "text/html", "<meta charset=iso-8859-1>" + note, note},
		{"HTML, meta UTF-8 and broken", "text/html", "<meta charset=utf-8>a\xc5b", "a\ufffdb"},
		{"HTML, UTF-16 by its mark", "text/html", "\xff\xfe<\x00p\x00>\x00a\x00", "a"},
		{"HTML, nothing but Windows-1252", "text/html", "<p>\xc5sa", "Åsa"},
		{"XHTML", "application/xhtml+xml", `<?xml version="1.0" encoding="iso-8859-1"?><html><body><p>` + "\xc5" + `</p><script/>b</body></html>`, "Å\n\nb"},
		{"XML, encoding of its declaration", "text/xml", `<?xml version="1.0" encoding='iso-8859-1'?><a>` + "\xc5</a>", "Å"},
		{"CDA by its own type", "application/cda+xml", "<ClinicalDocument><title>T</title><x>y</x></ClinicalDocument>", "T"},

		{"RTF in RTF's old type", "text/richtext", `{\rtf1 a}`, "a"},
		{"RTF that ends early", "application/rtf", `{\rtf1 a{\b b\'e`, "ab"},
		{"RTF, \\u without a number", "application/rtf", `{\rtf1 a\u b\u0 cd}`, "abd"},
		{"RTF, binary data beyond the end", "application/rtf", `{\rtf1 a\bin99999999999 b}`, "a"},
		{"RTF, negative binary data", "application/rtf", `{\rtf1 a\bin-5 b}`, "ab"},
		{"RTF, the skip of \\u ends with its group", "application/rtf", `{\rtf1 {\uc9\u65 abc}d}`, "Ad"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d attachment.Decoder
			got, err := d.Text(c.contentType, []byte(c.data))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	for _, c := range []struct{ name, contentType, data, want string }{
		{"an image", "image/png", "\x89PNG", "content type image/png is not read"},
		{"no type, an image", "", "\x89PNG\r\n\x1a\n", "content type image/png is not read"},
		{"octet-stream, anything", "application/octet-stream", "\x01\x02\x00\x84", "the data is of no content type that is read"},
		{"a type in many bytes", "x/" + strings.Repeat("y", 500), "a", "content type x/" + strings.Repeat("y", 58) + "... is not read"},
		{"a type that does not print", "audio/\x1b[1mé", "a", "content type audio/?[1m? is not read"},
		{"no type at all", "note", "a", "content type note is not read"},
		{"an unknown charset", "text/plain; charset=x-own", "\xc5sa", "charset x-own is not known"},
		{"binary data that is sent as text", "text/plain", "\x89PNG\x00\x00\x01", "the data is not text, which its content type says"},
		{"no RTF", "application/rtf", "plain secret", "the data is not RTF, which its content type says"},
		{"no PDF", "application/pdf", "plain secret", "the data is not PDF, which its content type says"},
		{"a CDA around a PDF", "text/xml", "<ClinicalDocument><component><nonXMLBody><text>JVBERi0=</text></nonXMLBody></component></ClinicalDocument>", "the body of the CDA document is not XML, and is not read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d attachment.Decoder
			text, err := d.Text(c.contentType, []byte(c.data))
			var u *attachment.Unreadable
			if !errors.As(err, &u) {
				t.Fatalf("text %q, error %v, want an Unreadable", text, err)
			}
			if u.Error() != c.want {
				t.Errorf("got %q, want %q", u, c.want)
			}
		})
	}
}

func TestBase64(t *testing.T) {
	var d attachment.Decoder
	for _, c := range []struct{ name, value, want string }{
		{"none", "", ""},
		{"plain", "Tm8gZmV2ZXIu", "No fever."},
		{"padded", "Tm8gZmV2ZQ==", "No feve"},
		{"with spaces and line ends", " Tm8g\nZmV2\r\n\tZXIu ", "No fever."},
		{"with escaped line ends", `Tm8g\r\nZmV2\n\tZXIu\n`, "No fever."},
		{"with escaped slashes", `\/\/8\/`, "\xff\xff\x3f"},
		{"with characters by number", `\u0054m8\u002bZQ==`, "\x4e\x6f\x3e\x65"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := d.Base64([]byte(c.value))
			if err != nil || string(got) != c.want {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
	for name, value := range map[string]string{
		"cut": "Tm8gZ", "a letter that is none": "Tm8gZmV2ZXI_", "a letter by number that is none": `Tm8\u00e9Zm`,
		"half an escape": `Tm8g\u00`, "a backslash at the end": `Tm8g\`, "padding within": "Tm8=Tm8=Tm8g",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := d.Base64([]byte(value))
			var u *attachment.Unreadable
			if !errors.As(err, &u) || u.Error() != "the data is not base64" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// TestBase64KeepsItsBuffer: what Base64 gave outlives calls of Text.
func TestBase64KeepsItsBuffer(t *testing.T) {
	var d attachment.Decoder
	data, err := d.Base64([]byte(base64.StdEncoding.EncodeToString([]byte("<p>\xc5sa"))))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		text, err := d.Text("text/html", data)
		if err != nil || string(text) != "Åsa" {
			t.Fatalf("%q %v", text, err)
		}
	}
}

// TestPlainIsNotTouched: whatever is UTF-8 comes out byte for byte, in place and
// without an allocation.
func TestPlainIsNotTouched(t *testing.T) {
	var d attachment.Decoder
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var s []byte
		for range random.IntN(200) {
			switch random.IntN(4) {
			case 0:
				s = utf8.AppendRune(s, rune(random.IntN(0x110000)))
			default:
				s = append(s, byte(' '+random.IntN(95)))
			}
		}
		for _, contentType := range []string{"text/plain", "text/plain; charset=utf-8"} {
			got, err := d.Text(contentType, s)
			if bytes.HasPrefix(s, []byte("\ufeff")) || bytes.IndexByte(s, 0) >= 0 {
				continue
			}
			if err != nil || !bytes.Equal(got, s) || len(s) > 0 && &got[0] != &s[0] {
				t.Fatalf("%s: %q became %q, %v", contentType, s, got, err)
			}
		}
	}
	s := []byte(note)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := d.Text("text/plain; charset=utf-8", s); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestHostile has documents that are all nesting and all markup. They end, and
// what they take is in proportion.
func TestHostile(t *testing.T) {
	const n = 1 << 20
	for _, c := range []struct{ name, contentType, unit string }{
		{"open elements", "text/html", "<div><p><ul><li>"},
		{"open cells", "text/html", "<table><tr><td>"},
		{"line ends", "text/html", "<br>"},
		{"comments that never end", "text/html", "<!--"},
		{"tags that never end", "text/html", "<a b='"},
		{"attributes", "text/html", " a='1' <p x y z"},
		{"tags with one attribute each", "text/html", "<a b>"},
		{"entities", "text/html", "&amp;&nGt;&#x10ffff"},
		{"raw text that never ends", "text/html", "<script><!--<script>"},
		{"hidden elements", "text/html", "<template>x"},
		{"no-break spaces", "text/html", "\u00a0<p>"},
		{"XML elements", "text/xml", "<a:b><![CDATA["},
		{"open groups", "application/rtf", "{"},
		{"groups of code pages", "application/rtf", `{\ansicpg932\'81`},
		{"destinations", "application/rtf", `{\*\x`},
		{"halves of pairs", "application/rtf", `\u55357 `},
		{"a long number", "application/rtf", `\u99999999999999`},
		{"binary data", "application/rtf", `\bin1 `},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := []byte(strings.Repeat(c.unit, n/len(c.unit)))
			switch c.contentType {
			case "text/html": // a first tag with so many attributes that no later one may pay for them
				var b strings.Builder
				for i := range n / 16 {
					fmt.Fprintf(&b, " a%x", i)
				}
				data = append([]byte("<p"+b.String()+">"), data...)
			case "application/rtf":
				data = append([]byte(`{\rtf1 `), data...)
			}
			var d attachment.Decoder
			text, err := d.Text(c.contentType, data)
			if err != nil {
				t.Fatal(err)
			}
			checkText(t, data, text)
		})
	}
}

// checkText holds the invariants of every text.
func checkText(t *testing.T, data, text []byte) {
	t.Helper()
	if !utf8.Valid(text) {
		t.Errorf("not UTF-8: %.200q", text)
	}
	if len(text) > 3*len(data) {
		t.Errorf("%d bytes became %d", len(data), len(text))
	}
}

func FuzzText(f *testing.F) {
	types := []string{
		"text/plain", "", "text/html", "application/xhtml+xml", "text/xml", "application/rtf", "application/pdf", "text/plain; charset=utf-16",
		"text/plain; charset=utf-8", "text/plain; charset=shift_jis", "text/plain; charset=iso-2022-jp", "text/html; charset=gb18030",
		"text/plain; charset=hz-gb-2312", "text/plain; charset=big5", "text/plain; charset=utf-7", "image/png",
	}
	paths, err := filepath.Glob("testdata/*/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for i := range types {
			f.Add(uint8(i), file)
		}
	}
	f.Add(uint8(0), []byte(note16L))
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		if bytes.Contains(data[:min(len(data), 64)], []byte("%PDF-")) {
			return // FuzzPDF has these; they are compressed, and their reader takes longer to start than one input may
		}
		contentType := types[int(kind)%len(types)]
		before := bytes.Clone(data)
		var d attachment.Decoder
		text, err := d.Text(contentType, data)
		if err != nil {
			var u *attachment.Unreadable
			if !errors.As(err, &u) || u.Reason == "" {
				t.Fatalf("%v is no Unreadable", err)
			}
			return
		}
		checkText(t, data, text)
		first := bytes.Clone(text)
		again, err := d.Text(contentType, data)
		if err != nil || !bytes.Equal(first, again) {
			t.Errorf("the second time %q, %v, and the first %q", again, err, first)
		}
		if !bytes.Equal(data, before) {
			t.Error("the data was changed")
		}
	})
}

func FuzzContentType(f *testing.F) {
	for _, s := range []string{"text/plain; charset=utf-8", `text/html;x="a\";b";charset='x`, ";;=;charset", "text/plain;charset=replacement"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, contentType string) {
		var d attachment.Decoder
		data := []byte("\xc5sa <p>")
		text, err := d.Text(contentType, data)
		if err != nil && len(err.Error()) > 120 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
		checkText(t, data, text)
	})
}

func FuzzBase64(f *testing.F) {
	for _, s := range []string{"Tm8g", `Tm\u0038g\n`, "T m 8 g"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var d attachment.Decoder
		got, err := d.Base64(value)
		if err == nil && len(got) > len(value) {
			t.Errorf("%d bytes became %d", len(value), len(got))
		}
		encoded := base64.StdEncoding.AppendEncode(nil, value)
		if got, err := d.Base64(encoded); err != nil || !bytes.Equal(got, value) {
			t.Errorf("%q became %q, %v", value, got, err)
		}
	})
}
