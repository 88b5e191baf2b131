package reject

import (
	"context"
	"net/http"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/pipeline"
)

// keepBuffer is the largest buffer that is kept for the next batch.
const keepBuffer = 4 << 20

// product is the report lines of a batch: line i is text[start[i]:start[i+1]].
type product struct {
	text  []byte
	start []int
}

var slot = pipeline.NewSlot[product]()

type stage struct {
	updated string
	off     bool
}

func (stage) Name() string { return "report" }

func (s stage) NewWorker() (pipeline.Worker, error) {
	return &worker{updated: s.updated, off: s.off}, nil
}

type worker struct {
	updated string
	off     bool
	walk    pipeline.IssueWalk
}

func (w *worker) Process(_ context.Context, b *pipeline.Batch) error {
	if w.off {
		return nil
	}
	p := slot.Of(b)
	p.text, p.start = p.text[:0], p.start[:0]
	w.walk.Start(b)
	for i := range b.Received() {
		p.start = append(p.start, len(p.text))
		p.text = w.appendLine(p.text, &b.Records[i], w.walk.Of(i))
	}
	p.start = append(p.start, len(p.text))
	return nil
}

// appendLine appends the line of a record. One that was taken with errors says
// which resource it is beside its outcome.
func (w *worker) appendLine(l []byte, r *pipeline.Record, issues []fhir.Issue) []byte {
	l = append(l, `{"lineId":`...)
	l = strconv.AppendInt(l, r.Line, 10)
	l = append(l, `,"UpdateResourceResponse":{"jsonBlob":`...)
	status := http.StatusOK
	if r.Status == pipeline.Pending && r.Version == 1 {
		status = http.StatusCreated
	}
	at := outcome.At{Line: r.Line, Offset: r.Offset}
	switch folders[folderOf(r)] {
	case Failure:
		status = outcome.Status(issues)
		l = outcome.Append(l, issues, at)
	case WithIssues:
		l = appendLocation(outcome.Append(l, issues, at), r)
	default:
		l = w.appendIdentity(l, r)
	}
	l = append(l, `,"statusCode":`...)
	l = strconv.AppendInt(l, int64(status), 10)
	return append(l, "}}\n"...)
}

// appendIdentity appends the resource without its content.
func (w *worker) appendIdentity(l []byte, r *pipeline.Record) []byte {
	l = append(l, `{"resourceType":"`...)
	l = append(l, r.Type.String()...)
	l = append(l, `","id":"`...)
	l = append(l, r.ID...)
	l = append(l, `","meta":{"versionId":"`...)
	l = strconv.AppendUint(l, uint64(r.Version), 10)
	if r.Status != pipeline.Unchanged {
		l = append(l, `","lastUpdated":"`...)
		l = append(l, w.updated...)
	}
	return append(l, `"}}`...)
}

// appendLocation appends where the resource is, as Bundle.entry.response.location
// has it.
func appendLocation(l []byte, r *pipeline.Record) []byte {
	l = append(l, `,"location":"`...)
	l = append(l, r.Type.String()...)
	l = append(l, '/')
	l = append(l, r.ID...)
	l = append(l, "/_history/"...)
	l = strconv.AppendUint(l, uint64(r.Version), 10)
	return append(l, '"')
}
