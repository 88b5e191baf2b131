package remote_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/stages/nlp/remote"
)

var update = flag.Bool("update", false, "write golden files anew")

// waits are how long a client wanted to wait.
type waits struct {
	mu   sync.Mutex
	long []time.Duration
}

func (w *waits) wait(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.long = append(w.long, d)
	return ctx.Err()
}

func read(t *testing.T, c *remote.Client, text string) (string, error) {
	t.Helper()
	r, err := c.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Append(context.Background(), []byte("kept"), []byte(text))
	rest, ok := strings.CutPrefix(string(got), "kept")
	if !ok || err != nil && rest != "" {
		t.Fatalf("what was there before is changed, or an error adds to it: %q", got)
	}
	return rest, err
}

// entitiesOf reads a list as those who are given it do, and checks that each entity and attribute is
// at its place in the text.
func entitiesOf(t *testing.T, text, list string) []string {
	t.Helper()
	var r entity.Reader
	res, err := r.Read([]byte(`{"texts":[{"path":"x","status":"SUCCESS","entities":[` + list + `]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	runes := []rune(text)
	var all []string
	check := func(s *entity.Span) {
		if s.Begin < 0 || s.End > len(runes) || s.Begin >= s.End || string(runes[s.Begin:s.End]) != string(s.Text) {
			t.Errorf("%d to %d is not %q", s.Begin, s.End, s.Text)
		}
	}
	for i := range res.Texts[0].Entities {
		e := &res.Texts[0].Entities[i]
		check(&e.Span)
		for k := range e.Attributes {
			check(&e.Attributes[k].Span)
		}
		all = append(all, fmt.Sprintf("%d-%d %s", e.Begin, e.End, e.Text))
	}
	return all
}

// A file is a text, an answer for each operation below a line "== Operation", "----", and the list of entities, each
// entity and attribute in a line.
func TestAnswersBecomeOneList(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(b), "----\n")
			sections := strings.Split(input, "\n== ")
			answers := map[string]string{}
			var asked []string
			for _, s := range sections[1:] {
				name, text, _ := strings.Cut(s, "\n")
				answers[name] = text
				asked = append(asked, name)
			}
			s := newService(t, func(w http.ResponseWriter, _ *http.Request, q request) bool {
				fmt.Fprint(w, answers[q.operation])
				return true
			})
			c, _ := s.client(remote.Options{Operations: asked})
			got, err := read(t, c, sections[0])
			if err != nil {
				t.Fatal(err)
			}
			entitiesOf(t, sections[0], got)
			lines := strings.ReplaceAll(got, `},{"text":`, "},\n"+`{"text":`) + "\n"
			if *update {
				if err := os.WriteFile(file, []byte(input+"----\n"+lines), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, lines); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOffsetsAreThoseOfTheWholeText(t *testing.T) {
	sentence := "Pat. hat 🤕 Kopfweh — äußerst stark; asthma, aspirin für das knee.\r\n"
	for name, text := range map[string]string{
		"one part":                sentence,
		"cut between sentences":   strings.Repeat(sentence, 900),
		"cut between lines":       strings.Repeat(strings.ReplaceAll(sentence, ".", ""), 900),
		"cut between words":       strings.Repeat("Kopfweh ❤ asthma ", 4000),
		"white space of a part":   sentence + strings.Repeat(" \n", 30_000) + sentence,
		"bytes that are no UTF-8": strings.Repeat("\xff\xc3 asthma \xe2\x82 Kopfweh. ", 1500),
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, nil)
			c, _ := s.client(remote.Options{Operations: remote.Operations()})
			got, err := read(t, c, text)
			if err != nil {
				t.Fatal(err)
			}
			found := entitiesOf(t, text, got)
			want := 0
			for _, x := range terms {
				want += strings.Count(text, x.word)
			}
			if len(found) != want {
				t.Errorf("%d entities, want %d", len(found), want)
			}
			if codes := strings.Count(got, `"code":`); codes != want {
				t.Errorf("%d codes, want %d: each operation finds each of its words", codes, want)
			}
		})
	}
}

func TestNothingToReadIsNotSent(t *testing.T) {
	s := newService(t, nil)
	c, _ := s.client(remote.Options{})
	for _, text := range []string{"", " \r\n\t"} {
		if got, err := read(t, c, text); err != nil || got != "" {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if n := len(s.got()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// first has a fault happen to the first n requests.
func first(n int, f fault) fault {
	return func(w http.ResponseWriter, r *http.Request, q request) bool { return q.attempt <= n && f(w, r, q) }
}

func says(status int, kind string, headers ...string) fault {
	return func(w http.ResponseWriter, _ *http.Request, q request) bool {
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		refuse(w, status, kind, q.text)
		return true
	}
}

func writes(answer string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ request) bool {
		fmt.Fprint(w, answer)
		return true
	}
}

// breaks ends the connection after some of an answer.
func breaks(sent string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ request) bool {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		fmt.Fprint(conn, sent)
		conn.Close()
		return true
	}
}

func hangs(_ http.ResponseWriter, r *http.Request, _ request) bool {
	<-r.Context().Done()
	return true
}

func TestFaults(t *testing.T) {
	const text = "secret asthma"
	for _, c := range []struct {
		name     string
		fault    fault
		requests int
		err      string        // "": it is read in the end
		wait     time.Duration // at least, before the second attempt
	}{
		{"throttled", first(2, says(400, "ThrottlingException")), 3, "", 100 * time.Millisecond},
		{"too many requests by type", first(1, says(400, "TooManyRequestsException")), 2, "", 0},
		{"too many requests by status", first(1, says(429, "")), 2, "", 0},
		{"told to wait", first(1, says(429, "", "Retry-After: 7")), 2, "", 7 * time.Second},
		{"told to wait by an error of the server", first(1, says(503, "", "Retry-After: 11")), 2, "", 11 * time.Second},
		{"told to wait until a time", first(1, says(429, "", "Retry-After: "+time.Now().Add(40*time.Second).UTC().Format(http.TimeFormat))), 2, "", 20 * time.Second},
		{"told to wait for a day", first(1, says(429, "", "Retry-After: 86400")), 2, "", time.Minute},
		{"told to wait nonsense", first(1, says(429, "", "Retry-After: soon")), 2, "", 0},
		{"type in the header", first(1, says(400, "", "X-Amzn-ErrorType: ThrottlingException:http://internal.amazon.com/")), 2, "", 0},
		{"internal error", first(2, says(500, "InternalServerException")), 3, "", 0},
		{"bad gateway without JSON", first(1, func(w http.ResponseWriter, _ *http.Request, _ request) bool {
			http.Error(w, "<html>secret", http.StatusBadGateway)
			return true
		}), 2, "", 0},
		{"internal error for ever", says(500, "InternalServerException"), 4, "DetectEntitiesV2: the service refuses: InternalServerException (500), 4 attempts", 0},
		{"throttled for ever", says(400, "ThrottlingException"), 4, "DetectEntitiesV2: the service refuses: ThrottlingException (400), 4 attempts", 0},
		{"invalid request", says(400, "InvalidRequestException"), 1, "DetectEntitiesV2: the service refuses: InvalidRequestException (400)", 0},
		{"invalid encoding", says(400, "InvalidEncodingException"), 1, "DetectEntitiesV2: the service refuses: InvalidEncodingException (400)", 0},
		{"text too long", says(400, "TextSizeLimitExceededException"), 1, "DetectEntitiesV2: the service refuses: TextSizeLimitExceededException (400)", 0},
		{"access denied", says(403, "AccessDeniedException"), 1, "DetectEntitiesV2: the service refuses: AccessDeniedException (403)", 0},
		{"not implemented", says(501, ""), 1, "DetectEntitiesV2: the service refuses (501)", 0},
		{"a type that is text", says(400, "secret asthma!"), 1, "DetectEntitiesV2: the service refuses (400)", 0},
		{"redirected", says(307, "", "Location: https://example.invalid/"), 1, "DetectEntitiesV2: the service refuses (307)", 0},
		{"no JSON", writes(`<html>secret</html>`), 1, "DetectEntitiesV2: the answer is not one of this operation (200)", 0},
		{"other JSON", writes(`{"secret":1}`), 1, "DetectEntitiesV2: the answer is not one of this operation (200)", 0},
		{"entities of another form", writes(`{"Entities":[{"BeginOffset":"secret"}]}`), 1, "DetectEntitiesV2: the answer is not one of this operation (200)", 0},
		{"offsets behind the text", writes(`{"Entities":[{"BeginOffset":7,"EndOffset":14}]}`), 1, "DetectEntitiesV2: the offsets of the answer are not those of its texts in code points (200)", 0},
		{"offsets below the text", writes(`{"Entities":[{"BeginOffset":-1,"EndOffset":3}]}`), 1, "DetectEntitiesV2: the offsets of the answer are not those of its texts in code points (200)", 0},
		{"offsets of other words", writes(`{"Entities":[{"BeginOffset":0,"EndOffset":6,"Text":"asthma"}]}`), 1, "DetectEntitiesV2: the offsets of the answer are not those of its texts in code points (200)", 0},
		{"an attribute elsewhere", writes(`{"Entities":[{"BeginOffset":0,"EndOffset":6,"Attributes":[{"BeginOffset":6,"EndOffset":6}]}]}`), 1, "DetectEntitiesV2: the offsets of the answer are not those of its texts in code points (200)", 0},
		{"connection ends", first(2, breaks("")), 3, "", 0},
		{"connection ends within an answer", first(1, breaks("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Entities\"")), 2, "", 0},
		{"connection ends for ever", breaks(""), 4, "DetectEntitiesV2: the service cannot be reached, or breaks the connection, 4 attempts", 0},
		{"answer ends for ever", breaks("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), 4, "DetectEntitiesV2: the answer breaks off (200), 4 attempts", 0},
		{"slow", first(1, hangs), 2, "", 0},
		{"slow for ever", hangs, 4, "DetectEntitiesV2: the service does not answer in time, 4 attempts", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t, c.fault)
			timeout := 30 * time.Second
			if strings.HasPrefix(c.name, "slow") {
				timeout = 100 * time.Millisecond
			}
			client, waited := s.client(remote.Options{MaxAttempts: 4, Timeout: timeout})
			got, err := read(t, client, text)
			if c.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]string{"7-13 asthma"}, entitiesOf(t, text, got)); diff != "" {
					t.Error(diff)
				}
			} else if err == nil || err.Error() != c.err {
				t.Errorf("error %v, want %s", err, c.err)
			}
			if n := len(s.got()); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
			if len(waited.long) != c.requests-1 {
				t.Errorf("waited %v for %d requests", waited.long, c.requests)
			}
			if c.wait > 0 && (waited.long[0] < c.wait || waited.long[0] > time.Minute) {
				t.Errorf("waited %v, want %v and no more than a minute", waited.long[0], c.wait)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "asthma")) {
				t.Errorf("the error repeats the text: %v", err)
			}
		})
	}
}

func TestPausesGrow(t *testing.T) {
	s := newService(t, says(500, ""))
	c, waited := s.client(remote.Options{MaxAttempts: 12})
	if _, err := read(t, c, "asthma"); err == nil {
		t.Fatal("no error")
	}
	for i, d := range waited.long {
		most := min(200*time.Millisecond<<i, 10*time.Second)
		if d < most/2 || d > most {
			t.Errorf("pause %d is %v, want half of %v to all of it", i, d, most)
		}
	}
}

func TestOneOperationThatFailsFailsTheText(t *testing.T) {
	s := newService(t, func(w http.ResponseWriter, r *http.Request, q request) bool {
		return q.operation == "InferRxNorm" && says(400, "InvalidRequestException")(w, r, q)
	})
	c, _ := s.client(remote.Options{Operations: remote.Operations()})
	_, err := read(t, c, "asthma")
	var e *remote.Error
	if !errors.As(err, &e) || e.Operation != "InferRxNorm" || e.Status != 400 || e.Type != "InvalidRequestException" {
		t.Errorf("error %#v", err)
	}
}

func TestAServiceThatIsGoneIsAskedOnceATextUntilItAnswers(t *testing.T) {
	var up atomic.Bool
	s := newService(t, func(w http.ResponseWriter, r *http.Request, q request) bool {
		return !up.Load() && breaks("")(w, r, q)
	})
	c, _ := s.client(remote.Options{MaxAttempts: 3})
	for i, want := range []int{3, 4, 5} {
		if _, err := read(t, c, "asthma"); err == nil {
			t.Fatal("no error")
		}
		if n := len(s.got()); n != want {
			t.Errorf("text %d: %d requests, want %d", i, n, want)
		}
	}
	up.Store(true)
	if _, err := read(t, c, "asthma"); err != nil {
		t.Fatal(err)
	}
	up.Store(false)
	if _, err := read(t, c, "asthma"); err == nil {
		t.Fatal("no error")
	}
	if n := len(s.got()); n != 9 {
		t.Errorf("%d requests, want 9: all attempts again", n)
	}
}

// rotating gives other credentials each time that it is asked.
type rotating struct {
	values []credentials.Value
	asked  int
}

func (r *rotating) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	v := r.values[min(r.asked, len(r.values)-1)]
	r.asked++
	return v, nil
}
func (r *rotating) Retrieve() (credentials.Value, error) { return r.RetrieveWithCredContext(nil) }
func (r *rotating) IsExpired() bool                      { return false }

func TestRequestsAreSigned(t *testing.T) {
	old := credentials.Value{AccessKeyID: "ASIAOLD", SecretAccessKey: "old/secret", SessionToken: "old=token", Expiration: time.Now().Add(-time.Hour)}
	renewed := credentials.Value{AccessKeyID: "ASIANEW", SecretAccessKey: "new/secret+", SessionToken: "new/token=="}
	lasting := credentials.Value{AccessKeyID: "AKIALASTING", SecretAccessKey: "lasting"}
	wrong := credentials.Value{AccessKeyID: "AKIALASTING", SecretAccessKey: "wrong"}
	keys := map[string]credentials.Value{old.AccessKeyID: old, renewed.AccessKeyID: renewed, lasting.AccessKeyID: lasting}
	for _, c := range []struct {
		name     string
		values   []credentials.Value
		path     string
		requests int
		err      string
	}{
		{"a lasting key", []credentials.Value{lasting}, "", 1, ""},
		{"a session", []credentials.Value{renewed}, "", 1, ""},
		{"an endpoint with a path", []credentials.Value{renewed}, "/a b/ü", 1, ""},
		{"a session that ends", []credentials.Value{old, renewed}, "", 2, ""},
		{"a session that has ended", []credentials.Value{old}, "", 2, "DetectEntitiesV2: the service refuses: ExpiredTokenException (403), 2 attempts"},
		{"a wrong key", []credentials.Value{wrong}, "", 1, "DetectEntitiesV2: the service refuses: InvalidSignatureException (403)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t, nil)
			s.keys = keys
			url := s.URL
			s.URL += c.path
			client, _ := s.client(remote.Options{Region: "eu-west-1", Credentials: credentials.New(&rotating{values: c.values})})
			s.URL = url
			got, err := read(t, client, "ein ä asthma")
			switch {
			case c.err == "" && err != nil:
				t.Error(err)
			case c.err == "":
				if diff := cmp.Diff([]string{"6-12 asthma"}, entitiesOf(t, "ein ä asthma", got)); diff != "" {
					t.Error(diff)
				}
			case err == nil || err.Error() != c.err:
				t.Errorf("error %v, want %s", err, c.err)
			}
			if n := len(s.got()); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
		})
	}
}

func TestReadersShareConnectionsAndPlaces(t *testing.T) {
	const places, readers, texts = 3, 8, 6
	var now, most atomic.Int32
	full := make(chan struct{})
	var once sync.Once
	s := newService(t, func(_ http.ResponseWriter, r *http.Request, _ request) bool {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == places {
			once.Do(func() { close(full) })
		}
		select { // the first ones wait for one another
		case <-full:
		case <-r.Context().Done():
		}
		return false
	})
	c, _ := s.client(remote.Options{Operations: remote.Operations(), Concurrency: places})
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			r, err := c.NewReader()
			if err != nil {
				t.Error(err)
				return
			}
			for range texts {
				if _, err := r.Append(context.Background(), nil, []byte("asthma of the knee")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n != places {
		t.Errorf("%d requests at a time, want %d", n, places)
	}
	if n := len(s.got()); n != readers*texts*4 {
		t.Errorf("%d requests, want %d", n, readers*texts*4)
	}
	if s.conns > places {
		t.Errorf("%d connections, want %d at most", s.conns, places)
	}
}

func TestReadersShareTheRate(t *testing.T) {
	for name, o := range map[string]remote.Options{
		"requests":   {RequestsPerSecond: 1e-6},
		"characters": {CharactersPerSecond: 1e-6},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, nil)
			c, _ := s.client(o)
			text := strings.Repeat("asthma. ", 2500) // what a request can hold
			if _, err := read(t, c, text); err != nil {
				t.Fatal(err)
			}
			r, err := c.NewReader()
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			_, err = r.Append(ctx, nil, []byte(text))
			if want := "DetectEntitiesV2: the rate limit has no room for it in the time that is left"; err == nil || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
			if n := len(s.got()); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

func TestTheEndOfTheJobEndsReading(t *testing.T) {
	for name, f := range map[string]fault{"within a request": hangs, "between attempts": says(500, "")} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			s := newService(t, func(w http.ResponseWriter, r *http.Request, q request) bool {
				if name == "within a request" {
					cancel()
				}
				return f(w, r, q)
			})
			c, _ := s.client(remote.Options{})
			c.OnWait(func(ctx context.Context, _ time.Duration) error {
				cancel()
				return ctx.Err()
			})
			r, err := c.NewReader()
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Append(ctx, []byte("kept"), []byte("asthma"))
			if !errors.Is(err, context.Canceled) || string(got) != "kept" {
				t.Errorf("%q, error %v", got, err)
			}
			if n := len(s.got()); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}
