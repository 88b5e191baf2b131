package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// compactions count what compactions did.
type compactions struct {
	ended           *prometheus.CounterVec
	folded, seconds prometheus.Counter
}

func newCompactions() compactions {
	return compactions{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fhirlake_compactions_total", Help: "Compactions that have ended, by result: ok or failed.",
		}, []string{"result"}),
		folded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fhirlake_compaction_folded_versions_total", Help: "Versions that compactions moved from the delta store into the snapshot.",
		}),
		seconds: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fhirlake_compaction_seconds_total", Help: "Time that compactions took.",
		}),
	}
}

// Compaction counts a compaction that has ended.
func (m *Metrics) Compaction(took time.Duration, folded int64, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.compactions.ended.WithLabelValues(result).Inc()
	m.compactions.folded.Add(float64(folded))
	m.compactions.seconds.Add(took.Seconds())
}
