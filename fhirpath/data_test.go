package fhirpath_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhirpath"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// readAll parses the first resources of a type of a data set into one tree.
func readAll(tb testing.TB, set, typ string, limit int) []fhirpath.Focus {
	tb.Helper()
	text := corpus.Read(tb, filepath.Join(corpus.Folder(tb, set), typ+".ndjson.gz"))
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
