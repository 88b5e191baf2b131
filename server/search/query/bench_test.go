package query_test

import (
	"strings"
	"testing"
)

func BenchmarkParse(b *testing.B) {
	p := parser()
	for _, x := range []struct{ name, search string }{
		{"token", "Patient?gender=male&_count=50"},
		{"chain", "Observation?encounter:Encounter.subject:Patient.family=Balistreri607&date=ge2010&_sort=-date"},
		{"200 codes", "Observation?code=http://loinc.org|1" + strings.Repeat(",http://loinc.org|10230-1", 199)},
		{"all types", "?_tag=http://acme.org|x&_lastUpdated=gt2020"},
		{"10,000 values", "Patient?gender=m" + strings.Repeat(",m", 9_999)},
	} {
		b.Run(x.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(x.search)))
			for b.Loop() {
				if _, err := parse(p, x.search, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
