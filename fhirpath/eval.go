package fhirpath

import (
	"fmt"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/temporal"
	"github.com/fhirlake/fhirlake/fhir/xhtml"
)

const (
	defaultMaxSteps = 30_000_000
	defaultMaxItems = 1_000_000
	defaultMaxText  = 128 << 20
)

// Program is a compiled expression. It is immutable and safe for many goroutines.
type Program struct {
	source string
	static static
	run    run  // its items go to Evaluator.result
	cond   cond // its value as a condition
}

// String gives the expression.
func (p *Program) String() string { return p.source }

// Evaluator runs programs. It belongs to one goroutine; its memory is used again,
// so keep it.
//
// All of a running program's state is here, since closures are shared:
// whoever sets a field for a part of the program puts the old value back.
type Evaluator struct {
	env   Environment
	focus Focus

	this  Value   // $this, and where a path without a start begins
	index int64   // $index
	total []Value // $total
	whole []Value // where paths start in the value of defineVariable()

	err   *Error
	steps int // what is left of them
	room  int // bytes of text that may still be made

	items  []Value // collections under way, used as a stack
	frames []frame // of the lambdas whose results are being handed on
	slot   slot
	count  int64
	pick   int64 // of an indexer: how many items to pass over

	result []Value
	text   []byte  // decoded and joined strings of this evaluation
	data   []datum // of the values of this evaluation

	yield  func(program int, v Value) // of the running Set
	setErr *Error                     // of a program of it

	nowSet bool
	now    time.Time

	variables map[string][]Value // of defineVariable; nil when none is defined
	patterns  patternCache
	entries   entryIndex
	xhtml     xhtml.Checker
}

// frame is what a lambda hides.
type frame struct {
	this  Value
	index int64
}

// slot takes the only item of an expression.
type slot struct {
	v Value
	n int
}

// NewEvaluator makes an evaluator.
func NewEvaluator(env Environment) *Evaluator {
	if env.MaxSteps <= 0 {
		env.MaxSteps = defaultMaxSteps
	}
	if env.MaxItems <= 0 {
		env.MaxItems = defaultMaxItems
	}
	if env.MaxText <= 0 {
		env.MaxText = defaultMaxText
	}
	return &Evaluator{env: env}
}

// Environment gives the hooks, for a caller that changes one between evaluations.
func (ev *Evaluator) Environment() *Environment { return &ev.env }

// Focus gives what the running program runs on, for hooks and user functions.
func (ev *Evaluator) Focus() Focus { return ev.focus }

// Eval runs the program. The result is valid until the evaluator's next run. An
// error is an [*Error]: that the expression has no value for this focus by the
// rules of FHIRPath, such as a comparison of several items, or a limit.
func (p *Program) Eval(ev *Evaluator, f Focus) ([]Value, error) {
	ev.begin(f)
	p.run(ev)
	if ev.err != nil {
		return nil, p.failure(ev)
	}
	return ev.result, nil
}

// Test runs the program as an invariant: it tells whether the result is true.
// Neither empty nor false is; a single item that is no boolean is true (N1, 4.5).
func (p *Program) Test(ev *Evaluator, f Focus) (bool, error) {
	ev.begin(f)
	r := p.cond(ev)
	if ev.err != nil {
		return false, p.failure(ev)
	}
	return r == isTrue, nil
}

func (p *Program) failure(ev *Evaluator) error { return ev.err.of(p.source) }

// of completes an error of an evaluation, one of a limit with the whole expression
// as its place.
func (e *Error) of(source string) *Error {
	if e.Expression = source; e.End < 0 {
		e.End = len(source)
	}
	return e
}

func (ev *Evaluator) begin(f Focus) {
	ev.focus = f
	ev.this = Value{}
	if f.Tree != nil && f.Node != fhir.NoNode {
		ev.this = f.value()
	}
	ev.index, ev.total, ev.whole = 0, nil, nil
	ev.err, ev.steps, ev.room = nil, ev.env.MaxSteps, ev.env.MaxText
	ev.items, ev.frames, ev.result = ev.items[:0], ev.frames[:0], ev.result[:0]
	ev.slot, ev.count = slot{}, 0
	ev.text, ev.data = ev.text[:0], ev.data[:0]
	ev.nowSet, ev.variables, ev.entries = false, nil, entryIndex{}
}

// value gives the focus as an item. A twin stands for the primitive it is of.
func (f *Focus) value() Value {
	nd := &f.Tree.Nodes[f.Node]
	v := Value{kind: KindNode, tree: f.Tree, node: f.Node, parent: fhir.NoNode, typ: nd.Type}
	if nd.Flags&fhir.FlagTwin != 0 && nd.Element != 0 {
		v.typ = r4.ElementAt(nd.Element).Type
	}
	if f.Resource != f.Node && r4.TypeAt(v.typ).Kind == r4.KindPrimitive {
		v.parent = parentOf(f.Tree, f.Resource, f.Node)
	}
	return v
}

// parentOf finds the object that holds node n, which lies below from.
func parentOf(t *fhir.Tree, from, n fhir.NodeID) fhir.NodeID {
	object := fhir.NoNode
	for cur := from; cur != n; {
		if t.Nodes[cur].Kind == fhir.KindObject {
			object = cur
		}
		c := cur + 1
		for fhir.NodeID(t.Nodes[c].Next) <= n {
			c = fhir.NodeID(t.Nodes[c].Next)
		}
		cur = c
	}
	return object
}

// fail ends the evaluation with an error at e.
func (ev *Evaluator) fail(e *expr, format string, args ...any) {
	if ev.err == nil {
		ev.err = &Error{Pos: e.Pos, End: e.End, Message: fmt.Sprintf(format, args...)}
	}
}

// nowhere is the place of an error that is one of no part of the expression.
var nowhere = &expr{End: -1}

// Costs in steps of what takes longer than to visit an item.
const (
	costDecimal    = 8    // to read a Decimal, which may be a long one
	costArithmetic = 40   // an operation on Decimals
	costSeries     = 1000 // a logarithm, a power
	costUnits      = 64   // a conversion of units
)

// spend counts work that may repeat; false ends the evaluation.
func (ev *Evaluator) spend(steps int) bool {
	if ev.steps -= steps; ev.steps >= 0 {
		return true
	}
	ev.fail(nowhere, "the evaluation takes more than %d steps", ev.env.MaxSteps)
	return false
}

// read counts the work of going through a text of n bytes.
func (ev *Evaluator) read(n int) bool { return n < 64 || ev.spend(n>>6) }

// claim counts a text of n bytes that is about to be made; false ends the
// evaluation.
func (ev *Evaluator) claim(n int) bool {
	if ev.room -= n; ev.room >= 0 {
		return true
	}
	ev.fail(nowhere, "the evaluation makes more than %d bytes of text", ev.env.MaxText)
	return false
}

// push appends an item to the collection under way.
func (ev *Evaluator) push(e *expr, v Value) bool {
	if !ev.spend(1) {
		return false
	}
	if len(ev.items) >= ev.env.MaxItems {
		ev.fail(e, "the collections of the evaluation have more than %d items", ev.env.MaxItems)
		return false
	}
	ev.items = append(ev.items, v)
	return true
}

// maxChunk is how many datums are allocated at once. Those of an earlier chunk
// live on with the values that hold them, or not at all.
const maxChunk = 1024

// newDatum gives a datum that lives as long as the evaluation.
func (ev *Evaluator) newDatum() *datum {
	if len(ev.data) == cap(ev.data) {
		ev.data = make([]datum, 0, min(max(16, 2*cap(ev.data)), maxChunk))
	}
	ev.data = ev.data[:len(ev.data)+1]
	d := &ev.data[len(ev.data)-1]
	*d = datum{}
	return d
}

// madeString is newString for a text that has just been made.
func (ev *Evaluator) madeString(text []byte) (Value, bool) {
	return ev.newString(text), ev.claim(len(text))
}

func (ev *Evaluator) newString(text []byte) Value {
	d := ev.newDatum()
	d.text = text
	return Value{kind: KindString, data: d}
}

func (ev *Evaluator) newDecimal(x decimal.Decimal) Value {
	d := ev.newDatum()
	d.dec = x
	return Value{kind: KindDecimal, data: d}
}

func (ev *Evaluator) newTemporal(t temporal.Value) Value {
	d := ev.newDatum()
	d.time = t
	return Value{kind: kindOfTime(t.Kind()), data: d}
}

func (ev *Evaluator) newQuantity(q quantity) Value {
	d := ev.newDatum()
	d.dec, d.text, d.calendar, d.opaque = q.dec, q.unit, q.calendar, q.opaque
	return Value{kind: KindQuantity, data: d}
}

// stringOf gives the text of a value that is a string: a System.String, or an
// element whose JSON value is a string (code, uri, date ...).
func (ev *Evaluator) stringOf(v Value) ([]byte, bool) {
	switch v.kind {
	case KindString:
		return v.data.text, true
	case KindNode:
		nd := &v.tree.Nodes[v.node]
		if nd.Kind != fhir.KindString {
			return nil, false
		}
		if nd.Flags&fhir.FlagEscaped == 0 {
			return v.tree.Data[nd.Start:nd.End], true
		}
		n, ok := ev.reserve(int(nd.End - nd.Start))
		if !ok {
			return nil, false
		}
		ev.text = fhir.AppendUnescaped(ev.text, v.tree.Raw(v.node))
		return ev.textFrom(n), true
	}
	return nil, false
}

// maxTextChunk is how much room for texts is allocated at once, beyond a text that
// needs more. Texts of an earlier chunk live on with the values that hold them.
const maxTextChunk = 1 << 20

// reserve makes room in ev.text for a text of n bytes and counts it; at is where it
// will begin.
func (ev *Evaluator) reserve(n int) (at int, ok bool) {
	if !ev.claim(n) {
		return 0, false
	}
	if cap(ev.text)-len(ev.text) < n {
		ev.text = make([]byte, 0, max(n, min(2*cap(ev.text), maxTextChunk), 256))
	}
	return len(ev.text), true
}

// textFrom gives what has been appended to ev.text from n on. It stays as it is for
// the whole evaluation.
func (ev *Evaluator) textFrom(n int) []byte { return ev.text[n:len(ev.text):len(ev.text)] }

// Now gives the time of the evaluation, the same throughout.
func (ev *Evaluator) Now() time.Time {
	if !ev.nowSet {
		ev.nowSet = true
		now := time.Now
		if ev.env.Now != nil {
			now = ev.env.Now
		}
		ev.now = now()
	}
	return ev.now
}
