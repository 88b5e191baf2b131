package fhirpath

// Program is a compiled expression. It is immutable and safe for many goroutines.
type Program struct{}

// Evaluator runs programs. It belongs to one goroutine; its memory is used again,
// so keep it.
type Evaluator struct{ env Environment }

// NewEvaluator makes an evaluator.
func NewEvaluator(env Environment) *Evaluator { return &Evaluator{env: env} }

type datum struct{}

// Compile compiles an expression. An error is an [*Error].
func Compile(expression string, o Options) (*Program, error) { return nil, errUnfinished }

// Eval runs the program. The result is valid until the evaluator's next run.
func (p *Program) Eval(ev *Evaluator, f Focus) ([]Value, error) { return nil, errUnfinished }

// Test runs an invariant: it tells whether the result is true. Empty is not true.
func (p *Program) Test(ev *Evaluator, f Focus) (bool, error) { return false, errUnfinished }
