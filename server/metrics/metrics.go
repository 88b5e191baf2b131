// Package metrics owns the metrics of the process and their names, as Prometheus reads
// them at /metrics: requests by interaction, the sizes of data stores, what imports have
// read, and the runtime's own. No label has anything of a resource.
//
// Read [Metrics] first.
package metrics

import (
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/httpd"
)

// seconds are the bounds of the latency histogram: a point read takes some 100 us, a
// durable write some ms, a page of a search may take seconds.
var seconds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// Metrics counts. It is safe for concurrent use.
type Metrics struct {
	registry       *prometheus.Registry
	requests       *prometheus.CounterVec
	duration       *prometheus.HistogramVec
	received, sent prometheus.Counter
	imports        imports
	compactions    compactions
}

// New makes the metrics of a process; all start at zero.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fhirlake_requests_total", Help: "Requests by interaction and HTTP status.",
		}, []string{"interaction", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fhirlake_request_duration_seconds", Help: "Time from the header of a request to the end of its answer.", Buckets: seconds,
		}, []string{"interaction"}),
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fhirlake_request_bytes_total", Help: "Bytes of the bodies of requests.",
		}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fhirlake_response_bytes_total", Help: "Bytes of the bodies of answers.",
		}),
		compactions: newCompactions(),
	}
	m.registry.MustRegister(m.requests, m.duration, m.received, m.sent, &m.imports,
		m.compactions.ended, m.compactions.folded, m.compactions.seconds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Register adds a collector of other figures, such as [Stores].
func (m *Metrics) Register(c prometheus.Collector) { m.registry.MustRegister(c) }

// Exchange counts a request that has ended. What the server says of itself does not
// count.
func (m *Metrics) Exchange(e httpd.Exchange) {
	if e.Interaction == "health" || e.Interaction == "metrics" {
		return
	}
	m.requests.WithLabelValues(e.Interaction, strconv.Itoa(e.Status)).Inc()
	m.duration.WithLabelValues(e.Interaction).Observe(e.Duration.Seconds())
	m.received.Add(float64(e.Received))
	m.sent.Add(float64(e.Sent))
}

// Import counts what a job reads, while it reads it, until ended is called.
func (m *Metrics) Import(job *pipeline.Monitor) (ended func()) { return m.imports.begin(job) }

// imports adds up jobs that have ended and those that run.
type imports struct {
	mu      sync.Mutex
	ended   pipeline.Figures // sums
	running []*pipeline.Monitor
}

func (i *imports) begin(job *pipeline.Monitor) (ended func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.running = append(i.running, job)
	return sync.OnceFunc(func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.running = slices.DeleteFunc(i.running, func(m *pipeline.Monitor) bool { return m == job })
		add(&i.ended, job.Figures())
	})
}

func add(sum *pipeline.Figures, f pipeline.Figures) {
	sum.Bytes += f.Bytes
	sum.Records += f.Records
	sum.Rejected += f.Rejected
}

var (
	importsRunning  = describe("fhirlake_imports_running", "Imports that run now.")
	importBytes     = describe("fhirlake_import_bytes_total", "Bytes of uncompressed input that imports have read.")
	importResources = describe("fhirlake_import_resources_total", "Resources that imports have read.")
	importRejected  = describe("fhirlake_import_rejected_total", "Resources that imports have rejected.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements [prometheus.Collector].
func (i *imports) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{importsRunning, importBytes, importResources, importRejected} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (i *imports) Collect(out chan<- prometheus.Metric) {
	i.mu.Lock()
	sum, running := i.ended, len(i.running)
	for _, job := range i.running {
		add(&sum, job.Figures())
	}
	i.mu.Unlock()
	out <- prometheus.MustNewConstMetric(importsRunning, prometheus.GaugeValue, float64(running))
	for _, c := range []struct {
		d *prometheus.Desc
		n int64
	}{{importBytes, sum.Bytes}, {importResources, sum.Records}, {importRejected, sum.Rejected}} {
		out <- prometheus.MustNewConstMetric(c.d, prometheus.CounterValue, float64(c.n))
	}
}
