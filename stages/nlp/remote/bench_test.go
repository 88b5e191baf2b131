package remote_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/fhirlake/fhirlake/stages/nlp/remote"
)

// BenchmarkAppend is what our side costs: notes of 2 kB, three operations, a service on this machine that
// answers at once. It includes the service's side of HTTP.
func BenchmarkAppend(b *testing.B) {
	text := bytes.Repeat([]byte("Pat. hat Kopfweh; asthma, aspirin 81 mg. "), 50)
	answers := map[string][]byte{}
	for _, op := range remote.Operations() {
		answers["ComprehendMedical_20181030."+op] = answer(op, string(text))
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Write(answers[r.Header.Get("X-Amz-Target")])
	}))
	defer s.Close()
	for _, unsigned := range []bool{false, true} {
		b.Run(fmt.Sprintf("unsigned=%v", unsigned), func(b *testing.B) {
			c, err := remote.New(remote.Options{Endpoint: s.URL, Unsigned: unsigned, Credentials: credentials.NewStaticV4("AKIA", "secret", "")})
			if err != nil {
				b.Fatal(err)
			}
			r, err := c.NewReader()
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				if dst, err = r.Append(context.Background(), dst[:0], text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
