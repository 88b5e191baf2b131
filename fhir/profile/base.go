package profile

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"sync"
)

//go:generate go run ./gen

// baseGZ holds the profiles, extensions, value sets and code systems of FHIR R4
// (4.0.1, CC0), without their prose; the program in gen writes it.
//
//go:embed base.gz
var baseGZ []byte

// core is the registry of what R4 itself defines. It is read on first use.
var core = sync.OnceValue(func() *Registry {
	r := newRegistry()
	z, err := gzip.NewReader(bytes.NewReader(baseGZ))
	if err != nil {
		panic("fhir/profile: base.gz: " + err.Error()) // it is part of the program
	}
	text, err := io.ReadAll(z)
	if err != nil {
		panic("fhir/profile: base.gz: " + err.Error())
	}
	_, text, _ = bytes.Cut(text, []byte("\n")) // source and licence
	for line := range bytes.Lines(text) {
		f := bytes.SplitN(bytes.TrimSuffix(line, []byte("\n")), []byte("\t"), 4)
		res := Resource{Type: string(f[0]), URL: string(f[1]), Version: string(f[2]), JSON: f[3]}
		e := &entry{res: res}
		r.order = append(r.order, e)
		r.byURL[res.URL] = append(r.byURL[res.URL], e)
	}
	return r
})
