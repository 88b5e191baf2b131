package rest

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/auth"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/stages/validate"
)

// call is one interaction: a request, or an entry of a Bundle.
type call struct {
	ctx       context.Context
	h         *Handler
	ds        *DataStore
	datastore string // its id
	base      string // absolute URL of the data store, without a slash at the end
	method    string
	target
	query  url.Values
	raw    string      // query as it stands
	form   string      // that was posted to _search
	header http.Header // of the request; of an entry, what stands for it
	body   []byte
	prefer prefer
	entry  bool         // it is an entry of a Bundle
	async  bool         // it is answered later
	newID  string       // of a resource that it creates; "": one is made
	access *auth.Access // what the sender may do; nil: all
	text   *[]byte      // memory for one resource that is read; nil: new memory
}

// reply is what a call comes to. The zero values of members mean: no such header.
type reply struct {
	status   int
	id       string // of what was written; "" when the call has it
	version  uint32 // ETag
	updated  int64  // Last-Modified, UTC microseconds
	location string // Type/id/_history/version, relative to the base
	json     []byte // the resource
	resource bool   // json is one that _summary and _elements can cut
	flawed   bool   // it was stored with issues

	write  func(w *stream) error // writes the body, in place of json
	header map[string]string     // further ones
	whole  bool                  // write reads nothing of the data store
	raw    bool                  // json is a Binary that can go as what it is

	// serve writes all of the answer but its status, in place of json and write. It reads nothing of
	// the data store. Its error comes before anything was written.
	serve func(x *exchange) error
}

// prefer is the header Prefer (FHIR R4, 3.1.0.1.7 and 3.1.1.1).
type prefer struct {
	minimal, outcome bool // return=
	representation   bool // it was asked for
	strict           bool // handling=
	async            bool // respond-async
}

func readPrefer(h http.Header) (p prefer) {
	for _, line := range h["Prefer"] {
		for item := range strings.SplitSeq(line, ",") {
			item, _, _ = strings.Cut(item, ";")
			switch strings.ToLower(strings.TrimSpace(item)) {
			case "return=minimal":
				p.minimal = true
			case "return=representation":
				p.representation = true
			case "return=operationoutcome":
				p.outcome = true
			case "handling=strict":
				p.strict = true
			case "respond-async":
				p.async = true
			}
		}
	}
	return p
}

// run runs the interaction that method and target name.
func (c *call) run() (*reply, error) {
	if err := c.allowed(); err != nil {
		return nil, err
	}
	if err := c.authorize(); err != nil {
		return nil, err
	}
	if c.method == http.MethodOptions {
		return c.options()
	}
	if c.id != "" && !validID(c.id) && c.kind != targetLater {
		kind := outcome.NotFound
		if c.method == http.MethodPut {
			kind = outcome.Malformed
		}
		return nil, outcome.Faultf(kind, "'%s' is no valid id: 1 to 64 letters, digits, '-' and '.'", clip(c.id))
	}
	get := c.method == http.MethodGet || c.method == http.MethodHead
	switch c.kind {
	case targetMetadata:
		return c.metadata()
	case targetSystemHistory, targetTypeHistory, targetInstanceHistory:
		return c.history()
	case targetVersion:
		return c.readVersion()
	case targetOperation:
		return c.operate()
	case targetLater:
		return c.poll()
	case targetExport:
		return c.exportStatus()
	case targetExportFile:
		return c.exportFile()
	case targetImport:
		return c.importStatus()
	case targetSystem:
		if !get {
			return c.bundle()
		}
	case targetType:
		switch c.method {
		case http.MethodPost:
			return c.create()
		case http.MethodPut:
			return c.conditionalUpdate()
		case http.MethodPatch:
			return c.conditionalPatch()
		case http.MethodDelete:
			return c.conditionalDelete()
		}
	case targetInstance:
		switch c.method {
		case http.MethodPut:
			return c.update()
		case http.MethodPatch:
			return c.patch()
		case http.MethodDelete:
			return c.delete()
		}
		return c.read()
	}
	return c.search()
}

// interactions are those of methods and targets that depend on the type.
var interactions = map[targetKind]map[string]capability.Interaction{
	targetType: {
		http.MethodPost: capability.Create, http.MethodGet: capability.SearchType, http.MethodHead: capability.SearchType,
		http.MethodPut: capability.Update, http.MethodPatch: capability.Patch, http.MethodDelete: capability.Delete,
	},
	targetSearch: {http.MethodPost: capability.SearchType},
	targetInstance: {
		http.MethodGet: capability.Read, http.MethodHead: capability.Read, http.MethodPut: capability.Update,
		http.MethodPatch: capability.Patch, http.MethodDelete: capability.Delete,
	},
	targetInstanceHistory: {http.MethodGet: capability.HistoryInstance, http.MethodHead: capability.HistoryInstance},
	targetTypeHistory:     {http.MethodGet: capability.HistoryType, http.MethodHead: capability.HistoryType},
	targetVersion:         {http.MethodGet: capability.VersionRead, http.MethodHead: capability.VersionRead},
}

// notAllowed is the fault of a method that a target does not take. The answer to it
// names those that it does.
type notAllowed struct {
	*outcome.Fault
	allow string
}

func (e *notAllowed) Unwrap() error { return e.Fault }

// allowed tells why the target does not take the method, nil when it does.
func (c *call) allowed() error {
	methods := interactions[c.kind]
	set := capability.Of(c.typ)
	if i := methods[c.method]; i != 0 && set.Has(i) {
		return nil
	}
	if methods != nil && set == 0 {
		return outcome.Faultf(outcome.NotFound, "%s is not stored", c.typ)
	}
	allow := c.allow()
	if slices.Contains(allow, c.method) {
		return nil
	}
	list := strings.Join(allow, ", ")
	return &notAllowed{outcome.Faultf(outcome.NotAllowed, "%s is not allowed here; allowed: %s", clip(c.method), list), list}
}

// allow gives the methods that the target takes.
func (c *call) allow() (list []string) {
	methods, set := interactions[c.kind], capability.Of(c.typ)
	for m := range strings.SplitSeq(allows[c.kind], ", ") {
		if i := methods[m]; i == 0 || set.Has(i) {
			list = append(list, m)
		}
	}
	if !c.entry {
		list = append(list, http.MethodOptions)
	}
	return list
}

// options tells what the target takes (RFC 9110, 9.3.7).
func (c *call) options() (*reply, error) {
	list := c.allow()
	header := map[string]string{"Allow": strings.Join(list, ", ")}
	if slices.Contains(list, http.MethodPatch) {
		header["Accept-Patch"] = capability.JSONPatch + ", " + capability.FHIRJSON
	}
	return &reply{status: http.StatusNoContent, header: header}, nil
}

// headerOf gives a header; lines of the same name are one list (RFC 9110, 5.3).
func (c *call) headerOf(name string) string { return joined(c.header, name) }

func joined(h http.Header, name string) string {
	if lines := h[name]; len(lines) > 1 {
		return strings.Join(lines, ", ")
	}
	return h.Get(name)
}

// level is the validation level that the request asks for.
func (c *call) level() (validate.Level, error) {
	name := c.headerOf("X-Amzn-Healthlake-Fhir-Validation-Level")
	if name == "" {
		return validate.Strict, nil
	}
	level, err := validate.ParseLevel(strings.ToLower(name))
	if err != nil {
		return 0, outcome.Faultf(outcome.Malformed, "header x-amzn-healthlake-fhir-validation-level: '%s' is none of strict, structure-only, minimal", clip(name))
	}
	return level, nil
}

// ifMatch reads If-Match: a version, or any one that is there (RFC 9110, 13.1.1). A tag
// that can be no version is the version 0xFFFFFFFF, which none has.
func (c *call) ifMatch() (number uint32, any bool, err error) {
	text := c.headerOf("If-Match")
	switch {
	case text == "":
		return 0, false, nil
	case text == "*":
		return 0, true, nil
	}
	number, ok := readETag(text)
	if !ok {
		return 0, false, outcome.Faultf(outcome.Malformed, "header If-Match: '%s' is no entity tag; expected W/\"versionId\"", clip(text))
	}
	return number, false, nil
}

const noVersion = 1<<32 - 1

// readETag reads W/"n" and "n", and for clients that leave the quotes out n.
func readETag(text string) (number uint32, ok bool) {
	inner := strings.TrimPrefix(strings.TrimSpace(text), "W/")
	if n := len(inner); n >= 2 && inner[0] == '"' && inner[n-1] == '"' {
		inner = inner[1 : n-1]
	} else if strings.ContainsAny(inner, "\", ") || inner == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(inner, 10, 32)
	if err != nil || n == 0 || inner[0] == '0' { // a tag is a text: "01" is another one
		return noVersion, !strings.Contains(inner, `"`)
	}
	return uint32(n), true
}

// checkQuery refuses parameters that are not known, when the client wants that
// (FHIR R4, 3.1.1.1: handling=strict).
func (c *call) checkQuery(known ...string) error {
	if !c.prefer.strict {
		return nil
	}
next:
	for name := range c.query {
		for _, k := range [...]string{"_format", "_pretty", "_summary", "_elements"} {
			if name == k {
				continue next
			}
		}
		for _, k := range known {
			if name == k {
				continue next
			}
		}
		return outcome.Faultf(outcome.Malformed, "parameter '%s' is not known here", clip(name))
	}
	return nil
}

// locationOf is the URL of a version, relative to the base.
func locationOf(t r4.TypeID, id string, number uint32) string {
	return t.String() + "/" + id + "/_history/" + strconv.FormatUint(uint64(number), 10)
}

func instant(micros int64) string { return fhir.FormatInstant(time.UnixMicro(micros)) }
