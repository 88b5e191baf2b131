package r4

import "github.com/fhirlake/fhirlake/fhir/r4/internal/keyhash"

// CodeSet is the expansion of a value set: of each required binding that the
// official definitions can expand, and of small extensible ones. There is none
// for UCUM, currencies, MIME types, language tags and the like.
type CodeSet struct {
	URL     string   // canonical URL of the value set, without version
	Name    string   // its computer-friendly name: "AdministrativeGender"
	Codings []Coding // sorted by code, then system

	multiplier uint64
	shift      uint8
	slots      []uint16 // linear probing; 1 + index in Codings, 0 for empty; a power of two
}

// Coding is one code of a code system.
type Coding struct {
	System string
	Code   string
}

// CodeSetAt returns the code set with the given index. Index 0 is an empty set:
// an element whose Binding.CodeSet is 0 allows codes that are not known here.
// The caller must not change the set.
func CodeSetAt(i uint16) *CodeSet { return &codeSets[i] }

// NumCodeSets returns how many indices [CodeSetAt] has, the zero one included.
func NumCodeSets() int { return len(codeSets) }

// Contains tells whether the set has the code in any system. It does not allocate.
func (s *CodeSet) Contains(code []byte) bool {
	a, b := keyhash.Words(code)
	mask := len(s.slots) - 1
	for i := int(keyhash.Mix(a, b, len(code), s.multiplier) >> (s.shift & 63)); ; i++ {
		c := s.slots[i&mask]
		if c == 0 {
			return false
		}
		if s.Codings[c-1].Code == string(code) {
			return true
		}
	}
}

// ContainsCoding tells whether the set has the code in the given system. It does
// not allocate.
func (s *CodeSet) ContainsCoding(system, code []byte) bool {
	a, b := keyhash.Words(code)
	mask := len(s.slots) - 1
	for i := int(keyhash.Mix(a, b, len(code), s.multiplier) >> (s.shift & 63)); ; i++ {
		c := s.slots[i&mask]
		if c == 0 {
			return false
		}
		if d := &s.Codings[c-1]; d.Code == string(code) && d.System == string(system) {
			return true
		}
	}
}
