package validate

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir"
)

// extension checks the url of an extension (FHIR R4 2.4): absolute, but for the
// parts of an extension that are extensions themselves, and without a version.
// What it may hold is ext-1, a shape.
func (v *Validator) extension(n fhir.NodeID) {
	url := v.tree.Child(n, elExtensionURL)
	if url == fhir.NoNode || v.nodes[url].Kind != fhir.KindString {
		return
	}
	text := v.text(url)
	switch {
	case len(text) == 0:
	case v.nodes[n].Element != elNestedExt && !isAbsolute(text):
		v.value(url, "is no absolute URL; expected one that identifies the definition of the extension")
	case bytes.IndexByte(text, '|') >= 0:
		v.value(url, "has a version; expected the url of the definition alone")
	}
}
