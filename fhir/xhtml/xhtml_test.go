package xhtml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// divs gives the narratives of the official examples, unescaped.
func divs(tb testing.TB) [][]byte {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(corpus.Folder(tb, "r4-examples"), "*.ndjson.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	var out [][]byte
	var tree fhir.Tree
	p := parse.NewParser()
	for _, path := range paths {
		for line := range bytes.Lines(corpus.Read(tb, path)) {
			line = bytes.TrimSpace(line)
			tree.Reset(append(make([]byte, 0, len(line)+16), line...))
			p.Parse(&tree, 0, uint32(len(line)))
			for i, n := range tree.Nodes {
				if n.Type == r4.TypeXhtml && n.Kind == fhir.KindString {
					out = append(out, fhir.AppendUnescaped(nil, tree.Raw(fhir.NodeID(i))))
				}
			}
		}
	}
	return out
}

// wellFormed reads text as XML.
func wellFormed(text []byte) error {
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestNarrativesOfTheExamples(t *testing.T) {
	var x Checker
	for _, div := range divs(t) {
		if why := x.Check(div); why != "" {
			t.Errorf("%s: %s", fhir.Cut(div), why)
		}
		if err := wellFormed(div); err != nil {
			t.Errorf("%s: %v", fhir.Cut(div), err)
		}
	}
}

// FuzzNarrative: what passes is well-formed XML.
func FuzzNarrative(f *testing.F) {
	for _, text := range []string{
		`<div xmlns="http://www.w3.org/1999/xhtml"><p class='a'>x &amp; &#160;</p><br/><!-- a --><![CDATA[b]]></div>`,
		`<div><a href="a?b&amp;c">d</a ></div>`, `<div>&lt;&#x10FFFF;&#0;</div>`, `<div/>`, `<div><!-- - --- --></div>`,
	} {
		f.Add(text)
	}
	var x Checker
	f.Fuzz(func(t *testing.T, text string) {
		if why := x.Check([]byte(text)); why == "" {
			if err := wellFormed([]byte(text)); err != nil && !isOfText(text) {
				t.Errorf("%q passes, but %v", text, err)
			}
		}
	})
}

// isOfText tells whether text has characters or sequences that parse refuses in
// all strings, or that XML refuses in text alone.
func isOfText(text string) bool {
	return strings.ToValidUTF8(text, "") != text || strings.Contains(text, "]]>") ||
		strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF })
}

func BenchmarkNarrative(b *testing.B) {
	list := divs(b)
	size := 0
	for _, div := range list {
		size += len(div)
	}
	var x Checker
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, div := range list {
			if why := x.Check(div); why != "" {
				b.Fatal(why)
			}
		}
	}
}
