package attachment

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

// pieces are what TestTags makes documents of. Scripts with comments in them are
// left out: there WHATWG has states of its own, which only matter for what is not shown.
var pieces = []string{
	"<p>", "</p>", "<br/>", "<P Class=x>", "</ P>", "</p x='>'>", "<a href='a>b' x=\">\">", "<a href=x/>", "<a b / >", "<a b = 'c' >", "<a =x>",
	"text", "a < b", "<", "<3", "</", "</>", "</3>", "<!", "<!-->", "<!--->", "<!-- a > -- b -->", "<!--a--!>", "<!--a--->", "<!DOCTYPE html>",
	"<![CDATA[x]]>", "<?php x ?>", "<title>", "</title>", "</TITLE >", "<textarea>", "</textarea/>", "<style>", "</style>", "</styles>",
	"<xmp>", "</xmp>", " ", "\n", ">", "\"", "'", "-->", "=", "/",
}

// TestTags compares tags with the tokenizer of golang.org/x/net/html.
func TestTags(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		var b strings.Builder
		for range random.IntN(12) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		doc := b.String()
		if diff := cmp.Diff(tokenized(doc), splitByTags(doc)); diff != "" {
			t.Fatalf("%q: %s", doc, diff)
		}
	}
}

// tokenized gives tags and the text between them, as the tokenizer has them.
func tokenized(doc string) []string {
	var out record
	z := html.NewTokenizer(strings.NewReader(doc))
	for {
		kind := z.Next()
		switch kind {
		case html.ErrorToken:
			return out
		case html.TextToken:
			out.text(z.Raw())
		case html.StartTagToken, html.SelfClosingTagToken:
			if kind == html.SelfClosingTagToken {
				z.NextIsNotRawText()
			}
			name, _ := z.TagName()
			out = append(out, fmt.Sprintf("%v %s", kind, name))
		case html.EndTagToken:
			name, _ := z.TagName()
			out = append(out, fmt.Sprintf("%v %s", kind, name))
		}
	}
}

// splitByTags gives the same by tags.
func splitByTags(doc string) []string {
	var out record
	t := tags{data: []byte(doc)}
	var h htmlReader
	for {
		kind, value := t.next()
		switch kind {
		case noMore:
			return out
		case markedUp, character:
			out.text(value)
		case startTag:
			e, name := h.element(value)
			out = append(out, fmt.Sprintf("%v %s", html.StartTagToken, name))
			if e&(raw|rawShown|text) != 0 {
				out.text(t.rawText(name))
			}
		case emptyTag:
			_, name := h.element(value)
			out = append(out, fmt.Sprintf("%v %s", html.SelfClosingTagToken, name))
		case endTag:
			_, name := h.element(value)
			out = append(out, fmt.Sprintf("%v %s", html.EndTagToken, name))
		}
	}
}

// record is what a document is made of; texts that follow one another are one.
type record []string

func (r *record) text(s []byte) {
	n := len(*r)
	switch {
	case len(s) == 0:
	case n > 0 && strings.HasPrefix((*r)[n-1], "Text "):
		(*r)[n-1] += string(s)
	default:
		*r = append(*r, "Text "+string(bytes.Clone(s)))
	}
}
