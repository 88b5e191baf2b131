package validate

import (
	"context"
	"fmt"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
)

// Level says how much is checked and what becomes of a resource at fault.
type Level uint8

// The levels.
const (
	Strict        Level = iota // base R4 and the profiles that meta.profile claims
	StructureOnly              // base R4
	Minimal                    // as Strict; the batches are lenient, so that issues are kept and reject nothing
)

var levelNames = [...]string{"strict", "structure-only", "minimal"}

func (l Level) String() string { return levelNames[l] }

// ParseLevel gives the level of a name.
func ParseLevel(name string) (Level, error) {
	for i, n := range levelNames {
		if n == name {
			return Level(i), nil
		}
	}
	return 0, fmt.Errorf("unknown validation level '%s'; expected strict, structure-only or minimal", name)
}

// Options are those of a [Validator]. The zero value checks the base definitions
// strictly.
type Options struct {
	Level         Level
	Profiles      Profiles // nil: no profile is known
	Always        []string // canonical URLs of profiles that every resource must keep to, where their type fits
	BestPractices bool     // check the invariants that are best practices, too
	Notes         bool     // say which claimed profiles are not known; an import has no use for it
}

// Profiles is what the stage needs of a registry of profiles. It is safe for
// concurrent use.
type Profiles interface {
	NewChecker() Checker
}

// Checker checks resources against profiles. It belongs to one goroutine.
type Checker interface {
	// Check reports where the resource breaks the profiles with the given
	// canonical URLs, which it must not keep. It is called for every resource, also
	// without URLs, since it may know extensions and profiles of whole types. A
	// profile that is not known or is of another type is no fault.
	Check(s Subject, profiles []string, report func(fhir.Issue))
}

// Subject is a resource that profiles are checked for.
type Subject struct {
	Tree      *fhir.Tree
	Record    fhir.NodeID // root of the record: paths and columns of issues begin there
	Resource  fhir.NodeID // the resource itself
	Container fhir.NodeID // the resource that it is contained in, else Resource
	Bundle    fhir.NodeID // the Bundle that Container is an entry of, or NoNode
	Notes     bool        // issues of severity information are wanted
}

// Stage validates the records of a batch. It is safe for concurrent use.
type Stage struct{ options Options }

var _ pipeline.Stage = (*Stage)(nil)

// New makes the stage. An error is one of the options.
func New(o Options) (*Stage, error) {
	if _, err := NewValidator(o); err != nil {
		return nil, err
	}
	return &Stage{o}, nil
}

// Name is "validate".
func (*Stage) Name() string { return "validate" }

// NewWorker makes a worker.
func (s *Stage) NewWorker() (pipeline.Worker, error) {
	v, err := NewValidator(s.options)
	if err != nil {
		return nil, err
	}
	return &worker{v}, nil
}

type worker struct{ v *Validator }

// Process validates every record that has a tree, those that parse has rejected
// as well, so that a user sees all faults at once.
func (w *worker) Process(ctx context.Context, b *pipeline.Batch) error {
	for i := range b.Records {
		r := &b.Records[i]
		if r.Root == fhir.NoNode || r.Status == pipeline.Unchanged {
			continue
		}
		b.At = i
		// Columns count from the start of the line, which white space may begin.
		indent := int32(b.Tree.Nodes[r.Root].Start - r.Start)
		for _, is := range w.v.Validate(&b.Tree, r.Root) {
			is.Column += indent
			b.AddIssue(i, is)
		}
	}
	return ctx.Err()
}
