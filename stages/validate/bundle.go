package validate

import (
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// A bundleType is a code of Bundle.type.
type bundleType uint8

const (
	bundleOther bundleType = iota
	bundleDocument
	bundleMessage
	bundleTransaction
	bundleTransactionResponse
	bundleBatch
	bundleBatchResponse
	bundleHistory
	bundleSearchset
	bundleCollection
)

var bundleTypes = map[string]bundleType{
	"document":             bundleDocument,
	"message":              bundleMessage,
	"transaction":          bundleTransaction,
	"transaction-response": bundleTransactionResponse,
	"batch":                bundleBatch,
	"batch-response":       bundleBatchResponse,
	"history":              bundleHistory,
	"searchset":            bundleSearchset,
	"collection":           bundleCollection,
}

// bundle checks a Bundle (FHIR R4 2.36) and lists the fullUrls of its entries, by
// which references inside of it resolve.
func (v *Validator) bundle(n fhir.NodeID) {
	typ, entries := bundleOther, fhir.NoNode
	total, links := fhir.NoNode, fhir.NoNode
	for c, end := n+1, v.after(n); c < end; c = v.after(c) {
		nd := &v.nodes[c]
		switch nd.Element {
		case elBundleType:
			if nd.Kind == fhir.KindString {
				typ = bundleTypes[string(v.text(c))]
			}
		case elBundleEntry:
			entries = c
		case elBundleTotal:
			total = c
		case elBundleLink:
			links = c
		}
	}
	if total != fhir.NoNode && typ != bundleSearchset && typ != bundleHistory {
		v.broken(total, conBdl1, "")
	}
	v.links(links)
	v.fullURLs(n, entries, typ)
	v.entries(entries, typ)
	switch typ {
	case bundleDocument:
		v.document(n, entries)
	case bundleMessage:
		if first := v.firstResource(entries); first == fhir.NoNode || v.nodes[first].Type != r4.TypeMessageHeader {
			v.broken(n, conBdl12, "")
		} else {
			v.bundled(first, entries, inMessage)
		}
	}
}

// links reports relations of the Bundle as a whole that are given twice.
func (v *Validator) links(list fhir.NodeID) {
	v.spare = v.spare[:0]
	for c, end := v.values(list); c < end; c = v.after(c) {
		if r := v.tree.Child(c, elLinkRelation); r != fhir.NoNode && v.nodes[r].Kind == fhir.KindString {
			switch string(v.text(r)) {
			case "self", "first", "last", "next", "previous", "prev":
				v.spare = append(v.spare, v.mark(r))
			}
		}
	}
	v.repeated(v.spare, func(again mark) {
		v.fault(again.node, fhir.CodeDuplicate, "link relation '%s' occurs twice; expected it once", v.quote(again.node))
	})
}

// entries checks the parts of each entry by the type of the Bundle.
func (v *Validator) entries(list fhir.NodeID, typ bundleType) {
	requests := typ == bundleBatch || typ == bundleTransaction || typ == bundleHistory
	responses := typ == bundleBatchResponse || typ == bundleTransactionResponse || typ == bundleHistory
	for e, end := v.values(list); e < end && !v.full(); e = v.after(e) {
		request, response, resource, search := fhir.NoNode, fhir.NoNode, fhir.NoNode, fhir.NoNode
		for c, stop := e+1, v.after(e); c < stop; c = v.after(c) {
			switch v.nodes[c].Element {
			case elEntryRequest:
				request = c
			case elEntryResponse:
				response = c
			case elEntryResource:
				resource = c
			case elEntrySearch:
				search = c
			}
		}
		if typ == bundleOther {
			continue // parse has reported the type
		}
		if (request != fhir.NoNode) != requests {
			v.broken(e, conBdl3, "")
		}
		if (response != fhir.NoNode) != responses {
			v.broken(e, conBdl4, "")
		}
		if search != fhir.NoNode && typ != bundleSearchset {
			v.broken(search, conBdl2, "")
		}
		if typ == bundleSearchset && resource != fhir.NoNode {
			v.result(resource, search)
		}
	}
}

// result checks a resource of a searchset (FHIR R4 3.1.1.3): what is found has an
// id, and what tells of the search itself is an OperationOutcome.
func (v *Validator) result(resource, search fhir.NodeID) {
	typ := v.nodes[resource].Type
	mode := fhir.NoNode
	if search != fhir.NoNode {
		mode = v.tree.Child(search, elSearchMode)
	}
	switch {
	case v.is(mode, "outcome"):
		if typ != r4.TypeOperationOutcome && typ.IsResourceType() {
			v.fault(mode, fhir.CodeInvalid, "the entry has the mode 'outcome' and a resource of type %s; expected OperationOutcome", typ)
		}
	case typ.IsResourceType() && typ != r4.TypeOperationOutcome && typ != r4.TypeParameters && !v.has(resource, "id"):
		v.fault(resource, fhir.CodeRequired, "a resource that a search found has no id")
	}
}

// fullURLs lists the fullUrls, and checks each, and bdl-7: those that are equal
// have resources of different versions.
func (v *Validator) fullURLs(n, list fhir.NodeID, typ bundleType) {
	from := int32(len(v.urls))
	v.spare = v.spare[:0]
	for e, end := v.values(list); e < end; e = v.after(e) {
		url, resource := fhir.NoNode, fhir.NoNode
		for c, stop := e+1, v.after(e); c < stop; c = v.after(c) {
			switch v.nodes[c].Element {
			case elEntryFullURL:
				url = c
			case elEntryResource:
				resource = c
			}
		}
		if url == fhir.NoNode || v.nodes[url].Kind != fhir.KindString {
			continue
		}
		v.fullURL(url, resource)
		m := v.mark(url)
		m.of = e
		v.urls = append(v.urls, m)
		if typ != bundleHistory {
			v.spare = append(v.spare, mark{hash: m.hash ^ v.versionHash(resource), node: url})
		}
	}
	sortMarks(v.urls[from:])
	v.repeated(v.spare, func(again mark) {
		v.broken(again.node, conBdl7, "two entries have the fullUrl '"+v.quote(again.node)+"' and the same version")
	})
	v.at.urls = span{from, int32(len(v.urls))}
}

// versionHash is 0 for a resource without version, or NoNode.
func (v *Validator) versionHash(resource fhir.NodeID) uint64 {
	if resource == fhir.NoNode {
		return 0
	}
	version := v.memberOfMeta(resource, elMetaVersion)
	if version == fhir.NoNode {
		return 0
	}
	return v.mark(version).hash
}

// fullURL checks that a fullUrl is absolute and agrees with the id of the resource,
// which may be NoNode (FHIR R4 2.36.4).
func (v *Validator) fullURL(url, resource fhir.NodeID) {
	text := v.text(url)
	if !isAbsolute(text) {
		v.value(url, "is no absolute URL; expected such as 'http://example.org/Patient/1' or a urn:uuid")
		return
	}
	if resource == fhir.NoNode || string(text[:4]) != "http" {
		return
	}
	_, typ, id := splitURL(text)
	found := v.nodes[resource].Type
	if typ == 0 || !found.IsResourceType() {
		return
	}
	v.buf2 = append(v.buf2[:0], id...)
	own := v.member(resource, "id")
	if typ != found || own != fhir.NoNode && string(v.buf2) != string(v.text(own)) {
		want := found.String()
		if own != fhir.NoNode {
			want += "/" + v.quote(own)
		}
		v.value(url, "does not agree with the resource; expected that it ends with %s", want)
	}
}
