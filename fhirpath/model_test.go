package fhirpath_test

import (
	"testing"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhirpath"
)

// TestEveryInvariantOfR4Compiles: the names in the definitions are all resolved.
func TestEveryInvariantOfR4Compiles(t *testing.T) {
	check := func(at string, typ r4.TypeID, constraints []uint16) {
		for _, i := range constraints {
			c := r4.ConstraintAt(i)
			if reason := sloppyInvariants[c.Key]; reason != "" {
				continue
			}
			if _, err := fhirpath.Compile(c.Expression, fhirpath.Options{Type: typ, Strict: true}); err != nil {
				t.Errorf("%s %s: %s\n%v", at, c.Key, c.Expression, err)
			}
		}
	}
	for i := 1; i < r4.NumTypes(); i++ {
		typ := r4.TypeAt(r4.TypeID(i))
		check(typ.Name, r4.TypeID(i), typ.Constraints)
	}
	for i := 2; i < r4.NumElements(); i++ {
		e := r4.ElementAt(r4.ElementID(i))
		check(e.Path, e.Type, e.Constraints)
	}
	for key := range sloppyInvariants {
		if !knownInvariant(key) {
			t.Errorf("%s is no invariant of R4", key)
		}
	}
}

func knownInvariant(key string) bool {
	for i := 1; i < r4.NumConstraints(); i++ {
		if r4.ConstraintAt(uint16(i)).Key == key {
			return true
		}
	}
	return false
}

// sloppyInvariants name elements that their types do not have, so only the lenient
// mode takes them.
var sloppyInvariants = map[string]string{
	"cid-0": "asks for the name of a ChargeItemDefinition, which has none",
	"ras-1": "is about a Range, where the element may be a decimal too",
}

// TestEverySearchParameterOfR4Compiles, for each type that it is for.
func TestEverySearchParameterOfR4Compiles(t *testing.T) {
	for _, typ := range r4.ResourceTypes() {
		expressions := searchExpressions(typ)
		for _, x := range expressions {
			if _, err := fhirpath.Compile(x, fhirpath.Options{Type: typ, Strict: true, LenientAs: true}); err != nil {
				t.Errorf("%s: %s\n%v", typ, x, err)
			}
		}
		if _, err := fhirpath.CompileSet(expressions, fhirpath.Options{Type: typ, LenientAs: true}); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
}
