package notes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/nlp/attachment"
)

// Options says what is read, and by whom.
type Options struct {
	// Reading says how notes are read now. It is asked once for each batch that may have some, so
	// that a server may turn to another dictionary, or be told to stop.
	Reading func() (Reading, error)
	// Binaries gives what the url of an attachment refers to; nil: what is in the batch alone.
	Binaries Binaries
	// Datastore is the id of the data store, by which absolute URLs of its own Binaries are known.
	Datastore string
}

// Reading is who reads, and what.
type Reading struct {
	Provider Provider // nil: nobody, notes are not read
	Reports  bool     // DiagnosticReport.presentedForm is read too
}

// Binaries are the Binary resources of a data store. It is safe for concurrent use.
type Binaries interface {
	// Binary gives the content of the current Binary with an id: its content type and its
	// data, base64 as the resource has it. ok is false when there is none. An error ends the job.
	Binary(ctx context.Context, id string) (contentType string, data []byte, ok bool, err error)
}

// Stage reads notes. It is safe for many goroutines.
type Stage struct {
	o        Options
	absent   atomic.Int64 // texts whose Binary was not there
	binaries atomic.Int64 // Binaries that passed
}

var _ pipeline.Stage = (*Stage)(nil)

// New makes a stage. It comes after parse and validate.
func New(o Options) *Stage { return &Stage{o: o} }

// Name is "nlp".
func (s *Stage) Name() string { return "nlp" }

// NewWorker makes a worker with buffers of its own.
func (s *Stage) NewWorker() (pipeline.Worker, error) { return &worker{stage: s, o: &s.o}, nil }

// Waits tells whether a text could not be read because its Binary was not there, and Binaries
// came: it may be there now.
func (s *Stage) Waits() bool { return s.absent.Load() > 0 && s.binaries.Load() > 0 }

// The elements that notes are in.
var (
	documentContent = r4.TypeDocumentReference.ElementByName("content")
	documentForm    = r4.TypeDocumentReferenceContent.ElementByName("attachment")
	reportForm      = r4.TypeDiagnosticReport.ElementByName("presentedForm")
	attachmentType  = r4.TypeAttachment.ElementByName("contentType")
	attachmentData  = r4.TypeAttachment.ElementByName("data")
	attachmentURL   = r4.TypeAttachment.ElementByName("url")
	binaryType      = r4.TypeBinary.ElementByName("contentType")
	binaryData      = r4.TypeBinary.ElementByName("data")
)

type worker struct {
	stage    *Stage
	o        *Options
	provider Provider
	reader   Reader
	head     []byte // of a result: engine and dictionary
	decoder  attachment.Decoder

	b        *pipeline.Batch
	tree     *fhir.Tree
	binaries map[string]int // records of the batch that are Binaries, by id; nil until it is needed
	path     []byte
	kind     string // content type of the last attachment, in which the next ones are the same mostly
	buf      []byte
	out      []byte // results of the batch at hand
	found    int    // bytes of what was found in the record, be it kept or not
}

// keepOut is the largest buffer of results that a worker keeps.
const keepOut = 4 << 20

// MaxResult is how many bytes are kept of what is found in one resource: some hundred thousand
// entities. 4 MB of text that are nothing but terms have 97 MB of them, more than a commit
// takes.
const MaxResult = 32 << 20

// errTooMuch is of the text with which there is more, and of those after it.
var errTooMuch = fmt.Errorf("more is found than the %d MiB that are kept of a resource", MaxResult>>20)

// Close closes the provider's reader.
func (w *worker) Close() error {
	if w.reader == nil {
		return nil
	}
	return closeReader(w.reader)
}

// Process leaves the results of the pending records in [pipeline.Notes].
func (w *worker) Process(ctx context.Context, b *pipeline.Batch) error {
	results := pipeline.Notes.Of(b)
	results.Reset()
	if b.Stored {
		return nil
	}
	w.b, w.tree, w.binaries, w.out = b, &b.Tree, nil, w.out[:0]
	defer func() { w.b, w.tree = nil, nil }()
	asked, reports := false, false
	for i := range b.Records {
		r := &b.Records[i]
		if r.Status != pipeline.Pending || r.Root == fhir.NoNode {
			continue
		}
		switch r.Type {
		case r4.TypeBinary:
			w.stage.binaries.Add(1)
			continue
		case r4.TypeDocumentReference, r4.TypeDiagnosticReport:
		default:
			continue
		}
		b.At = i
		if !asked {
			var err error
			if reports, err = w.turn(); err != nil {
				return fmt.Errorf("nlp: %w", err)
			}
			asked = true
		}
		if w.provider == nil {
			break
		}
		if r.Type == r4.TypeDiagnosticReport && !reports {
			continue
		}
		start := len(w.out)
		var err error
		if w.out, err = w.record(ctx, w.out, r); err != nil {
			return &fhir.RecordError{Pos: b.Pos(r), Stage: "nlp", Err: err}
		}
		if len(w.out) > start {
			results.Of = append(results.Of, pipeline.NoteResult{Record: i, Start: uint32(start), End: uint32(len(w.out))})
		}
	}
	results.Data = append(results.Data, w.out...) // as long as it has to be
	if cap(w.out) > keepOut {
		w.out = nil
	}
	return nil
}

// turn asks who reads now.
func (w *worker) turn() (reports bool, err error) {
	now, err := w.o.Reading()
	if err != nil || now.Provider == w.provider {
		return now.Reports, err
	}
	if w.reader != nil {
		err = closeReader(w.reader)
	}
	if w.provider, w.reader = nil, nil; now.Provider == nil || err != nil {
		return false, err
	}
	if w.reader, err = now.Provider.NewReader(); err != nil {
		return false, err
	}
	w.provider = now.Provider
	engine, dictionary := w.provider.Version()
	w.head = fhir.AppendQuoted(append(w.head[:0], `{"engine":`...), engine)
	w.head = fhir.AppendQuoted(append(w.head, `,"dictionary":`...), dictionary)
	w.head = append(w.head, `,"texts":[`...)
	return now.Reports, nil
}

// record appends the result of a record, or nothing when it has no note.
func (w *worker) record(ctx context.Context, dst []byte, r *pipeline.Record) ([]byte, error) {
	start := len(dst)
	w.found = 0
	var err error
	each := func(n fhir.NodeID) {
		if err == nil {
			dst, err = w.attachment(ctx, dst, start, r.Type, n)
		}
	}
	if r.Type == r4.TypeDiagnosticReport {
		w.items(w.tree.Child(r.Root, reportForm), "presentedForm", each)
	} else {
		w.items(w.tree.Child(r.Root, documentContent), "content", func(content fhir.NodeID) {
			w.path = append(w.path, ".attachment"...)
			if w.isObject(content) {
				each(w.tree.Child(content, documentForm))
			}
		})
	}
	if err != nil || len(dst) == start {
		return dst[:start], err
	}
	return append(dst, "]}"...), nil
}

func (w *worker) isObject(n fhir.NodeID) bool {
	return n != fhir.NoNode && w.tree.Nodes[n].Kind == fhir.KindObject
}

// items calls f for each item of a list with w.path set. What a lenient store takes may be one value where a
// list should be.
func (w *worker) items(list fhir.NodeID, name string, f func(n fhir.NodeID)) {
	if list == fhir.NoNode {
		return
	}
	i := 0
	item := func(n fhir.NodeID) {
		w.path = fmt.Appendf(w.path[:0], "%s[%d]", name, i)
		f(n)
		i++
	}
	if w.tree.Nodes[list].Kind != fhir.KindArray {
		item(list)
		return
	}
	for n := w.tree.FirstChild(list); n != fhir.NoNode; n = w.tree.NextSibling(list, n) {
		item(n)
	}
}

// attachment appends the result of the text at w.path, and before it, if it is the first, the
// head. An attachment without data and url has none.
func (w *worker) attachment(ctx context.Context, dst []byte, start int, typ r4.TypeID, n fhir.NodeID) ([]byte, error) {
	if !w.isObject(n) {
		return dst, nil
	}
	data, url := w.text(n, attachmentData), w.text(n, attachmentURL)
	if data == nil && url == nil {
		return dst, nil
	}
	if len(dst) == start {
		dst = append(dst, w.head...)
	} else {
		dst = append(dst, ',')
	}
	dst = append(append(append(dst, `{"path":"`...), w.path...), `","status":"`...)
	from := len(dst)
	dst = append(dst, entity.Success.String()...)
	dst = append(dst, `","entities":[`...)
	at := len(dst)
	err := errTooMuch
	if w.found <= MaxResult {
		dst, err = w.read(ctx, dst, w.text(n, attachmentType), data, url)
	}
	if w.found += len(dst) - at; err == nil && w.found > MaxResult {
		err = errTooMuch
	}
	switch {
	case err == nil && len(dst) == at:
		return append(dst[:at-len(`,"entities":[`)], '}'), nil
	case err == nil:
		return append(dst, "]}"...), nil
	case ctx.Err() != nil:
		return dst[:start], ctx.Err()
	}
	var job *jobError
	if errors.As(err, &job) {
		return dst[:start], job.err
	}
	status := entity.ValidationError
	var unreadable *attachment.Unreadable
	if errors.As(err, &unreadable) && !errors.Is(err, errBroken) {
		status = entity.Unsupported
	}
	dst = append(append(dst[:from], status.String()...), `","message":`...)
	return append(fhir.AppendQuoted(dst, err.Error()), '}'), nil
}

// jobError is an error that is not about a text.
type jobError struct{ err error }

func (e *jobError) Error() string { return e.err.Error() }

// errBroken is data that should have been read and could not.
var errBroken = errors.New("the data is broken")

// text gives the raw text of a string member, nil when there is none.
func (w *worker) text(n fhir.NodeID, e r4.ElementID) []byte {
	c := w.tree.Child(n, e)
	if c == fhir.NoNode || w.tree.Nodes[c].Kind != fhir.KindString {
		return nil
	}
	return w.tree.Raw(c)
}

// read appends the entities of one attachment.
func (w *worker) read(ctx context.Context, dst, kind, data, url []byte) ([]byte, error) {
	if w.buf = fhir.AppendUnescaped(w.buf[:0], kind); string(w.buf) != w.kind {
		w.kind = string(w.buf)
	}
	contentType := w.kind
	if data == nil {
		var err error
		var of string
		if of, data, err = w.linked(ctx, url); err != nil {
			return dst, err
		}
		if contentType == "" {
			contentType = of
		}
	}
	raw, err := w.decoder.Base64(data)
	if err != nil {
		return dst, fmt.Errorf("%w: %w", errBroken, err)
	}
	text, err := w.decoder.Text(contentType, raw)
	if err != nil {
		return dst, err
	}
	return w.reader.Append(ctx, dst, text)
}

// linked gives what the url of an attachment refers to.
func (w *worker) linked(ctx context.Context, url []byte) (contentType string, data []byte, err error) {
	w.buf = fhir.AppendUnescaped(w.buf[:0], url)
	id, ok := binaryID(string(w.buf), w.o.Datastore)
	if !ok {
		return "", nil, &attachment.Unreadable{Reason: "its url is of no Binary of this data store; what is elsewhere is not fetched"}
	}
	if contentType, data, ok := w.inBatch(id); ok {
		return contentType, data, nil
	}
	if w.o.Binaries != nil {
		contentType, data, ok, err := w.o.Binaries.Binary(ctx, id)
		if err != nil {
			return "", nil, &jobError{err}
		}
		if ok {
			return contentType, data, nil
		}
	}
	w.stage.absent.Add(1)
	return "", nil, &attachment.Unreadable{Reason: Absent}
}

// Absent is the message of a text whose Binary the data store does not have.
const Absent = "the Binary that its url refers to is not in the data store"

// binaryID gives the id in the url of a Binary of the data store: Binary/id, with or without a
// version, relative or below /datastore/<id>/r4/.
func binaryID(url, datastore string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(url, "Binary/")
	if !ok && datastore != "" {
		_, rest, ok = strings.Cut(url, "/datastore/"+datastore+"/r4/Binary/")
	}
	id, _, _ = strings.Cut(rest, "/_history/")
	return id, ok && id != "" && !strings.ContainsAny(id, "/?#")
}

// inBatch gives a Binary that came with the document.
func (w *worker) inBatch(id string) (contentType string, data []byte, ok bool) {
	if w.binaries == nil {
		w.binaries = map[string]int{}
		for i := range w.b.Records {
			if r := &w.b.Records[i]; r.Type == r4.TypeBinary && r.Status == pipeline.Pending && r.Root != fhir.NoNode {
				w.binaries[string(r.ID)] = i
			}
		}
	}
	i, ok := w.binaries[id]
	if !ok {
		return "", nil, false
	}
	root := w.b.Records[i].Root
	return string(fhir.AppendUnescaped(nil, w.text(root, binaryType))), w.text(root, binaryData), true
}
