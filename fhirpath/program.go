package fhirpath

import (
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Options say how an expression is compiled. The zero value compiles for any
// focus, leniently.
type Options struct {
	// Type is that of the focus; 0 when it is known only at evaluation.
	Type r4.TypeID

	// Strict makes a path that the model does not know, and a function that
	// cannot take what it is given, an error of Compile (N1, 11). Otherwise
	// they give the empty collection or an error of Eval.
	Strict bool

	// LenientAs lets `as` keep the matching items of a collection, as ofType
	// does: the search parameters of R4 are written so. Otherwise more than one
	// item is an error.
	LenientAs bool

	// Variables are the names, without the percent sign, that an Environment
	// will define beside the standard ones.
	Variables []string

	// Functions are known beside the standard ones; one of the same name replaces
	// that.
	Functions []Function

	// MaxDepth bounds how deep the expression nests; 0 means 100.
	MaxDepth int
}

// Function is one that the user defines. It is called with the items of its
// input and the items of each argument, which it must not keep; it returns its
// result. It must be safe for concurrent use.
type Function struct {
	Name    string
	MinArgs int
	MaxArgs int
	// TypeArgs makes the arguments names of types instead of expressions, as in
	// getReferenceKey(Patient). Call gets each as a String, the way it is written.
	TypeArgs bool
	Call     func(ev *Evaluator, input []Value, args [][]Value) ([]Value, error)
}

// Focus is what a program runs on. %context is Node, %resource Resource, and
// %rootResource Root: the container, when Resource is contained in it.
type Focus struct {
	Tree     *fhir.Tree
	Node     fhir.NodeID // NoNode: the empty collection
	Resource fhir.NodeID // the innermost resource that holds Node
	Root     fhir.NodeID // the outermost, a Bundle's entries being outermost themselves
	// Bundle is the Bundle that Root is an entry of, or NoNode.
	Bundle fhir.NodeID
}

// Environment is what an Evaluator knows of the world outside of the tree. All of
// it is optional. Hooks are called by the Evaluator's goroutine.
type Environment struct {
	// Now is what now(), today() and timeOfDay() give; nil means time.Now. It is
	// asked once an evaluation.
	Now func() time.Time

	// Variables are the values of the names in Options.Variables.
	Variables map[string][]Value

	// Resolve finds what a reference that is not to a contained resource leads to.
	// It is asked before the Bundle of the focus is searched. The tree must stay as
	// it is until the evaluation ends.
	Resolve func(reference string) (*fhir.Tree, fhir.NodeID, bool)

	// MemberOf tells whether the code, Coding or CodeableConcept is in the value
	// set; known is false when that cannot be told, and the result is empty.
	MemberOf func(v Value, valueSet string) (in, known bool)

	// ConformsTo tells whether the node conforms to the profile; known is false
	// for an unknown profile, which is an error of the evaluation.
	ConformsTo func(v Value, profile string) (conforms, known bool)

	// Trace receives what trace() is given.
	Trace func(name string, items []Value)

	// MaxSteps bounds the work of one evaluation: each item that is visited, each
	// operation in an argument that runs for every item and each 64 bytes of text
	// that are read count as one, what costs more as more. 0 means 30 million,
	// which take some seconds at the worst.
	MaxSteps int
	// MaxItems bounds the size of its collections; 0 means 1 million.
	MaxItems int
	// MaxText bounds the bytes of all texts that it makes; 0 means 128 MiB.
	MaxText int
}
