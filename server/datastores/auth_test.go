package datastores_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fhirlake/fhirlake/server/auth"
	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/server/search"
)

// guarded is a data store behind a guard, with an issuer of tokens.
type guarded struct {
	*searched
	signer jose.Signer
	plain  string // URL without the guard
	audit  strings.Builder
}

const issuerName = "https://login.example.org"

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{searched: newSearched(t)}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.json")
	if err := os.WriteFile(keys, set, 0o600); err != nil {
		t.Fatal(err)
	}
	s := auth.Settings{Issuers: []auth.Issuer{{Issuer: issuerName, Audience: []string{"lake"}, JWKSFile: keys, DataStores: []string{g.id}}}}
	path := filepath.Join(dir, "auth.json")
	if err := s.Write(path); err != nil {
		t.Fatal(err)
	}
	guard, err := auth.Open(auth.Options{Path: path, Audit: slog.New(slog.NewTextHandler(&g.audit, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if g.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: "k1"}}, nil); err != nil {
		t.Fatal(err)
	}
	fhir := datastores.NewFHIR(g.set, g.compact, search.Options{Threads: 2})
	srv := httptest.NewServer(guard.Wrap(rest.New(rest.Options{DataStore: fhir.DataStore, Guarded: true})))
	t.Cleanup(srv.Close)
	g.plain = g.url
	g.url = srv.URL + "/datastore/" + g.id + "/r4"
	return g
}

// token makes a token for patient p1; claims are names and values that it has else.
func (g *guarded) token(scopes string, claims ...any) string {
	g.t.Helper()
	all := map[string]any{
		"iss": issuerName, "aud": "lake", "sub": "app", "exp": time.Now().Add(time.Hour).Unix(), "scope": scopes, "patient": "p1",
	}
	for i := 0; i+1 < len(claims); i += 2 {
		all[claims[i].(string)] = claims[i+1]
	}
	text, err := jwt.Signed(g.signer).Claims(all).Serialize()
	if err != nil {
		g.t.Fatal(err)
	}
	return text
}

func (g *guarded) do(base, token, method, path, body string, headers ...string) (int, string) {
	g.t.Helper()
	r, err := http.NewRequest(method, base+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if r.Header.Set("Content-Type", "application/fhir+json"); method == "PATCH" {
		r.Header.Set("Content-Type", "application/json-patch+json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := g.client.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// Nothing of another patient comes out, by whatever way it is asked for. All that is of
// the other one has SECRET in it.
func TestOtherPatientsAreOutOfReach(t *testing.T) {
	g := newGuarded(t)
	for path, body := range map[string]string{
		"Patient/p1":         `{"resourceType":"Patient","id":"p1","name":[{"family":"Mine"}],"generalPractitioner":[{"reference":"Practitioner/d"}],"link":[{"other":{"reference":"Patient/p2"},"type":"seealso"}]}`,
		"Patient/p2":         `{"resourceType":"Patient","id":"p2","name":[{"family":"SECRET"}],"generalPractitioner":[{"reference":"Practitioner/d"}]}`,
		"Practitioner/d":     `{"resourceType":"Practitioner","id":"d"}`,
		"Observation/mine":   `{"resourceType":"Observation","id":"mine","status":"final","code":{"coding":[{"system":"urn:s","code":"a"}]},"subject":{"reference":"Patient/p1"},"focus":[{"reference":"Patient/p2"}]}`,
		"Observation/lab":    `{"resourceType":"Observation","id":"lab","status":"final","code":{"coding":[{"system":"urn:s","code":"b"}]},"subject":{"reference":"Patient/p1"}}`,
		"Observation/theirs": `{"resourceType":"Observation","id":"theirs","status":"final","code":{"text":"SECRET","coding":[{"system":"urn:s","code":"a"}]},"subject":{"reference":"Patient/p2"},"hasMember":[{"reference":"Observation/mine"}]}`,
		"Observation/gone":   `{"resourceType":"Observation","id":"gone","status":"final","code":{"text":"SECRET"},"subject":{"reference":"Patient/p2"}}`,
		"Task/t":             `{"resourceType":"Task","id":"t","status":"draft","intent":"plan","description":"SECRET","for":{"reference":"Patient/p1"}}`,
	} {
		if status, text := g.do(g.plain, "", "PUT", "/"+path, body); status != 201 {
			t.Fatalf("%s: %d %s", path, status, text)
		}
	}
	if status, text := g.do(g.plain, "", "DELETE", "/Observation/gone", ""); status != 204 {
		t.Fatalf("%d %s", status, text)
	}
	const (
		all    = "patient/*.cruds"
		reads  = "patient/*.rs"
		v1     = "launch/patient patient/*.read"
		one    = "patient/Observation.rs"
		narrow = "patient/Observation.rs?code=urn:s|a"
		system = "system/*.cruds"
		obs    = `{"resourceType":"Observation","id":"ID","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/WHO"}}`
	)
	written := func(id, who string) string {
		return strings.NewReplacer("ID", id, "WHO", who).Replace(obs)
	}
	batch := func(method, url, resource string) string {
		if resource != "" {
			resource = `"resource":` + resource + `,`
		}
		return `{"resourceType":"Bundle","type":"KIND","entry":[{` + resource + `"request":{"method":"` + method + `","url":"` + url + `"}}]}`
	}
	for _, c := range []struct {
		name, scopes, method, path, body string
		status                           int
		want                             string // in the body
	}{
		{"read mine", reads, "GET", "/Observation/mine", "", 200, `"id":"mine"`},
		{"read mine, version 1", v1, "GET", "/Observation/mine", "", 200, `"id":"mine"`},
		{"read theirs", reads, "GET", "/Observation/theirs", "", 404, "there is no Observation with id 'theirs'"},
		{"read none", reads, "GET", "/Observation/none", "", 404, "there is no Observation with id 'none'"},
		{"read theirs that is deleted", reads, "GET", "/Observation/gone", "", 404, "there is no Observation with id 'gone'"},
		{"vread", reads, "GET", "/Observation/theirs/_history/1", "", 404, ""},
		{"history of one", reads, "GET", "/Observation/theirs/_history", "", 404, ""},
		{"history of a deleted one", reads, "GET", "/Observation/gone/_history", "", 404, ""},
		{"history of mine", reads, "GET", "/Observation/mine/_history", "", 200, `"id":"mine"`},
		{"history of the type", reads, "GET", "/Observation/_history", "", 200, `"id":"mine"`},
		{"history of all", reads, "GET", "/_history", "", 200, `"id":"mine"`},
		{"count of a history", reads, "GET", "/Observation/mine/_history?_summary=count", "", 403, ""},
		{"linked patient", reads, "GET", "/Patient/p2", "", 404, ""},
		{"patients", reads, "GET", "/Patient", "", 200, `"total":1`},
		{"search", reads, "GET", "/Observation", "", 200, `"total":2`},
		{"search by form", reads, "POST", "/Observation/_search", "code=a", 200, `"total":1`},
		{"search of theirs", reads, "GET", "/Observation?subject=Patient/p2", "", 200, `"total":0`},
		{"count", reads, "GET", "/Observation?_summary=count", "", 200, `"total":2`},
		{"accurate total", reads, "GET", "/Observation?_count=1&_total=accurate", "", 200, `"total":2`},
		{"search of all types", reads, "GET", "/?_type=Patient,Observation,Task", "", 200, `"total":3`},
		{"type of no compartment", reads, "GET", "/Task", "", 403, ""},
		{"read of a type of no compartment", reads, "GET", "/Task/t", "", 403, ""},
		{"compartment of another", reads, "GET", "/Patient/p2/Observation", "", 200, `"total":0`},
		{"compartment of another, all", reads, "GET", "/Patient/p2/*", "", 200, `"total":`},
		{"chain to another", reads, "GET", "/Observation?focus:Patient.family=SECRET&_elements=id", "", 200, `"total":0`},
		{"chain to me", reads, "GET", "/Observation?subject:Patient.family=Mine", "", 200, `"total":2`},
		{"reverse chain", reads, "GET", "/Observation?_has:Observation:has-member:code=a", "", 200, `"total":0`},
		{"include", reads, "GET", "/Observation?_include=Observation:focus", "", 200, `"total":2`},
		{"include of all", reads, "GET", "/Observation?_include=*", "", 200, `"id":"p1"`},
		{"include of a type without a scope", one, "GET", "/Observation?_include=Observation:subject", "", 200, `"total":2`},
		{"revinclude", reads, "GET", "/Observation?_revinclude=Observation:has-member", "", 200, `"total":2`},
		{"revinclude of practitioners", reads, "GET", "/Practitioner?_revinclude=Patient:general-practitioner", "", 200, `"id":"p1"`},
		{"contained resources are not searched", reads, "GET", "/Practitioner?_contained=true", "", 200, "it is left out"}, // else it must be 403
		{"plan of a search", reads, "GET", "/Observation?_explain=true", "", 403, ""},
		{"iterate", reads, "GET", "/Observation?_include:iterate=Observation:focus", "", 403, ""},
		{"everything of mine", reads, "GET", "/Patient/p1/$everything", "", 200, `"id":"d"`},
		{"everything of another", reads, "GET", "/Patient/p2/$everything", "", 404, ""},
		{"meta", reads, "GET", "/Observation/theirs/$meta", "", 404, ""},
		{"meta of all", reads, "GET", "/Observation/$meta", "", 403, ""},
		{"validation of what is there", reads, "GET", "/Observation/theirs/$validate", "", 404, ""},
		{"granular, in it", narrow, "GET", "/Observation/mine", "", 200, `"id":"mine"`},
		{"granular, not in it", narrow, "GET", "/Observation/lab", "", 404, ""},
		{"granular search", narrow, "GET", "/Observation", "", 200, `"total":1`},
		{"granular, another type", narrow, "GET", "/Patient/p1", "", 403, ""},
		{"write without a scope", reads, "PUT", "/Observation/new", written("new", "p1"), 403, ""},
		{"delete without a scope", reads, "DELETE", "/Observation/mine", "", 403, ""},
		{"create mine", all, "POST", "/Observation", written("x", "p1"), 201, ""},
		{"create theirs", all, "POST", "/Observation", written("x", "p2"), 403, ""},
		{"update theirs", all, "PUT", "/Observation/theirs", written("theirs", "p1"), 403, ""},
		{"give mine away", all, "PUT", "/Observation/lab", written("lab", "p2"), 403, ""},
		{"patch mine away", all, "PATCH", "/Observation/lab", `[{"op":"replace","path":"/subject/reference","value":"Patient/p2"}]`, 403, ""},
		{"patch theirs", all, "PATCH", "/Observation/theirs", `[{"op":"replace","path":"/subject/reference","value":"Patient/p1"}]`, 404, ""},
		{"delete theirs", all, "DELETE", "/Observation/theirs", "", 404, ""},
		{"conditional delete of theirs", all, "DELETE", "/Observation?subject=Patient/p2", "", 404, ""},
		{"conditional update", all, "PUT", "/Observation?subject=Patient/p2", written("theirs", "p1"), 403, ""},
		{"meta-add to theirs", all, "POST", "/Observation/theirs/$meta-add", `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"x"}]}}]}`, 404, ""},
		{"erase", system, "POST", "/Observation/mine/$erase", "", 403, ""},
		{"read of the system", system, "GET", "/Observation/mine", "", 200, ""},
		{"batch, read", reads, "POST", "/", strings.Replace(batch("GET", "Observation/theirs", ""), "KIND", "batch", 1), 200, `"status":"404`},
		{"batch, search", reads, "POST", "/", strings.Replace(batch("GET", "Observation?_include=Observation:focus", ""), "KIND", "batch", 1), 200, `"total":`},
		{"batch, write", reads, "POST", "/", strings.Replace(batch("PUT", "Observation/n", written("n", "p1")), "KIND", "batch", 1), 200, `"status":"403`},
		{"batch, delete theirs", all, "POST", "/", strings.Replace(batch("DELETE", "Observation/theirs", ""), "KIND", "batch", 1), 200, `"status":"404`},
		{"transaction, read", reads, "POST", "/", strings.Replace(batch("GET", "Observation/theirs", ""), "KIND", "transaction", 1), 200, `"status":"404`},
		{"transaction, write", reads, "POST", "/", strings.Replace(batch("PUT", "Observation/n", written("n", "p1")), "KIND", "transaction", 1), 403, ""},
		{"transaction, write theirs", all, "POST", "/", strings.Replace(batch("PUT", "Observation/theirs", written("theirs", "p1")), "KIND", "transaction", 1), 403, ""},
		{"transaction, give away", all, "POST", "/", strings.Replace(batch("PUT", "Observation/lab", written("lab", "p2")), "KIND", "transaction", 1), 403, ""},
		{"no scope for resources", "openid launch", "GET", "/Observation/mine", "", 403, ""},
		{"export", reads, "GET", "/$export", "", 403, ""},
		{"export of patients", reads, "POST", "/Patient/$export", "", 403, ""},
		{"export of a group", one, "GET", "/Group/g/$export", "", 403, ""},
		{"export of one type", "system/Patient.rs", "GET", "/$export?_type=Patient", "", 403, ""},
		{"export with a scope to write", "system/*.c", "GET", "/$export", "", 403, ""},
		{"state of an export", reads, "GET", "/export/0123456789abcdef0123456789abcdef", "", 403, ""},
		{"file of an export", reads, "GET", "/export/0123456789abcdef0123456789abcdef/Patient.ndjson", "", 403, ""},
		{"end of an export", reads, "DELETE", "/export/0123456789abcdef0123456789abcdef", "", 403, ""},
		{"export of the system, by a server without jobs", system, "GET", "/$export", "", 501, ""},
		{"state of an export of the system", system, "GET", "/export/0123456789abcdef0123456789abcdef", "", 404, ""},
		{"the statement", reads, "GET", "/metadata", "", 200, "CapabilityStatement"},
	} {
		headers := []string{}
		if strings.HasSuffix(c.path, "_search") {
			headers = append(headers, "Content-Type: application/x-www-form-urlencoded")
		}
		status, text := g.do(g.url, g.token(c.scopes), c.method, c.path, c.body, headers...)
		if status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s, want %d with %s", c.name, status, text, c.status, c.want)
		}
		if strings.Contains(text, "SECRET") || strings.Contains(text, `"id":"p2"`) || strings.Contains(text, `"id":"theirs"`) {
			if !strings.Contains(c.path, "SECRET") || strings.Count(text, "SECRET") > strings.Count(text, "focus:Patient.family=SECRET") {
				t.Errorf("%s: it shows what is of another: %s", c.name, text)
			}
		}
	}
	if status, text := g.do(g.url, g.token(all), "PUT", "/Observation/theirs", written("theirs", "p1"), `If-Match: W/"7"`); status != 403 || strings.Contains(text, "version") {
		t.Errorf("If-Match: %d %s", status, text)
	}
	if status, _ := g.do(g.url, "", "GET", "/Observation/mine", ""); status != 401 {
		t.Errorf("without a token: %d", status)
	}
	if status, text := g.do(g.plain, "", "GET", "/Observation/theirs", ""); status != 200 || !strings.Contains(text, `"versionId":"1"`) {
		t.Errorf("what is theirs was changed: %d %s", status, text)
	}
	if log := g.audit.String(); !strings.Contains(log, "result=refused") || strings.Contains(log, "SECRET") || strings.Contains(log, "Bearer") || strings.Contains(log, "eyJ") {
		t.Error("the audit lacks refusals, or has what it must not")
	}
}

// put stores resources past the guard.
func (g *guarded) put(resources map[string]string) {
	g.t.Helper()
	for path, body := range resources {
		if status, text := g.do(g.plain, "", "PUT", "/"+path, body); status != 201 {
			g.t.Fatalf("%s: %d %s", path, status, text)
		}
	}
}

// Search parameters that users add reach no further than those of R4: each search finds
// something of another patient without the guard, and nothing with it.
func TestCustomParametersStayInTheCompartment(t *testing.T) {
	g := newGuarded(t)
	g.put(map[string]string{
		"SearchParameter/about":   `{"resourceType":"SearchParameter","id":"about","url":"urn:about","name":"about","description":"d","status":"active","code":"about","base":["Observation"],"type":"reference","expression":"Observation.focus"}`,
		"SearchParameter/seealso": `{"resourceType":"SearchParameter","id":"seealso","url":"urn:seealso","name":"seealso","description":"d","status":"active","code":"seealso","base":["Patient"],"type":"reference","expression":"Patient.link.other"}`,
		"SearchParameter/mark":    `{"resourceType":"SearchParameter","id":"mark","url":"urn:mark","name":"mark","description":"d","status":"active","code":"mark","base":["Observation"],"type":"token","expression":"Observation.code"}`,
	})
	g.put(map[string]string{
		"Patient/p1":         `{"resourceType":"Patient","id":"p1","link":[{"other":{"reference":"Patient/p2"},"type":"seealso"}]}`,
		"Patient/p2":         `{"resourceType":"Patient","id":"p2","name":[{"family":"SECRET"}],"link":[{"other":{"reference":"Patient/p1"},"type":"seealso"}]}`,
		"Observation/mine":   `{"resourceType":"Observation","id":"mine","status":"final","code":{"coding":[{"code":"a"}]},"subject":{"reference":"Patient/p1"},"focus":[{"reference":"Patient/p2"}]}`,
		"Observation/theirs": `{"resourceType":"Observation","id":"theirs","status":"final","code":{"text":"SECRET","coding":[{"code":"secret"}]},"subject":{"reference":"Patient/p2"},"focus":[{"reference":"Patient/p1"}]}`,
	})
	reads := g.token("patient/*.rs")
	for _, c := range []struct {
		name, path    string
		all, narrowed string // what the answers have: without the guard, and with it
	}{
		{"a search by it", "/Observation?about=Patient/p1", `"total":1`, `"total":0`},
		{"chain", "/Observation?about:Patient.family=secret", `"total":1`, `"total":0`},
		{"chain from the patient", "/Patient?seealso:Patient.family=secret", `"total":1`, `"total":0`},
		{"chain after one of R4", "/Observation?subject:Patient.seealso:Patient.family=secret", `"total":1`, `"total":0`},
		{"reverse chain", "/Patient?_has:Observation:about:mark=secret", `"total":1`, `"total":0`},
		{"reverse chain in a reverse chain", "/Patient?_has:Patient:seealso:_has:Observation:subject:mark=secret", `"total":1`, `"total":0`},
		{"include", "/Observation?_id=mine&_include=Observation:about", `"id":"p2"`, `"total":1`},
		{"include of all", "/Observation?_id=mine&_include=*", `"id":"p2"`, `"total":1`},
		{"reverse include", "/Patient?_id=p1&_revinclude=Observation:about", `"id":"theirs"`, `"total":1`},
		{"sort", "/Observation?_sort=about", `"total":2`, `"total":1`},
		{"sort, descending", "/Observation?_sort=-about,mark", `"total":2`, `"total":1`},
		{"missing", "/Observation?about:missing=false", `"total":2`, `"total":1`},
		{"not", "/Observation?mark:not=a", `"total":1`, `"total":0`},
		{"compartment of another", "/Patient/p2/Observation?mark=secret", `"total":1`, `"total":0`},
	} {
		if status, text := g.do(g.plain, "", "GET", c.path, "", "Prefer: handling=strict"); status != 200 || !strings.Contains(text, c.all) {
			t.Errorf("%s, without the guard: %d %s, want %s", c.name, status, text, c.all)
		}
		status, text := g.do(g.url, reads, "GET", c.path, "", "Prefer: handling=strict")
		if status != 200 || !strings.Contains(text, c.narrowed) || strings.Contains(text, "SECRET") || strings.Contains(text, `"id":"p2"`) || strings.Contains(text, `"id":"theirs"`) {
			t.Errorf("%s: %d %s, want %s and nothing of another", c.name, status, text, c.narrowed)
		}
	}
	// What a user may define is not what a scope means.
	if status, text := g.do(g.url, g.token("patient/Observation.rs?mark=a"), "GET", "/Observation/mine", ""); status != 403 {
		t.Errorf("a granular scope by a parameter that was added: %d %s", status, text)
	}
	body := `{"resourceType":"SearchParameter","id":"new","url":"urn:new","name":"new","description":"d","status":"active","code":"new","base":["Observation"],"type":"token","expression":"Observation.code"}`
	if status, text := g.do(g.url, g.token("patient/*.cruds"), "PUT", "/SearchParameter/new", body); status != 403 {
		t.Errorf("a patient adds a search parameter: %d %s", status, text)
	}
}

// user/ scopes are those of the user, whom the claim fhirUser names.
func TestUserScopes(t *testing.T) {
	g := newGuarded(t)
	g.put(map[string]string{
		"Patient/p1":         `{"resourceType":"Patient","id":"p1"}`,
		"Patient/p2":         `{"resourceType":"Patient","id":"p2"}`,
		"Observation/mine":   `{"resourceType":"Observation","id":"mine","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`,
		"Observation/theirs": `{"resourceType":"Observation","id":"theirs","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p2"}}`,
	})
	for _, c := range []struct {
		name, user, scopes, method, path string
		status                           int
		want                             string
	}{
		{"a practitioner reads", "Practitioner/d", "user/*.rs", "GET", "/Observation/theirs", 200, `"id":"theirs"`},
		{"a practitioner searches", "https://here/r4/Practitioner/d", "user/*.rs", "GET", "/Observation", 200, `"total":2`},
		{"a practitioner deletes with reads", "Practitioner/d", "user/*.rs", "DELETE", "/Observation/theirs", 403, ""},
		{"a practitioner, one type", "Practitioner/d", "user/Observation.rs", "GET", "/Observation/theirs", 200, `"id":"theirs"`},
		{"a practitioner, a type beside it", "Practitioner/d", "user/Observation.rs", "GET", "/Patient/p2", 403, ""},
		{"a practitioner, included", "Practitioner/d", "user/Observation.rs", "GET", "/Observation?_include=Observation:subject", 200, `"total":2`},
		{"a patient reads theirs", "Patient/p1", "user/*.rs", "GET", "/Observation/theirs", 404, ""},
		{"a patient searches", "Patient/p1", "user/*.rs", "GET", "/Observation", 200, `"total":1`},
		{"a relative", "RelatedPerson/r", "user/*.rs", "GET", "/Observation/mine", 403, ""},
		{"nobody knows who", "", "user/*.rs", "GET", "/Observation/mine", 403, ""},
		{"nobody knows who, search", "", "user/*.rs", "GET", "/Observation", 403, ""},
		{"two kinds of scopes", "Patient/p1", "user/Patient.rs patient/Observation.rs", "GET", "/Patient", 200, `"total":1`},
		{"SQL is for keys", "Practitioner/d", "system/*.cruds user/*.cruds", "POST", "/../sql", 403, ""},
	} {
		status, text := g.do(strings.TrimSuffix(g.url, "/r4"), g.token(c.scopes, "fhirUser", c.user), c.method, strings.Replace("/r4"+c.path, "/r4/..", "", 1), "")
		if status != c.status || !strings.Contains(text, c.want) || c.name == "a practitioner, included" && strings.Contains(text, `"resourceType":"Patient"`) {
			t.Errorf("%s: %d %s, want %d with %s", c.name, status, text, c.status, c.want)
		}
	}
}

// An answer that comes later is for who asked for it.
func TestTheAnswerThatComesLaterHasAnOwner(t *testing.T) {
	g := newGuarded(t)
	g.put(map[string]string{"Patient/p1": `{"resourceType":"Patient","id":"p1"}`})
	r, err := http.NewRequest("POST", g.url, strings.NewReader(`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/p1"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	own := g.token("patient/*.rs")
	r.Header.Set("Authorization", "Bearer "+own)
	r.Header.Set("Content-Type", "application/fhir+json")
	r.Header.Set("Prefer", "respond-async")
	res, err := g.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	at := res.Header.Get("Content-Location")
	if res.StatusCode != 202 || at == "" {
		t.Fatalf("%d %q", res.StatusCode, at)
	}
	for name, token := range map[string]string{
		"another application":      g.token("patient/*.rs", "sub", "other"),
		"the same for another":     g.token("patient/*.rs", "patient", "p2"),
		"a system":                 g.token("system/*.cruds", "sub", "system"),
		"the same without patient": g.token("system/*.cruds", "patient", ""),
	} {
		for _, method := range []string{"GET", "DELETE"} {
			if status, text := g.do(at, token, method, "", ""); status != 404 || strings.Contains(text, "p1") {
				t.Errorf("%s, %s: %d %s", name, method, status, text)
			}
		}
	}
	status, text := g.do(at, own, "GET", "", "")
	for status == 202 {
		status, text = g.do(at, own, "GET", "", "")
	}
	if status != 200 || !strings.Contains(text, `"id":"p1"`) {
		t.Errorf("its owner: %d %s", status, text)
	}
}
