package shred

import (
	"strconv"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
)

// builder makes the pieces of one resource type for one worker.
type builder struct {
	w      *worker
	layout *columnar.Layout
	name   []byte // of the type
	byNode map[*columnar.Node]*column

	data    []byte // of the batch
	nodes   []fhir.Node
	gen     uint32
	rows    int
	raw     int64
	leaves  int
	present []*column // of this piece; parents before children

	root, resourceType, id, meta, version, updated, overflow *column

	metaSeen bool    // in this record
	path     []frame // the containers around the current value
	over     []byte  // the overflow text of the current record
}

func newBuilder(w *worker, l *columnar.Layout) *builder {
	b := &builder{w: w, layout: l, name: []byte(l.Name), byNode: map[*columnar.Node]*column{}}
	b.root = b.columnOf(l.Root, nil)
	b.resourceType = b.columnOf(l.ResourceType, b.root)
	b.overflow = b.columnOf(l.Overflow, b.root)
	b.id = b.kid(b.root, l.ID.Element, false)
	b.meta = b.kid(b.root, l.Meta.Element, false)
	b.version = b.kid(b.meta, l.VersionID.Element, false)
	b.updated = b.kid(b.meta, l.LastUpdated.Element, false)
	return b
}

// start begins a piece.
func (b *builder) start(t *fhir.Tree) {
	b.data, b.nodes = t.Data, t.Nodes
	b.gen++
	b.raw, b.leaves, b.present = 0, 0, b.present[:0]
	for _, c := range []*column{b.root, b.resourceType, b.id, b.meta, b.version, b.updated} {
		b.begin(c)
	}
}

// text gives the bytes of a value.
func (b *builder) text(s span) []byte {
	if s.size&sideFlag != 0 {
		return b.w.side[s.off : s.off+s.size&^sideFlag]
	}
	return b.data[s.off : s.off+s.size]
}

// toSide keeps text that is no span of the batch.
func (b *builder) toSide(text []byte) span {
	off := uint32(len(b.w.side))
	b.w.side = append(b.w.side, text...)
	return span{off, uint32(len(text)) | sideFlag}
}

// record adds one row.
func (b *builder) record(r *pipeline.Record) {
	slot := b.rows
	b.rows++
	b.raw += int64(r.End - r.Start)
	b.metaSeen, b.over, b.path = false, b.over[:0], b.path[:0]
	b.root.def, b.root.rep = append(b.root.def, 0), append(b.root.rep, 0)
	b.set(b.resourceType, b.name)
	b.set(b.id, r.ID)
	b.meta.def = append(b.meta.def, b.meta.maxDef)
	var digits [10]byte
	var instant [24]byte
	b.set(b.version, strconv.AppendUint(digits[:0], uint64(r.Version), 10))
	b.set(b.updated, append(instant[:0], b.w.instants.Text(r.Updated)...))
	b.object(b.root, uint32(r.Root), slot)
	if len(b.over) > 0 {
		b.setOverflow(slot)
	}
}

// set adds a value that the record has apart from its text.
func (b *builder) set(c *column, text []byte) {
	c.def = append(c.def, c.maxDef)
	if len(c.index) > 0 && string(b.text(c.spans[c.last])) == string(text) {
		c.index = append(c.index, c.last)
		return
	}
	c.add(b, b.toSide(text), text)
}

// object shreds the members of object n into the children of group c.
func (b *builder) object(c *column, n uint32, slot int) {
	b.path = append(b.path, frame{node: n})
	end := b.nodes[n].Next
	for k := n + 1; k < end; k = b.nodes[k].Next {
		nd := &b.nodes[k]
		var kid *column
		if nd.Flags == 0 || nd.Flags == fhir.FlagEscaped {
			if i := int(nd.Element) - int(c.first); uint(i) < uint(len(c.kids)) {
				kid = c.kids[i]
			}
		}
		if kid == nil {
			if kid = b.newKid(c, nd); kid == nil {
				if c != b.root || nd.Element != r4.ElementResourceType {
					b.lose(k)
				}
				continue
			}
		}
		if !b.member(kid, n, k, slot) {
			b.lose(k)
		}
	}
	b.path = b.path[:len(b.path)-1]
}

// newKid finds the column of a member that is new to the group, or a twin.
func (b *builder) newKid(c *column, nd *fhir.Node) *column {
	if nd.Flags&fhir.FlagUnknown != 0 {
		return nil
	}
	return b.kid(c, nd.Element, nd.Flags&fhir.FlagTwin != 0)
}

// member shreds member k of object n into column c. False means that the column
// cannot take it: a wrong kind of value, a repeated key, an empty array or
// object (which FHIR does not have), no leaf left.
func (b *builder) member(c *column, n, k uint32, slot int) bool {
	if c.gen != b.gen && !b.begin(c) {
		return false
	}
	nd := &b.nodes[k]
	if c.list {
		return b.items(c, k, nd, slot)
	}
	if len(c.def) > slot {
		return b.again(c, k, nd, slot)
	}
	if c.role == columnar.RoleGroup {
		if nd.Kind != fhir.KindObject || k+1 == nd.Next {
			return false
		}
		c.catchUp(slot)
		c.def = append(c.def, c.maxDef)
		b.object(c, k, slot)
		return true
	}
	if c.role == columnar.RoleWhole {
		nd = &b.nodes[n]
	}
	s, ok := b.scalar(c, nd)
	if !ok {
		return false
	}
	c.catchUp(slot)
	c.def = append(c.def, c.maxDef)
	c.add(b, s, b.text(s))
	return true
}

// again is a member whose column has a value in this slot already: what the
// record itself sets, the JSON of an extension with several odd members, or a
// repeated key.
func (b *builder) again(c *column, k uint32, nd *fhir.Node, slot int) bool {
	switch {
	case c == b.meta && !b.metaSeen && nd.Kind == fhir.KindObject:
		b.metaSeen = true
		b.object(c, k, slot)
		return true
	case c == b.id || c == b.version || c == b.updated:
		return nd.Kind == fhir.KindString
	}
	return c.role == columnar.RoleWhole
}

// items shreds an array.
func (b *builder) items(c *column, k uint32, nd *fhir.Node, slot int) bool {
	if nd.Kind != fhir.KindArray || c.done > slot || k+1 == nd.Next {
		return false
	}
	c.catchUpList(slot)
	c.done = slot + 1
	rep := c.scope.rep[slot]
	b.path = append(b.path, frame{node: k, array: true})
	at := len(b.path) - 1
	for i := k + 1; i < nd.Next; i = b.nodes[i].Next {
		item := &b.nodes[i]
		c.def, c.rep = append(c.def, c.maxDef), append(c.rep, rep)
		rep = c.maxRep
		if c.role == columnar.RoleGroup && item.Kind == fhir.KindObject && i+1 < item.Next {
			b.object(c, i, len(c.def)-1)
		} else if s, ok := b.scalar(c, item); ok {
			c.add(b, s, b.text(s))
		} else {
			c.def[len(c.def)-1]--
			if item.Kind != fhir.KindNull {
				b.lose(i)
			}
		}
		b.path[at].item++
	}
	b.path = b.path[:at]
	return true
}

// scalar gives the value of a node for a leaf, if it is of the right kind.
func (b *builder) scalar(c *column, nd *fhir.Node) (span, bool) {
	s := span{nd.Start, nd.End - nd.Start}
	switch c.role {
	case columnar.RoleString, columnar.RoleTime, columnar.RoleReference:
		if nd.Kind != fhir.KindString {
			return s, false
		}
		if nd.Flags&fhir.FlagEscaped != 0 {
			off := uint32(len(b.w.side))
			b.w.side = fhir.AppendUnescaped(b.w.side, b.data[nd.Start:nd.End])
			s = span{off, (uint32(len(b.w.side)) - off) | sideFlag}
		}
		return s, true
	case columnar.RoleDecimal:
		return s, nd.Kind == fhir.KindNumber
	case columnar.RoleInteger:
		return s, nd.Kind == fhir.KindNumber && isInt32(b.data[nd.Start:nd.End])
	case columnar.RoleBoolean:
		return s, nd.Kind == fhir.KindTrue || nd.Kind == fhir.KindFalse
	case columnar.RoleJSON, columnar.RoleWhole:
		if nd.Kind == fhir.KindString {
			s = span{nd.Start - 1, nd.End - nd.Start + 2}
		}
		return s, true
	}
	return s, false
}

// isInt32 tells whether an INT32 gives the same text back.
func isInt32(s []byte) bool {
	if len(s) > 11 {
		return false
	}
	v, err := strconv.ParseInt(string(s), 10, 32)
	return err == nil && (v != 0 || len(s) == 1)
}
