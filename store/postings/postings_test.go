package postings_test

import (
	"testing"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/store/postings"
)

func TestNumbersOfResourceTypesAreDifferent(t *testing.T) {
	seen := map[uint32]r4.TypeID{0: 0}
	for _, typ := range r4.ResourceTypes() {
		n := postings.TypeNumber(typ)
		if other, ok := seen[n]; ok {
			t.Errorf("%s and %s have the number %d", typ, other, n)
		}
		seen[n] = typ
	}
	if n := postings.TypeNumber(r4.TypePatient); n != 0x835043ec {
		t.Errorf("the number of Patient is %#x on disk, and would now be %#x", 0x835043ec, n)
	}
}

func TestHashesTellApartWhatDiffers(t *testing.T) {
	h, err := postings.NewHasher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	ref := func(s string) uint64 {
		target, base := h.Target(search.ReferenceOf([]byte(s)))
		return target ^ base // which is 0 for a relative one
	}
	seen := map[uint64]string{}
	for name, hash := range map[string]uint64{
		"no text":                h.Text(nil),
		"a code":                 h.Code([]byte("a"), false),
		"a folded code":          h.Code([]byte("a"), true),
		"a text":                 h.Words([]byte("a"), []byte("A"), false),
		"another exact form":     h.Words([]byte("a"), []byte("a"), false),
		"a later word":           h.Words([]byte("a"), nil, true),
		"the same, whole":        h.Words([]byte("a"), nil, false),
		"a resource":             ref("Patient/a"),
		"one of another type":    ref("Group/a"),
		"one of another server":  ref("http://example.org/Patient/a"),
		"a urn":                  ref("urn:uuid:0192f7a0-0000-7000-8000-000000000000"),
		"a canonical":            ref("http://example.org/vs"),
		"a text of an id":        h.Text([]byte("Patient/a")),
		"a search as reference":  ref("Practitioner?identifier=a"),
		"a resource of the base": h.Resource(r4.TypePatient, nil),
	} {
		if other, ok := seen[hash]; ok {
			t.Errorf("%s and %s hash alike", name, other)
		}
		seen[hash] = name
	}
	for _, same := range [][2]uint64{
		{h.Text([]byte("a")), h.Code([]byte("a"), false)},
		{ref("Patient/a/_history/3"), h.Resource(r4.TypePatient, []byte("a"))},
		{ref("http://example.org/vs|1"), h.Text([]byte("http://example.org/vs"))},
		{h.Text(nil), 0},
	} {
		if same[0] != same[1] {
			t.Errorf("%#x and %#x must be the same", same[0], same[1])
		}
	}
	if _, err := postings.NewHasher([]byte("short")); err == nil {
		t.Error("a short key was taken")
	}
}
