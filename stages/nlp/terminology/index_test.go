package terminology_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

func condition(system terminology.System, code, text string, rank uint8) terminology.Term {
	return terminology.Term{
		System: system, Code: code, Preferred: "P " + code, Text: text, Rank: rank,
		Category: terminology.MedicalCondition, Type: terminology.DXName, Kind: terminology.Diagnosis,
	}
}

func small() []terminology.Term {
	terms := []terminology.Term{
		condition(terminology.ICD10CM, "J45", "asthma", 4),
		condition(terminology.ICD10CM, "J45.909", "Asthma", 1),
		condition(terminology.SNOMEDCT, "195967001", "asthma", 0),
		condition(terminology.ICD10CM, "J45.909", "asthmas", 0),
		{Text: "MS", Exact: true, Reviewed: true, Category: terminology.MedicalCondition, Type: terminology.DXName},
		{Text: "water", Category: terminology.Medication, Type: terminology.GenericName},
		{Text: "7", Category: terminology.Medication, Type: terminology.GenericName},
		{Text: "asthma", Code: "X", System: terminology.RxNorm, Category: terminology.Medication, Type: terminology.BrandName},
	}
	for i := range 8 {
		terms = append(terms, condition(terminology.ICD10CM, fmt.Sprintf("S%d", 9-i), "fracture", 2))
	}
	return terms
}

func lookup(x *terminology.Index, text string) string {
	e, n := x.Longest(token.Append(nil, []byte(text)))
	if e == 0 {
		return ""
	}
	out := fmt.Sprintf("%d %s %s %s exact=%v", n, x.Category(e), x.Type(e), x.Kind(e), x.Exact(e))
	for i := range x.Concepts(e) {
		c := x.Concept(e, i)
		out += fmt.Sprintf(" [%s %s %q %d]", c.System, c.Code, c.Description, c.Rank)
	}
	return out
}

func TestCompile(t *testing.T) {
	x := terminology.Compile(small())
	for _, c := range []struct{ name, text, want string }{
		{"concepts by rank, the best rank of each", "Asthma", `1 MEDICAL_CONDITION DX_NAME DIAGNOSIS exact=false [ICD-10-CM J45.909 "P J45.909" 0] [ICD-10-CM J45 "P J45" 4] [SNOMED CT 195967001 "P 195967001" 0]`},
		{"five of a system", "fracture", `1 MEDICAL_CONDITION DX_NAME DIAGNOSIS exact=false [ICD-10-CM S2 "P S2" 2] [ICD-10-CM S3 "P S3" 2] [ICD-10-CM S4 "P S4" 2] [ICD-10-CM S5 "P S5" 2] [ICD-10-CM S6 "P S6" 2]`},
		{"short form", "MS", "1 MEDICAL_CONDITION DX_NAME  exact=true"},
		{"everyday word", "water", ""},
		{"number", "7", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, lookup(x, c.text)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	x := terminology.Compile(small())
	file := x.Append(nil)
	again := terminology.Compile(small()).Append(nil)
	if !bytes.Equal(file, again) {
		t.Error("the same terms gave other bytes")
	}
	var written bytes.Buffer
	if n, err := x.WriteTo(&written); err != nil || n != int64(len(file)) || !bytes.Equal(file, written.Bytes()) {
		t.Errorf("WriteTo gave %d bytes, error %v; Append %d", n, err, len(file))
	}
	y, err := terminology.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if y.Version() != x.Version() || y.Len() != x.Len() {
		t.Errorf("version %s, %d entries; want %s, %d", y.Version(), y.Len(), x.Version(), x.Len())
	}
	for _, s := range []string{"asthma", "MS", "fractures"} {
		if d := cmp.Diff(lookup(x, s), lookup(y, s)); d != "" {
			t.Error(d)
		}
	}
	shifted := append(make([]byte, 1, len(file)+1), file...)[1:]
	if z, err := terminology.Load(shifted); err != nil || lookup(z, "asthma") != lookup(x, "asthma") {
		t.Errorf("a file at an odd address: %v", err)
	}
}

func TestLoadEmpty(t *testing.T) {
	x, err := terminology.Load(terminology.Compile(nil).Append(nil))
	if err != nil || lookup(x, "asthma") != "" {
		t.Errorf("error %v", err)
	}
}

// TestLoadChanged changes each byte of a file in turn.
func TestLoadChanged(t *testing.T) {
	file := terminology.Compile(small()).Append(nil)
	for i := range file {
		bad := slices.Clone(file)
		bad[i] ^= 0x10
		if _, err := terminology.Load(bad); !errors.Is(err, terminology.ErrFormat) {
			t.Fatalf("byte %d of %d changed: error %v, want ErrFormat", i, len(file), err)
		}
	}
	for n := range file {
		if _, err := terminology.Load(file[:n]); !errors.Is(err, terminology.ErrFormat) {
			t.Fatalf("cut at %d: error %v, want ErrFormat", n, err)
		}
	}
}

// TestRules holds what the kept terms of other versions of the program are compiled to.
func TestRules(t *testing.T) {
	terms := small()
	for _, s := range []string{"Sjögren's syndrome", "type-2 diabetes", "non–small cell carcinomas", "haemorrhage, acute", "vitamin B12", "T4", "COVID-19", "5 % dextrose"} {
		terms = append(terms, condition(terminology.SNOMEDCT, s, s, 3))
	}
	const want = "e4afc874-2080"
	if got := terminology.Compile(terms).Version(); got != want {
		t.Errorf("the index has version %s, and %s before: raise rules in compile.go, then change this test", got, want)
	}
}
