package search

import (
	"testing"

	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/ucum"
)

func BenchmarkFolded(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"ascii", "Body mass index (BMI) [Ratio]"},
		{"accents", "Carreño Quiñones"},
	} {
		b.Run(c.name, func(b *testing.B) {
			text, dst := []byte(c.text), make([]byte, 0, 64)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = AppendFolded(dst[:0], text)
			}
		})
	}
}

// BenchmarkUnit converts to the base unit, beside what decimals of any size take.
func BenchmarkUnit(b *testing.B) {
	value := []byte("120.17462987345678")
	for _, code := range []string{"kg/m2", "mm[Hg]", "mmol/L", "Cel"} {
		b.Run(code, func(b *testing.B) {
			u, ok := UnitOf([]byte(code))
			if !ok {
				b.Fatal("no unit")
			}
			b.ReportAllocs()
			for b.Loop() {
				u.Interval(value)
			}
		})
		b.Run(code+"/decimal", func(b *testing.B) {
			u, _ := ucum.Parse([]byte(code))
			b.ReportAllocs()
			for b.Loop() {
				d, _ := decimal.Parse(value)
				d, _ = u.Canonical(d)
				d.Float64()
			}
		})
	}
}

func BenchmarkReferenceOf(b *testing.B) {
	text := []byte("Patient/0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0")
	b.ReportAllocs()
	for b.Loop() {
		ReferenceOf(text)
	}
}
