package metrics_test

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/server/httpd"
	"github.com/fhirlake/fhirlake/server/metrics"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
)

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func expect(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(text, "\n"+l+"\n") {
			t.Errorf("there is no %s in\n%s", l, text)
		}
	}
}

func TestExchanges(t *testing.T) {
	m := metrics.New()
	for range 3 {
		m.Exchange(httpd.Exchange{Interaction: "read", Type: "Patient", Status: 200, Duration: 300 * time.Microsecond, Sent: 1000})
	}
	m.Exchange(httpd.Exchange{Interaction: "create", Status: 507, Duration: time.Minute, Received: 7})
	m.Exchange(httpd.Exchange{Interaction: "health", Status: 200})
	text := scrape(t, m)
	expect(t, text,
		`fhirlake_requests_total{interaction="read",status="200"} 3`,
		`fhirlake_requests_total{interaction="create",status="507"} 1`,
		`fhirlake_request_duration_seconds_bucket{interaction="read",le="0.00025"} 0`,
		`fhirlake_request_duration_seconds_bucket{interaction="read",le="0.0005"} 3`,
		`fhirlake_request_duration_seconds_bucket{interaction="create",le="10"} 0`,
		`fhirlake_request_duration_seconds_bucket{interaction="create",le="+Inf"} 1`,
		`fhirlake_request_bytes_total 7`,
		`fhirlake_response_bytes_total 3000`)
	for _, no := range []string{"health", "Patient"} {
		if strings.Contains(text, no) {
			t.Errorf("%s is in the metrics", no)
		}
	}
}

// source gives a batch, waits, and ends.
type source struct{ wait chan bool }

func (s *source) Next(_ context.Context, b *pipeline.Batch) error {
	if _, waiting := <-s.wait; !waiting {
		return io.EOF
	}
	b.Data = append(b.Data, "{}\n"...)
	b.Records = append(b.Records, pipeline.Record{Start: 0, End: 2})
	return nil
}

func (*source) Close() error { return nil }

func TestImportsAddUp(t *testing.T) {
	m := metrics.New()
	expect(t, scrape(t, m), "fhirlake_imports_running 0", "fhirlake_import_resources_total 0")
	for job := range 2 {
		src := &source{make(chan bool, 2)}
		src.wait <- true
		src.wait <- true
		monitor := &pipeline.Monitor{}
		ended := m.Import(monitor)
		expect(t, scrape(t, m), "fhirlake_imports_running 1")
		close(src.wait)
		if _, err := pipeline.Run(t.Context(), pipeline.Config{Source: src, Monitor: monitor}); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		running := scrape(t, m)
		ended()
		ended()
		want := []string{"fhirlake_import_resources_total 2", "fhirlake_import_resources_total 4"}[job]
		expect(t, running, want)
		expect(t, scrape(t, m), want, "fhirlake_imports_running 0")
	}
}

func TestCompactionsAddUp(t *testing.T) {
	m := metrics.New()
	m.Compaction(2*time.Second, 10, nil)
	m.Compaction(time.Second, 0, errors.New("disk full"))
	m.Compaction(time.Second, 5, nil)
	expect(t, scrape(t, m),
		`fhirlake_compactions_total{result="ok"} 2`,
		`fhirlake_compactions_total{result="failed"} 1`,
		"fhirlake_compaction_folded_versions_total 15",
		"fhirlake_compaction_seconds_total 4")
}

func TestStores(t *testing.T) {
	r, err := root.Open(t.TempDir(), root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c, err := catalog.Open(r, catalog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Use("default")
	if err != nil {
		t.Fatal(err)
	}
	set := datastores.New(r, c, lake.Options{})
	defer set.Close()
	m := metrics.New()
	m.Register(metrics.NewStores(set))
	if text := scrape(t, m); strings.Contains(text, d.ID) {
		t.Errorf("a data store that is not open has figures:\n%s", text)
	}
	if _, err := set.Lake(d.ID); err != nil {
		t.Fatal(err)
	}
	expect(t, scrape(t, m),
		`fhirlake_datastore_delta_versions{datastore="`+d.ID+`"} 0`,
		`fhirlake_datastore_read_only{datastore="`+d.ID+`"} 0`,
		`fhirlake_datastore_snapshot_number{datastore="`+d.ID+`"} 0`)
}

func BenchmarkExchange(b *testing.B) {
	m := metrics.New()
	e := httpd.Exchange{Interaction: "read", Type: "Patient", Status: 200, Duration: 300 * time.Microsecond, Sent: 1000}
	b.ReportAllocs()
	for b.Loop() {
		m.Exchange(e)
	}
}
