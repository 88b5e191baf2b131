package parse

import (
	"context"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
)

// Stage parses the records of a batch: it sets Root, Type and ID of each and
// records its issues. A record that is rejected already is left without a tree;
// one that is no resource of a known type is rejected in a lenient batch too.
type Stage struct{}

var _ pipeline.Stage = (*Stage)(nil)

// New makes the stage.
func New() *Stage { return &Stage{} }

// Name is "parse".
func (*Stage) Name() string { return "parse" }

// NewWorker makes a worker.
func (*Stage) NewWorker() (pipeline.Worker, error) {
	return &worker{p: NewParser()}, nil
}

type worker struct{ p *Parser }

func (w *worker) Process(ctx context.Context, b *pipeline.Batch) error {
	b.Tree.Reset(b.Data)
	for i := range b.Records {
		r := &b.Records[i]
		if r.Status == pipeline.Rejected {
			r.Root = fhir.NoNode
			continue
		}
		res := w.p.Parse(&b.Tree, r.Start, r.End)
		r.Root, r.Type, r.ID = res.Root, res.Type, res.ID
		for _, is := range res.Issues {
			b.AddIssue(i, is)
		}
		if r.Root == fhir.NoNode || r.Type == 0 {
			r.Status = pipeline.Rejected
		}
	}
	return ctx.Err()
}
