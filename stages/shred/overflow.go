package shred

import (
	"strconv"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// frame is one container around the value that is being shredded.
type frame struct {
	node  uint32
	item  int32 // of an array: the item that is being shredded
	array bool
}

// lose puts a value that no column can take into the record's overflow text:
// an object whose keys are paths from the resource, name[0].given for example,
// and whose values are the JSON text as received.
func (b *builder) lose(k uint32) {
	if len(b.over) == 0 {
		b.over = append(b.over, '{', '"')
	} else {
		b.over = append(b.over, ',', '"')
	}
	start := len(b.over)
	for i := range b.path {
		f := &b.path[i]
		if f.array {
			b.over = append(b.over, '[')
			b.over = strconv.AppendInt(b.over, int64(f.item), 10)
			b.over = append(b.over, ']')
		}
		if next := b.inside(i, k); next != 0 {
			if len(b.over) > start {
				b.over = append(b.over, '.')
			}
			b.over = b.appendKey(b.over, next)
		}
	}
	b.over = append(b.over, '"', ':')
	nd := &b.nodes[k]
	from, to := nd.Start, nd.End
	if nd.Kind == fhir.KindString {
		from, to = from-1, to+1
	}
	b.over = append(b.over, b.data[from:to]...)
}

// inside gives the member of container i of the path that leads to k, or 0 when
// the container is an array.
func (b *builder) inside(i int, k uint32) uint32 {
	switch {
	case b.path[i].array:
		return 0
	case i+1 < len(b.path):
		return b.path[i+1].node
	}
	return k
}

// appendKey appends the key of member k as it stands in the text. The tree does
// not hold it, so it is read backwards from the value.
func (b *builder) appendKey(dst []byte, k uint32) []byte {
	nd := &b.nodes[k]
	if nd.Flags&fhir.FlagUnknown == 0 && nd.Element != 0 {
		if nd.Flags&fhir.FlagTwin != 0 {
			dst = append(dst, '_')
		}
		return append(dst, r4.ElementAt(nd.Element).Name...)
	}
	end := int(nd.Start) - 1
	if nd.Kind == fhir.KindString {
		end--
	}
	for end > 0 && b.data[end] != ':' {
		end--
	}
	for end > 0 && b.data[end] != '"' {
		end--
	}
	start := end - 1
	for start > 0 && !b.opensKey(start) {
		start--
	}
	if start <= 0 {
		return dst
	}
	return append(dst, b.data[start+1:end]...)
}

// opensKey tells whether the byte at i is a quote that no backslash escapes.
func (b *builder) opensKey(i int) bool {
	if b.data[i] != '"' {
		return false
	}
	slashes := 0
	for i--; i >= 0 && b.data[i] == '\\'; i-- {
		slashes++
	}
	return slashes%2 == 0
}

// setOverflow writes the text of the record that ends.
func (b *builder) setOverflow(slot int) {
	b.over = append(b.over, '}')
	c := b.overflow
	if c.gen != b.gen {
		b.begin(c)
	}
	c.catchUp(slot)
	c.def = append(c.def, c.maxDef)
	c.add(b, b.toSide(b.over), b.over)
}
