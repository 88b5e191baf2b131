package sigv4

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

var (
	testKey = Key{ID: "AKIDEXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	session = Key{ID: "ASIASESSION", Secret: "s3cret/with+signs", Token: "token/of+the=session"}
	now     = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
)

func newVerifier() *Verifier {
	return &Verifier{Now: func() time.Time { return now }, Key: func(id string) (Key, bool) {
		for _, k := range []Key{testKey, session} {
			if k.ID == id {
				return k, true
			}
		}
		return Key{}, false
	}}
}

func sumOf(body string) string {
	s := sha256.Sum256([]byte(body))
	return hex.EncodeToString(s[:])
}

func credentials(k Key) aws.Credentials {
	return aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret, SessionToken: k.Token}
}

// signed makes a request by the signer of the AWS SDK.
func signed(t *testing.T, k Key, method, url, body string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	if err := v4.NewSigner().SignHTTP(context.Background(), credentials(k), r, sumOf(body), Service, "eu-central-1", now); err != nil {
		t.Fatal(err)
	}
	return r
}

func presigned(t *testing.T, k Key, url, expires string) *http.Request {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	q := r.URL.Query()
	q.Set("X-Amz-Expires", expires)
	r.URL.RawQuery = q.Encode()
	uri, _, err := v4.NewSigner().PresignHTTP(context.Background(), credentials(k), r, sumOf(""), Service, "us-east-1", now)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = http.NewRequest("GET", uri, nil); err != nil {
		t.Fatal(err)
	}
	return r
}

// send sends a request over HTTP and gives what the verifier says of it.
func send(t *testing.T, v *Verifier, r *http.Request, change func(*http.Request)) (keyID, body string, err error) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, got *http.Request) {
		if change != nil {
			change(got)
		}
		var release func()
		keyID, release, err = v.Verify(got)
		text, _ := io.ReadAll(got.Body)
		body = string(text)
		release()
	}))
	defer srv.Close()
	r.Host, r.URL.Host = r.URL.Host, strings.TrimPrefix(srv.URL, "http://")
	res, e := http.DefaultClient.Do(r)
	if e != nil {
		t.Fatal(e)
	}
	res.Body.Close()
	return keyID, body, err
}

const base = "http://lake.example.org:8080"

func TestRequestsOfTheSDKAreAccepted(t *testing.T) {
	for _, c := range []struct{ name, method, path, body string }{
		{"control plane", "POST", "/", `{"DatastoreId":"0"}`},
		{"read", "GET", "/datastore/0a/r4/Patient/pat-one", ""},
		{"operation", "GET", "/datastore/0a/r4/Patient/pat-one/$everything", ""},
		{"escaped operation", "GET", "/datastore/0a/r4/Patient/pat-one/%24everything", ""},
		{"search", "GET", "/datastore/0a/r4/Observation?code=http://loinc.org|8480-6&_count=2", ""},
		{"spaces and signs", "GET", "/datastore/0a/r4/Patient?name=a%20b%2Bc&name=A+b&x=%26%3D", ""},
		{"same name, names in another order", "GET", "/x?b=2&a=2&a=1&a-b=3&c", ""},
		{"letters of Greek", "GET", "/datastore/0a/r4/Patient?name=%CE%B1", ""},
		{"space in the path", "GET", "/a%20b/c", ""},
		{"slash at the end", "GET", "/datastore/0a/r4/", ""},
		{"create", "POST", "/datastore/0a/r4/Patient", `{"resourceType":"Patient"}`},
	} {
		for _, k := range []Key{testKey, session} {
			r := signed(t, k, c.method, base+c.path, c.body, "X-Amz-Target: HealthLake.X", "X-Odd:   a   b ", "X-Odd: c")
			if id, body, err := send(t, newVerifier(), r, nil); err != nil || id != k.ID || body != c.body {
				t.Errorf("%s: key %q, body %q, %v", c.name, id, body, err)
			}
			if c.method != "GET" {
				continue
			}
			if id, _, err := send(t, newVerifier(), presigned(t, k, base+c.path, "60"), nil); err != nil || id != k.ID {
				t.Errorf("%s, presigned: key %q, %v", c.name, id, err)
			}
		}
	}
}

// Every part of a request that is signed is protected: a change of it is seen.
func TestChangesAreRefused(t *testing.T) {
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	auth := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		want   Fault
	}{
		{"method", func(r *http.Request) { r.Method = "PUT" }, Mismatch},
		{"path", func(r *http.Request) { r.RequestURI = "/datastore/0b/r4/Patient" }, Mismatch},
		{"query", func(r *http.Request) { r.URL.RawQuery = "a=2" }, Mismatch},
		{"more of the query", func(r *http.Request) { r.URL.RawQuery += "&b=1" }, Mismatch},
		{"host", func(r *http.Request) { r.Host = "other.example.org" }, Mismatch},
		{"target", set("X-Amz-Target", "HealthLake.DeleteFHIRDatastore"), Mismatch},
		{"content type", set("Content-Type", "text/plain"), Mismatch},
		{"body", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"a":2}`)) }, Mismatch},
		{"shorter body", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("")) }, Mismatch},
		{"time", set("X-Amz-Date", "20261126T120001Z"), Mismatch},
		{"another X-Amz header", set("X-Amz-Security-Context", "x"), Unprotected},
		{"session token where none is", set("X-Amz-Security-Token", "x"), WrongToken},
		{"hash of another body", set("X-Amz-Content-Sha256", sumOf("x")), Unprotected},
		{"signature", auth("Signature=", "Signature=0"), Malformed},
		{"another signature", func(r *http.Request) {
			text := r.Header.Get("Authorization")
			last := text[len(text)-1]
			r.Header.Set("Authorization", text[:len(text)-1]+string("10"[map[bool]int{true: 0, false: 1}[last == '0']]))
		}, Mismatch},
		{"region", auth("eu-central-1", "us-east-1"), Mismatch},
		{"service", auth("/healthlake/", "/s3/"), WrongService},
		{"date of the credential", auth("/20261126/", "/20261127/"), Malformed},
		{"unknown key", auth("AKIDEXAMPLE", "AKIDEXAMPLF"), UnknownKey},
		{"key of another", auth("AKIDEXAMPLE", "ASIASESSION"), WrongToken},
		{"algorithm", auth("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), Malformed},
		{"header left out", auth(";x-amz-target", ""), Unprotected},
		{"host left out", auth("host;", ""), Unprotected},
		{"unsorted headers", auth("content-type;host", "host;content-type"), Malformed},
		{"two headers", func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, Malformed},
		{"two times", func(r *http.Request) { r.Header.Add("X-Amz-Date", "20261126T120000Z") }, Malformed},
		{"no time", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, Malformed},
		{"no header", func(r *http.Request) { r.Header.Del("Authorization") }, Malformed},
	} {
		r := signed(t, testKey, "POST", base+"/datastore/0a/r4/Patient?a=1", `{"a":1}`, "X-Amz-Target: HealthLake.X", "Content-Type: application/json")
		_, _, err := send(t, newVerifier(), r, c.change)
		var e *Error
		if !errors.As(err, &e) || e.Fault != c.want {
			t.Errorf("%s: %v, want fault %d", c.name, err, c.want)
		} else if strings.Contains(e.Error(), testKey.Secret) {
			t.Errorf("%s: the error has the secret", c.name)
		}
	}
}

func TestBodyIsAlwaysSigned(t *testing.T) {
	for _, c := range []struct {
		hash string
		ok   bool
	}{{sumOf("body"), true}, {sumOf("other"), false}, {"UNSIGNED-PAYLOAD", false}, {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", false}} {
		r, err := http.NewRequest("POST", base+"/", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Content-Sha256", c.hash)
		if err := v4.NewSigner().SignHTTP(t.Context(), credentials(testKey), r, c.hash, Service, "x", now); err != nil {
			t.Fatal(err)
		}
		_, _, err = send(t, newVerifier(), r, nil)
		var e *Error
		if c.ok != (err == nil) || !c.ok && (!errors.As(err, &e) || e.Fault != WrongBody) {
			t.Errorf("%s: %v", c.hash, err)
		}
	}
}

func TestTime(t *testing.T) {
	for _, c := range []struct {
		name    string
		now     time.Duration
		expires string
		ok      bool
	}{
		{"5 minutes before", -5 * time.Minute, "", true},
		{"more before", -5*time.Minute - time.Second, "", false},
		{"5 minutes after", 5 * time.Minute, "", true},
		{"more after", 5*time.Minute + time.Second, "", false},
		{"presigned, at its end", time.Hour, "3600", true},
		{"presigned, expired", time.Hour + time.Second, "3600", false},
		{"presigned, 7 days", 7 * 24 * time.Hour, "604800", true},
		{"presigned, more than 7 days", 0, "604801", false},
		{"presigned, no time", 0, "0", false},
		{"presigned, in the future", -6 * time.Minute, "3600", false},
	} {
		v := newVerifier()
		v.Now = func() time.Time { return now.Add(c.now) }
		r := signed(t, testKey, "GET", base+"/", "")
		if c.expires != "" {
			r = presigned(t, testKey, base+"/x?a=1", c.expires)
		}
		if _, _, err := send(t, v, r, nil); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestChangesOfAPresignedRequestAreRefused(t *testing.T) {
	for _, c := range [][2]string{
		{"X-Amz-Expires=60", "X-Amz-Expires=61"},
		{"a=1", "a=2"},
		{"us-east-1", "us-east-2"},
		{"X-Amz-Date=20261126T120000Z", "X-Amz-Date=20261126T120001Z"},
		{"X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=accept"},
		{"X-Amz-Algorithm=", "X-Amz-Algorithm=x&X-Amz-Algorithm="},
		{"X-Amz-Signature=", "X-Amz-Signature=x&X-Amz-Signature="},
		{"X-Amz-Security-Token=", "X-Amz-Security-Token=x"},
	} {
		for _, k := range []Key{testKey, session} {
			r := presigned(t, k, base+"/x?a=1", "60")
			before := r.URL.RawQuery
			r.URL.RawQuery = strings.Replace(before, c[0], c[1], 1)
			if before == r.URL.RawQuery {
				continue // only that of a session has a token
			}
			if _, _, err := send(t, newVerifier(), r, nil); err == nil {
				t.Errorf("%s for %s was accepted", c[1], c[0])
			}
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	v := newVerifier()
	v.MaxBody = 10_000
	for _, c := range []struct {
		size   int
		memory int64
		want   Fault
	}{{10_001, 0, BodyTooLong}, {9_000, 8_000, Busy}} {
		v.Memory = c.memory
		_, _, err := send(t, v, signed(t, testKey, "POST", base+"/", strings.Repeat("x", c.size)), nil)
		var e *Error
		if !errors.As(err, &e) || e.Fault != c.want {
			t.Errorf("%d bytes: %v, want fault %d", c.size, err, c.want)
		}
	}
	if n := v.held.Load(); n != 0 {
		t.Errorf("%d bytes are held at the end", n)
	}
}

// The example of the documentation of AWS (Signature Version 4, "get-vanilla-query" of
// its test suite), with the service of the suite.
func TestVectorOfTheSuite(t *testing.T) {
	r := httptest.NewRequest("GET", "http://example.amazonaws.com/", nil)
	s := &Signature{Date: "20150830", Region: "us-east-1", Service: "service", Headers: []string{"host", "x-amz-date"}, text: "20150830T123600Z"}
	r.Header.Set("X-Amz-Date", s.text)
	got := s.sign(testKey.Secret, s.canonical(r, nil, sumOf("")))
	if want := "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func FuzzAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=A/20261126/r/healthlake/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64))
	f.Add("AWS4-HMAC-SHA256 Credential=////, SignedHeaders=;, Signature=")
	f.Add("AWS4-HMAC-SHA256 ,,=,=")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseHeader(text)
		if (s == nil) == (err == nil) {
			t.Fatal("a signature and an error, or none of them")
		}
		if s != nil && (s.KeyID == "" || s.Service == "" || len(s.Sum) != 64 || len(s.Headers) == 0) {
			t.Fatalf("%+v has gaps", s)
		}
		r := httptest.NewRequest("GET", "/", bytes.NewReader(nil))
		r.Header.Set("Authorization", text)
		if _, _, err := newVerifier().Verify(r); err == nil {
			t.Fatal("it was accepted")
		}
	})
}
