package profiles

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhirpath"
	"github.com/fhirlake/fhirlake/stages/validate"
)

// The elements that rules name.
var (
	elCoding             = r4.TypeCodeableConcept.ElementByName("coding")
	elConceptExtension   = r4.TypeCodeableConcept.ElementByName("extension")
	elCodingSystem       = r4.TypeCoding.ElementByName("system")
	elCodingCode         = r4.TypeCoding.ElementByName("code")
	elReferenceReference = r4.TypeReference.ElementByName("reference")
	elReferenceType      = r4.TypeReference.ElementByName("type")
	elBundleEntry        = r4.TypeBundle.ElementByName("entry")
	elEntryResource      = r4.TypeBundleEntry.ElementByName("resource")
	elEntryFullURL       = r4.TypeBundleEntry.ElementByName("fullUrl")
	elMetaProfile        = r4.TypeMeta.ElementByName("profile")
	elExtensionURL       = r4.TypeExtension.ElementByName("url")
)

// maxSteps bounds the work that the profiles of one record may cost, invariant 3.
// A step is some 20 ns.
const maxSteps = 20_000_000

// Set is the profiles of a registry, compiled as they are needed. It is safe for
// concurrent use.
type Set struct {
	registry *profile.Registry
	plans    sync.Map // canonical URL -> *compiled
	ids      atomic.Uint32
}

// compiled is a plan, or why there is none.
type compiled struct {
	plan  *plan
	err   error
	notes []error
	note  string // what a Checker says of a profile that has no plan; "" for the types of base R4
}

// NewSet makes the set of a registry, which must be full: nothing may be added to
// it any more.
func NewSet(r *profile.Registry) *Set {
	return &Set{registry: r}
}

// Registry gives the definitions.
func (s *Set) Registry() *profile.Registry { return s.registry }

// Check expands and compiles every definition that was added and gives what is
// wrong in them: faults, for which a definition cannot be used, and notes, for
// which a part of it is not checked. Each is a [*profile.DefinitionError].
func (s *Set) Check() (faults, notes []error) {
	faults = s.registry.Check()
	bad := map[string]bool{}
	for _, err := range faults {
		var d *profile.DefinitionError
		if errors.As(err, &d) {
			bad[d.Resource.Canonical()] = true
		}
	}
	for _, res := range s.registry.Resources() {
		if res.Type != "StructureDefinition" || bad[res.Canonical()] || !profile.IsProfile(s.registry.Structure(res.Canonical())) {
			continue
		}
		c := s.compiled(res.Canonical())
		if c.err != nil {
			faults = append(faults, c.err)
		}
		notes = append(notes, c.notes...)
	}
	return faults, notes
}

// unknown is the answer for profiles that no definition is of. Their URLs come
// from data, so they are not kept.
var unknown = &compiled{err: profile.ErrUnknown}

func (s *Set) compiled(canonical string) *compiled {
	if c, ok := s.plans.Load(canonical); ok {
		return c.(*compiled)
	}
	p, err := s.registry.Profile(canonical)
	if errors.Is(err, profile.ErrUnknown) {
		return unknown
	}
	out := &compiled{err: err}
	if err == nil {
		k := newCompiler(s.registry, p)
		out.plan, out.err = k.plan()
		out.notes = k.notes
	}
	if out.plan != nil {
		out.plan.id = s.ids.Add(1)
	}
	c, _ := s.plans.LoadOrStore(canonical, out)
	return c.(*compiled)
}

// Checker holds resources against profiles, one at a time. It belongs to one
// goroutine; its memory is used again, so keep it.
//
// The resources of one record are checked one after the other, nested ones first
// and the record's root last: what is learnt of one serves the others.
type Checker struct {
	set        *Set
	plans      map[string]*compiled  // of this goroutine: no lock, no garbage
	evaluators []*fhirpath.Evaluator // one for each level of invariants that ask conformsTo
	evaluating int                   // levels that are under way

	tree   *fhir.Tree
	record fhir.NodeID
	report func(fhir.Issue)
	notes  bool // issues of severity information are wanted

	steps    int
	quiet    int  // more than 0: nothing is reported
	failed   bool // an error was found
	verdicts map[question]verdict
	entries  map[string]fhir.NodeID // of the Bundle indexed, by fullUrl and by Type/id
	indexed  fhir.NodeID

	items, members  []item  // stacks
	counts          []int32 // a stack
	buf, system, id []byte  // decoded values
}

var (
	_ validate.Profiles = (*Set)(nil)
	_ validate.Checker  = (*Checker)(nil)
)

// NewChecker makes a [Checker].
func (s *Set) NewChecker() validate.Checker { return NewChecker(s) }

// NewChecker makes a checker of a set.
func NewChecker(s *Set) *Checker {
	return &Checker{set: s, plans: map[string]*compiled{}, verdicts: map[question]verdict{}, record: fhir.NoNode, indexed: fhir.NoNode}
}

// Check reports where a resource breaks the profiles with the given canonical
// URLs, those that implementation guides ask of its type, and the definitions of
// the extensions in it. A profile that is not known gives an issue of severity
// information, where these are wanted; one that is of another type is a fault when the resource claims it.
func (c *Checker) Check(s validate.Subject, canonicals []string, report func(fhir.Issue)) {
	c.begin(s, report)
	at := scope{s.Resource, s.Container, s.Bundle}
	typ := s.Tree.Nodes[s.Resource].Type
	for _, url := range canonicals {
		c.claimed(url, s.Resource, at)
	}
	for _, url := range c.set.registry.Globals(typ) {
		c.claimed(url, s.Resource, at)
	}
	c.extensions(at)
	switch typ {
	case r4.TypeQuestionnaireResponse:
		c.questionnaireResponse(at)
	case r4.TypeStructureDefinition:
		c.structureDefinition(s.Resource)
	case r4.TypeOperationDefinition:
		c.operationDefinition(s.Resource)
	}
	c.end(s)
}

// begin prepares for a subject. What is known of the record stays.
func (c *Checker) begin(s validate.Subject, report func(fhir.Issue)) {
	if c.tree != s.Tree || c.record != s.Record {
		c.forget()
	}
	c.tree, c.record, c.report, c.notes = s.Tree, s.Record, report, s.Notes
	c.quiet, c.failed = 0, false
	c.items, c.members, c.counts = c.items[:0], c.members[:0], c.counts[:0]
}

func (c *Checker) end(s validate.Subject) {
	if c.steps > maxSteps {
		report := c.report
		report(fhir.Issue{
			Severity: fhir.Error, Code: fhir.CodeTooLong, Expression: string(c.tree.AppendPath(nil, c.record, s.Resource)),
			Diagnostics: "checking the profiles of this resource takes too long and was ended",
		})
	}
	if s.Resource == s.Record {
		c.forget()
	}
	c.report = nil
}

// forget drops what is known of a record.
func (c *Checker) forget() {
	clear(c.verdicts)
	c.tree, c.record, c.indexed, c.steps = nil, fhir.NoNode, fhir.NoNode, 0
}

// exhausted tells that the budget is used up.
func (c *Checker) exhausted() bool { return c.steps > maxSteps }

// claimed holds a resource against a profile that it claims.
func (c *Checker) claimed(url string, n fhir.NodeID, s scope) {
	got := c.find(url)
	if got.plan == nil {
		if got.note != "" && c.notes {
			is := c.issue(nil, n, fhir.Information, fhir.CodeNotFound, got.note)
			is.Profile = url
			c.report(is)
		}
		return
	}
	if t := c.tree.Nodes[n].Type; !derives(t, got.plan.typ) {
		if c.claims(n, url) {
			c.fault(got.plan, n, fhir.CodeStructure, "found type %s; the profile that it claims is for %s", t, got.plan.typ)
		}
		return
	}
	c.profile(got.plan, n, s)
}

// claims tells whether the resource n itself names the profile.
func (c *Checker) claims(n fhir.NodeID, url string) bool {
	meta := c.tree.Child(n, c.tree.Nodes[n].Type.ElementByName("meta"))
	if meta == fhir.NoNode {
		return false
	}
	list := c.tree.Child(meta, elMetaProfile)
	if list == fhir.NoNode {
		return false
	}
	for item := c.tree.FirstChild(list); item != fhir.NoNode; item = c.tree.NextSibling(list, item) {
		if string(c.text(item)) == url {
			return true
		}
	}
	return false
}

// plan finds the plan of a profile, or nil when it is not known or at fault.
func (c *Checker) plan(url string) *plan { return c.find(url).plan }

func (c *Checker) find(url string) *compiled {
	if got, ok := c.plans[url]; ok {
		return got
	}
	if len(c.plans) >= maxCached {
		clear(c.plans)
	}
	url = strings.Clone(url)
	got := c.set.compiled(url)
	if got.plan == nil && !profile.IsBase(url) {
		got = &compiled{err: got.err, note: fmt.Sprintf("profile %s is not checked: %s", show([]byte(url)), got.err)}
	}
	c.plans[url] = got
	return got
}

// maxCached bounds the canonical URLs that a Checker remembers: those that no
// definition has come from the data.
const maxCached = 10_000

// text gives the decoded value of a string. It is valid until the next call.
func (c *Checker) text(n fhir.NodeID) []byte {
	if c.tree.Nodes[n].Flags&fhir.FlagEscaped == 0 {
		return c.tree.Raw(n)
	}
	c.buf = fhir.AppendUnescaped(c.buf[:0], c.tree.Raw(n))
	return c.buf
}

// shown gives a value for a message: the JSON of a primitive one, the type of
// another, since a message has no content but the value at fault.
func (c *Checker) shown(n fhir.NodeID) string {
	switch nd := &c.tree.Nodes[n]; nd.Kind {
	case fhir.KindObject, fhir.KindArray:
		return "the " + nd.Type.String()
	}
	return show(c.tree.JSON(n))
}

// fault reports an error of node n.
func (c *Checker) fault(p *plan, n fhir.NodeID, code, format string, args ...any) {
	c.note(p, n, fhir.Error, code, format, args)
}

// note reports an issue of node n, unless the checker is quiet.
func (c *Checker) note(p *plan, n fhir.NodeID, severity fhir.Severity, code, format string, args []any) {
	if severity <= fhir.Error {
		c.failed = true
	}
	if c.quiet == 0 {
		c.report(c.issue(p, n, severity, code, fmt.Sprintf(format, args...)))
	}
}

func (c *Checker) issue(p *plan, n fhir.NodeID, severity fhir.Severity, code, text string) fhir.Issue {
	is := fhir.Issue{Severity: severity, Code: code, Diagnostics: text}
	nd := &c.tree.Nodes[n]
	if is.Expression = nd.Type.String(); n != c.record {
		is.Expression = string(c.tree.AppendPath(nil, c.record, n))
	}
	is.Column = int32(nd.Start-c.tree.Nodes[c.record].Start) + 1
	if nd.Kind == fhir.KindString {
		is.Column-- // the quote
	}
	if p != nil {
		is.Profile = p.url
	}
	return is
}

// typeList names types for a message.
func typeList(types []r4.TypeID) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.String()
	}
	return strings.Join(names, ", ")
}
