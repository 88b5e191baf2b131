package validate

import "hash/maphash"

// verdicts remembers what was found of short values that repeat: units, MIME
// types, languages. It has a fixed size; a newer value takes the place of an older
// one.
type verdicts struct {
	seed  maphash.Seed
	slots [256]verdict
}

type verdict struct {
	kind checkKind // checkNone: empty
	good bool
	n    uint8
	text [maxVerdict]byte
}

const maxVerdict = 29

// of gives what judge says of text, which is of the given kind.
func (s *verdicts) of(text []byte, kind checkKind, judge func([]byte) bool) bool {
	if len(text) > maxVerdict {
		return judge(text)
	}
	e := &s.slots[maphash.Bytes(s.seed, text)%uint64(len(s.slots))]
	if e.kind == kind && string(e.text[:e.n]) == string(text) {
		return e.good
	}
	*e = verdict{kind: kind, good: judge(text), n: uint8(len(text))}
	copy(e.text[:], text)
	return e.good
}
