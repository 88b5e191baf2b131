package fhirpath_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhirpath"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// readAll parses the first resources of a type of a data set into one tree.
func readAll(tb testing.TB, set, typ string, limit int) []fhirpath.Focus {
	tb.Helper()
	f, err := os.Open(filepath.Join(dataFolder(tb, set), typ+".ndjson.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		tb.Fatal(err)
	}
	text = append(text, make([]byte, 16)...)[:len(text)]
	tree := &fhir.Tree{}
	tree.Reset(text)
	p := parse.NewParser()
	var foci []fhirpath.Focus
	for at := 0; at < len(text) && len(foci) < limit; {
		n := bytes.IndexByte(text[at:], '\n')
		if n < 0 {
			n = len(text) - at
		}
		if res := p.Parse(tree, uint32(at), uint32(at+n)); res.Root != fhir.NoNode {
			foci = append(foci, fhirpath.Focus{Tree: tree, Node: res.Root, Resource: res.Root, Root: res.Root, Bundle: fhir.NoNode})
		}
		at += n + 1
	}
	return foci
}
