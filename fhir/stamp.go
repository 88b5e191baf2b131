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
// meta.lastUpdated, which the server sets (FHIR R4, 2.27.1), and it is shown with
// what is derived from it as extensions. AppendStamped writes the first, AppendExtended
// the second; AppendContent writes the received text without either, which is what
// the content hash covers. They belong together: for every valid resource,
// AppendContent of what the two wrote gives what AppendContent of the original gave,
// so a resource that was exported and comes back is unchanged. Both expect a resource on one line; OneLine makes it so.

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

	extensionElements = elementsNamed("extension")
	extensionURL      = r4.TypeExtension.ElementByName("url")
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

// Instants writes instants that mostly are the one before, as those of a batch are. It
// belongs to one goroutine; the zero value is ready.
type Instants struct {
	micros int64
	text   string
}

// Text gives the instant at UTC microseconds as [FormatInstant] writes it.
func (c *Instants) Text(micros int64) string {
	if c.text == "" || c.micros != micros {
		c.micros, c.text = micros, FormatInstant(time.UnixMicro(micros))
	}
	return c.text
}

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
	if meta, derived := t.ours(root); meta == NoNode && derived == NoNode {
		return t.Data[nd.Start:nd.End]
	}
	*buf = AppendContent((*buf)[:0], t, root)
	return *buf
}

// AppendContent appends what the content hash of the resource at root covers:
// its text without meta and without the extensions that show what is derived from
// it, then each other member of meta.
func AppendContent(dst []byte, t *Tree, root NodeID) []byte {
	nd := &t.Nodes[root]
	meta, derived := t.ours(root)
	cut := cutter{dst: dst, t: t, at: int(nd.Start)}
	if derived != NoNode && derived < meta {
		cut.derived(nd.Start, derived)
	}
	if meta != NoNode {
		cut.out(nd.Start, t.memberStart(meta), t.Nodes[meta].End)
	}
	if derived > meta {
		cut.derived(nd.Start, derived)
	}
	dst = append(cut.dst, t.Data[cut.at:nd.End]...)
	if meta == NoNode {
		return dst
	}
	for c := t.FirstChild(meta); c != NoNode; c = t.NextSibling(meta, c) {
		if !t.isVersion(c) {
			dst = append(dst, 0)
			dst = append(dst, t.member(c)...)
		}
	}
	return dst
}

// ours finds the two members of a resource that may have something of ours: meta,
// and extension if it has a derived one.
func (t *Tree) ours(root NodeID) (meta, derived NodeID) {
	meta, derived = NoNode, NoNode
	typ := t.Nodes[root].Type
	m, e := metaElements[typ], extensionElements[typ]
	end := t.Nodes[root].Next
	for c := uint32(root) + 1; c < end; c = t.Nodes[c].Next {
		switch nd := &t.Nodes[c]; {
		case nd.Element == 0 || nd.Flags&FlagTwin != 0:
		case nd.Element == m && nd.Kind == KindObject && meta == NoNode:
			meta = NodeID(c)
		case nd.Element == e && nd.Kind == KindArray && t.hasDerived(NodeID(c)):
			derived = NodeID(c)
		}
	}
	return meta, derived
}

func (t *Tree) hasDerived(extensions NodeID) bool {
	for x := t.FirstChild(extensions); x != NoNode; x = t.NextSibling(extensions, x) {
		if t.isDerived(x) {
			return true
		}
	}
	return false
}

// isDerived tells whether an Extension is one that shows what is derived.
func (t *Tree) isDerived(extension NodeID) bool {
	url := t.Child(extension, extensionURL)
	return url != NoNode && t.Nodes[url].Kind == KindString && IsDerivedURL(t.Raw(url))
}

// cutter copies text without some members and items, from left to right.
type cutter struct {
	dst []byte
	t   *Tree
	at  int // copied or left out up to here
}

// out leaves out a member or item with the comma before it, or the one after it when
// it is the first that stays. open is where its object or array begins.
func (c *cutter) out(open, from, to uint32) {
	data := c.t.Data
	start, end := int(from), int(to)
	if i := int(open) + lastNonSpace(data[open:from]); i >= c.at && data[i] == ',' {
		start = i
	} else if next := skipSpace(data, end); data[next] == ',' {
		end = next + 1
	} else {
		end = next
	}
	c.dst = append(c.dst, data[c.at:start]...)
	c.at = end
}

// derived leaves out the derived items of the member extensions of the object that
// begins at open: all of it when it has no other.
func (c *cutter) derived(open uint32, extensions NodeID) {
	t := c.t
	whole := true
	for x := t.FirstChild(extensions); x != NoNode; x = t.NextSibling(extensions, x) {
		whole = whole && t.isDerived(x)
	}
	if whole {
		c.out(open, t.memberStart(extensions), t.Nodes[extensions].End)
		return
	}
	for x := t.FirstChild(extensions); x != NoNode; x = t.NextSibling(extensions, x) {
		if nd := &t.Nodes[x]; t.isDerived(x) {
			c.out(t.Nodes[extensions].Start, nd.Start, nd.End)
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func lastNonSpace(b []byte) int {
	i := len(b) - 1
	for i > 0 && isSpace(b[i]) {
		i--
	}
	return i
}
