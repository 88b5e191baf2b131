package lake

import (
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Reference names a resource of the data store.
type Reference struct {
	Type r4.TypeID
	ID   string
}

// String is the reference as FHIR has it: Type/id.
func (r Reference) String() string { return r.Type.String() + "/" + r.ID }

// ParseReference reads Type/id.
func ParseReference(text string) (Reference, error) {
	name, id, ok := strings.Cut(text, "/")
	t := r4.ResourceTypeByName([]byte(name))
	if !ok || t == 0 || id == "" {
		return Reference{}, fmt.Errorf("'%s' is no reference to a resource of the data store", text)
	}
	return Reference{t, id}, nil
}

// Derived gives the resources that were derived from this version, as the result of NLP
// that is kept beside it names them.
func (r *Resource) Derived() ([]Reference, error) {
	data := r.Beside.Of(beside.NLP)
	if data == nil {
		return nil, nil
	}
	return DerivedIn(data)
}

// DerivedIn gives the resources that a result of NLP names as derived, the Linkage first.
func DerivedIn(data []byte) ([]Reference, error) {
	result, err := new(entity.Reader).Read(data)
	if err != nil || result.Derived.Linkage == nil {
		return nil, err
	}
	var out []Reference
	for _, text := range append([][]byte{result.Derived.Linkage}, result.Derived.Resources...) {
		ref, err := ParseReference(string(text))
		if err != nil {
			return nil, fmt.Errorf("what is derived from a document: %w", err)
		}
		out = append(out, ref)
	}
	return out, nil
}
