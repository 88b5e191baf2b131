package rest

import (
	"cmp"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/rest/bundle"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/store/lake"
)

// item is an entry of a Bundle on its way.
type item struct {
	call
	index  int
	source *bundle.Entry
	phase  int
	x      *change // of a write of a transaction

	of   criteria       // of a conditional write of a transaction
	one  *lake.Resource // that they find; nil: none
	done bool           // it has nothing to write

	out *reply
	err error // in place of out
}

// The phases of a Bundle: entries are done by their method, in this order (FHIR R4,
// 3.1.0.11.2).
const (
	phaseDelete = iota
	phasePost
	phasePut
	phaseGet
	numPhases
)

var phases = map[string]int{
	http.MethodDelete: phaseDelete,
	http.MethodPost:   phasePost,
	http.MethodPut:    phasePut,
	http.MethodPatch:  phasePut,
	http.MethodGet:    phaseGet,
	http.MethodHead:   phaseGet,
}

// bundle does what a batch or a transaction asks for (FHIR R4, 3.1.0.11).
func (c *call) bundle() (*reply, error) {
	r := readings.Get().(*reading)
	defer r.release()
	r.tree.Reset(c.body)
	res := r.parser.Parse(&r.tree, 0, uint32(len(c.body)))
	if wrong := wrapperIssues(res.Issues, res.Root != fhir.NoNode); wrong != nil {
		return nil, outcome.Rejected(wrong)
	}
	if res.Type != r4.TypeBundle {
		return nil, outcome.Faultf(outcome.Malformed, "only a Bundle is posted to the base, found %s", res.Type)
	}
	b, err := bundle.Read(&r.tree, res.Root, func(transaction bool) int {
		switch {
		case transaction && c.async:
			return capability.MaxAsyncTransaction
		case transaction:
			return capability.MaxTransaction
		}
		return capability.MaxBatch
	})
	if err != nil {
		return nil, err
	}
	items := make([]item, len(b.Entries))
	for i := range items {
		items[i] = item{index: i, source: &b.Entries[i]}
		if items[i].err = items[i].read(c, &r.tree); items[i].err == nil && items[i].needsResource() {
			items[i].err = items[i].readResource(&r.tree, res.Issues)
		}
	}
	kind := "batch-response"
	if b.Transaction {
		kind = "transaction-response"
		err = c.transact(items, &r.tree)
	} else {
		err = c.batch(items)
	}
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, whole: true, write: func(w *stream) error { return c.writeItems(w, kind, items) }}, nil
}

// wrapperIssues gives the errors of a Bundle but for those within a resource, which are
// found again when that is read by itself.
func wrapperIssues(issues []fhir.Issue, parsed bool) (wrong []fhir.Issue) {
	for _, is := range issues {
		rest, ok := strings.CutPrefix(is.Expression, "Bundle.entry[")
		_, rest, _ = strings.Cut(rest, "]")
		if ok = ok && (rest == ".resource" || strings.HasPrefix(rest, ".resource.")); is.Severity <= fhir.Error && (!ok || !parsed) {
			wrong = append(wrong, is)
		}
	}
	return wrong
}

// read makes the call of an entry of the Bundle of c.
func (it *item) read(c *call, t *fhir.Tree) error {
	e := it.source
	it.call = call{ctx: c.ctx, h: c.h, ds: c.ds, datastore: c.datastore, base: c.base, access: c.access, method: e.Method, header: http.Header{}, prefer: c.prefer, entry: true}
	it.call.prefer.minimal = !c.prefer.representation && !c.prefer.outcome
	at := bundle.Path(it.index)
	var ok bool
	if it.phase, ok = phases[e.Method]; !ok {
		return outcome.Faultf(outcome.Malformed, "method '%s' is none of GET, HEAD, POST, PUT, DELETE, PATCH", clip(e.Method)).At(at + ".request.method")
	}
	if e.URL == "" {
		return outcome.Faultf(outcome.Malformed, "the request has no URL").At(at + ".request.url")
	}
	var err error
	if it.target, it.raw, it.query, err = readURL(e.URL, c.base); err != nil {
		return err
	}
	if it.kind == targetLater {
		return outcome.Faultf(outcome.Malformed, "the URL is not that of an interaction").At(at + ".request.url")
	}
	if it.kind == targetSystem && it.phase == phasePost {
		return outcome.Faultf(outcome.Malformed, "a Bundle within a Bundle is not processed").At(at + ".request.url")
	}
	for name, value := range map[string]string{
		"If-Match": e.IfMatch, "If-None-Match": e.IfNoneMatch, "If-None-Exist": e.IfNoneExist, "If-Modified-Since": e.IfModifiedSince,
		"X-Amzn-Healthlake-Fhir-Validation-Level": c.header.Get("X-Amzn-Healthlake-Fhir-Validation-Level"),
	} {
		if value != "" {
			it.header.Set(name, value)
		}
	}
	if it.phase == phasePost && it.kind == targetType {
		it.newID = c.h.o.NewID()
	}
	return nil
}

func (it *item) needsResource() bool {
	return it.phase == phasePut || it.phase == phasePost && (it.kind != targetOperation || it.source.Resource != fhir.NoNode)
}

// readResource takes the resource of an entry as the body of its call. issues are those
// of the Bundle: one says why there is none.
func (it *item) readResource(t *fhir.Tree, issues []fhir.Issue) error {
	if it.source.Resource == fhir.NoNode {
		at := bundle.Path(it.index) + ".resource"
		for _, is := range issues {
			if is.Expression == at && is.Severity <= fhir.Error {
				return outcome.Rejected([]fhir.Issue{is})
			}
		}
		return outcome.Faultf(outcome.Malformed, "the entry has no resource").At(at)
	}
	it.body = t.JSON(it.source.Resource)
	if it.method == http.MethodPatch {
		return it.takePatch(t)
	}
	return nil
}

// takePatch takes a patch out of its resource: a Binary holds a JSON Patch (FHIR R4,
// 3.1.0.11.2), Parameters are a FHIRPath Patch.
func (it *item) takePatch(t *fhir.Tree) error {
	n := it.source.Resource
	it.header.Set("Content-Type", capability.FHIRJSON)
	if t.Nodes[n].Type != r4.TypeBinary {
		return nil
	}
	it.header.Set("Content-Type", stringOf(t, n, binaryContentType))
	text, err := base64.StdEncoding.DecodeString(stringOf(t, n, binaryData))
	if err != nil {
		return outcome.Faultf(outcome.Malformed, "the data of the Binary is no base64").At(bundle.Path(it.index) + ".resource.data")
	}
	it.body = text
	return nil
}

// batchWorkers is how many entries of a batch are done at once: writes share a sync.
const batchWorkers = 16

// batch does entries one by one: each by itself succeeds or fails. Within a phase those
// of one resource are done in their order.
func (c *call) batch(items []item) error {
	var gathered atomic.Int64
	for phase := range numPhases {
		groups := map[string][]*item{}
		var order []string
		for i := range items {
			it := &items[i]
			if it.err != nil || it.phase != phase {
				continue
			}
			key := strconv.Itoa(i)
			if it.kind == targetInstance && phase != phaseGet {
				key = it.typ.String() + "/" + it.id
			}
			if groups[key] == nil {
				order = append(order, key)
			}
			groups[key] = append(groups[key], it)
		}
		var g errgroup.Group
		g.SetLimit(batchWorkers)
		for _, key := range order {
			g.Go(func() error {
				for _, it := range groups[key] {
					it.do(&gathered)
				}
				return nil
			})
		}
		if err := errors.Join(g.Wait(), c.ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

// do runs the call of an entry. Together the bodies of all have a limit.
func (it *item) do(gathered *atomic.Int64) {
	defer func() { // the goroutine is ours: a panic would end the process
		if p := recover(); p != nil {
			it.h.logPanic(it.ctx, p)
			it.out, it.err = nil, errPanic
		}
	}()
	if it.out, it.err = it.run(); it.err != nil {
		return
	}
	if it.out.write != nil {
		if it.out.json, it.err = gather(it.out, maxGathered); it.err != nil {
			return
		}
		it.out.write = nil
	}
	if it.err = it.cut(); it.err != nil {
		return
	}
	if gathered.Add(int64(len(it.out.json))) > maxGathered && it.phase == phaseGet {
		it.out, it.err = nil, outcome.Faultf(outcome.TooCostly, "the answers to a Bundle have more than %d bytes; ask for fewer at once", maxGathered)
	}
}

// cut leaves of a resource what _summary and _elements in the URL ask for.
func (it *item) cut() error {
	if len(it.query) == 0 || !it.out.resource || it.out.json == nil {
		return nil
	}
	s, err := readSubset(it.query)
	if err == nil && !s.all() && s.summary != summaryCount {
		it.out.json = s.append(nil, it.out.json)
	}
	return err
}

// writeItems writes the Bundle of what the entries came to.
func (c *call) writeItems(w *stream, kind string, items []item) error {
	w.text(`{"resourceType":"Bundle","type":"` + kind + `"`)
	sep := `,"entry":[`
	var buf []byte
	for i := range items {
		buf = items[i].append(append(buf[:0], sep...))
		if err := w.bytes(buf); err != nil {
			return err
		}
		sep = ","
	}
	if len(items) > 0 {
		w.text("]")
	}
	w.text("}")
	return w.err
}

// append appends the entry that answers an item.
func (it *item) append(dst []byte) []byte {
	dst = append(dst, '{')
	out := it.out
	if it.err != nil {
		f := it.h.faultOf(it.ctx, it.err)
		out = &reply{status: f.Status(), json: f.Append(nil)}
		var location *located
		if errors.As(it.err, &location) {
			out.location = location.location
		}
	}
	status := out.status
	// A resource goes beside the response, but an OperationOutcome that tells of the
	// interaction within it.
	asOutcome := it.err != nil || out.json != nil && !out.resource && it.phase != phaseGet && it.kind != targetOperation
	if out.json != nil && !asOutcome {
		if out.resource {
			dst = fhir.AppendQuoted(append(dst, `"fullUrl":`...), it.base+"/"+it.typ.String()+"/"+it.idOf(out))
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, `"resource":`...), out.json...), ',')
	}
	dst = append(dst, `"response":{"status":"`...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(append(append(dst, ' '), http.StatusText(status)...), '"')
	if location := out.location; location != "" {
		dst = append(append(append(dst, `,"location":"`...), location...), '"')
	}
	if out.version != 0 {
		dst = append(dst, `,"etag":"W/\"`...)
		dst = append(strconv.AppendUint(dst, uint64(out.version), 10), `\""`...)
	}
	if out.updated != 0 {
		dst = append(append(append(dst, `,"lastModified":"`...), instant(out.updated)...), '"')
	}
	if asOutcome {
		dst = append(append(dst, `,"outcome":`...), out.json...)
	}
	return append(dst, `}}`...)
}

// idOf gives the id of the resource of a reply: that of the URL, or the one that was
// written.
func (it *item) idOf(out *reply) string { return cmp.Or(it.id, out.id) }

// entryFault says where in the Bundle a fault is.
func (it *item) entryFault(err error) error {
	var f *outcome.Fault
	if !errors.As(err, &f) {
		return err
	}
	issues := slices.Clone(f.Issues)
	it.place(issues)
	kind := f.Kind
	if kind == outcome.NotAllowed { // of the entry: the method of the request is
		kind = outcome.Malformed
	}
	return &outcome.Fault{Kind: kind, Issues: issues}
}

// place makes the expressions of issues of an entry, or of its resource, those of the
// Bundle.
func (it *item) place(issues []fhir.Issue) {
	at := bundle.Path(it.index)
	for i := range issues {
		e := &issues[i].Expression
		switch first, rest, more := strings.Cut(*e, "."); {
		case *e == "":
			*e = at
		case first == "Bundle" || strings.HasPrefix(*e, at): // it has its place
		case more:
			*e = at + ".resource." + rest
		default:
			*e = at + ".resource"
		}
	}
}
