package fhir

import "bytes"

// Key gives the key of an object's member as it stands in the text, escapes and
// all; for the twin of birthDate it is _birthDate. The tree does not hold keys, so
// it is read backwards from the value. It aliases Data.
func (t *Tree) Key(c NodeID) []byte {
	start, end := t.keySpan(c)
	return t.Data[start+1 : end]
}

// member gives the text of an object's member, from its key's quote to the end
// of its value.
func (t *Tree) member(c NodeID) []byte {
	end := t.Nodes[c].End
	if t.Nodes[c].Kind == KindString {
		end++
	}
	return t.Data[t.memberStart(c):end]
}

// memberStart finds the opening quote of the key of an object's member.
func (t *Tree) memberStart(c NodeID) uint32 {
	start, _ := t.keySpan(c)
	return uint32(start)
}

// keySpan finds the two quotes of a member's key: between the value and the second
// are a colon and white space alone, and the first is the nearest quote before it
// that an even number of backslashes precedes.
func (t *Tree) keySpan(c NodeID) (start, end int) {
	at := int(t.Nodes[c].Start)
	if t.Nodes[c].Kind == KindString {
		at--
	}
	end = bytes.LastIndexByte(t.Data[:at], '"')
	start = bytes.LastIndexByte(t.Data[:end], '"')
	for {
		slashes := 0
		for t.Data[start-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return start, end
		}
		start = bytes.LastIndexByte(t.Data[:start], '"')
	}
}
