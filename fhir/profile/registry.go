package profile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// DefinitionError says what is wrong in a definition.
type DefinitionError struct {
	Resource Resource
	Element  string // id of the element at fault; "" for the whole
	Reason   string
	cause    error
}

func (e *DefinitionError) Error() string {
	s := e.Resource.String()
	if e.Resource.File != "" {
		s = e.Resource.File + ": " + s
	}
	if e.Element != "" {
		s += ": element " + fhir.Cut(e.Element)
	}
	return s + ": " + e.Reason
}

// Unwrap gives [ErrUnknown] when what is wrong is that the base is not here.
func (e *DefinitionError) Unwrap() error { return e.cause }

// ErrUnknown says that no definition has the canonical URL.
var ErrUnknown = errors.New("not known here")

// Registry holds definitions by canonical URL and version. Fill it with
// [Registry.Add], then use it: from then on it is safe for concurrent use.
type Registry struct {
	byURL map[string][]*entry // the latest version first
	order []*entry            // as added

	mu      sync.Mutex
	globals map[r4.TypeID][]string
	over    bool             // core is a registry that users fill: see Over
	core    func() *Registry // what R4 itself defines, asked when a definition is not here; nil for that itself
}

// entry is one definition with what was made of it.
type entry struct {
	res           Resource
	read          bool // what follows has been parsed; all of it is guarded by Registry.mu
	structure     *StructureDefinition
	valueSet      *valueSetDefinition
	codeSystem    *codeSystemDefinition
	questionnaire *Questionnaire

	expanding bool
	profile   *Profile
	err       error
	set       *ValueSet
	system    *codeSystem
}

// NewRegistry makes a registry that knows what R4 itself defines.
func NewRegistry() *Registry {
	r := newRegistry()
	r.core = core
	return r
}

func newRegistry() *Registry {
	return &Registry{byURL: map[string][]*entry{}, globals: map[r4.TypeID][]string{}}
}

// Add adds a definition. It is read when it is first asked for, and expanded then;
// [Registry.Check] does both for all. One of the same type, URL and version takes the place of the earlier one. Definitions of
// the types of base R4 are known already and are passed over. The result tells
// whether anything changed; an error is a [*DefinitionError].
func (r *Registry) Add(res Resource) (changed bool, err error) {
	if _, ok := baseType(res.URL); ok && res.Type == "StructureDefinition" {
		return false, nil
	}
	if !used[res.Type] {
		return false, nil
	}
	e := &entry{res: res}
	if res.Type == "ImplementationGuide" {
		if err := r.addGlobals(res); err != nil {
			return false, &DefinitionError{Resource: res, Reason: err.Error()}
		}
	}
	same := func(o *entry) bool { return o.res.Type == res.Type && o.res.Version == res.Version }
	list := r.byURL[res.URL]
	if i := slices.IndexFunc(list, same); i >= 0 {
		if bytes.Equal(list[i].res.JSON, res.JSON) {
			return false, nil
		}
		*list[i] = *e
		return true, nil
	}
	r.order = append(r.order, e)
	list = append(list, e)
	slices.SortStableFunc(list, func(a, b *entry) int { return compareVersions(b.res.Version, a.res.Version) })
	r.byURL[res.URL] = list
	return true, nil
}

// parse reads the JSON of a definition, once.
func (e *entry) parse() error {
	if e.read {
		return e.err
	}
	e.read = true
	var into any
	switch e.res.Type {
	case "StructureDefinition":
		e.structure = new(StructureDefinition)
		into = e.structure
	case "ValueSet":
		e.valueSet = new(valueSetDefinition)
		into = e.valueSet
	case "CodeSystem":
		e.codeSystem = new(codeSystemDefinition)
		into = e.codeSystem
	case "Questionnaire":
		e.questionnaire = new(Questionnaire)
		into = e.questionnaire
	default:
		return nil
	}
	if err := json.Unmarshal(e.res.JSON, into); err != nil {
		e.err = &DefinitionError{Resource: e.res, Reason: err.Error()}
	}
	return e.err
}

// addGlobals notes the profiles that a guide asks of all resources of a type
// (ImplementationGuide.global).
func (r *Registry) addGlobals(res Resource) error {
	var guide struct {
		Global []struct{ Type, Profile string }
	}
	if err := json.Unmarshal(res.JSON, &guide); err != nil {
		return err
	}
	for _, g := range guide.Global {
		t, ok := r4.TypeByName(g.Type)
		if !ok {
			return fmt.Errorf("global profile %s: unknown type '%s'", fhir.Cut(g.Profile), fhir.Cut(g.Type))
		}
		if !slices.Contains(r.globals[t], g.Profile) {
			r.globals[t] = append(r.globals[t], g.Profile)
		}
	}
	return nil
}

// Globals gives the profiles that implementation guides ask of all resources of a
// type.
func (r *Registry) Globals(t r4.TypeID) []string { return r.globals[t] }

// Resources gives the definitions in the order in which they were added.
func (r *Registry) Resources() []Resource {
	out := make([]Resource, len(r.order))
	for i, e := range r.order {
		out[i] = e.res
	}
	return out
}

// Len gives how many definitions there are.
func (r *Registry) Len() int { return len(r.order) }

// Profile finds the profile with the canonical URL, `url` or `url|version`, and
// expands it. The error is [ErrUnknown], or a [*DefinitionError].
func (r *Registry) Profile(canonical string) (*Profile, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.profile(canonical)
}

// Structure finds the StructureDefinition with the canonical URL, or nil.
func (r *Registry) Structure(canonical string) *StructureDefinition {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.structure(canonical)
}

func (r *Registry) structure(canonical string) *StructureDefinition {
	if e := r.find(canonical, "StructureDefinition"); e != nil {
		return e.structure
	}
	if r.core == nil {
		return nil
	}
	return r.core().Structure(canonical)
}

// Questionnaire finds the Questionnaire with the canonical URL, or nil.
func (r *Registry) Questionnaire(canonical string) *Questionnaire {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.find(canonical, "Questionnaire"); e != nil {
		return e.questionnaire
	}
	return nil
}

// find finds a definition of a type by its canonical URL and reads it. It gives
// nil when there is none, and, but for StructureDefinitions, whose fault is told,
// when it cannot be read.
func (r *Registry) find(canonical, resourceType string) *entry {
	url, version, _ := strings.Cut(canonical, "|")
	url, _, _ = strings.Cut(url, "#")
	for _, e := range r.byURL[url] {
		if e.res.Type != resourceType || version != "" && e.res.Version != version {
			continue
		}
		if e.parse() != nil && resourceType != "StructureDefinition" {
			return nil
		}
		return e
	}
	return nil
}

func (r *Registry) profile(canonical string) (*Profile, error) {
	if e := r.find(canonical, "StructureDefinition"); e != nil {
		return r.expandEntry(e)
	}
	if r.core == nil {
		return nil, ErrUnknown
	}
	return r.core().Profile(canonical)
}

// Expand expands a definition that is not in the registry over those that are: by
// its differential, if it has one. The error is a [*DefinitionError].
func (r *Registry) Expand(res Resource) (*Profile, error) {
	e := &entry{res: res}
	if err := e.parse(); err != nil {
		return nil, err
	}
	if e.structure == nil {
		return nil, &DefinitionError{Resource: res, Reason: "it is no StructureDefinition"}
	}
	if len(e.structure.Differential.Element) > 0 {
		e.structure.Snapshot.Element = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.expand(res, e.structure)
}

func (r *Registry) expandEntry(e *entry) (*Profile, error) {
	if e.profile != nil || e.err != nil {
		return e.profile, e.err
	}
	if e.expanding {
		return nil, &DefinitionError{Resource: e.res, Reason: "the profile is derived from itself, by way of its baseDefinition"}
	}
	e.expanding = true
	e.profile, e.err = r.expand(e.res, e.structure)
	e.expanding = false
	return e.profile, e.err
}

// Check expands every profile and every value set, and gives what is wrong in
// them. Each error is a [*DefinitionError].
func (r *Registry) Check() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, e := range r.order {
		err := e.parse()
		switch {
		case err != nil:
		case e.structure != nil && IsProfile(e.structure):
			_, err = r.expandEntry(e)
		case e.valueSet != nil:
			err = r.compileSet(e).err
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// IsProfile tells whether the definition is one that instances of R4 can conform
// to; logical models are not.
func IsProfile(s *StructureDefinition) bool { return s.Kind != "logical" }

const coreURL = "http://hl7.org/fhir/StructureDefinition/"

// baseType gives the type of base R4 that the canonical URL names.
func baseType(canonical string) (r4.TypeID, bool) {
	url, _, _ := strings.Cut(canonical, "|")
	name, ok := strings.CutPrefix(url, coreURL)
	if !ok {
		return 0, false
	}
	return r4.TypeByName(name)
}

// TypeOf gives the type that a canonical URL is of: of a base definition, or of a
// profile that is known here; 0 when it is neither.
func (r *Registry) TypeOf(canonical string) r4.TypeID {
	if t, ok := baseType(canonical); ok {
		return t
	}
	if s := r.Structure(canonical); s != nil {
		t, _ := r4.TypeByName(strings.TrimPrefix(s.Type, coreURL))
		return t
	}
	return 0
}

// IsBase tells whether the canonical URL names a type of base R4.
func IsBase(canonical string) bool {
	_, ok := baseType(canonical)
	return ok
}

// compareVersions orders business versions: by their numbers, left to right, and
// a suffix (-ballot) before none, as semantic versioning does.
func compareVersions(a, b string) int {
	a, apre, _ := strings.Cut(a, "-")
	b, bpre, _ := strings.Cut(b, "-")
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, xerr := strconv.Atoi(as[i])
		y, yerr := strconv.Atoi(bs[i])
		c := cmp.Compare(x, y)
		if xerr != nil || yerr != nil {
			c = strings.Compare(as[i], bs[i])
		}
		if c != 0 {
			return c
		}
	}
	if c := cmp.Compare(len(as), len(bs)); c != 0 {
		return c
	}
	switch {
	case apre == bpre:
		return 0
	case apre == "":
		return 1
	case bpre == "":
		return -1
	}
	return strings.Compare(apre, bpre)
}
