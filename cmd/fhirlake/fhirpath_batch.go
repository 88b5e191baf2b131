package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhirpath"
	"github.com/fhirlake/fhirlake/sources/ndjson"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// fhirpathBatch answers requests of `fhirpath --batch`.
type fhirpathBatch struct {
	parser   *parse.Parser
	tree     fhir.Tree
	ev       *fhirpath.Evaluator
	programs map[programKey]*fhirpath.Program
	source   int // bytes of the expressions of programs
	answer   []byte
}

// programKey tells programs apart.
type programKey struct {
	expression string
	typ        r4.TypeID
	strict     bool
}

// maxPrograms and maxSource bound the programs that are kept: their number and the
// bytes of their expressions.
const (
	maxPrograms = 256
	maxSource   = 256 << 10
)

// fhirpathRequest is one line of the input.
type fhirpathRequest struct {
	ID         json.RawMessage `json:"id"`
	Expression *string         `json:"expression"`
	Resource   json.RawMessage `json:"resource"`
	Mode       string          `json:"mode"`
}

func newFHIRPathBatch() *fhirpathBatch {
	return &fhirpathBatch{
		parser:   parse.NewParser(),
		ev:       fhirpath.NewEvaluator(fhirpath.Environment{ConformsTo: conformsToBase}),
		programs: map[programKey]*fhirpath.Program{},
	}
}

// run answers every line of in. Answers are written before it waits for more
// input, so that another program may hold a conversation.
func (b *fhirpathBatch) run(in io.Reader, out io.Writer) error {
	lines := &lineReader{in: bufio.NewReaderSize(in, 64<<10), most: ndjson.DefaultMaxLine}
	w := bufio.NewWriterSize(out, 64<<10)
	faulty := false
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		b.answer = b.answer[:0]
		switch {
		case errors.Is(err, errLongLine):
			b.failed(nil, fmt.Sprintf("line %d: %v", lines.number, err))
			faulty = true
		case err != nil:
			return errors.Join(err, w.Flush())
		case len(bytes.TrimSpace(line)) > 0:
			faulty = !b.line(line, lines.number) || faulty
		}
		if len(b.answer) > 0 {
			if _, err := w.Write(b.answer); err != nil {
				return fmt.Errorf("write answers: %w", err)
			}
		}
		if lines.in.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return fmt.Errorf("write answers: %w", err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write answers: %w", err)
	}
	if faulty {
		return exitError{code: exitRejected}
	}
	return nil
}

// line makes the answer to one line and tells whether it was a request.
func (b *fhirpathBatch) line(line []byte, number int64) bool {
	var req fhirpathRequest
	if err := json.Unmarshal(line, &req); err != nil {
		b.failed(req.ID, fmt.Sprintf("line %d: %s; expected a JSON object with id and expression", number, requestFault(err)))
		return false
	}
	if req.Expression == nil || req.Mode != "" && req.Mode != "strict" && req.Mode != "lenient" {
		what := "there is no expression"
		if req.Expression != nil {
			what = fmt.Sprintf("mode %q; expected strict or lenient", req.Mode)
		}
		b.failed(req.ID, fmt.Sprintf("line %d: %s", number, what))
		return false
	}
	values, err := b.evaluate(&req)
	if err != nil {
		message := err.Error()
		if e := (*fhirpath.Error)(nil); errors.As(err, &e) {
			message += "\n" + e.Detail()
		}
		b.failed(req.ID, message)
		return true
	}
	b.answer = appendValues(append(b.begin(req.ID), `,"result":`...), values)
	b.answer = append(b.answer, "}\n"...)
	return true
}

// requestFault says what is wrong with a line that is no request.
func requestFault(err error) string {
	e := (*json.UnmarshalTypeError)(nil)
	switch {
	case !errors.As(err, &e):
		return err.Error()
	case e.Field == "":
		return "found " + withArticle(e.Value)
	}
	return fmt.Sprintf("%s is %s, not a string", e.Field, withArticle(e.Value))
}

// withArticle puts an article before the name of a kind of JSON values.
func withArticle(kind string) string {
	if kind == "array" || kind == "object" {
		return "an " + kind
	}
	return "a " + kind
}

func (b *fhirpathBatch) evaluate(req *fhirpathRequest) ([]fhirpath.Value, error) {
	focus, typ := nowhere(), r4.TypeID(0)
	if len(req.Resource) > 0 && !bytes.Equal(req.Resource, []byte("null")) {
		b.tree.Reset(req.Resource)
		res := b.parser.Parse(&b.tree, 0, uint32(len(req.Resource)))
		if res.Root == fhir.NoNode || res.Type == 0 {
			return nil, fmt.Errorf("resource: %s", res.Issues[0].Diagnostics)
		}
		focus, typ = onResource(&b.tree, res.Root), res.Type
	}
	p, err := b.program(programKey{*req.Expression, typ, req.Mode != "lenient"})
	if err != nil {
		return nil, err
	}
	return p.Eval(b.ev, focus)
}

func (b *fhirpathBatch) program(k programKey) (*fhirpath.Program, error) {
	if p := b.programs[k]; p != nil {
		return p, nil
	}
	p, err := fhirpath.Compile(k.expression, fhirpath.Options{Type: k.typ, Strict: k.strict})
	if err != nil {
		return nil, err
	}
	if len(b.programs) == maxPrograms || b.source+len(k.expression) > maxSource {
		clear(b.programs)
		b.source = 0
	}
	b.programs[k] = p
	b.source += len(k.expression)
	return p, nil
}

func (b *fhirpathBatch) failed(id json.RawMessage, message string) {
	b.answer = fhir.AppendQuoted(append(b.begin(id), `,"error":`...), message)
	b.answer = append(b.answer, "}\n"...)
}

// begin starts an answer with the id as it was sent.
func (b *fhirpathBatch) begin(id json.RawMessage) []byte {
	if id == nil {
		id = json.RawMessage("null")
	}
	return append(append(b.answer[:0], `{"id":`...), id...)
}

// lineReader reads lines of bounded length.
type lineReader struct {
	in     *bufio.Reader
	most   int // bytes of a line
	number int64
	long   []byte
}

// errLongLine is what next gives for a line that is too long; it has passed over it.
var errLongLine = errors.New("the line is too long")

// next gives the next line, valid until the next call; io.EOF after the last.
func (l *lineReader) next() ([]byte, error) {
	l.number++
	l.long = l.long[:0]
	for long := false; ; {
		part, err := l.in.ReadSlice('\n')
		end := err == nil || errors.Is(err, io.EOF)
		switch {
		case !end && !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case long || len(l.long)+len(part) > l.most:
			long, l.long = true, nil
		case err == nil && len(l.long) == 0:
			return part, nil
		default:
			l.long = append(l.long, part...)
		}
		switch {
		case !end:
		case long:
			return nil, fmt.Errorf("%w; expected at most %s", errLongLine, formatBytes(int64(l.most)))
		case err != nil && len(l.long) == 0:
			return nil, err
		default:
			return l.long, nil
		}
	}
}
