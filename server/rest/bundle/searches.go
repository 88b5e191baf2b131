package bundle

import (
	"bytes"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Searches gives the References of the resource of an entry that are searches
// (FHIR R4, 3.1.0.11.2.2: conditional references), such as Practitioner?identifier=x,
// each once. What they find is told to [Links.Add] with their text as the fullUrl.
func Searches(t *fhir.Tree, e *Entry) (all []string) {
	if e.Resource == fhir.NoNode {
		return nil
	}
	for n := uint32(e.Resource) + 1; n < t.Nodes[e.Resource].Next; n++ {
		nd := &t.Nodes[n]
		if nd.Element != elReference || nd.Kind != fhir.KindString || nd.Flags&fhir.FlagTwin != 0 {
			continue
		}
		text := t.String(fhir.NodeID(n), nil)
		typ, _, ok := bytes.Cut(text, []byte("?"))
		if ok && r4.ResourceTypeByName(typ) != 0 && !slices.Contains(all, string(text)) {
			all = append(all, string(text))
		}
	}
	return all
}
