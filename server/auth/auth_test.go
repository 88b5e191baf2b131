package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fhirlake/fhirlake/server/rest/capability"
)

const store = "0123456789abcdef0123456789abcdef"

func open(t *testing.T, s *Settings, audit *bytes.Buffer) (*Guard, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.json")
	if err := s.Write(path); err != nil {
		t.Fatal(err)
	}
	g, err := Open(Options{Path: path, Audit: slog.New(slog.NewTextHandler(audit, nil)), AuditAll: true})
	if err != nil {
		t.Fatal(err)
	}
	return g, path
}

func TestWhatKeysMay(t *testing.T) {
	secret := "secret-of-keys"
	grant := func(id string, p ...Permission) []Grant { return []Grant{{id, p}} }
	var audit bytes.Buffer
	g, _ := open(t, &Settings{Keys: []Key{
		{ID: "reader", Secret: secret, Grants: grant(All, Read)},
		{ID: "one", Secret: secret, Grants: grant(store, Read, Write, Admin)},
		{ID: "admin", Secret: secret, Grants: grant(All, Read, Write, Admin)},
		{ID: "none", Secret: secret},
	}}, &audit)
	srv := httptest.NewServer(g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		w.Write(text)
	})))
	defer srv.Close()
	other := "fedcba9876543210fedcba9876543210"
	control := func(target, body string) [4]string { return [4]string{"POST", "/", target, body} }
	for _, c := range []struct {
		key    string
		what   [4]string
		status int
	}{
		{"", [4]string{"GET", "/healthz"}, 200},
		{"", [4]string{"GET", "/readyz"}, 200},
		{"", [4]string{"POST", "/_owner/1/import"}, 200}, // it has a token of its own
		{"", [4]string{"GET", "/metrics"}, 401},
		{"", [4]string{"GET", "/datastore/" + store + "/r4/Patient/p"}, 401},
		{"", [4]string{"GET", "/anything"}, 401},
		{"", control("ListFHIRDatastores", "{}"), 401},
		{"unknown", [4]string{"GET", "/datastore/" + store + "/r4/Patient/p"}, 401},
		{"reader", [4]string{"GET", "/metrics"}, 403},
		{"admin", [4]string{"GET", "/metrics"}, 200},
		{"reader", [4]string{"GET", "/datastore/" + store + "/r4/Patient/p"}, 200},
		{"one", [4]string{"GET", "/datastore/" + store + "/r4/Patient/p"}, 200},
		{"one", [4]string{"GET", "/datastore/" + other + "/r4/Patient/p"}, 403},
		{"none", [4]string{"GET", "/datastore/" + store + "/r4/Patient/p"}, 403},
		{"reader", [4]string{"POST", "/datastore/" + store + "/sql", "", "SELECT 1"}, 200},
		{"one", [4]string{"POST", "/datastore/" + other + "/sql", "", "SELECT 1"}, 403},
		{"reader", [4]string{"GET", "/datastore/" + store + "/export/x"}, 403},
		{"reader", control("ListFHIRDatastores", "{}"), 200},
		{"one", control("ListFHIRDatastores", "{}"), 403},
		{"reader", control("CreateFHIRDatastore", "{}"), 403},
		{"admin", control("CreateFHIRDatastore", "{}"), 200},
		{"reader", control("DescribeFHIRDatastore", `{"DatastoreId":"`+store+`"}`), 200},
		{"one", control("DeleteFHIRDatastore", `{"DatastoreId":"`+store+`"}`), 200},
		{"one", control("DeleteFHIRDatastore", `{"DatastoreId":"`+other+`"}`), 403},
		{"one", control("DeleteFHIRDatastore", `{"DatastoreId":"`+store+`","datastoreid":"`+other+`"}`), 403},
		{"one", control("DeleteFHIRDatastore", `{}`), 403},
		{"one", control("DeleteFHIRDatastore", `{"DatastoreId":"*"}`), 403},
		{"one", control("TagResource", `{"ResourceARN":"arn:aws:healthlake:x:1:datastore/fhir/`+store+`","Tags":[]}`), 200},
		{"one", control("TagResource", `{"ResourceARN":"arn:aws:healthlake:x:1:datastore/fhir/`+other+`"}`), 403},
		{"one", control("Nothing", "{}"), 403},
		{"reader", control("Nothing", "{}"), 200}, // the control plane says that there is none
	} {
		r, err := http.NewRequest(c.what[0], srv.URL+c.what[1], strings.NewReader(c.what[3]))
		if err != nil {
			t.Fatal(err)
		}
		if c.what[2] != "" {
			r.Header.Set("X-Amz-Target", "HealthLake."+c.what[2])
		}
		if c.key != "" {
			sum := sha256.Sum256([]byte(c.what[3]))
			err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: c.key, SecretAccessKey: secret}, r, hex.EncodeToString(sum[:]), "healthlake", "eu-west-1", time.Now())
			if err != nil {
				t.Fatal(err)
			}
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != c.status || c.status == 200 && string(text) != c.what[3] {
			t.Errorf("%s %v: %d %s, want %d", c.key, c.what, res.StatusCode, text, c.status)
		}
		if c.status == 401 && res.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%v: 401 without WWW-Authenticate", c.what)
		}
	}
	if log := audit.String(); strings.Contains(log, secret) || strings.Contains(log, "Signature") ||
		!strings.Contains(log, "result=refused kind=key who=one") || !strings.Contains(log, "result=allowed kind=key who=reader") {
		t.Errorf("the audit lacks lines, or has a secret:\n%s", log)
	}
}

// Every operation that there is has a rule, so that none is open or closed by chance.
func TestEveryInteractionHasANeed(t *testing.T) {
	for _, op := range capability.Operations(true, true) {
		if _, ok := needs["$"+op.Name]; !ok {
			t.Errorf("$%s: nobody may", op.Name)
		}
	}
	for i := capability.Interaction(1); i.Code() != ""; i <<= 1 {
		if _, ok := needs[i.Code()]; !ok {
			t.Errorf("%s: nobody may", i.Code())
		}
	}
}

func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string // of the error; "" for none
	}{
		"keys":               {`{"keys":[{"id":"a","secret":"swordfish","grants":[{"datastore":"*","permissions":["read"]}]}]}`, 0o600, ""},
		"readable by others": {`{}`, 0o644, "can be read by others"},
		"no JSON":            {`{"keys":[{"id":"a","secret":swordfish}]}`, 0o600, "no JSON at byte"},
		"wrong type":         {`{"keys":[{"id":"a","secret":33}]}`, 0o600, "is no string"},
		"unknown member":     {`{"kees":[]}`, 0o600, "unknown field"},
		"twice":              {`{"keys":[{"id":"a","secret":"swordfish"},{"id":"a","secret":"swordfish"}]}`, 0o600, "twice"},
		"no secret":          {`{"keys":[{"id":"a"}]}`, 0o600, "no secret"},
		"permission":         {`{"keys":[{"id":"a","secret":"swordfish","grants":[{"datastore":"*","permissions":["all"]}]}]}`, 0o600, "none of read, write, admin"},
		"issuer over http":   {`{"issuers":[{"issuer":"i","audience":["a"],"datastores":["*"],"jwks":"http://example.org/keys"}]}`, 0o600, "no https URL"},
		"issuer, no keys":    {`{"issuers":[{"issuer":"i","audience":["a"],"datastores":["*"]}]}`, 0o600, "one of jwks and jwksFile"},
		"issuer, audience":   {`{"issuers":[{"issuer":"i","datastores":["*"],"jwksFile":"f"}]}`, 0o600, "needs issuer, audience"},
	} {
		path := filepath.Join(t.TempDir(), "auth.json")
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadSettings(path)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "swordfish")) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestReload(t *testing.T) {
	g, path := open(t, &Settings{}, &bytes.Buffer{})
	ctx, cancel := context.WithCancel(t.Context())
	asked, told := make(chan os.Signal), make(chan error)
	ended := make(chan struct{})
	go func() { g.Watch(ctx, nil, asked, func(err error) { told <- err }); close(ended) }()
	if err := (&Settings{Keys: []Key{{ID: "k", Secret: "s"}}}).Write(path); err != nil {
		t.Fatal(err)
	}
	asked <- os.Interrupt
	if err := <-told; err != nil || len(g.current.Load().Keys) != 1 {
		t.Errorf("%v, %d keys", err, len(g.current.Load().Keys))
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	asked <- os.Interrupt
	if err := <-told; err == nil || len(g.current.Load().Keys) != 1 {
		t.Error("a file that cannot be read took the keys away")
	}
	cancel()
	<-ended
}

// A change of the file is seen at a tick, and a tick without one tells nothing.
func TestWatchSeesAChange(t *testing.T) {
	g, path := open(t, &Settings{}, &bytes.Buffer{})
	ctx, cancel := context.WithCancel(t.Context())
	tick, asked, told := make(chan time.Time), make(chan os.Signal), make(chan error, 10)
	ended := make(chan struct{})
	go func() { g.Watch(ctx, tick, asked, func(err error) { told <- err }); close(ended) }()
	changed := time.Now()
	write := func(text string) {
		changed = changed.Add(time.Second)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, changed, changed); err != nil {
			t.Fatal(err)
		}
	}
	tick <- time.Time{} // it learns when the file was changed
	tick <- time.Time{}
	write(`{"keys":[{"id":"k","secret":"s"}]}`)
	tick <- time.Time{}
	tick <- time.Time{} // the one before is done
	if n := len(told); n != 1 || <-told != nil || len(g.current.Load().Keys) != 1 {
		t.Errorf("told %d times, %d keys", n, len(g.current.Load().Keys))
	}
	write("{")
	tick <- time.Time{}
	tick <- time.Time{}
	if n := len(told); n != 1 || <-told == nil || len(g.current.Load().Keys) != 1 {
		t.Errorf("a broken file: told %d times, %d keys", n, len(g.current.Load().Keys))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	tick <- time.Time{}
	if err := <-told; err == nil || len(g.current.Load().Keys) != 1 {
		t.Errorf("no file: %v, %d keys", err, len(g.current.Load().Keys))
	}
	cancel()
	<-ended
}

func TestDiscovery(t *testing.T) {
	const own, other, bare = "11111111111111111111111111111111", "22222222222222222222222222222222", "33333333333333333333333333333333"
	g, _ := open(t, &Settings{Issuers: []Issuer{{
		Issuer: "https://i", Audience: []string{"lake"}, JWKSFile: "none", DataStores: []string{own, store},
		Configuration: json.RawMessage(`{"issuer":"https://i"}`),
	}}}, &bytes.Buffer{})
	g.o.Configuration = func(id string) []byte {
		if id == own || id == other {
			return []byte(`{"issuer":"https://of-the-data-store"}`)
		}
		return nil
	}
	h := g.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request came in") }))
	for _, c := range []struct {
		method, datastore string
		status            int
		want              string
	}{
		{"GET", store, 200, `{"issuer":"https://i"}`},
		{"GET", own, 200, `{"issuer":"https://of-the-data-store"}`},
		{"GET", other, 200, `{"issuer":"https://of-the-data-store"}`},
		{"GET", bare, 404, "does not say how to log in"},
		{"POST", store, 401, "neither a signature nor a bearer token"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, "/datastore/"+c.datastore+"/r4/.well-known/smart-configuration", nil))
		var compact bytes.Buffer
		if err := json.Compact(&compact, w.Body.Bytes()); err != nil || w.Code != c.status || !strings.Contains(compact.String(), c.want) {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.datastore, w.Code, w.Body, c.status, c.want)
		}
		if c.status == 200 && (w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Access-Control-Allow-Origin") != "*") {
			t.Errorf("%s: %v", c.datastore, w.Header())
		}
	}
}

// issuing is an issuer over HTTP whose keys can be changed.
type issuing struct {
	keys  []jose.JSONWebKey
	reads int
}

func (i *issuing) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	i.reads++
	json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: i.keys})
}

func serialize(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTokens(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	i := &issuing{keys: []jose.JSONWebKey{
		{Key: rsaKey.Public(), KeyID: "r"},
		{Key: p256.Public(), KeyID: "p"},
		{Key: p384.Public(), KeyID: "q", Algorithm: "ES384"},
		{Key: p256.Public(), KeyID: "encrypts", Use: "enc"},
	}}
	srv := httptest.NewServer(i)
	defer srv.Close()
	now := time.Unix(1_800_000_000, 0)
	ts := newTokens([]Issuer{
		{Issuer: "https://i", Audience: []string{"lake"}, JWKS: srv.URL, DataStores: []string{All}},
		{Issuer: "https://j", Audience: []string{"lake"}, JWKSFile: filepath.Join(t.TempDir(), "none"), DataStores: []string{All}},
	}, http.DefaultClient, func() time.Time { return now })
	good := func(change ...any) map[string]any {
		c := map[string]any{"iss": "https://i", "aud": "lake", "sub": "s", "exp": now.Unix() + 60, "scope": "patient/*.rs", "patient": "p1"}
		for k := 0; k+1 < len(change); k += 2 {
			if change[k+1] == nil {
				delete(c, change[k].(string))
			} else {
				c[change[k].(string)] = change[k+1]
			}
		}
		return c
	}
	public, _ := x509.MarshalPKIXPublicKey(rsaKey.Public())
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	payload, _ := json.Marshal(good())
	part := base64.RawURLEncoding.EncodeToString
	valid := serialize(t, jose.ES256, p256, "p", good())
	pieces := strings.Split(valid, ".")
	for _, c := range []struct {
		name, token string
		ok          bool
	}{
		{"RS256", serialize(t, jose.RS256, rsaKey, "r", good()), true},
		{"RS384", serialize(t, jose.RS384, rsaKey, "r", good()), true},
		{"ES256", valid, true},
		{"ES384", serialize(t, jose.ES384, p384, "q", good()), true},
		{"audience in a list", serialize(t, jose.ES256, p256, "p", good("aud", []string{"x", "lake"})), true},
		{"a minute late", serialize(t, jose.ES256, p256, "p", good("exp", now.Unix()-59)), true},
		{"RS512", serialize(t, jose.RS512, rsaKey, "r", good()), false},
		{"PS256", serialize(t, jose.PS256, rsaKey, "r", good()), false},
		{"HS256 by the public key", serialize(t, jose.HS256, asPEM, "r", good()), false},
		{"none", part([]byte(`{"alg":"none","kid":"r"}`)) + "." + part(payload) + ".", false},
		{"other claims", pieces[0] + "." + part([]byte(strings.Replace(string(payload), "p1", "p2", 1))) + "." + pieces[2], false},
		{"no signature", pieces[0] + "." + pieces[1] + ".", false},
		{"key of a stranger", serialize(t, jose.ES256, stranger, "p", good()), false},
		{"key that brings itself", serialize(t, jose.ES256, jose.JSONWebKey{Key: stranger, KeyID: "p"}, "p", good()), false},
		{"key of another kind", serialize(t, jose.ES256, p256, "r", good()), false},
		{"key for another use", serialize(t, jose.ES256, p256, "encrypts", good()), false},
		{"unknown key", serialize(t, jose.ES256, p256, "z", good()), false},
		{"another issuer", serialize(t, jose.ES256, p256, "p", good("iss", "https://k")), false},
		{"issuer without keys", serialize(t, jose.ES256, p256, "p", good("iss", "https://j")), false},
		{"another audience", serialize(t, jose.ES256, p256, "p", good("aud", "other")), false},
		{"no audience", serialize(t, jose.ES256, p256, "p", good("aud", nil)), false},
		{"expired", serialize(t, jose.ES256, p256, "p", good("exp", now.Unix()-60)), false},
		{"never expires", serialize(t, jose.ES256, p256, "p", good("exp", nil)), false},
		{"not yet", serialize(t, jose.ES256, p256, "p", good("nbf", now.Unix()+61)), false},
		{"no token", "x", false},
		{"too long", strings.Repeat("x", maxToken+1), false},
	} {
		p, err := ts.verify(t.Context(), c.token)
		if (err == nil) != c.ok || c.ok && p.scopes.Patient != "p1" {
			t.Errorf("%s: %v, %v", c.name, p, err)
		}
	}
	for user, want := range map[string][2]any{ // id of the patient, and whether it is staff
		"Patient/p1":                    {"p1", false},
		"https://h/r4/Patient/p1":       {"p1", false},
		"https://h/r4/Practitioner/d":   {"", true},
		"PractitionerRole/r":            {"", true},
		"RelatedPerson/x":               {"", false},
		"Practitioner/":                 {"", false},
		"https://h/OtherPractitioner/d": {"", false},
		"":                              {"", false},
	} {
		p, err := ts.verify(t.Context(), serialize(t, jose.ES256, p256, "p", good("fhirUser", user)))
		if err != nil || p.scopes.User != want[0] || p.scopes.Staff != want[1] {
			t.Errorf("fhirUser %q: %v, %v", user, p, err)
		}
	}
	// A new key is found when a token names it, and not asked for again at once.
	fresh, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	i.keys = []jose.JSONWebKey{{Key: fresh.Public(), KeyID: "fresh"}}
	before := i.reads
	token := serialize(t, jose.ES256, fresh, "fresh", good("exp", now.Add(time.Hour).Unix()))
	for range 3 {
		ts.verify(t.Context(), token)
	}
	if i.reads != before {
		t.Errorf("keys were read %d times within the pause", i.reads-before)
	}
	now = now.Add(keysPause)
	if _, err := ts.verify(t.Context(), token); err != nil || i.reads != before+1 {
		t.Errorf("%v after %d reads", err, i.reads-before)
	}
	if _, err := ts.verify(t.Context(), valid); err == nil {
		t.Error("a key that was withdrawn is good still")
	}
}
