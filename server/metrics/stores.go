package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/store/lake"
)

// Stores are the sizes of the open data stores of a set, read at each scrape.
type Stores struct{ set *datastores.Set }

// NewStores makes the collector of a set.
func NewStores(set *datastores.Set) *Stores { return &Stores{set} }

// storeFigure is one gauge of a data store.
type storeFigure struct {
	desc *prometheus.Desc
	of   func(s *sizes) float64
}

// sizes are what the figures are made of.
type sizes struct {
	deltaEntries, deltaDisk, deltaLog, deltaMemory uint64
	readOnly                                       bool
	number, rows, current, bytes                   int64
	segments, layers                               int
}

var storeFigures = []storeFigure{
	storeGauge("delta_versions", "Versions in the delta store.", func(s *sizes) float64 { return float64(s.deltaEntries) }),
	storeGauge("delta_bytes", "Bytes of the delta store on disk.", func(s *sizes) float64 { return float64(s.deltaDisk) }),
	storeGauge("delta_log_bytes", "Bytes of the delta store's log that are in no table yet.", func(s *sizes) float64 { return float64(s.deltaLog) }),
	storeGauge("delta_memory_bytes", "Bytes of memory that the delta store's tables and cache take.", func(s *sizes) float64 { return float64(s.deltaMemory) }),
	storeGauge("read_only", "1 when the data store takes no writes until the process is started again.", func(s *sizes) float64 {
		if s.readOnly {
			return 1
		}
		return 0
	}),
	storeGauge("snapshot_number", "Number of the snapshot.", func(s *sizes) float64 { return float64(s.number) }),
	storeGauge("snapshot_bytes", "Bytes of the columnar and resources files of the snapshot.", func(s *sizes) float64 { return float64(s.bytes) }),
	storeGauge("snapshot_versions", "Versions in the snapshot.", func(s *sizes) float64 { return float64(s.rows) }),
	storeGauge("snapshot_resources", "Versions in the snapshot that no later one of it supersedes.", func(s *sizes) float64 { return float64(s.current) }),
	storeGauge("snapshot_segments", "Segments of the snapshot.", func(s *sizes) float64 { return float64(s.segments) }),
	storeGauge("snapshot_layers", "Layers of the snapshot.", func(s *sizes) float64 { return float64(s.layers) }),
}

func storeGauge(name, help string, of func(*sizes) float64) storeFigure {
	return storeFigure{describe("fhirlake_datastore_"+name, help, "datastore"), of}
}

// Describe implements [prometheus.Collector].
func (*Stores) Describe(out chan<- *prometheus.Desc) {
	for _, f := range storeFigures {
		out <- f.desc
	}
}

// Collect implements [prometheus.Collector]. A data store that cannot say its size is
// an error of the scrape.
func (c *Stores) Collect(out chan<- prometheus.Metric) {
	c.set.Each(func(id string, l *lake.Lake) {
		s, err := sizesOf(l)
		for _, f := range storeFigures {
			if err != nil {
				out <- prometheus.NewInvalidMetric(f.desc, err)
				continue
			}
			out <- prometheus.MustNewConstMetric(f.desc, prometheus.GaugeValue, f.of(s), id)
		}
	})
}

func sizesOf(l *lake.Lake) (*sizes, error) {
	d := l.Delta().Stats()
	s := &sizes{
		deltaEntries: d.Entries, deltaDisk: d.Disk, deltaLog: d.Log, deltaMemory: d.Memory,
		readOnly: d.Failure != nil,
	}
	m, release, err := l.Snapshot().Current()
	if err != nil {
		return nil, err
	}
	defer release()
	s.number, s.segments, s.layers = m.Number, len(m.Segments), len(m.Layers)
	for i := range m.Segments {
		seg := &m.Segments[i]
		s.rows += seg.Rows
		s.current += seg.Current
		s.bytes += seg.Columns.Bytes + seg.Resources.Bytes
	}
	return s, nil
}
