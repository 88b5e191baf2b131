package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
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
