package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/blob/blobtest"
)

func uri(t *testing.T, s string) blob.URI {
	t.Helper()
	u, err := blob.ParseURI(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestURIs(t *testing.T) {
	for _, tc := range []struct{ text, bucket, key, fault string }{
		{text: "s3://lake", bucket: "lake"},
		{text: "s3://lake/", bucket: "lake"},
		{text: "S3://lake/a/b/", bucket: "lake", key: "a/b"},
		{text: "s3://lake/a b/ü+%20?#&.ndjson", bucket: "lake", key: "a b/ü+%20?#&.ndjson"},
		{text: "s3://", fault: `names the bucket ""`},
		{text: "s3:///key", fault: `names the bucket ""`},
		{text: "s3://Lake/x", fault: `names the bucket "Lake"`},
		{text: "s3://a..b/x", fault: `names the bucket "a..b"`},
		{text: "https://lake/x", fault: "is no place in a bucket"},
	} {
		u, err := blob.ParseURI(tc.text)
		if tc.fault != "" {
			if err == nil || !strings.Contains(err.Error(), tc.fault) {
				t.Errorf("%s: %v, want %s", tc.text, err, tc.fault)
			}
			continue
		}
		if err != nil || u.Bucket != tc.bucket || u.Key != tc.key {
			t.Errorf("%s: %+v, %v", tc.text, u, err)
		}
	}
}

// random is text that does not repeat.
func random(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n)})
	rng.Read(b)
	return b
}

func listed(t *testing.T, c *blob.Client, place string) map[string]int64 {
	t.Helper()
	all, err := c.List(context.Background(), uri(t, place))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]int64{}
	last := ""
	for _, o := range all {
		names[o.Name] = o.Size
		if o.URI.Key < last {
			t.Errorf("%s comes after %s", o.URI.Key, last)
		}
		last = o.URI.Key
	}
	return names
}

// TestListing is the same for a bucket of a service and one that is a folder.
func TestListing(t *testing.T) {
	s := blobtest.Serve(t, "lake")
	for key, n := range map[string]int{
		"data/Patient.ndjson": 5, "data/deep/er/Observation.ndjson": 7, "data2/Patient.ndjson": 9, "odd/a b+c%20&ü'(1).ndjson": 3,
	} {
		s.Put(t, "lake", key, random(n))
	}
	o := blobtest.Options(s.URL)
	folder := o
	folder.Folders = map[string]string{"lake": filepath.Join(s.Dir, "lake")}
	for name, c := range map[string]*blob.Client{"service": blob.New(o), "folder": blob.New(folder)} {
		t.Run(name, func(t *testing.T) {
			for place, want := range map[string]map[string]int64{
				"s3://lake/data":                      {"Patient.ndjson": 5, "deep/er/Observation.ndjson": 7},
				"s3://lake/data/":                     {"Patient.ndjson": 5, "deep/er/Observation.ndjson": 7},
				"s3://lake/data/Patient.ndjson":       {"": 5},
				"s3://lake/dat":                       {},
				"s3://lake/none/x":                    {},
				"s3://lake/odd":                       {"a b+c%20&ü'(1).ndjson": 3},
				"s3://lake/odd/a b+c%20&ü'(1).ndjson": {"": 3},
				"s3://lake": {
					"data/Patient.ndjson": 5, "data/deep/er/Observation.ndjson": 7, "data2/Patient.ndjson": 9, "odd/a b+c%20&ü'(1).ndjson": 3,
				},
			} {
				if diff := cmp.Diff(want, listed(t, c, place)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", place, diff)
				}
			}
		})
	}
	c := blob.New(folder)
	if _, err := c.List(context.Background(), blob.URI{Bucket: "lake", Key: "../other"}); err == nil || !strings.Contains(err.Error(), "leads out") {
		t.Errorf("a key that leads out of the folder: %v", err)
	}
}

// read reads an object in both ways, and compares.
func read(t *testing.T, c *blob.Client, o blob.Object, want []byte) {
	t.Helper()
	r := c.Open(context.Background(), o)
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes of %d, the same: %v; %v", o.URI, len(got), len(want), bytes.Equal(got, want), err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	got = make([]byte, len(want))
	var wg sync.WaitGroup
	const step = 300_000
	for from := 0; from < len(want); from += step {
		wg.Go(func() {
			part := got[from:min(from+step, len(want))]
			if n, err := r.ReadAt(part, int64(from)); n != len(part) || err != nil {
				t.Errorf("%s: read at %d: %d bytes of %d, %v", o.URI, from, n, len(part), err)
			}
		})
	}
	wg.Wait()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: what is read in parts is something else", o.URI)
	}
	if n, err := r.ReadAt(make([]byte, 9), o.Size-4); len(want) > 4 && (n != 4 || err != io.EOF) {
		t.Errorf("%s: beyond its end: %d, %v", o.URI, n, err)
	}
}

// write writes an object and publishes it.
func write(t *testing.T, c *blob.Client, place, name string, content []byte) error {
	t.Helper()
	out, err := c.Output(context.Background(), uri(t, place), blob.OutputOptions{})
	if err != nil {
		return err
	}
	defer func() {
		if err := out.Discard(); err != nil {
			t.Errorf("discard: %v", err)
		}
	}()
	f, err := out.Create(name)
	if err != nil {
		return err
	}
	for rest := content; len(rest) > 0; {
		n := min(len(rest), 777_777)
		if _, err := f.Write(rest[:n]); err != nil {
			f.Abort()
			return err
		}
		rest = rest[n:]
	}
	if err := f.Close(); err != nil {
		return err
	}
	if all := listed(t, c, place); len(all) > 0 {
		t.Errorf("seen before Publish: %v", all)
	}
	return out.Publish()
}

var sizes = []int{0, 1, 5<<20 - 1, 5 << 20, 5<<20 + 1, 17<<20 + 3}

func TestWhatIsWrittenIsRead(t *testing.T) {
	s := blobtest.Serve(t, "lake")
	c := blob.New(blobtest.Options(s.URL))
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			content := random(n)
			place := fmt.Sprintf("s3://lake/out %d", n)
			if err := write(t, c, place, "a b/ü+1.ndjson", content); err != nil {
				t.Fatal(err)
			}
			all, err := c.List(context.Background(), uri(t, place))
			if err != nil || len(all) != 1 || all[0].Name != "a b/ü+1.ndjson" {
				t.Fatalf("there is %+v, %v", all, err)
			}
			read(t, c, all[0], content)
			var full *blob.NotEmptyError
			if err := write(t, c, place, "x", nil); !errors.As(err, &full) {
				t.Errorf("a place with something in it: %v", err)
			}
		})
	}
}

func TestFaultsOfTheServiceDoNotShow(t *testing.T) {
	s := blobtest.Serve(t, "lake")
	content := random(7 << 20)
	s.Put(t, "lake", "in/data", content)
	for name, fault := range map[string]blobtest.Fault{
		"500":        blobtest.Status(500, "InternalError"),
		"503":        blobtest.Status(503, "SlowDown"),
		"dropped":    blobtest.Drop,
		"lost":       blobtest.Lose,
		"cut at 0":   blobtest.Cut(0),
		"cut":        blobtest.Cut(100_000),
		"too short":  blobtest.Short(70_000),
		"stalled":    blobtest.Stall(50_000),
		"never said": func(_ *blobtest.Proxy, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			p := blobtest.NewProxy(t, s, func(r *http.Request) blobtest.Fault {
				switch name {
				case "cut at 0", "cut", "too short":
					// Of what is asked for in parts: the list of a bucket has a length too.
					if r.Method != http.MethodGet || r.URL.RawQuery != "" {
						return nil
					}
				case "stalled", "never said":
					if r.Method == http.MethodPost { // a service may think for minutes
						return nil
					}
				}
				if n.Add(1)%3 == 1 {
					return fault
				}
				return nil
			})
			c := blob.New(blobtest.Options(p.URL))
			all, err := c.List(context.Background(), uri(t, "s3://lake/in"))
			if err != nil || len(all) != 1 {
				t.Fatalf("there is %+v, %v", all, err)
			}
			read(t, c, all[0], content)
			place := "s3://lake/out-" + strings.ReplaceAll(name, " ", "-")
			if err := write(t, c, place, "data", content); err != nil {
				t.Fatal(err)
			}
			if got := s.Get(t, "lake", uri(t, place).Key+"/data"); !bytes.Equal(got, content) {
				t.Errorf("%d bytes were written, of %d", len(got), len(content))
			}
			if p.Faults.Load() == 0 {
				t.Error("there was no fault")
			}
		})
	}
}

func TestAServiceThatOnlyFailsIsGivenUp(t *testing.T) {
	s := blobtest.Serve(t, "lake")
	s.Put(t, "lake", "in/data", random(1000))
	for name, tc := range map[string]struct {
		fault blobtest.Fault
		want  string
	}{
		"slow down": {blobtest.Status(503, "SlowDown"), "s3://lake/in/data: read: the service says SlowDown (503); the service is overloaded; start again later"},
		"denied":    {blobtest.Status(403, "AccessDenied"), "read: access is denied; the credentials need"},
		"expired":   {blobtest.Status(400, "ExpiredToken"), "the credentials are no longer valid; get new ones and start again"},
		"stalled":   {blobtest.Stall(0), "s3://lake/in/data: read: the service does not answer, or stops in the middle; see"},
		"dropped":   {blobtest.Drop, "see that the endpoint is right and can be reached"},
		"gone":      {blobtest.Status(404, "NoSuchKey"), blob.ErrChanged.Error()},
		"changed":   {blobtest.Status(412, "PreconditionFailed"), blob.ErrChanged.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var on atomic.Bool
			p := blobtest.NewProxy(t, s, func(*http.Request) blobtest.Fault {
				if on.Load() {
					return tc.fault
				}
				return nil
			})
			o := blobtest.Options(p.URL)
			o.Attempts = 2
			c := blob.New(o)
			all, err := c.List(context.Background(), uri(t, "s3://lake/in"))
			if err != nil {
				t.Fatal(err)
			}
			on.Store(true)
			_, err = io.ReadAll(c.Open(context.Background(), all[0]))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error: %v, want %s", err, tc.want)
			}
		})
	}
}

// Services over a file system list what others have put there without an ETag.
func TestAnObjectWithoutAnETagIsRead(t *testing.T) {
	s := blobtest.Serve(t, "lake")
	content := random(2 << 20)
	if err := os.WriteFile(filepath.Join(s.Dir, "lake", "file"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	c := blob.New(blobtest.Options(s.URL))
	all, err := c.List(context.Background(), uri(t, "s3://lake"))
	if err != nil || len(all) != 1 || all[0].ETag != "" {
		t.Fatalf("there is %+v, %v; want one object without an ETag", all, err)
	}
	read(t, c, all[0], content)
}

func TestAnObjectThatIsWrittenAgainIsNotMixed(t *testing.T) {
	s := blobtest.Serve(t, "lake")
	c := blob.New(blobtest.Options(s.URL))
	if err := write(t, c, "s3://lake/one", "data", random(6<<20)); err != nil {
		t.Fatal(err)
	}
	all, err := c.List(context.Background(), uri(t, "s3://lake/one"))
	if err != nil {
		t.Fatal(err)
	}
	r := c.Open(context.Background(), all[0])
	if _, err := r.ReadAt(make([]byte, 10), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(s.Dir, "lake", "one")); err != nil {
		t.Fatal(err)
	}
	if err := write(t, c, "s3://lake/one", "data", random(6<<20+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAt(make([]byte, 10), 10); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("error: %v", err)
	}
}

func TestWhatIsDiscardedLeavesNoPart(t *testing.T) {
	s := blobtest.Serve(t, "lake")
	var aborted atomic.Int64
	p := blobtest.NewProxy(t, s, func(r *http.Request) blobtest.Fault {
		if r.Method == http.MethodDelete && r.URL.Query().Has("uploadId") {
			aborted.Add(1)
		}
		return nil
	})
	c := blob.New(blobtest.Options(p.URL))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, err := c.Output(ctx, uri(t, "s3://lake/out"), blob.OutputOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		f, err := out.Create(fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(random(6 << 20)); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			err = f.Close()
		} else {
			cancel() // the second never ends
			err = f.Abort()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(out.Discard(), out.Discard()); err != nil {
		t.Fatal(err)
	}
	if n := aborted.Load(); n != 2 {
		t.Errorf("%d uploads were taken back, want 2", n)
	}
	if all := listed(t, c, "s3://lake/out"); len(all) > 0 {
		t.Errorf("there is %v", all)
	}
}

// TestReplace checks that what an earlier run of a job has left goes, and nothing else.
func TestReplace(t *testing.T) {
	s := blobtest.Serve(t, "lake")
	service := blobtest.Options(s.URL)
	folder := service
	folder.Folders = map[string]string{"lake": t.TempDir()}
	for name, o := range map[string]blob.Options{"service": service, "folder": folder} {
		t.Run(name, func(t *testing.T) {
			c := blob.New(o)
			for place, file := range map[string]string{"s3://lake/jobs/1": "Patient/Patient-1", "s3://lake/jobs/10": "Patient/Patient-1"} {
				if err := write(t, c, place, file, []byte("old")); err != nil {
					t.Fatal(err)
				}
			}
			ctx, at := context.Background(), uri(t, "s3://lake/jobs/1")
			lost, err := c.Output(ctx, at, blob.OutputOptions{Replace: true})
			if err != nil {
				t.Fatal(err)
			}
			f, err := lost.Create("Lost/part") // the process dies here
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			out, err := c.Output(ctx, at, blob.OutputOptions{Replace: true})
			if err != nil {
				t.Fatal(err)
			}
			if f, err = out.Create("Patient/Patient-2"); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write([]byte("newer")); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(f.Close(), out.Publish(), out.Discard()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]int64{"1/Patient/Patient-2": 5, "10/Patient/Patient-1": 3}, listed(t, c, "s3://lake/jobs")); diff != "" {
				t.Errorf("there is (-want +got):\n%s", diff)
			}
			if name == "service" {
				expectNoUploads(t, s)
			}
		})
	}
}

// expectNoUploads demands that no parts of objects are left in the bucket.
func expectNoUploads(t *testing.T, s *blobtest.Server) {
	t.Helper()
	c, err := minio.New(strings.TrimPrefix(s.URL, "http://"), &minio.Options{Creds: blobtest.Options("").Credentials, Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	for u := range c.ListIncompleteUploads(t.Context(), "lake", "", true) {
		t.Errorf("an upload is left: %s, %v", u.Key, u.Err)
	}
}

// TestPublishIsAllOrNothing checks that objects are seen in the order of Create, those in folders first, and
// none when one of them cannot be.
func TestPublishIsAllOrNothing(t *testing.T) {
	s := blobtest.Serve(t, "lake")
	var (
		mu     sync.Mutex
		order  []string
		refuse bool
	)
	p := blobtest.NewProxy(t, s, func(r *http.Request) blobtest.Fault {
		if r.Method != http.MethodPost || !r.URL.Query().Has("uploadId") {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		order = append(order, path.Base(r.URL.Path))
		if refuse && len(order) == 4 {
			return blobtest.Status(403, "AccessDenied")
		}
		return nil
	})
	c := blob.New(blobtest.Options(p.URL))
	names := []string{"z", "b", "Manifest", "a", "folder/c"}
	publish := func() error {
		out, err := c.Output(context.Background(), uri(t, "s3://lake/out"), blob.OutputOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			f, err := out.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		err = out.Publish()
		if err := out.Discard(); err != nil {
			t.Error(err)
		}
		return err
	}
	refuse = true
	if err := publish(); err == nil || !strings.Contains(err.Error(), "s3://lake/out/Manifest: write: access is denied") {
		t.Errorf("refused: %v", err)
	}
	if diff := cmp.Diff(map[string]int64{}, listed(t, c, "s3://lake/out")); diff != "" {
		t.Errorf("after a refusal there is (-want +got):\n%s", diff)
	}
	expectNoUploads(t, s)
	mu.Lock()
	refuse, order = false, nil
	mu.Unlock()
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"c", "z", "b", "Manifest", "a"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// together counts the requests that are there at the same time, and holds each until several are.
type together struct {
	mu         sync.Mutex
	now, most  int
	all, until int
	met        chan struct{} // closed when so many as until were there
}

func newTogether(until int) *together { return &together{until: until, met: make(chan struct{})} }

// held holds the request, and gives the fault that hands it on.
func (g *together) held(p *blobtest.Proxy, w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.now, g.all = g.now+1, g.all+1
	g.most = max(g.most, g.now)
	if g.now == g.until {
		close(g.met)
		g.until = -1
	}
	g.mu.Unlock()
	select {
	case <-g.met:
	case <-r.Context().Done():
	}
	p.Forward(w, r)
	g.mu.Lock()
	g.now--
	g.mu.Unlock()
}

func (g *together) expect(t *testing.T, what string, all, limit int) {
	t.Helper()
	if g.all != all || g.most > limit {
		t.Errorf("%s: %d requests, %d at a time; want %d, %d at most", what, g.all, g.most, all, limit)
	}
}

// TestManySmallObjects checks that what is asked of a service for each object is asked for
// several at a time, and for no more than that. One at a time, the held requests would fail.
func TestManySmallObjects(t *testing.T) {
	const n = 40
	s := blobtest.Serve(t, "lake")
	completes, aborts := newTogether(4), newTogether(4)
	p := blobtest.NewProxy(t, s, func(r *http.Request) blobtest.Fault {
		switch {
		case !r.URL.Query().Has("uploadId"):
		case r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/part/"):
			return completes.held
		case r.Method == http.MethodDelete:
			return aborts.held
		}
		return nil
	})
	c := blob.New(blobtest.Options(p.URL))
	created := func(place string) blob.Output {
		out, err := c.Output(context.Background(), uri(t, place), blob.OutputOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			f, err := out.Create(fmt.Sprintf("part/%d", i))
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	if err := created("s3://lake/published").Publish(); err != nil {
		t.Fatal(err)
	}
	completes.expect(t, "published", n, 16)
	if all := listed(t, c, "s3://lake/published"); len(all) != n {
		t.Errorf("%d objects, want %d", len(all), n)
	}
	if err := created("s3://lake/discarded").Discard(); err != nil {
		t.Fatal(err)
	}
	aborts.expect(t, "discarded", n, 16)
	expectNoUploads(t, s)
}

// TestDiscardSaysThatSomethingIsLeft checks the words, which stand beside an error that names the place, and that
// a service that does not answer is not asked for each object.
func TestDiscardSaysThatSomethingIsLeft(t *testing.T) {
	const n = 100
	s := blobtest.Serve(t, "lake")
	for name, tc := range map[string]struct {
		fault blobtest.Fault
		want  string
		most  int64
	}{
		"denied": {blobtest.Status(403, "AccessDenied"), "some of what was sent may be left: take back: access is denied", n},
		"silent": {blobtest.Silent, "some of what was sent may be left: take back: the service does not answer, or stops in the middle", 32},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			p := blobtest.NewProxy(t, s, func(r *http.Request) blobtest.Fault {
				if r.Method == http.MethodDelete {
					asked.Add(1)
					return tc.fault
				}
				return nil
			})
			o := blobtest.Options(p.URL)
			o.Stall = time.Second
			out, err := blob.New(o).Output(context.Background(), uri(t, "s3://lake/"+name), blob.OutputOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				f, err := out.Create(fmt.Sprint(i))
				if err != nil {
					t.Fatal(err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err := out.Discard(); err == nil || err.Error() != tc.want {
				t.Errorf("error: %v, want %s", err, tc.want)
			}
			if got := asked.Load(); got > tc.most {
				t.Errorf("%d requests, want %d at most", got, tc.most)
			}
		})
	}
}

// pages is a service that lists a thousand objects a page, and fails after each page.
type pages struct {
	mu         sync.Mutex
	keys, page int
	failed     map[string]bool
}

func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	last := max(q.Get("start-after"), q.Get("continuation-token"))
	if last != "" && !p.failed[last] {
		p.failed[last] = true
		blobtest.Status(503, "SlowDown")(nil, w, r)
		return
	}
	var text strings.Builder
	n := 0
	for i := range p.keys {
		key := fmt.Sprintf("in/%06d", i)
		if key <= last {
			continue
		}
		if n++; n > p.page {
			fmt.Fprintf(&text, "<IsTruncated>true</IsTruncated><NextContinuationToken>in/%06d</NextContinuationToken>", i-1)
			break
		}
		fmt.Fprintf(&text, "<Contents><Key>%s</Key><Size>1</Size><ETag>x</ETag></Contents>", key)
	}
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>lake</Name>%s</ListBucketResult>`, text.String())
}

// TestALongListGoesOn checks that a list of many pages, each of which fails first, is not begun again.
func TestALongListGoesOn(t *testing.T) {
	service := httptest.NewServer(&pages{keys: 130, page: 10, failed: map[string]bool{}})
	defer service.Close()
	o := blobtest.Options(service.URL)
	o.Attempts = 2
	if all := listed(t, blob.New(o), "s3://lake/in"); len(all) != 130 {
		t.Errorf("%d objects, want 130", len(all))
	}
}

// TestAnotherPartIsNoPart checks that bytes of a wrong place of an object are not taken.
func TestAnotherPartIsNoPart(t *testing.T) {
	content := random(1000)
	var n atomic.Int64
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Last-Modified", "Thu, 26 Nov 2026 12:00:00 GMT")
		if n.Add(1) == 1 {
			r.Header.Set("Range", "bytes=0-99")
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	defer service.Close()
	r := blob.New(blobtest.Options(service.URL)).Open(context.Background(), blob.Object{URI: uri(t, "s3://lake/in"), Size: 1000, ETag: "x"})
	got := make([]byte, 100)
	if _, err := r.ReadAt(got, 300); err != nil || !bytes.Equal(got, content[300:400]) {
		t.Errorf("%v, the right bytes: %v", err, bytes.Equal(got, content[300:400]))
	}
}

// TestMoreThanWasListed checks that an answer that is too long ends where the object does.
func TestMoreThanWasListed(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Last-Modified", "Thu, 26 Nov 2026 12:00:00 GMT")
		w.Write(random(1500))
	}))
	defer service.Close()
	r := blob.New(blobtest.Options(service.URL)).Open(context.Background(), blob.Object{URI: uri(t, "s3://lake/in"), Size: 1000, ETag: "x"})
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, random(1500)[:1000]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	s := blobtest.Serve(t, "lake")
	list := func(change func(*blob.Options), place string) error {
		o := blobtest.Options(s.URL)
		o.Attempts = 1
		change(&o)
		_, err := blob.New(o).List(context.Background(), uri(t, place))
		return err
	}
	for name, tc := range map[string]struct {
		change func(*blob.Options)
		place  string
		want   string
	}{
		"bucket":   {func(*blob.Options) {}, "s3://none/x", "s3://none/x: there is no such bucket; see the name, the region and the endpoint"},
		"secret":   {func(o *blob.Options) { o.Credentials = credentials.NewStaticV4(blobtest.AccessKey, "wrong", "") }, "s3://lake", "see the credentials, and the clock"},
		"key":      {func(o *blob.Options) { o.Credentials = credentials.NewStaticV4("nobody", "wrong", "") }, "s3://lake", "the service says"},
		"none":     {func(o *blob.Options) { o.Credentials = credentials.NewStaticV4("", "", "") }, "s3://lake", "there are no credentials; set AWS_ACCESS_KEY_ID"},
		"endpoint": {func(o *blob.Options) { o.Endpoint = "localhost:9000" }, "s3://lake", `the endpoint "localhost:9000" is no URL of a service`},
		"closed":   {func(o *blob.Options) { o.Endpoint = "http://127.0.0.1:1" }, "s3://lake", "see that the endpoint is right and can be reached"},
	} {
		err := list(tc.change, tc.place)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), blobtest.SecretKey) {
			t.Errorf("%s: the error has the secret", name)
		}
	}
}
