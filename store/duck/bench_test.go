package duck_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// BenchmarkOpen is a whole command: open, one query, close.
func BenchmarkOpen(b *testing.B) {
	for _, bb := range []struct {
		name         string
		types, files int
		query        string
	}{
		{"24types4files/count", 24, 4, `SELECT count(*) FROM Patient`},
		{"24types4files/filter", 24, 4, `SELECT id FROM Patient WHERE meta.versionId = 'x'`},
		{"24types4files/tables", 24, 4, `SHOW TABLES`},
		{"24types4files/empty", 24, 4, `SELECT count(*) FROM ExplanationOfBenefit`},
		{"1type500files/count", 1, 500, `SELECT count(*) FROM Patient`},
	} {
		b.Run(bb.name, func(b *testing.B) {
			l := newLake(b)
			names := []string{"Patient"}
			for _, id := range r4.ResourceTypes() {
				if n := id.String(); len(names) < bb.types && n != "Patient" && n != "ExplanationOfBenefit" {
					names = append(names, n)
				}
			}
			var all []segment
			for _, n := range names {
				for range bb.files {
					all = append(all, segment{n, fmt.Sprintf(`SELECT '%s' AS "resourceType", 'x' || i AS id, {'versionId': '1'} AS meta FROM range(1000) t(i)`, n)})
				}
			}
			l.publish(nil, all...)
			for b.Loop() {
				run(b, l, bb.query)
			}
		})
	}
}

func run(b *testing.B, l *lake, query string) {
	m, release, err := l.store.Current()
	if err != nil {
		b.Fatal(err)
	}
	defer release()
	runManifest(b, l.store, m, query)
}

func runManifest(b *testing.B, s *snapshot.Store, m *snapshot.Manifest, query string) {
	d, err := duck.Open(context.Background(), duck.Options{Store: s, Manifest: m, Threads: 2})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Write(context.Background(), &bytes.Buffer{}, query, duck.CSV, 0); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAllowedPaths opens a sandbox that names many files and reads none.
func BenchmarkAllowedPaths(b *testing.B) {
	for _, n := range []int{0, 100, 5000, 50000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := newLake(b)
			m := &snapshot.Manifest{}
			for i := range n {
				id := fmt.Sprintf("0192f7a0-0000-7000-8000-%012d", i)
				m.Segments = append(m.Segments, snapshot.Segment{
					Ordinal: uint32(i), ID: id, ResourceType: "Patient", Rows: 1, Current: 1,
					Columns: snapshot.File{Path: "files/Patient/" + id + ".parquet"},
				})
			}
			for b.Loop() {
				runManifest(b, l.store, m, `SELECT 1`)
			}
		})
	}
}

// BenchmarkSuperseded reads 4 million rows of which a share is superseded.
func BenchmarkSuperseded(b *testing.B) {
	for _, bb := range []struct {
		name  string
		every uint32
	}{{"none", 0}, {"1in1000", 1000}, {"1in2", 2}} {
		b.Run(bb.name, func(b *testing.B) {
			l := newLake(b)
			l.publish(nil, segment{"Patient", `SELECT 'Patient' AS "resourceType", 'x' || i AS id, i % 1000 AS v FROM range(4000000) t(i)`})
			if bb.every > 0 {
				var rows []uint32
				for i := uint32(0); i < 4000000; i += bb.every {
					rows = append(rows, i)
				}
				l.publish(map[uint32][]uint32{0: rows})
			}
			d := l.open(nil)
			for b.Loop() {
				if _, err := d.Write(context.Background(), &bytes.Buffer{}, `SELECT sum(v) FROM Patient`, duck.CSV, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
