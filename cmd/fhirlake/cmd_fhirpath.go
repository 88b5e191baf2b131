package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhirpath"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sources/ndjson"
	"github.com/fhirlake/fhirlake/stages/parse"
)

func newFHIRPathCommand(g *globals) *cobra.Command {
	var batch, lenient bool
	c := &cobra.Command{
		Use:   "fhirpath [flags] EXPRESSION [FILE...]",
		Short: "Evaluate a FHIRPath expression",
		Long: `Fhirpath evaluates an expression on each resource of the input (NDJSON or single
JSON documents, files, folders, globs, or - for standard input) and writes each
item of each result as a line of JSON: elements as they stand in their resource, a
quantity as the FHIR datatype, dates and times as strings, decimals with their
digits. An element of a primitive type that has extensions and no value is null.
Without input it evaluates the expression on nothing.

Expressions are strict: a path that the type of the resource does not have is an
error, shown with its place in the expression. With --lenient it is empty, so that
one expression can run on resources of many types.

With --batch, each line of standard input is a request
  {"id":1,"expression":"Patient.name.given","resource":{"resourceType":"Patient"}}
and is answered at once by a line of standard output, {"id":1,"result":[...]} or
{"id":1,"error":"..."}. The id is any JSON value; the resource may be missing. A
line with "mode":"lenient" is lenient, all others are strict.

The exit code is 2 for a wrong expression, and 3 when a resource could not be read
or the evaluation failed on it, or a line of --batch is no request.`,
		Example: `  fhirlake fhirpath "Patient.name.where(use = 'official').given" Patient.ndjson
  fhirlake fhirpath --lenient "code.coding.display" export/
  fhirlake fhirpath "@2024-02-29 + 1 year"
  fhirlake fhirpath --batch < requests.ndjson`,
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case batch && len(args) > 0:
				return usageError("--batch reads standard input; expected no arguments, found %d", len(args))
			case batch && lenient:
				return usageError(`--lenient is not for --batch; write "mode":"lenient" in the lines that want it`)
			case !batch && len(args) == 0:
				return usageError("missing EXPRESSION; see `%s --help`", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if batch {
				return newFHIRPathBatch().run(c.InOrStdin(), c.OutOrStdout())
			}
			return runFHIRPath(c, g, args[0], args[1:], !lenient)
		},
	}
	c.Flags().BoolVar(&batch, "batch", false, "answer requests on standard input, one JSON object a line")
	c.Flags().BoolVar(&lenient, "lenient", false, "unknown paths are empty instead of errors")
	return c
}

func runFHIRPath(c *cobra.Command, g *globals, expression string, inputs []string, strict bool) error {
	s := newFHIRPathSink(expression, strict, c.OutOrStdout(), c.ErrOrStderr())
	p, err := s.program(0)
	if err != nil {
		return err
	}
	if len(inputs) == 0 {
		if err := s.evaluate(p, nowhere()); err != nil {
			return err
		}
		return s.finish(g.json)
	}
	src, err := ndjson.Open(c.Context(), inputs, ndjson.Options{Stdin: c.InOrStdin()})
	if err != nil {
		return err
	}
	_, err = pipeline.Run(c.Context(), pipeline.Config{
		Source: src,
		Stages: []pipeline.Stage{parse.New()},
		Sinks:  []pipeline.Sink{s},
	})
	if wrong := (exitError{}); errors.As(err, &wrong) {
		return wrong // without the name of the sink, as before the first resource
	}
	if err != nil {
		return err
	}
	return s.finish(g.json)
}

// nowhere is the focus of an expression without a resource.
func nowhere() fhirpath.Focus {
	return fhirpath.Focus{
		Tree: &fhir.Tree{}, Node: fhir.NoNode, Resource: fhir.NoNode, Root: fhir.NoNode, Bundle: fhir.NoNode,
	}
}

// onResource is the focus of an expression on the resource at root.
func onResource(t *fhir.Tree, root fhir.NodeID) fhirpath.Focus {
	return fhirpath.Focus{Tree: t, Node: root, Resource: root, Root: root, Bundle: fhir.NoNode}
}

// conformsToBase is what conformsTo() can tell without profiles: a resource or
// datatype conforms to the base definitions of its type and of those it derives
// from.
func conformsToBase(v fhirpath.Value, profile string) (conforms, known bool) {
	name, ok := strings.CutPrefix(profile, "http://hl7.org/fhir/StructureDefinition/")
	if !ok {
		return false, false
	}
	want, ok := r4.TypeByName(name)
	if !ok {
		return false, false
	}
	for t := v.Type(); t != 0; t = r4.TypeAt(t).Base {
		if t == want {
			return true, true
		}
	}
	return false, true
}

// expressionError shows a wrong expression with its place.
func expressionError(err error) error {
	if e := (*fhirpath.Error)(nil); errors.As(err, &e) {
		return usageError("expression %w\n%s", e, e.Detail())
	}
	return err
}

// maxFaultsShown is how many faulty resources are named on standard error.
const maxFaultsShown = 10

// fhirpathSink evaluates one expression on every record and writes the results.
type fhirpathSink struct {
	expression string
	strict     bool
	ev         *fhirpath.Evaluator
	programs   map[r4.TypeID]*fhirpath.Program // by the type of the resource
	out        *bufio.Writer
	errs       io.Writer
	line       []byte

	resources, results, faulty int64
}

var _ pipeline.Sink = (*fhirpathSink)(nil)

func newFHIRPathSink(expression string, strict bool, out, errs io.Writer) *fhirpathSink {
	s := &fhirpathSink{
		expression: expression,
		strict:     strict,
		programs:   map[r4.TypeID]*fhirpath.Program{},
		out:        bufio.NewWriterSize(out, 64<<10),
		errs:       errs,
	}
	s.ev = fhirpath.NewEvaluator(fhirpath.Environment{ConformsTo: conformsToBase, Trace: s.trace})
	return s
}

// Name is "fhirpath".
func (s *fhirpathSink) Name() string { return "fhirpath" }

// Write evaluates the expression on the records of a batch.
func (s *fhirpathSink) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	for i := range b.Records {
		r := &b.Records[i]
		s.resources++
		if r.Root == fhir.NoNode || r.Type == 0 {
			s.fault(b.Pos(r), unreadable(b, i))
			continue
		}
		p, err := s.program(r.Type)
		if err != nil {
			return nil, err
		}
		if err := s.evaluate(p, onResource(&b.Tree, r.Root)); err != nil {
			s.fault(b.Pos(r), err)
		}
	}
	if err := s.out.Flush(); err != nil {
		return nil, fmt.Errorf("write results: %w", err)
	}
	return nil, nil
}

// unreadable says why record i has no tree to evaluate on.
func unreadable(b *pipeline.Batch, i int) error {
	at := slices.IndexFunc(b.Issues, func(is pipeline.RecordIssue) bool {
		return is.Record == i && is.Severity <= fhir.Error
	})
	if at < 0 {
		return errors.New("not a resource")
	}
	return errors.New(b.Issues[at].Diagnostics)
}

// program gives the expression compiled for a type, 0 for none.
func (s *fhirpathSink) program(t r4.TypeID) (*fhirpath.Program, error) {
	if p := s.programs[t]; p != nil {
		return p, nil
	}
	p, err := fhirpath.Compile(s.expression, fhirpath.Options{Type: t, Strict: s.strict})
	if err != nil {
		return nil, expressionError(err)
	}
	s.programs[t] = p
	return p, nil
}

// evaluate writes the items of one result.
func (s *fhirpathSink) evaluate(p *fhirpath.Program, f fhirpath.Focus) error {
	values, err := p.Eval(s.ev, f)
	if err != nil {
		return err
	}
	for _, v := range values {
		s.line = append(v.AppendJSON(s.line[:0]), '\n')
		if _, err := s.out.Write(s.line); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	s.results += int64(len(values))
	return nil
}

// fault counts a faulty resource and names it, when it is one of the first.
func (s *fhirpathSink) fault(at fhir.Pos, err error) {
	if s.faulty++; s.faulty <= maxFaultsShown {
		fmt.Fprintf(s.errs, "%s: %v\n", at, err)
	}
}

// trace shows what the function trace() is given.
func (s *fhirpathSink) trace(name string, items []fhirpath.Value) {
	line := fmt.Appendf(nil, "trace %s: ", name)
	fmt.Fprintf(s.errs, "%s\n", appendValues(line, items))
}

// appendValues appends a JSON array of values.
func appendValues(dst []byte, values []fhirpath.Value) []byte {
	dst = append(dst, '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = v.AppendJSON(dst)
	}
	return append(dst, ']')
}

// finish ends the output and tells what the exit code is.
func (s *fhirpathSink) finish(summary bool) error {
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if n := s.faulty - maxFaultsShown; n > 0 {
		fmt.Fprintf(s.errs, "and %s more\n", formatCount(n))
	}
	if summary {
		err := printJSON(s.out, struct {
			Resources int64 `json:"resources"`
			Results   int64 `json:"results"`
			Faulty    int64 `json:"faulty"`
		}{s.resources, s.results, s.faulty})
		if err = errors.Join(err, s.out.Flush()); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	if s.faulty > 0 {
		return exitError{code: exitRejected}
	}
	return nil
}

// Flush has nothing to do: each Write flushes.
func (s *fhirpathSink) Flush(context.Context) ([]pipeline.Task, error) { return nil, nil }

// Commit has nothing to do: results are a stream.
func (s *fhirpathSink) Commit(context.Context) error { return nil }

// Close has nothing to do: the writers are the caller's.
func (s *fhirpathSink) Close() error { return nil }
