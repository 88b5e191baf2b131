package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/rest/capability"
)

// exchange is one request over HTTP and its answer. It is used again.
type exchange struct {
	h *Handler
	w http.ResponseWriter
	r *http.Request

	call    call
	text    []byte // of a resource that is read
	body    []byte // of the request
	out     []byte // of the answer
	pretty  bool
	cut     subset
	native  bool   // a Binary goes as what it is
	client  string // that is counted; "" for none
	cancel  func()
	hasTurn bool
	held    int64 // bytes of the body that count for the handler's limit
}

var exchanges = sync.Pool{New: func() any { return &exchange{} }}

func begin(h *Handler, w http.ResponseWriter, r *http.Request) *exchange {
	x := exchanges.Get().(*exchange)
	*x = exchange{h: h, w: w, r: r, text: x.text[:0], body: x.body[:0], out: x.out[:0]}
	return x
}

// end gives the memory back, but for what one huge body needed.
func (x *exchange) end() {
	x.leave()
	if x.cancel != nil {
		x.cancel()
	}
	if x.client != "" {
		x.dismiss()
	}
	x.h.bodies.Add(-x.held)
	x.w, x.r, x.call, x.cancel = nil, nil, call{}, nil
	for _, b := range []*[]byte{&x.text, &x.body, &x.out} {
		if cap(*b) > keepWork {
			*b = nil
		}
	}
	exchanges.Put(x)
}

func parseQuery(raw string) (url.Values, error) {
	// A semicolon divides nothing: it may be in a value.
	q, err := url.ParseQuery(strings.ReplaceAll(raw, ";", "%3B"))
	if err != nil {
		return nil, outcome.Faultf(outcome.Malformed, "the query of the URL cannot be read: check its percent signs")
	}
	return q, nil
}

// negotiate reads what the client wants to have (FHIR R4, 3.1.0.1.11): _format goes
// before Accept. The only format is JSON. A Binary goes as what it is unless FHIR's
// format is asked for (FHIR R4, 2.41.2).
func (x *exchange) negotiate(t r4.TypeID, q url.Values) (err error) {
	x.native = t == r4.TypeBinary
	if format := q.Get("_format"); format != "" {
		// A plus sign that is not escaped arrives as a space.
		media, refused := acceptItem(strings.Replace(format, "fhir json", "fhir+json", 1))
		if refused || !isJSON(media) && media != "json" {
			return outcome.Faultf(outcome.NotAcceptable, "format '%s' is not there; expected %s", clip(format), capability.FHIRJSON)
		}
		x.native = false
	} else if err := x.accepts(); err != nil {
		return err
	}
	if len(q) == 0 {
		return nil
	}
	switch v := q.Get("_pretty"); v {
	case "", "false":
	case "true":
		x.pretty = true
	default:
		return outcome.Faultf(outcome.Malformed, "parameter _pretty: '%s' is none of true, false", clip(v))
	}
	x.cut, err = readSubset(q)
	return err
}

// accepts refuses a request whose Accept leaves no format that there is.
func (x *exchange) accepts() error {
	lines := x.r.Header["Accept"]
	if len(lines) == 0 {
		return nil
	}
	acceptable := false
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			media, refused := acceptItem(item)
			switch {
			case refused:
			case isJSON(media):
				x.native, acceptable = false, true
			case media == "*/*", media == "application/*":
				acceptable = true
			}
		}
	}
	if acceptable || x.native {
		return nil
	}
	return outcome.Faultf(outcome.NotAcceptable, "Accept: '%s' leaves no format that is there; expected %s", clip(lines[0]), capability.FHIRJSON)
}

// acceptItem reads one item of an Accept header and tells whether it refuses the type.
func acceptItem(item string) (media string, refused bool) {
	media, parameters, _ := strings.Cut(item, ";")
	for p := range strings.SplitSeq(parameters, ";") {
		name, v, _ := strings.Cut(p, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "q":
			q, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			refused = refused || err == nil && q == 0
		case "fhirversion": // FHIR R4, 2.1.0.4
			refused = refused || !isR4(strings.Trim(strings.TrimSpace(v), `"`))
		}
	}
	return strings.ToLower(strings.TrimSpace(media)), refused
}

func mediaType(text string) string {
	media, _, _ := strings.Cut(text, ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// isR4 tells whether the parameter fhirVersion of a media type is that of this server;
// "" is any.
func isR4(version string) bool { return version == "" || version == "4.0" || version == "4.0.1" }

func isJSON(media string) bool {
	switch media {
	case capability.FHIRJSON, "application/json", "text/json", "application/json+fhir":
		return true
	}
	return false
}

// readBody reads the body of a request, with all its limits. That of a Binary may be
// what it is, and becomes a resource.
func (x *exchange) readBody(c *call) ([]byte, error) {
	r := x.r
	native := c.typ == r4.TypeBinary && (c.kind == targetType || c.kind == targetInstance) && r.Method != http.MethodPatch
	content := joined(r.Header, "Content-Type")
	media := mediaType(content)
	switch {
	case c.kind == targetSearch:
		if media != "" && media != formType {
			return nil, outcome.Faultf(outcome.Unsupported, "a body of type '%s' is not known; expected %s", clip(media), formType)
		}
	case isJSON(media), media == "", native:
	case r.Method == http.MethodPatch && media == capability.JSONPatch:
	case r.Method == http.MethodPatch:
		x.w.Header().Set("Accept-Patch", capability.JSONPatch+", "+capability.FHIRJSON)
		return nil, outcome.Faultf(outcome.Unsupported, "a patch of type '%s' is not known; expected %s or, for a FHIRPath Patch, %s", clip(media), capability.JSONPatch, capability.FHIRJSON)
	default:
		return nil, outcome.Faultf(outcome.Unsupported, "a body of type '%s' is not known; expected %s", clip(media), capability.FHIRJSON)
	}
	if _, p, err := mime.ParseMediaType(content); err == nil && isJSON(media) {
		if set := p["charset"]; set != "" && !strings.EqualFold(set, "utf-8") {
			return nil, outcome.Faultf(outcome.Unsupported, "charset '%s' is not known; JSON is in UTF-8", clip(set))
		}
		if version := p["fhirversion"]; !isR4(version) {
			return nil, outcome.Faultf(outcome.Unsupported, "fhirVersion '%s' is not known; expected 4.0", clip(version))
		}
	}
	if err := x.read(); err != nil {
		return nil, err
	}
	if native && !isJSON(media) {
		x.out = appendBinary(x.out[:0], c, content, x.body)
		x.body, x.out = x.out, x.body
	}
	return x.body, nil
}

// formType is the media type of what is posted to _search.
const formType = "application/x-www-form-urlencoded"

// readForm takes the body as more parameters (FHIR R4, 3.1.0.11.1: those of the URL and
// of the form count together).
func (x *exchange) readForm(c *call) error {
	c.form, c.body = string(c.body), nil
	form, err := parseQuery(c.form)
	if err != nil {
		return err
	}
	if c.query == nil {
		c.query = url.Values{}
	}
	for name, values := range form {
		c.query[name] = append(c.query[name], values...)
	}
	return x.negotiate(c.typ, c.query)
}

var (
	tooLarge   = outcome.Faultf(outcome.TooLarge, "the body has more than %d bytes", capability.MaxBody)
	gzipReader = sync.Pool{New: func() any { return new(gzip.Reader) }}
)

// read reads the body, unzipped.
func (x *exchange) read() error {
	if x.r.ContentLength > capability.MaxBody {
		return tooLarge
	}
	// Beyond the limit, the connection is closed after the answer.
	var body io.Reader = http.MaxBytesReader(x.w, x.r.Body, capability.MaxBody)
	zipped := false
	switch coding := strings.ToLower(strings.TrimSpace(joined(x.r.Header, "Content-Encoding"))); coding {
	case "", "identity":
	case "gzip", "x-gzip":
		zipped = true
		z := gzipReader.Get().(*gzip.Reader)
		defer gzipReader.Put(z)
		if err := z.Reset(body); err != nil {
			return readFault(err, zipped)
		}
		body = z
	default:
		x.w.Header().Set("Accept-Encoding", "gzip")
		return outcome.Faultf(outcome.Unsupported, "content encoding '%s' is not known; expected gzip or none", clip(coding))
	}
	for {
		if len(x.body) == cap(x.body) {
			x.grow(zipped)
		}
		if grown := int64(cap(x.body)) - x.held; grown > 0 {
			x.held += grown
			if x.h.bodies.Add(grown) > x.h.o.Bodies {
				return outcome.Faultf(outcome.Unavailable, "the server is busy with bodies of %d bytes; try again soon", x.h.o.Bodies)
			}
		}
		n, err := body.Read(x.body[len(x.body):cap(x.body)])
		x.body = x.body[:len(x.body)+n]
		switch {
		case len(x.body) > capability.MaxBody:
			return tooLarge
		case err == io.EOF:
			return nil
		case err != nil:
			return readFault(err, zipped)
		}
	}
}

// grow makes room for more of the body: as much as has come once more, so that one who
// says that much will come, and sends nothing, takes no memory.
func (x *exchange) grow(zipped bool) {
	more := max(len(x.body), 4096)
	if n := int(x.r.ContentLength); n >= len(x.body) && !zipped {
		more = min(more, n+1-len(x.body)) // the end is seen with one byte of room
	}
	x.body = slices.Grow(x.body, more)
}

// readFault says why a body could not be read.
func readFault(err error, zipped bool) error {
	var long *http.MaxBytesError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &long):
		return tooLarge
	case errors.As(err, &timeout) && timeout.Timeout():
		return outcome.Faultf(outcome.Expired, "the body did not come in time")
	case zipped:
		return outcome.Faultf(outcome.Malformed, "the body is no sound gzip, or ends early")
	}
	return outcome.Faultf(outcome.Malformed, "the body ends early")
}

// answer writes what a call came to.
func (x *exchange) answer(out *reply) {
	h := x.w.Header()
	x.versionHeaders(out.version, out.updated)
	if out.location != "" {
		h.Set("Location", x.call.base+"/"+out.location)
	}
	if out.flawed {
		h.Set("X-Amzn-Healthlake-Validation-Issues", "true")
	}
	for name, value := range out.header {
		h.Set(name, value)
	}
	status := out.status
	switch {
	case out.serve != nil:
		if err := out.serve(x); err != nil {
			x.refuse(err)
		}
		return
	case out.write != nil:
		x.stream(out)
		return
	case out.json == nil:
		if status != http.StatusNotModified && status != http.StatusNoContent {
			h.Set("Content-Length", "0")
		}
		x.w.WriteHeader(status)
		return
	case out.raw && x.native && x.sendBinary(status, out.json):
		return
	}
	if status == http.StatusNoContent {
		status = http.StatusOK
	}
	x.send(status, x.shaped(out))
}

// versionHeaders say which version an answer is about.
func (x *exchange) versionHeaders(version uint32, updated int64) {
	h := x.w.Header()
	if version != 0 {
		var buf [16]byte
		h.Set("Etag", string(append(strconv.AppendUint(append(buf[:0], `W/"`...), uint64(version), 10), '"')))
	}
	if updated != 0 {
		h.Set("Last-Modified", time.UnixMicro(updated).UTC().Format(http.TimeFormat))
	}
}

// shaped is the body of a reply as the client wants to have it. It does not alias x.out
// unless it is that.
func (x *exchange) shaped(out *reply) []byte {
	body := out.json
	if out.resource && !x.cut.all() && x.cut.summary != summaryCount {
		x.out = x.cut.append(x.out[:0], body)
		body = x.out
	}
	if x.pretty {
		body = indented(body)
	}
	return body
}

func indented(text []byte) []byte {
	var b bytes.Buffer
	b.Grow(2 * len(text))
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return text // stored text is well-formed
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// refuse writes the OperationOutcome of an error.
func (x *exchange) refuse(err error) {
	f := x.h.faultOf(x.r.Context(), err)
	h := x.w.Header()
	var (
		method   *notAllowed
		version  *versioned
		location *located
	)
	switch {
	case errors.As(err, &method):
		h.Set("Allow", method.allow)
	case errors.As(err, &version):
		x.versionHeaders(version.number, 0)
	case errors.As(err, &location):
		h.Set("Location", x.call.base+"/"+location.location)
	case f.Kind == outcome.Unavailable, f.Kind == outcome.Expired, f.Kind == outcome.Throttled:
		h.Set("Retry-After", "1")
	}
	body := f.Append(x.out[:0])
	if x.pretty {
		body = indented(body)
	}
	x.send(f.Status(), body)
}

const (
	contentJSON = capability.FHIRJSON + ";charset=utf-8"
	// zipFrom is the size in bytes from which a body is compressed: what is shorter
	// goes in one or two packets anyway, and compressing it costs more than the rest.
	zipFrom = 2048
)

var gzipWriter = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is one
	}
	return z
}}

// send writes a body of JSON, compressed when the client takes that and it is worth it.
func (x *exchange) send(status int, body []byte) {
	h := x.w.Header()
	h.Set("Content-Type", contentJSON)
	h.Set("X-Content-Type-Options", "nosniff")
	if len(body) >= zipFrom {
		h.Add("Vary", "Accept-Encoding")
		if x.zips() {
			var b bytes.Buffer
			z := gzipWriter.Get().(*gzip.Writer)
			defer gzipWriter.Put(z)
			z.Reset(&b)
			z.Write(body) // into memory
			z.Close()
			h.Set("Content-Encoding", "gzip")
			body = b.Bytes()
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	x.w.Write(body) // nobody is left to be told of an error
}

// zips tells whether the client takes gzip.
func (x *exchange) zips() bool { return x.takes("gzip") }

// takes tells whether the client takes a coding.
func (x *exchange) takes(name string) bool {
	for _, line := range x.r.Header["Accept-Encoding"] {
		for item := range strings.SplitSeq(line, ",") {
			if coding, refused := acceptItem(item); coding == name && !refused {
				return true
			}
		}
	}
	return false
}
