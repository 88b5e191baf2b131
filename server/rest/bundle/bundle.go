// Package bundle reads the Bundles that clients post to a FHIR endpoint, batches and
// transactions (FHIR R4, 3.1.0.11), and rewrites the references between the entries of
// a transaction. What an entry does, and when, it leaves to its caller.
//
// Read [Read] and [Links] first.
package bundle

import (
	"strconv"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Bundle is a batch or a transaction.
type Bundle struct {
	Tree        *fhir.Tree
	Transaction bool // all entries or none; else it is a batch
	Entries     []Entry
}

// Entry is one request of a Bundle.
type Entry struct {
	FullURL         string
	Resource        fhir.NodeID // NoNode without one
	Method          string      // as it is written
	URL             string
	IfMatch         string
	IfNoneMatch     string
	IfNoneExist     string
	IfModifiedSince string
}

var (
	elType     = r4.TypeBundle.ElementByName("type")
	elEntry    = r4.TypeBundle.ElementByName("entry")
	entryType  = r4.ElementAt(elEntry).Type
	elFullURL  = entryType.ElementByName("fullUrl")
	elResource = entryType.ElementByName("resource")
	elRequest  = entryType.ElementByName("request")
	request    = r4.ElementAt(elRequest).Type

	elMethod          = request.ElementByName("method")
	elURL             = request.ElementByName("url")
	elIfMatch         = request.ElementByName("ifMatch")
	elIfNoneMatch     = request.ElementByName("ifNoneMatch")
	elIfNoneExist     = request.ElementByName("ifNoneExist")
	elIfModifiedSince = request.ElementByName("ifModifiedSince")
)

// Path is the FHIRPath of entry i.
func Path(i int) string { return "Bundle.entry[" + strconv.Itoa(i) + "]" }

// Read reads the Bundle at root, whose tree may have any fault: an entry may lack what
// it needs. limit gives how many entries a batch and a transaction may have. The error
// is an [*outcome.Fault]: another type of Bundle, or too many entries.
func Read(t *fhir.Tree, root fhir.NodeID, limit func(transaction bool) int) (*Bundle, error) {
	b := &Bundle{Tree: t}
	switch kind := text(t, root, elType); kind {
	case "batch":
	case "transaction":
		b.Transaction = true
	default:
		return nil, outcome.Faultf(outcome.Malformed, "a Bundle of type '%.80s' cannot be processed; expected batch or transaction", kind).At("Bundle.type")
	}
	list := t.Child(root, elEntry)
	if list == fhir.NoNode || t.Nodes[list].Kind != fhir.KindArray {
		return b, nil
	}
	most := limit(b.Transaction)
	for c := t.FirstChild(list); c != fhir.NoNode; c = t.NextSibling(list, c) {
		if len(b.Entries) == most {
			return nil, outcome.Faultf(outcome.TooCostly, "the Bundle has more than %d entries", most).At("Bundle.entry")
		}
		b.Entries = append(b.Entries, readEntry(t, c))
	}
	return b, nil
}

func readEntry(t *fhir.Tree, n fhir.NodeID) Entry {
	e := Entry{Resource: t.Child(n, elResource), FullURL: text(t, n, elFullURL)}
	if r := t.Child(n, elRequest); r != fhir.NoNode {
		e.Method, e.URL = text(t, r, elMethod), text(t, r, elURL)
		e.IfMatch, e.IfNoneMatch = text(t, r, elIfMatch), text(t, r, elIfNoneMatch)
		e.IfNoneExist, e.IfModifiedSince = text(t, r, elIfNoneExist), text(t, r, elIfModifiedSince)
	}
	return e
}

// text gives the value of a member that is a string, else "".
func text(t *fhir.Tree, n fhir.NodeID, e r4.ElementID) string {
	c := t.Child(n, e)
	if c == fhir.NoNode || t.Nodes[c].Kind != fhir.KindString {
		return ""
	}
	return string(t.String(c, nil))
}
