package auth

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// face is a part of the server with rules of its own.
type face uint8

const (
	faceOther     face = iota
	faceOpen           // health; commands, which have a token of their own
	faceMetrics        // /metrics
	faceDiscovery      // how to log in
	faceFHIR           // server/rest asks for each interaction
	faceControl        // the control plane
	faceSQL
)

// discoveryPath is where SMART looks, below the base of a data store.
const discoveryPath = "r4/.well-known/smart-configuration"

// faceOf tells the face of a request, and the data store.
func faceOf(r *http.Request) (datastore string, f face) {
	path := r.URL.Path
	switch {
	case path == "/healthz", path == "/readyz", strings.HasPrefix(path, "/_owner/"):
		return "", faceOpen
	case path == "/metrics":
		return "", faceMetrics
	case path == "/":
		return "", faceControl
	}
	rest, ok := strings.CutPrefix(path, "/datastore/")
	if !ok {
		return "", faceOther
	}
	datastore, rest, _ = strings.Cut(rest, "/")
	switch {
	case rest == discoveryPath && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		return datastore, faceDiscovery
	case rest == "r4" || strings.HasPrefix(rest, "r4/"):
		return datastore, faceFHIR
	case rest == "sql":
		return datastore, faceSQL
	}
	return datastore, faceOther
}

// authorize says why a principal may not come in at a face. Tokens are for FHIR alone: a
// table has the rows of all patients.
func authorize(r *http.Request, who *Principal, f face, datastore string) *Failure {
	allowed := false
	switch f {
	case faceFHIR:
		allowed = who.In(datastore).Enter() == nil
	case faceSQL:
		allowed = who.May(Read, datastore)
	case faceControl:
		return authorizeControl(r, who)
	default: // what is not named here is for those who may do all
		allowed = who.May(Admin, All)
	}
	if !allowed {
		return &Failure{NotAllowed, "this is not for who asks"}
	}
	return nil
}

const targetPrefix = "HealthLake."

// operations are what the operations of the control plane take of a key. Those of one
// data store name it in their body; the others take a grant for all.
var operations = map[string]struct {
	permission Permission
	one        bool
}{
	"CreateFHIRDatastore":   {Admin, false},
	"ListFHIRDatastores":    {Read, false},
	"DescribeFHIRDatastore": {Read, true},
	"UpdateFHIRDatastore":   {Admin, true},
	"DeleteFHIRDatastore":   {Admin, true},
	"StartFHIRImportJob":    {Write, true},
	"DescribeFHIRImportJob": {Read, true},
	"ListFHIRImportJobs":    {Read, true},
	"StartFHIRExportJob":    {Read, true},
	"DescribeFHIRExportJob": {Read, true},
	"ListFHIRExportJobs":    {Read, true},
	"TagResource":           {Admin, true},
	"UntagResource":         {Admin, true},
	"ListTagsForResource":   {Read, true},
}

// operationOf names the operation of the control plane that a request is, "" for none.
func operationOf(r *http.Request) string {
	if name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix); ok {
		if _, known := operations[name]; known {
			return name
		}
	}
	return ""
}

// authorizeControl says why a principal may not have an operation of the control plane.
func authorizeControl(r *http.Request, who *Principal) *Failure {
	name := operationOf(r)
	op, known := operations[name]
	datastore := All
	if known && op.one {
		var ok bool
		if datastore, ok = datastoreOf(r); !ok {
			datastore = All // only who may do all learns what is wrong with it
		}
	}
	if !known && who.May(Read, All) {
		return nil // it is told that there is no such operation
	}
	if !known || len(r.Header.Values("X-Amz-Target")) != 1 || !who.May(op.permission, datastore) {
		return &Failure{NotAllowed, "the operation is not allowed to who asks"}
	}
	return nil
}

// datastoreOf reads from the body, which is in memory, which data store an operation is
// about. It must be there once, however it is spelled.
func datastoreOf(r *http.Request) (id string, ok bool) {
	text, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(text))
	if err != nil {
		return "", false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return "", false
	}
	for d.More() {
		key, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return "", false
		}
		name, _ := key.(string)
		arn := strings.EqualFold(name, "ResourceARN")
		if !arn && !strings.EqualFold(name, "DatastoreId") {
			continue
		}
		var v string
		if json.Unmarshal(value, &v) != nil || id != "" {
			return "", false
		}
		if arn { // arn:aws:healthlake:region:account:datastore/fhir/id
			v = v[strings.LastIndexByte(v, '/')+1:]
		}
		if id = v; id == "" || id == All {
			return "", false
		}
	}
	return id, id != ""
}

// discover tells how to log in (SMART App Launch 2.2, "Conformance").
func (g *Guard) discover(w http.ResponseWriter, r *http.Request, s *state, datastore string) {
	var text []byte
	if g.o.Configuration != nil {
		text = g.o.Configuration(datastore)
	}
	for i := 0; i < len(s.Issuers) && text == nil; i++ {
		for _, id := range s.Issuers[i].DataStores {
			if id == All || id == datastore {
				text = s.Issuers[i].Configuration
			}
		}
	}
	if text == nil {
		g.refuse(w, r, faceDiscovery, &Failure{Nothing, "this data store does not say how to log in"})
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Access-Control-Allow-Origin", "*") // it is for web pages to read
	w.Write(text)
}
