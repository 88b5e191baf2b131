// Package beside is what a data store keeps beside a resource: what is derived from it
// and not stored inside it, one JSON value of each kind. It owns which kinds there are and
// how a resource is shown with them; what a value looks like is the business of the package
// that the kind names. Files and databases of these values are store's.
//
// Read [Values] first.
package beside

import (
	"fmt"

	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Kind names a kind of what is derived: 1 to 32 lower-case letters.
type Kind string

// The kinds of which a resource is shown with something.
const (
	Issues Kind = "issues" // what validation found: a list of issues, see fhir/outcome.AppendIssues
	NLP    Kind = "nlp"    // what was found in the notes of a document: see fhir/entity
)

// MaxKind is the length of the longest name of a kind.
const MaxKind = 32

// Valid tells whether k is the name of a kind, known here or not.
func (k Kind) Valid() bool {
	for i := range len(k) {
		if k[i] < 'a' || k[i] > 'z' {
			return false
		}
	}
	return k != "" && len(k) <= MaxKind
}

// KindOf is the kind of a name, which is not copied where the kind is known.
func KindOf(name []byte) Kind {
	for i := range shows {
		if string(name) == string(shows[i].kind) {
			return shows[i].kind
		}
	}
	return Kind(name)
}

// Value is what is kept of one kind: a JSON value without line ends.
type Value struct {
	Kind Kind
	Data []byte
}

// Values are what is kept beside one version of a resource, in rising order of their kinds,
// each of which is there once. Nil is nothing.
type Values []Value

// Of gives the data of a kind; nil when there is none.
func (v Values) Of(k Kind) []byte {
	for i := range v {
		if v[i].Kind == k {
			return v[i].Data
		}
	}
	return nil
}

// Size is the number of bytes of all data.
func (v Values) Size() (n int) {
	for i := range v {
		n += len(v[i].Data)
	}
	return n
}

// Check refuses values that are not as the type says.
func (v Values) Check() error {
	for i := range v {
		switch k := v[i].Kind; {
		case !k.Valid():
			return fmt.Errorf("values of kind %q", k)
		case i > 0 && k <= v[i-1].Kind:
			return fmt.Errorf("values of kind %s come after those of kind %s", k, v[i-1].Kind)
		case len(v[i].Data) == 0:
			return fmt.Errorf("values of kind %s are empty", k)
		}
	}
	return nil
}

// shows says how a resource is shown with each kind: as append functions do, with one
// extension or more in the place of those that it shows so already.
var shows = [...]struct {
	kind Kind
	show func(dst, resource, data []byte) ([]byte, error)
}{
	{Issues, appendIssues},
	{NLP, entity.AppendShown},
}

func appendIssues(dst, resource, data []byte) ([]byte, error) {
	issues, err := outcome.ParseIssues(data)
	if err != nil {
		return dst, err
	}
	return outcome.AppendShown(dst, resource, issues), nil
}

// AppendShown appends the text of a stored resource as it is shown: with what is kept
// beside it in its extensions. A type that cannot have extensions (Bundle, Binary,
// Parameters) is shown as it is. Kinds that are not known here show nothing.
func AppendShown(dst []byte, t r4.TypeID, resource []byte, v Values) ([]byte, error) {
	if len(v) == 0 || !Shows(t) {
		return append(dst, resource...), nil
	}
	start, done := len(dst), false
	for i := range shows {
		data := v.Of(shows[i].kind)
		if data == nil {
			continue
		}
		text := resource
		if done {
			text = append([]byte(nil), dst[start:]...)
		}
		var err error
		if dst, err = shows[i].show(dst[:start], text, data); err != nil {
			return dst[:start], fmt.Errorf("show a %s with its %s: %w", t, shows[i].kind, err)
		}
		done = true
	}
	if !done {
		dst = append(dst, resource...)
	}
	return dst, nil
}

// Shows tells whether resources of a type are shown with what is kept beside them.
func Shows(t r4.TypeID) bool { return t.ElementByName("extension") != 0 }
