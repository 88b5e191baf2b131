package lake

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// observation is some 1.4 KB that does not repeat too well.
func observation(id string, updated string, rng *rand.Rand) string {
	b := fmt.Sprintf(`{"resourceType":"Observation","id":"%s","meta":{"versionId":"1","lastUpdated":"%s"},"status":"final"`, id, updated)
	for i := range 8 {
		b += fmt.Sprintf(`,"component%d":[{"code":{"coding":[{"system":"http://loinc.org","code":"%d-%d"}]},"valueQuantity":{"value":%d.%d,"unit":"mm[Hg]"}}]`,
			i, rng.IntN(90000), rng.IntN(10), rng.IntN(300), rng.IntN(1000))
	}
	return b + `}`
}

func uuid(n int) string {
	return fmt.Sprintf("%08x-89ab-4cde-8f01-%012x", n*2654435761>>3&0xffffffff, n)
}

// filled gives a lake whose snapshot has n resources of one import.
func filled(b *testing.B, n int, o Options) *Lake {
	b.Helper()
	dir, c := b.TempDir(), newClock()
	l := openLake(b, dir, c)
	rng := rand.New(rand.NewPCG(1, 2))
	y := newLayer(b, l, &snapshot.Manifest{})
	y.frame = 128 << 10
	at := c.now()
	rows := make([]row, n)
	for i := range rows {
		id := uuid(i)
		rows[i] = row{typ: r4.TypeObservation, id: id, json: observation(id, fhir.FormatInstant(at), rng), version: delta.Version{
			Number: 1, Updated: at.UnixMicro(), Content: 7, Key: l.Key(r4.TypeObservation, id), Method: delta.Update,
		}}
	}
	y.add(rows)
	f, entries := y.index("1")
	if _, err := l.Snapshot().Publish(y.builder, snapshot.PublishOptions{Now: at, IDs: f, Entries: entries, KeepVersions: true}); err != nil {
		b.Fatal(err)
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	o.Secret, o.Now = secret, c.now
	l, err := Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return l
}

// percentiles reports the median and the 99th percentile of f.
func percentiles(b *testing.B, f func()) {
	var all []time.Duration
	for b.Loop() {
		start := time.Now()
		f()
		all = append(all, time.Since(start))
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1e3, "p50-us")
	b.ReportMetric(float64(all[len(all)*99/100].Nanoseconds())/1e3, "p99-us")
	b.ReportAllocs()
}

func BenchmarkRead(b *testing.B) {
	const n = 200_000
	l := filled(b, n, Options{FrameCache: 8 << 20}) // one frame in 35 fits
	var buf []byte
	read := func(i int) {
		r, err := l.Read(r4.TypeObservation, uuid(i), buf[:0])
		if err != nil {
			b.Fatal(err)
		}
		buf = r.JSON
	}
	rng := rand.New(rand.NewPCG(3, 4))
	b.Run("snapshot", func(b *testing.B) { percentiles(b, func() { read(rng.IntN(n)) }) })
	b.Run("snapshot, a cached frame", func(b *testing.B) { percentiles(b, func() { read(rng.IntN(100)) }) })
	b.Run("absent", func(b *testing.B) {
		percentiles(b, func() {
			if _, err := l.Read(r4.TypeObservation, "not-there", buf[:0]); err == nil {
				b.Fatal("found")
			}
		})
	})
	for i := range 2000 {
		w := Write{Type: r4.TypeObservation, ID: uuid(i), Content: 8, Method: delta.Update}
		text := observation(w.ID, "2026-01-02T03:04:05.000Z", rng)
		w.Stamp = func(dst []byte, _ uint32, _ string) []byte { return append(dst, text...) }
		if _, err := l.Commit(context.Background(), []Write{w}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("delta", func(b *testing.B) { percentiles(b, func() { read(rng.IntN(2000)) }) })
}

// BenchmarkHistoryPage reads pages of a history whose versions all have one time.
func BenchmarkHistoryPage(b *testing.B) {
	l := filled(b, 200_000, Options{FrameCache: 8 << 20}) // one frame in 35 fits
	q := HistoryQuery{Type: r4.TypeObservation}
	percentiles(b, func() {
		next, _, err := l.History(q, func(*Resource) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
		q.After = next
	})
}

func BenchmarkCommit(b *testing.B) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			l, err := Open(b.TempDir(), Options{Secret: secret})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			text := observation("x", "2026-01-02T03:04:05.000Z", rand.New(rand.NewPCG(5, 6)))
			b.SetParallelism(clients / 2) // of 2 processors
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					w := Write{Type: r4.TypeObservation, ID: uuid(int(rand.Int64N(1 << 40))), Content: 8, Method: delta.Create}
					w.Stamp = func(dst []byte, _ uint32, _ string) []byte { return append(dst, text...) }
					if _, err := l.Commit(context.Background(), []Write{w}); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}
