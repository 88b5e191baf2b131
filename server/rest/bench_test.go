package rest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fhirlake/fhirlake/server/rest"
)

// discard is an answer that nobody reads.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

// patient is a resource of some 1.5 KB.
func patient(id string) string {
	name := `{"use":"official","family":"Shanahan","given":["Ann","Marie"],"prefix":["Mrs."],"period":{"start":"1990-01-01"}}`
	names := strings.TrimSuffix(strings.Repeat(name+",", 12), ",")
	return fmt.Sprintf(`{"resourceType":"Patient","id":"%s","active":true,"name":[%s],"gender":"female","birthDate":"1970-03-02"}`, id, names)
}

func benchmark(b *testing.B, method, path, body string, want int) {
	s := newServer(b, nil)
	if w := s.do(b, "PUT", "/Patient/p", patient("p")); w.Code != 201 {
		b.Fatal(w.Body)
	}
	b.SetBytes(int64(len(patient("p"))))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		text := strings.NewReader(body)
		r := httptest.NewRequest(method, "/datastore/ds/r4"+path, text)
		w := &discard{header: http.Header{}}
		for pb.Next() {
			text.Reset(body)
			r.Body, r.ContentLength = io.NopCloser(text), int64(len(body))
			clear(w.header)
			if s.handler.ServeHTTP(w, r); w.status != want {
				b.Fatalf("status %d", w.status)
			}
		}
	})
}

func BenchmarkRead(b *testing.B)         { benchmark(b, "GET", "/Patient/p", "", 200) }
func BenchmarkReadElements(b *testing.B) { benchmark(b, "GET", "/Patient/p?_elements=name", "", 200) }
func BenchmarkCreate(b *testing.B)       { benchmark(b, "POST", "/Patient", patient("x"), 201) }

func BenchmarkValidate(b *testing.B) {
	benchmark(b, "POST", "/Patient/$validate", patient("x"), 200)
}

func BenchmarkTransactionOfTwo(b *testing.B) {
	entry := `{"resource":` + patient("x") + `,"request":{"method":"POST","url":"Patient"}}`
	benchmark(b, "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[`+entry+`,`+entry+`]}`, 200)
}

func BenchmarkSearch(b *testing.B) { benchmark(b, "GET", "/Patient?gender=female&_count=20", "", 200) }

// BenchmarkConditionalCreate creates resources each of which has criteria of its own, in
// a data store that has those of the runs before in its delta.
func BenchmarkConditionalCreate(b *testing.B) {
	s := newServer(b, func(o *rest.Options) { o.NewID = nil })
	var number atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := number.Add(1)
			r := httptest.NewRequest("POST", "/datastore/ds/r4/Patient", strings.NewReader(fmt.Sprintf(`{"resourceType":"Patient","identifier":[{"value":"%d"}]}`, n)))
			r.Header.Set("If-None-Exist", fmt.Sprintf("identifier=%d", n))
			w := &discard{header: http.Header{}}
			if s.handler.ServeHTTP(w, r); w.status != 201 {
				b.Fatalf("status %d", w.status)
			}
		}
	})
}
