package index

import (
	"context"
	"fmt"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/fhirpath"
	"github.com/fhirlake/fhirlake/pipeline"
)

// Stage is the extraction of search values. It is safe for many goroutines.
type Stage struct {
	programs []func() (*typeProgram, error) // by resource type; compiled at first use
}

var _ pipeline.Stage = (*Stage)(nil)

// New makes a stage for the parameters of a table, which [Check] has let pass.
func New(table *search.Table) *Stage {
	s := &Stage{programs: make([]func() (*typeProgram, error), r4.NumTypes())}
	for _, typ := range r4.ResourceTypes() {
		s.programs[typ] = sync.OnceValues(func() (*typeProgram, error) { return compile(typ, table.Groups(typ)) })
	}
	return s
}

// Name is "index".
func (s *Stage) Name() string { return "index" }

// NewWorker makes a worker with buffers of its own.
func (s *Stage) NewWorker() (pipeline.Worker, error) {
	w := &worker{stage: s, ev: fhirpath.NewEvaluator(fhirpath.Environment{}), implied: impliedSystems(), units: map[string]*search.Unit{}}
	w.take = w.takeItem
	return w, nil
}

// keepValues is how many bytes of values a batch keeps when it is used again.
const keepValues = 16 << 20

// worker extracts the values of one record after the other. What is set for a record
// is in the second half.
type worker struct {
	stage   *Stage
	ev      *fhirpath.Evaluator
	take    func(program int, v fhirpath.Value) // takeItem, bound once
	implied []string                            // systems by element
	text    []byte                              // decoded or folded text of the value at hand
	units   map[string]*search.Unit             // by UCUM code; nil for one that does not convert
	seen    [64]search.Text                     // systems that are in the arena already

	values  *search.Values
	tree    *fhir.Tree
	root    fhir.NodeID
	outputs []output
	row     search.Row  // of the values of the item at hand, without Group
	foci    []focusItem // that the composite parameters of the record bind
}

// focusItem is an element that composite parameters bind the values of.
type focusItem struct {
	program int32
	node    fhir.NodeID
}

// Process leaves the values of the pending records in [pipeline.SearchValues].
func (w *worker) Process(_ context.Context, b *pipeline.Batch) error {
	w.values, w.tree = pipeline.SearchValues.Of(b), &b.Tree
	if w.values.Size() > keepValues {
		*w.values = search.Values{}
	}
	w.values.Reset()
	clear(w.seen[:])
	for i := range b.Records {
		b.At = i
		r := &b.Records[i]
		if r.Status != pipeline.Pending {
			continue
		}
		if !r.Type.IsResourceType() || r.Root == fhir.NoNode {
			return &fhir.RecordError{Pos: b.Pos(r), Stage: "index", Err: fmt.Errorf("a pending record has no resource")}
		}
		p, err := w.stage.programs[r.Type]()
		if err != nil {
			return err
		}
		if err := w.record(int32(i), r.Root, p); err != nil {
			b.AddIssue(i, fhir.Issue{
				Severity:    fhir.Information,
				Code:        fhir.CodeInvalid,
				Expression:  r.Type.String(),
				Diagnostics: "a search parameter finds not all of its values: " + err.Error(),
			})
		}
	}
	w.values, w.tree, w.outputs = nil, nil, nil
	if cap(w.text) > keepValues {
		w.text = nil
	}
	return nil
}

// record extracts the values of one record. An error is that of an expression, which
// other expressions do not suffer from.
func (w *worker) record(at int32, root fhir.NodeID, p *typeProgram) error {
	w.root, w.row, w.foci = root, search.Row{Record: at}, w.foci[:0]
	w.outputs = p.outputs
	err := p.set.Eval(w.ev, fhirpath.Focus{Tree: w.tree, Node: root, Resource: root, Root: root, Bundle: fhir.NoNode}, w.take)
	for _, f := range w.foci {
		w.row.Part++
		w.outputs = p.foci[f.program].outputs
		e := p.foci[f.program].set.Eval(w.ev, fhirpath.Focus{Tree: w.tree, Node: f.node, Resource: root, Root: root, Bundle: fhir.NoNode}, w.take)
		if err == nil {
			err = e
		}
	}
	return err
}

// takeItem takes an item of the program that runs.
func (w *worker) takeItem(program int, v fhirpath.Value) {
	o := &w.outputs[program]
	g := o.group
	if g == nil {
		if t, n := v.Node(); t != nil {
			w.foci = append(w.foci, focusItem{o.focus, n})
		}
		return
	}
	switch g.kind {
	case search.KindToken:
		w.token(g, v)
	case search.KindString:
		w.str(g, v)
	case search.KindDate:
		w.date(g, v)
	case search.KindNumber:
		w.number(g, v)
	case search.KindQuantity:
		w.quantity(g, v)
	case search.KindReference:
		w.reference(g, v)
	case search.KindURI:
		w.uri(g, v)
	}
}

// in gives the row header for a group.
func (w *worker) in(id search.GroupID) search.Row {
	return search.Row{Record: w.row.Record, Group: id, Part: w.row.Part}
}

// is tells whether node n is a value of element e: no twin, no null.
func (w *worker) is(n fhir.NodeID, e r4.ElementID) bool {
	nd := &w.tree.Nodes[n]
	return nd.Element == e && nd.Flags&fhir.FlagTwin == 0
}

// decoded gives the value of a primitive node; with escapes it is in w.text, until
// that is used again. What is no primitive, in a resource that is kept with its
// faults, has none.
func (w *worker) decoded(n fhir.NodeID) []byte {
	switch nd := &w.tree.Nodes[n]; {
	case nd.Kind < fhir.KindString:
		return nil
	case nd.Flags&fhir.FlagEscaped == 0:
		return w.tree.Raw(n)
	}
	w.text = fhir.AppendUnescaped(w.text[:0], w.tree.Raw(n))
	return w.text
}

// add copies the value of a string node into the arena; NoNode gives no text.
func (w *worker) add(n fhir.NodeID) search.Text {
	if n == fhir.NoNode {
		return search.Text{}
	}
	return w.values.Add(w.decoded(n))
}

// system is add for a text of which there are few: it is in the arena once for a run
// of values that have it.
func (w *worker) system(n fhir.NodeID) search.Text {
	if n == fhir.NoNode {
		return search.Text{}
	}
	return w.once(w.decoded(n))
}

func (w *worker) once(b []byte) search.Text {
	if len(b) == 0 {
		return search.Text{}
	}
	at := &w.seen[(len(b)*5+int(b[len(b)-1])+int(b[len(b)/2])*3)%len(w.seen)]
	if string(w.values.Text(*at)) != string(b) {
		*at = w.values.Add(b)
	}
	return *at
}

func (w *worker) onceString(s string) search.Text {
	w.text = append(w.text[:0], s...)
	return w.once(w.text)
}
