package gen_test

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/fhirlake/fhirlake/bench/gen"
)

// BenchmarkPatient is one core, without files.
func BenchmarkPatient(b *testing.B) {
	records := gen.NewRecords(1)
	var size, lines int64
	for n := range 200 {
		records.Patient(n, func(_ string, line []byte) { size += int64(len(line)); lines++ })
	}
	b.SetBytes(size / 200)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		records.Patient(n%200, func(string, []byte) {})
		n++
	}
	b.ReportMetric(float64(lines)/200*float64(n)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkGenerate is all cores, with files.
func BenchmarkGenerate(b *testing.B) {
	dir := b.TempDir()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		stats, err := gen.Generate(b.Context(), gen.Options{Patients: 400, Seed: 1, Out: filepath.Join(dir, strconv.Itoa(n))})
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(stats.Bytes)
		n++
	}
}
