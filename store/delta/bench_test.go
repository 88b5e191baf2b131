package delta

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// observationOf is an entry of some 1 KB of JSON as REST clients send it.
func observationOf(r *rand.Rand, id string, number uint32) Entry {
	e := entry(observation, id, number, Create)
	e.JSON = fmt.Appendf(nil, `{"resourceType":"Observation","id":"%s","meta":{"versionId":"%d","lastUpdated":"2026-03-01T12:00:00.123Z"},`+
		`"identifier":[{"system":"urn:example:lab","value":"%016x"}],"status":"final","category":[{"coding":[{"system":`+
		`"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital signs"}]}],`+
		`"code":{"coding":[{"system":"http://loinc.org","code":"%d-%d","display":"A measured thing"}],"text":"A measured thing"},`+
		`"subject":{"reference":"Patient/%08x-%04x-4a1c-9d2e-%012x"},"encounter":{"reference":"Encounter/%08x-%04x-4b7e-8c11-%012x"},`+
		`"effectiveDateTime":"2026-02-%02dT%02d:15:00+01:00","issued":"2026-02-11T08:15:00.000+01:00","performer":[{"reference":"Practitioner/%08x"}],`+
		`"valueQuantity":{"value":%d.%d,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"},"note":[{"text":"%x"}]}`,
		id, number, r.Uint64(), r.IntN(90000), r.IntN(10), r.Uint32(), r.IntN(65536), r.Uint64()&0xffffffffffff, r.Uint32(), r.IntN(65536),
		r.Uint64()&0xffffffffffff, 1+r.IntN(28), r.IntN(24), r.Uint32(), r.IntN(200), r.IntN(10), randomBytes(r, 40))
	return e
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func uuid(r *rand.Rand) string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", r.Uint32(), r.IntN(65536), r.IntN(4096), r.IntN(4096), r.Uint64()&0xffffffffffff)
}

// BenchmarkCommit measures durable writes of one resource each by clients that wait
// for one another's fsync only.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			s := openStore(b, b.TempDir(), Options{Reserve: -1})
			var left atomic.Int64
			left.Store(int64(b.N))
			took := make([][]time.Duration, writers)
			var wg sync.WaitGroup
			b.SetBytes(1 << 10)
			b.ReportAllocs()
			b.ResetTimer()
			for w := range writers {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(uint64(w), 7))
					for left.Add(-1) >= 0 {
						e := []Entry{observationOf(r, uuid(r), 1)}
						start := time.Now()
						if err := s.Commit(e, nil); err != nil {
							b.Error(err)
							return
						}
						took[w] = append(took[w], time.Since(start))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			all := slices.Concat(took...)
			slices.Sort(all)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkCommitBesideBig measures small commits while 5 MB resources, the largest
// that REST takes, are committed.
func BenchmarkCommitBesideBig(b *testing.B) {
	s := openStore(b, b.TempDir(), Options{Reserve: -1})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		r := rand.New(rand.NewPCG(3, 3))
		large := entry(patient, "large", 1, Update)
		large.JSON = fmt.Appendf(nil, `{"resourceType":"Binary","data":"%x"}`, randomBytes(r, 5<<19))
		for n := uint32(1); ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			large.Number = n
			if err := s.Commit([]Entry{large}, nil); err != nil {
				b.Error(err)
				return
			}
		}
	})
	r := rand.New(rand.NewPCG(4, 4))
	var took []time.Duration
	for b.Loop() {
		e := []Entry{observationOf(r, uuid(r), 1)}
		start := time.Now()
		if err := s.Commit(e, nil); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	close(stop)
	wg.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(took[len(took)-1].Microseconds()), "max-µs")
}

// loaded is a folder with a closed store of n resources in one version each. Their
// ids are ids(0) to ids(n-1).
func loaded(b *testing.B, n int) (dir string, ids func(int) string) {
	b.Helper()
	dir = b.TempDir()
	s := openStore(b, dir, Options{Reserve: -1})
	ids = func(i int) string { return uuid(rand.New(rand.NewPCG(uint64(i), 9))) }
	r := rand.New(rand.NewPCG(1, 1))
	batch := make([]Entry, 0, 1000)
	for i := range n {
		batch = append(batch, observationOf(r, ids(i), 1))
		if len(batch) == cap(batch) || i == n-1 {
			if err := s.Commit(batch, nil); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	for s.Stats().Compacting > 0 {
		time.Sleep(10 * time.Millisecond)
	}
	b.Logf("%d entries: %+v", n, s.Stats())
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return dir, ids
}

func BenchmarkLatest(b *testing.B) {
	const n = 100_000
	dir, ids := loaded(b, n)
	s := openStore(b, dir, Options{Reserve: -1})
	fresh := rand.New(rand.NewPCG(2, 2))
	for i := range 1000 {
		commit(b, s, observationOf(fresh, fmt.Sprint("fresh-", i), 1))
	}
	known := make([]string, 4096)
	for i := range known {
		known[i] = ids(i * (n / len(known)))
	}
	for _, bb := range []struct {
		name string
		id   func(i int) string
		want bool
	}{
		{"in memory", func(i int) string { return freshIDs[i%1000] }, true},
		{"in tables", func(i int) string { return known[i%len(known)] }, true},
		{"missing", func(i int) string { return missingIDs[i%1000] }, false},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			i := 0
			for b.Loop() {
				e, ok, err := s.Latest(observation, bb.id(i), dst[:0])
				if err != nil || ok != bb.want {
					b.Fatal(ok, err)
				}
				if ok {
					dst = e.JSON
				}
				i++
			}
		})
	}
}

var freshIDs, missingIDs = func() (f, m []string) {
	r := rand.New(rand.NewPCG(5, 5))
	for i := range 1000 {
		f, m = append(f, fmt.Sprint("fresh-", i)), append(m, uuid(r))
	}
	return f, m
}()

// BenchmarkOpen measures the start of a store of a million entries (100,000 with
// -short) that was closed, and of one whose process ended without.
func BenchmarkOpen(b *testing.B) {
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	dir, ids := loaded(b, n)
	b.Run("closed", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(dir, Options{Reserve: -1})
			if err != nil {
				b.Fatal(err)
			}
			if _, ok, err := s.Latest(observation, ids(n/2), nil); !ok || err != nil {
				b.Fatal(ok, err)
			}
			b.StopTimer()
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	b.Run("not closed", func(b *testing.B) {
		s := openStore(b, dir, Options{Reserve: -1})
		r := rand.New(rand.NewPCG(6, 6))
		for range 10 { // some 10 MB of log
			batch := make([]Entry, 0, 1000)
			for range cap(batch) {
				batch = append(batch, observationOf(r, uuid(r), 1))
			}
			commit(b, s, batch...)
		}
		i := 0
		for b.Loop() {
			b.StopTimer()
			i++
			left := fmt.Sprintf("%s-%d", b.TempDir(), i)
			if err := s.Checkpoint(left); err != nil { // tables and log, as a kill leaves them
				b.Fatal(err)
			}
			b.StartTimer()
			c, err := Open(left, Options{Reserve: -1})
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := c.Close(); err != nil {
				b.Fatal(err)
			}
			os.RemoveAll(left)
			b.StartTimer()
		}
	})
}

// BenchmarkResources measures what compaction reads.
func BenchmarkResources(b *testing.B) {
	dir, _ := loaded(b, 100_000)
	s := openStore(b, dir, Options{Reserve: -1})
	v := snapshot(b, s)
	b.ReportAllocs()
	for b.Loop() {
		n, size := 0, 0
		for e, err := range v.Resources(0) {
			if err != nil {
				b.Fatal(err)
			}
			n++
			size += len(e.JSON)
		}
		if n != 100_000 {
			b.Fatal(n)
		}
		b.SetBytes(int64(size))
	}
}

func BenchmarkDrop(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		b.StopTimer()
		dir, _ := loaded(b, n)
		s := openStore(b, dir, Options{Reserve: -1})
		b.StartTimer()
		if err := s.Drop(context.Background(), n); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
