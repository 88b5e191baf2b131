package entity

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir"
)

// DerivedURL is the extension under which a document names the resources that are derived from
// it, as Amazon HealthLake does.
const DerivedURL = fhir.GeneratedURL

// Derived are the resources that are derived from a document, as references: Type/id.
type Derived struct {
	Linkage   []byte   // nil: nothing is derived
	Resources [][]byte // what the Linkage names
}

// AppendDerived appends a result with the references of what is derived from the document. The
// result has none yet.
func AppendDerived(dst, data []byte, linkage string, resources []string) []byte {
	end := bytes.LastIndexByte(data, '}')
	dst = append(append(dst, data[:end]...), `,"derived":{"linkage":`...)
	dst = append(fhir.AppendQuoted(dst, linkage), `,"resources":[`...)
	for i, ref := range resources {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = fhir.AppendQuoted(dst, ref)
	}
	return append(append(dst, "]}"...), data[end:]...)
}

func (r *Reader) readDerived() error {
	d := &r.result.Derived
	return r.object(func(key []byte) error {
		switch string(key) {
		case "linkage":
			return r.text(&d.Linkage)
		case "resources":
			return r.array(func() error {
				var ref []byte
				err := r.text(&ref)
				d.Resources = append(d.Resources, ref)
				return err
			})
		}
		return r.skip()
	})
}

// append appends the extension that shows what is derived.
func (d *Derived) append(dst []byte) []byte {
	item := func(name string, ref []byte) {
		dst = append(append(append(dst, `{"url":"http://healthlake.amazonaws.com/`...), name...), `","valueReference":{"reference":`...)
		dst = append(fhir.AppendQuoted(dst, ref), `}}`...)
	}
	dst = append(dst, `{"extension":[`...)
	item("linkage", d.Linkage)
	for _, ref := range d.Resources {
		dst = append(dst, ',')
		item("nlp-entity", ref)
	}
	return append(dst, `],"url":"`+DerivedURL+`"}`...)
}
