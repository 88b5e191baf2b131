package sql

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/lake"
)

// BenchmarkQuery asks over a snapshot of synthea-120 and some versions in the delta, three
// quarters of them of resources that the snapshot has:
//
//	first  after an idle time, when nothing is shredded
//	again  when nothing was written since
//	write  after one more write
//	open   of a state after one more write, without a query
func BenchmarkQuery(b *testing.B) {
	const query = `SELECT code.text AS c, count(*) AS n FROM Observation GROUP BY ALL ORDER BY n DESC LIMIT 5`
	for _, versions := range []int{0, 1_000, 100_000} {
		f := newFixture(b, nil)
		all := lines(b, "synthea-120")
		f.load(all...)
		n := 0
		change := func() lake.Write {
			n++
			line := all[n*7919%len(all)]
			if n%4 == 0 { // a new resource
				line = bytes.Replace(line, []byte(`"id":"`), fmt.Appendf(nil, `"id":"%d-`, n%1000), 1)
			}
			return f.write(fmt.Appendf(nil, `{"implicitRules":"urn:%d",%s`, n, line[1:]))
		}
		for n < versions {
			var batch []lake.Write
			seen := map[string]bool{}
			for range min(1000, versions-n) {
				if w := change(); !seen[w.Type.String()+w.ID] {
					seen[w.Type.String()+w.ID] = true
					batch = append(batch, w)
				}
			}
			f.commit(batch...)
		}
		ask := func(b *testing.B) {
			b.Helper()
			st, err := f.sql.State(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			defer st.Close()
			if _, err := st.Write(context.Background(), &bytes.Buffer{}, Query{Text: query, Format: duck.CSV}); err != nil {
				b.Fatal(err)
			}
		}
		for _, bb := range []struct {
			name   string
			before func()
			ask    func(*testing.B)
		}{
			{"first", f.sql.expire, ask},
			{"again", func() {}, ask},
			{"write", func() { f.commit(change()) }, ask},
			{"open", func() { f.commit(change()) }, func(*testing.B) { f.state().Close() }},
		} {
			b.Run(fmt.Sprintf("%dversions/%s", versions, bb.name), func(b *testing.B) {
				ask(b)
				for b.Loop() {
					b.StopTimer()
					bb.before()
					b.StartTimer()
					bb.ask(b)
				}
				st := f.state()
				defer st.Close()
				size := int64(0)
				for _, l := range st.image.layers {
					for i := range l.part.segments {
						size += l.part.segments[i].Columns.Bytes
					}
				}
				b.ReportMetric(float64(len(st.image.layers)), "parts")
				b.ReportMetric(float64(size)/1e6, "MB-parts")
			})
		}
	}
}
