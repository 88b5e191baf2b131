//go:build slow && unix

package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// madeUp is an S3 service whose objects are made while they are read: lines of one length, each
// a Patient, numbered through all objects. It keeps nothing.
type madeUp struct {
	objects int
	lines   int64 // of an object
}

const madeUpLine = 2000

// line gives a line of an object.
func (m *madeUp) line(object int, n int64) string {
	text := fmt.Sprintf(`{"resourceType":"Patient","id":"pat-%d-%d","gender":"female","birthDate":"1970-01-01","name":[{"family":"`, object, n)
	const end = `"}]}` + "\n"
	return text + strings.Repeat("abcdefghij", madeUpLine/10)[:madeUpLine-len(text)-len(end)] + end
}

func (m *madeUp) size() int64 { return m.lines * madeUpLine }

func (m *madeUp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var object int
	if _, err := fmt.Sscanf(r.URL.Path, "/made-up/in/%06d.ndjson", &object); err != nil {
		m.list(w, r)
		return
	}
	w.Header().Set("ETag", `"x"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC), &madeUpReader{m: m, object: object})
}

// list answers a page of the list of objects.
func (m *madeUp) list(w http.ResponseWriter, r *http.Request) {
	type object struct{ Key, ETag, LastModified, Size string }
	var page struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		NextContinuationToken string
		Contents              []object
	}
	from := 0
	if q := r.URL.Query(); q.Has("continuation-token") {
		fmt.Sscan(q.Get("continuation-token"), &from)
	}
	for i := from; i < min(from+1000, m.objects); i++ {
		page.Contents = append(page.Contents, object{fmt.Sprintf("in/%06d.ndjson", i), `"x"`, "2026-01-05T12:00:00.000Z", fmt.Sprint(m.size())})
	}
	if from+1000 < m.objects {
		page.IsTruncated, page.NextContinuationToken = true, fmt.Sprint(from+1000)
	}
	xml.NewEncoder(w).Encode(page) // a client that has gone misses it
}

// madeUpReader reads an object at any place.
type madeUpReader struct {
	m      *madeUp
	object int
	at     int64
	text   string // the line that at is in
	n      int64  // its number, from 1
}

func (r *madeUpReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if r.at >= r.m.size() {
			return n, io.EOF
		}
		if line := r.at/madeUpLine + 1; line != r.n {
			r.text, r.n = r.m.line(r.object, line-1), line
		}
		m := copy(p[n:], r.text[r.at%madeUpLine:])
		n, r.at = n+m, r.at+int64(m)
	}
	return n, nil
}

func (r *madeUpReader) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += r.at
	case io.SeekEnd:
		off += r.m.size()
	}
	r.at = off
	return off, nil
}

// TestSoakS3 imports twenty thousand objects of one resource, and one object of three gigabytes, of a
// service that keeps nothing: the memory is bounded.
func TestSoakS3(t *testing.T) {
	for name, m := range map[string]*madeUp{
		"many small objects": {objects: 20_000, lines: 1},
		"one big object":     {objects: 1, lines: 3_000_000_000 / madeUpLine},
	} {
		t.Run(name, func(t *testing.T) {
			service := httptest.NewServer(m)
			defer service.Close()
			r := newTestRoot(t)
			c := r.command("import", "--json", "s3://made-up/in")
			c.Env = append(os.Environ(), "AWS_ENDPOINT_URL_S3="+service.URL, "AWS_REGION=us-east-1",
				"AWS_ACCESS_KEY_ID=k", "AWS_SECRET_ACCESS_KEY=s", "AWS_SESSION_TOKEN=")
			s := r.figures(c)
			expectBounded(t, name, s)
			want := int64(m.objects) * m.lines
			if s.Imported != want || s.Bytes != want*madeUpLine || s.Files != int64(m.objects) {
				t.Errorf("imported %d resources of %d bytes in %d files, want %d of %d in %d", s.Imported, s.Bytes, s.Files, want, want*madeUpLine, m.objects)
			}
			n := r.run("sql", "--format", "csv", `SELECT count(*) AS n, max(meta.versionId::INT) AS v FROM "Patient"`)
			if want := fmt.Sprintf("n,v\n%d,1\n", want); string(n) != want {
				t.Errorf("SQL counts %s, want %s", n, want)
			}
			r.expectSound(true)
		})
	}
}
