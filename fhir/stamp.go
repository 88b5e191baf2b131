package fhir

import (
	"bytes"
	"strconv"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// # What is ours in a resource
//
// A stored resource is the received text but for meta.versionId and
// meta.lastUpdated, which the server sets (FHIR R4, 2.27.1). AppendStamped
// writes that text; AppendContent writes the received text without them, which
// is what the content hash covers. The two belong together: for every resource,
// AppendContent of what AppendStamped wrote gives what AppendContent of the
// original gave, so a resource that was exported and comes back is unchanged.
// Both expect a resource on one line; OneLine makes it so.

// OneLine turns line breaks into spaces, in place, in the text of a well-formed
// resource: there they can stand between tokens only (RFC 8259, section 7).
func OneLine(b []byte) {
	for i := bytes.IndexByte(b, '\n'); i >= 0; {
		b[i] = ' '
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			break
		}
		i += n
	}
}

var (
	metaVersionID   = r4.TypeMeta.ElementByName("versionId")
	metaLastUpdated = r4.TypeMeta.ElementByName("lastUpdated")
	idElements      = elementsNamed("id")
	metaElements    = elementsNamed("meta")
)

// elementsNamed gives, by TypeID, the element of that name of each resource type.
func elementsNamed(name string) []r4.ElementID {
	es := make([]r4.ElementID, r4.NumTypes())
	for _, t := range r4.ResourceTypes() {
		es[t] = t.ElementByName(name)
	}
	return es
}

// FormatInstant writes an instant as fhirlake stores it: UTC, milliseconds.
func FormatInstant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// AppendStamped appends the resource at root with meta.versionId and
// meta.lastUpdated as given and every other byte as received.
func AppendStamped(dst []byte, t *Tree, root NodeID, version uint32, updated string) []byte {
	nd := &t.Nodes[root]
	meta := t.Child(root, metaElements[nd.Type])
	switch {
	case meta != NoNode && t.Nodes[meta].Kind == KindObject:
		m := t.Nodes[meta]
		dst = append(dst, t.Data[nd.Start:m.Start+1]...)
		dst = appendVersion(dst, version, updated)
		for c := t.FirstChild(meta); c != NoNode; c = t.NextSibling(meta, c) {
			if !t.isVersion(c) {
				dst = append(dst, ',')
				dst = append(dst, t.member(c)...)
			}
		}
		dst = append(dst, '}')
		dst = append(dst, t.Data[m.End:nd.End]...)
	default:
		// After the id, where FHIR's own examples have it.
		at := nd.Start + 1
		before, after := "", ","
		if id := t.Child(root, idElements[nd.Type]); id != NoNode {
			at, before, after = t.Nodes[id].End+1, ",", ""
		}
		dst = append(dst, t.Data[nd.Start:at]...)
		dst = append(dst, before...)
		dst = append(dst, `"meta":{`...)
		dst = appendVersion(dst, version, updated)
		dst = append(dst, '}')
		dst = append(dst, after...)
		dst = append(dst, t.Data[at:nd.End]...)
	}
	return dst
}

func appendVersion(dst []byte, version uint32, updated string) []byte {
	dst = append(dst, `"versionId":"`...)
	dst = strconv.AppendUint(dst, uint64(version), 10)
	dst = append(dst, `","lastUpdated":"`...)
	dst = append(dst, updated...)
	return append(dst, '"')
}

// isVersion tells whether member c of meta is versionId or lastUpdated, be its
// value of the wrong kind: two members of one name must not come out.
func (t *Tree) isVersion(c NodeID) bool {
	n := &t.Nodes[c]
	if n.Flags&FlagUnknown != 0 {
		key := string(AppendUnescaped(nil, t.Key(c)))
		return key == "versionId" || key == "lastUpdated"
	}
	return (n.Element == metaVersionID || n.Element == metaLastUpdated) && n.Flags&FlagTwin == 0
}

// Content gives what AppendContent appends, without a copy where the text has it
// as it is: a resource of 170 MB is not copied to be hashed. The result aliases
// the tree's text or *buf, which is used again and again.
func Content(buf *[]byte, t *Tree, root NodeID) []byte {
	nd := &t.Nodes[root]
	if t.Child(root, metaElements[nd.Type]) == NoNode {
		return t.Data[nd.Start:nd.End]
	}
	*buf = AppendContent((*buf)[:0], t, root)
	return *buf
}

// AppendContent appends what the content hash of the resource at root covers:
// its text without meta, then each other member of meta.
func AppendContent(dst []byte, t *Tree, root NodeID) []byte {
	nd := &t.Nodes[root]
	meta := t.Child(root, metaElements[nd.Type])
	if meta == NoNode || t.Nodes[meta].Kind != KindObject {
		return append(dst, t.Data[nd.Start:nd.End]...)
	}
	from, to := t.memberStart(meta), t.Nodes[meta].End
	// The member goes with the comma before it, or the one after it when it is
	// the first.
	if i := lastNonSpace(t.Data[nd.Start:from]); t.Data[int(nd.Start)+i] == ',' {
		from = nd.Start + uint32(i)
	} else {
		for isSpace(t.Data[to]) {
			to++
		}
		if t.Data[to] == ',' {
			to++
		}
	}
	dst = append(dst, t.Data[nd.Start:from]...)
	dst = append(dst, t.Data[to:nd.End]...)
	for c := t.FirstChild(meta); c != NoNode; c = t.NextSibling(meta, c) {
		if !t.isVersion(c) {
			dst = append(dst, 0)
			dst = append(dst, t.member(c)...)
		}
	}
	return dst
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func lastNonSpace(b []byte) int {
	i := len(b) - 1
	for i > 0 && isSpace(b[i]) {
		i--
	}
	return i
}
