package entities_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/sinks/parquet"
	"github.com/fhirlake/fhirlake/sinks/parquet/entities"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/shred"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// found gives the JSON that NLP would have found in a document; empty for nothing.
type found func(id string) string

// notes does what the stage that reads notes does, or, when stored, what a source that
// reads a data store does.
type notes struct {
	of     found
	stored bool
}

func (notes) Name() string                          { return "notes" }
func (n notes) NewWorker() (pipeline.Worker, error) { return n, nil }

func (n notes) Process(_ context.Context, b *pipeline.Batch) error {
	to := pipeline.Notes.Of(b)
	to.Reset()
	b.Stored = n.stored
	b.Kept = b.Kept[:0]
	for i := range b.Records {
		r := &b.Records[i]
		if t := r.Type.String(); t != "DocumentReference" && t != "DiagnosticReport" {
			continue
		}
		data := n.of(string(r.ID))
		switch {
		case data == "":
		case n.stored:
			b.Kept = append(b.Kept,
				pipeline.Kept{Record: i, Value: beside.Value{Kind: beside.Issues, Data: []byte(`[{"severity":"error"}]`)}},
				pipeline.Kept{Record: i, Value: beside.Value{Kind: beside.NLP, Data: []byte(data)}})
		default:
			start := len(to.Data)
			to.Data = append(to.Data, data...)
			to.Of = append(to.Of, pipeline.NoteResult{Record: i, Start: uint32(start), End: uint32(len(to.Data))})
		}
	}
	return nil
}

// both is the columnar sink, which decides segments and rows, and the one after it.
type both struct {
	columns *parquet.Sink
	entities.Sink
	builder *snapshot.Builder
}

func newBoth(dir string, columns parquet.Options, o entities.Options) *both {
	n := 0
	b := snapshot.NewBuilder(dir, &snapshot.Manifest{NextSegment: 5}, func() string { n++; return fmt.Sprintf("u-%d", n) })
	return &both{parquet.New(b, columns), entities.New(b, 3, o), b}
}

func (s *both) Write(ctx context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	tasks, err := s.columns.Write(ctx, b)
	if err != nil {
		return nil, err
	}
	more, err := s.Sink.Write(ctx, b)
	return append(tasks, more...), err
}

func (s *both) Flush(ctx context.Context) ([]pipeline.Task, error) {
	tasks, err := s.columns.Flush(ctx)
	if err != nil {
		return nil, err
	}
	more, err := s.Sink.Flush(ctx)
	return append(tasks, more...), err
}

func (s *both) Commit(ctx context.Context) error {
	if err := s.columns.Commit(ctx); err != nil {
		return err
	}
	return s.Sink.Commit(ctx)
}

func (s *both) Close() error {
	s.columns.Close()
	return s.Sink.Close()
}

// write runs documents through the sinks and gives the segments.
func write(t *testing.T, s *both, n notes, lines ...string) []*snapshot.SegmentBuilder {
	t.Helper()
	if _, err := pipeline.Run(context.Background(), pipeline.Config{
		Source: pipetest.Lines("in.ndjson", strings.Join(lines, "\n"), 60),
		Stages: []pipeline.Stage{parse.New(), n, shred.New()}, Sinks: []pipeline.Sink{s}, Workers: 2,
	}); err != nil {
		t.Fatal(err)
	}
	return s.builder.Segments()
}

// document is a line of input.
func document(typ, id, subject string) string {
	if typ == "DiagnosticReport" {
		return fmt.Sprintf(`{"resourceType":%q,"id":%q,"status":"final","code":{"text":"x"},"subject":%s}`, typ, id, subject)
	}
	return fmt.Sprintf(`{"resourceType":%q,"id":%q,"status":"current","content":[{"attachment":{"title":"x"}}],"subject":%s}`, typ, id, subject)
}

var (
	words  = strings.Fields("asthma fever lisinopril pneumonia \\u00e9rythème \\\"quoted\\\" aspirin head 体温 stroke MI ibuprofen cough")
	traits = strings.Fields("NEGATION DIAGNOSIS SIGN SYMPTOM PERTAINS_TO_FAMILY PAST_HISTORY HYPOTHETICAL LOW_CONFIDENCE")
)

// made gives a result that depends on the id alone: of every shape that there is.
func made(id string) string {
	h := fnv.New64a()
	h.Write([]byte(id))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	if r.IntN(8) == 0 {
		return ""
	}
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	var texts []string
	for k := range r.IntN(4) {
		switch r.IntN(6) {
		case 0:
			texts = append(texts, fmt.Sprintf(`{"path":"content[%d].attachment","status":"UNSUPPORTED","message":"content type image/png is not read"}`, k))
			continue
		case 1:
			texts = append(texts, fmt.Sprintf(`{"path":"content[%d].attachment","status":"VALIDATION_ERROR","message":"x","entities":[]}`, k))
			continue
		}
		var all []string
		for range r.IntN(12) {
			at := r.IntN(100_000)
			e := fmt.Sprintf(`{"text":"%s %s","beginOffset":%d,"endOffset":%d,"category":%q,"type":"DX_NAME","score":%s`,
				pick(words), pick(words), at, at+r.IntN(40), pick([]string{"MEDICAL_CONDITION", "MEDICATION", "ANATOMY"}), pick([]string{"0.97", "0.92", "1", "0"}))
			var list []string
			for _, name := range traits[:r.IntN(3)] {
				list = append(list, fmt.Sprintf(`{"name":%q,"score":0.9}`, name))
			}
			e += `,"traits":[` + strings.Join(list, ",") + `],"attributes":[{"text":"10 mg","beginOffset":1,"endOffset":6,"type":"DOSAGE","score":0.5}]`
			for _, member := range []string{"icd10cm", "rxnorm", "snomedct"} {
				list = nil
				for range max(0, r.IntN(11)-4) {
					list = append(list, fmt.Sprintf(`{"code":"%c%02d.%d","description":"%s, %s","score":%.3f}`, 'A'+r.IntN(26), r.IntN(100), r.IntN(10), pick(words), pick(words), r.Float64()))
				}
				if len(list) > 0 {
					e += fmt.Sprintf(`,%q:[%s]`, member, strings.Join(list, ","))
				}
			}
			all = append(all, e+"}")
		}
		texts = append(texts, fmt.Sprintf(`{"path":"content[%d].attachment","status":"SUCCESS","entities":[%s]}`, k, strings.Join(all, ",")))
	}
	return `{"engine":"7","dictionary":"ab12cd34","texts":[` + strings.Join(texts, ",") + `]}`
}
