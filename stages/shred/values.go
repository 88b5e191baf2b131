package shred

import (
	"bytes"
	"hash/maphash"
)

// span is a value: bytes of the batch's text, or of the worker's side buffer.
type span struct {
	off  uint32
	size uint32 // and sideFlag
}

const sideFlag = 1 << 31

// values are the values of one leaf in one piece: the different ones and, for
// each value, which it is. A leaf whose values hardly repeat is plain: it keeps
// every value and looks none up. When that is found depends on the values
// alone, so that the same batch gives the same piece (invariant 1).
type values struct {
	plain  bool
	spans  []span
	index  []uint32
	next   []uint32 // by position in spans: what came after it the last time
	hashes []uint32
	table  []uint32 // open addressing: 1 + position in spans, 0 is free
	bytes  int      // sum of the sizes of spans
	last   uint32   // index of the last value
}

const (
	minTable = 16
	// A leaf is tried for plain when it has so many values, and again each time
	// that the number has doubled.
	plainFrom = 256
)

// seed is fixed for the process: it decides where a value sits in a table, and
// nothing that comes out depends on that.
var seed = maphash.MakeSeed()

func (v *values) reset() {
	room := minTable
	for room < 2*len(v.hashes) {
		room *= 2
	}
	v.plain, v.bytes, v.last = false, 0, 0
	v.spans, v.index, v.hashes, v.next = v.spans[:0], v.index[:0], v.hashes[:0], v.next[:0]
	if cap(v.table) < room {
		v.table = make([]uint32, room)
		return
	}
	v.table = v.table[:room]
	clear(v.table)
}

// count is the number of values so far.
func (v *values) count() int {
	if v.plain {
		return len(v.spans)
	}
	return len(v.index)
}

// add takes one value, whose bytes are text.
func (v *values) add(b *builder, s span, text []byte) {
	if v.plain {
		v.spans = append(v.spans, s)
		v.bytes += len(text)
		return
	}
	if len(v.index) > 0 {
		// Values come in patterns: the same system again, the same run of codes
		// in every claim. So the first guess is what came after the last value
		// the time before, and most guesses are right without a hash.
		guess := v.next[v.last]
		if g := v.spans[guess]; g.size&^sideFlag == uint32(len(text)) && string(b.text(g)) == string(text) {
			v.last = guess
			v.index = append(v.index, guess)
			return
		}
		i := v.find(b, s, text)
		v.next[v.last] = i
		v.last = i
	} else {
		v.last = v.find(b, s, text)
	}
	v.index = append(v.index, v.last)
	if n := len(v.index); n >= plainFrom && n&(n-1) == 0 && 4*len(v.spans) > 3*n {
		v.toPlain()
	}
}

// find gives the position of a value among the different ones, adding it when
// it is new.
func (v *values) find(b *builder, s span, text []byte) uint32 {
	h := uint32(maphash.Bytes(seed, text))
	mask := uint32(len(v.table) - 1)
	at := h & mask
	for ; v.table[at] != 0; at = (at + 1) & mask {
		i := v.table[at] - 1
		if v.hashes[i] == h && bytes.Equal(b.text(v.spans[i]), text) {
			return i
		}
	}
	i := uint32(len(v.spans))
	v.spans = append(v.spans, s)
	v.next = append(v.next, i)
	v.hashes = append(v.hashes, h)
	v.bytes += len(text)
	v.table[at] = i + 1
	if 2*len(v.spans) > len(v.table) {
		v.rehash()
	}
	return i
}

func (v *values) rehash() {
	n := 4 * len(v.table)
	if cap(v.table) < n {
		v.table = make([]uint32, n)
	} else {
		v.table = v.table[:n]
		clear(v.table)
	}
	mask := uint32(n - 1)
	for i, h := range v.hashes {
		at := h & mask
		for v.table[at] != 0 {
			at = (at + 1) & mask
		}
		v.table[at] = uint32(i) + 1
	}
}

// toPlain writes the values so far one by one.
func (v *values) toPlain() {
	all := make([]span, len(v.index), 4*len(v.index))
	v.bytes = 0
	for i, x := range v.index {
		all[i] = v.spans[x]
		v.bytes += int(all[i].size &^ sideFlag)
	}
	v.spans, v.index, v.plain = append(v.spans[:0], all...), v.index[:0], true
	v.hashes = v.hashes[:0]
}
