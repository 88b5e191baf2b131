package validate

import (
	"hash/maphash"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/xhtml"
	"github.com/fhirlake/fhirlake/fhirpath"
)

// Validator validates one resource at a time. It belongs to one goroutine; its
// memory is used again, so keep it.
type Validator struct {
	options Options
	table   *table
	ev      *fhirpath.Evaluator
	checker Checker

	tree   *fhir.Tree
	nodes  []fhir.Node
	record fhir.NodeID
	at     scope
	issues []fhir.Issue

	warnings int  // how many there were
	more     bool // some issues were left out

	seed      maphash.Seed
	ids       []mark // element ids of the resources that are open, see elementIDs
	contained []mark // ids of the resources in the containers that are open
	urls      []mark // fullUrls of the Bundles that are open
	spare     []mark // for one rule at a time
	again     []mark // of repeated

	buf, buf2 []byte // decoded values
	xhtml     xhtml.Checker
	verdicts  verdicts
	claims    claims
	report    func(fhir.Issue) // v.take, made once
}

// scope says where the walk is.
type scope struct {
	resource  fhir.NodeID // innermost
	container fhir.NodeID // the resource that it is contained in, else itself
	bundle    fhir.NodeID // the Bundle that container is an entry of, or NoNode
	contained span        // in Validator.contained: those of container
	urls      span        // in Validator.urls: those of bundle
}

type span struct{ from, to int32 }

// NewValidator makes a validator. An error is one of the options.
func NewValidator(o Options) (*Validator, error) {
	t, err := tables(o.BestPractices)
	if err != nil {
		return nil, err
	}
	v := &Validator{options: o, table: t, ev: fhirpath.NewEvaluator(fhirpath.Environment{}), seed: maphash.MakeSeed()}
	v.verdicts.seed = v.seed
	v.report = v.take
	if o.Profiles != nil && (o.Level != StructureOnly || len(o.Always) > 0) {
		v.checker = o.Profiles.NewChecker()
	}
	return v, nil
}

// Validate checks the resource at root, the root of a record, and gives its
// issues in no certain order. They are valid until the next call.
func (v *Validator) Validate(t *fhir.Tree, root fhir.NodeID) []fhir.Issue {
	v.tree, v.nodes, v.record = t, t.Nodes, root
	v.issues, v.warnings, v.more = v.issues[:0], 0, false
	v.ids, v.contained, v.urls = v.ids[:0], v.contained[:0], v.urls[:0]
	v.at = scope{resource: root, container: root, bundle: fhir.NoNode}
	v.resource(root, v.at)
	v.finish()
	v.tree, v.nodes = nil, nil
	v.giveBack()
	return v.issues
}

// maxKept is how many bytes or marks a buffer keeps for the next record.
const maxKept = 1 << 20

// giveBack drops the buffers that one huge record has grown.
func (v *Validator) giveBack() {
	for _, b := range []*[]byte{&v.buf, &v.buf2} {
		if cap(*b) > maxKept {
			*b = nil
		}
	}
	for _, m := range []*[]mark{&v.ids, &v.contained, &v.urls, &v.spare, &v.again} {
		if cap(*m) > maxKept/16 {
			*m = nil
		}
	}
}

// resource checks the resource n, whose scope is s.
func (v *Validator) resource(n fhir.NodeID, s scope) {
	typ := v.nodes[n].Type
	if !typ.IsResourceType() {
		return // parse has reported it, and what is below it is unknown
	}
	before, ids := v.at, len(v.ids)
	contained, urls := len(v.contained), len(v.urls)
	s.resource = n
	v.at = s
	inside := fhir.NoNode // the contained resources
	if s.container == n {
		inside, v.at.contained = v.containedIDs(n)
	}
	v.object(n, &v.table.resources[typ])
	v.walk(n+1, fhir.NodeID(v.nodes[n].Next))
	v.elementIDs(ids)
	if inside != fhir.NoNode {
		v.unreferenced(inside)
	}
	if v.checker != nil {
		v.profiles()
	}
	v.ids, v.contained, v.urls = v.ids[:ids], v.contained[:contained], v.urls[:urls]
	v.at = before
}

// walk checks the nodes i to end of the resource that v.at names.
func (v *Validator) walk(i, end fhir.NodeID) {
	nodes, classes, plans := v.nodes, v.table.classes, v.table.plans
	for i < end {
		nd := &nodes[i]
		c := classes[nd.Element]
		if c == classNone || nd.Flags&fhir.FlagTwin != 0 || nd.Kind == fhir.KindArray || nd.Kind == fhir.KindNull {
			i++
			continue
		}
		switch c {
		case classObject:
			v.object(i, &plans[nd.Element])
		case classLeaf:
			v.leaf(i, &plans[nd.Element])
		default:
			v.nested(i)
			i = fhir.NodeID(nd.Next)
			continue
		}
		i++
	}
}

// nested checks the resource n inside of the one that v.at names.
func (v *Validator) nested(n fhir.NodeID) {
	s := v.at
	s.resource = n
	switch e := v.nodes[n].Element; {
	case e == elEntryResource:
		s.container, s.bundle = n, v.at.resource
	case r4.ElementAt(e).Name != "contained":
		s.container, s.bundle, s.urls = n, fhir.NoNode, span{}
	}
	v.resource(n, s)
}

// object checks an object: one pass over its members tells which are there.
func (v *Validator) object(n fhir.NodeID, p *plan) {
	nodes, slots := v.nodes, v.table.slots
	var present uint64
	var flags fhir.NodeFlags
	for c, end := uint32(n)+1, nodes[n].Next; c < end; c = nodes[c].Next {
		nd := &nodes[c]
		present |= 1 << slots[nd.Element]
		flags |= nd.Flags
	}
	if present == 1 && !p.resource && flags&fhir.FlagUnknown == 0 {
		v.broken(n, conEle1, "found an id and nothing else; expected a value or other children")
	}
	if flags&fhir.FlagTwin != 0 {
		v.twins(n)
	}
	if p.check != checkNone {
		v.check(n, p, present)
	}
	if flags&fhir.FlagUnknown != 0 || present == 0 && !p.resource {
		return // invariant 3
	}
	t := v.table
	for i := p.shapes.from; i < p.shapes.to; i++ {
		s := &t.shapes[i]
		if !s.holds(present) && (i == p.shapes.from || t.shapes[i-1].constraint != s.constraint || t.shapes[i-1].holds(present)) {
			v.broken(n, s.constraint, "")
		}
	}
	if present&p.required != p.required {
		return
	}
	for i := p.functions.from; i < p.functions.to; i++ {
		if f := &t.functions[i]; (f.needs == 0 || present&f.needs != 0) && !f.holds(v, n) {
			v.broken(n, f.constraint, "")
		}
	}
	for i := p.programs.from; i < p.programs.to; i++ {
		v.program(n, &t.programs[i])
	}
}

// check does for an object what is particular to its type or element.
func (v *Validator) check(n fhir.NodeID, p *plan, present uint64) {
	switch p.check {
	case checkReference:
		v.reference(n, p)
	case checkCodes:
		v.codes(n, p)
	case checkExtension:
		v.extension(n)
	case checkPeriod:
		v.period(n)
	case checkQuantity:
		v.quantity(n)
	case checkAttachment:
		v.attachment(n)
	case checkBundle:
		v.bundle(n)
	}
}

// leaf checks a primitive value.
func (v *Validator) leaf(n fhir.NodeID, p *plan) {
	switch p.check {
	case checkSystem:
		v.system(n)
	case checkCanonical:
		v.canonical(n)
	case checkElementID:
		v.ids = append(v.ids, v.mark(n))
	case checkXHTML:
		v.narrative(n)
	case checkLanguage, checkMIME, checkFormat, checkCurrency:
		v.syntax(n, p.check)
	}
	t := v.table
	for i := p.functions.from; i < p.functions.to; i++ {
		if f := &t.functions[i]; !f.holds(v, n) {
			v.broken(n, f.constraint, "")
		}
	}
	for i := p.programs.from; i < p.programs.to; i++ {
		v.program(n, &t.programs[i])
	}
}

// program runs an invariant that is FHIRPath. One that cannot be evaluated does
// not hold.
func (v *Validator) program(n fhir.NodeID, p *program) {
	ok, err := p.program.Test(v.ev, fhirpath.Focus{
		Tree: v.tree, Node: n, Resource: v.at.resource, Root: v.at.container, Bundle: v.at.bundle,
	})
	switch {
	case err != nil:
		v.broken(n, p.constraint, "it cannot be evaluated: "+err.Error())
	case !ok:
		v.broken(n, p.constraint, "")
	}
}

// twins checks the `_` companions among the members of object n. ele-1: without a
// value there must be more than an id.
func (v *Validator) twins(n fhir.NodeID) {
	var values, done uint64 // slots
	end := v.nodes[n].Next
	for c := uint32(n) + 1; c < end; c = v.nodes[c].Next {
		if nd := &v.nodes[c]; nd.Flags&fhir.FlagTwin == 0 {
			values |= 1 << v.table.slots[nd.Element]
		}
	}
	for c := uint32(n) + 1; c < end; c = v.nodes[c].Next {
		nd := &v.nodes[c]
		slot := uint64(1) << v.table.slots[nd.Element]
		if nd.Flags&fhir.FlagTwin == 0 || done&slot != 0 {
			continue
		}
		done |= slot
		if nd.Kind == fhir.KindArray {
			v.twinItems(n, fhir.NodeID(c), values&slot != 0)
		} else if values&slot == 0 {
			v.twin(fhir.NodeID(c))
		}
	}
}

// twinItems checks the items of the array of twins that object n has; valued
// tells that there is an array of values.
func (v *Validator) twinItems(n, array fhir.NodeID, valued bool) {
	values, value := fhir.NoNode, fhir.NoNode
	if valued {
		if values = v.tree.Child(n, v.nodes[array].Element); values != fhir.NoNode && v.nodes[values].Kind == fhir.KindArray {
			value = v.tree.FirstChild(values)
		}
	}
	for c := v.tree.FirstChild(array); c != fhir.NoNode; c = v.tree.NextSibling(array, c) {
		if value == fhir.NoNode || v.nodes[value].Kind == fhir.KindNull {
			v.twin(c)
		}
		if value != fhir.NoNode {
			value = v.tree.NextSibling(values, value)
		}
	}
}

// twin checks the companion n, which has no value beside it.
func (v *Validator) twin(n fhir.NodeID) {
	only := n + 1
	if uint32(only) < v.nodes[n].Next && v.nodes[only].Next == v.nodes[n].Next && v.nodes[only].Element == elElementID {
		v.broken(n, conEle1, "found an id and neither a value nor an extension")
	}
}

// text gives the decoded value of a string. It is valid until the next call.
func (v *Validator) text(n fhir.NodeID) []byte {
	if v.nodes[n].Flags&fhir.FlagEscaped == 0 {
		return v.tree.Raw(n)
	}
	v.buf = fhir.AppendUnescaped(v.buf[:0], v.tree.Raw(n))
	return v.buf
}

// is tells whether the string n, which may be NoNode, is s.
func (v *Validator) is(n fhir.NodeID, s string) bool {
	return n != fhir.NoNode && string(v.text(n)) == s
}
