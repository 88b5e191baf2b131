package bulk

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/blob/blobtest"
)

// filled puts files into a bucket and the same into a folder: small ones and a big one.
func filled(t *testing.T, s *blobtest.Server) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, lines []string) {
		text := strings.Join(lines, "\n") + "\n"
		s.Put(t, "lake", "in/"+name, []byte(text))
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 40 {
		put(fmt.Sprintf("small %d/Patient+%d.ndjson", i%3, i), []string{patient(fmt.Sprintf("s%d", i), "a"), patient(fmt.Sprintf("t%d", i), "b"), "no JSON"})
	}
	var lines []string
	for i := range 30_000 {
		lines = append(lines, patient(fmt.Sprintf("b%d", i), strings.Repeat("x", i%300)))
	}
	put("big.ndjson", lines)
	return dir
}

func TestAnImportFromABucketIsThatOfTheSameFiles(t *testing.T) {
	s := blobtest.Serve(t, "lake")
	dir := filled(t, s)
	local := newLake(t)
	want := counts(local.load(dir))
	for name, fault := range map[string]blobtest.Fault{
		"no fault": nil, "slow down": blobtest.Status(503, "SlowDown"), "dropped": blobtest.Drop, "too short": blobtest.Short(3000), "cut": blobtest.Cut(30),
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			p := blobtest.NewProxy(t, s, func(r *http.Request) blobtest.Fault {
				if r.URL.RawQuery == "" && n.Add(1)%5 == 0 {
					return fault
				}
				return nil
			})
			l := newLake(t)
			o := l.opts
			o.Blobs = blob.New(blobtest.Options(p.URL))
			res, err := l.try(o, "s3://lake/in")
			if err != nil {
				t.Fatal(err)
			}
			if got := counts(res); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if diff := cmp.Diff(local.current(), l.current()); diff != "" {
				t.Errorf("resources (-files +bucket):\n%s", diff)
			}
			if fault != nil && p.Faults.Load() == 0 {
				t.Error("there was no fault")
			}
		})
	}
}

func TestAnImportOfAnObjectThatChangesFails(t *testing.T) {
	s := blobtest.Serve(t, "lake")
	filled(t, s)
	var n atomic.Int64
	p := blobtest.NewProxy(t, s, func(r *http.Request) blobtest.Fault {
		if strings.HasSuffix(r.URL.Path, "big.ndjson") && n.Add(1) == 3 {
			s.Put(t, "lake", "in/big.ndjson", []byte(patient("other", "z")+"\n"))
		}
		return nil
	})
	l := newLake(t)
	o := l.opts
	o.Blobs = blob.New(blobtest.Options(p.URL))
	_, err := l.try(o, "s3://lake/in")
	if err == nil || !strings.Contains(err.Error(), "big.ndjson: the file changed while it was read") {
		t.Errorf("error: %v", err)
	}
	if got := l.current(); len(got) > 0 {
		t.Errorf("%d resources are visible", len(got))
	}
}

func TestAnExportIntoABucketIsThatIntoAFolder(t *testing.T) {
	s := blobtest.Serve(t, "lake")
	m := newModel(t, 5)
	for range 3 {
		m.load()
		for range 20 {
			m.write()
		}
	}
	_, dir := m.export(ExportOptions{Format: ExportNDJSON})
	var n atomic.Int64
	p := blobtest.NewProxy(t, s, func(r *http.Request) blobtest.Fault {
		if n.Add(1)%4 == 0 {
			return blobtest.Status(500, "InternalError")
		}
		return nil
	})
	out, err := blob.New(blobtest.Options(p.URL)).Output(context.Background(), blob.URI{Bucket: "lake", Key: "out"}, blob.OutputOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Export(context.Background(), ExportOptions{Lake: m.lake, Output: out, Format: ExportNDJSON}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(exported(t, dir), exported(t, filepath.Join(s.Dir, "lake", "out"))); diff != "" {
		t.Errorf("resources (-folder +bucket):\n%s", diff)
	}
}
