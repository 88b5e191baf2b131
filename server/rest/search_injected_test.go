package rest_test

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/server/rest"
)

// engineText is of errors of the SQL engine, and of panics.
var engineText = regexp.MustCompile(`(?i)\b(binder|parser|catalog|conversion|out of range|invalid input|internal|constraint|transaction ?context|io|out of memory|interrupt|cast) error\b|syntax error at|duckdb|LINE 1:|goroutine \d|runtime error|read_parquet`)

// answered fails when a search got no answer that it may get: what matches, or a fault of
// its sender that tells nothing of how searches are worked out.
func answered(t *testing.T, what string, w *httptest.ResponseRecorder) {
	t.Helper()
	sound(t, w)
	if m := engineText.FindString(w.Body.String()); m != "" {
		t.Errorf("%s: %q is in the answer: %.600s", what, m, w.Body)
	}
	if w.Code != 200 && w.Body.Len() > 64<<10 {
		t.Errorf("%s: the fault has %d bytes", what, w.Body.Len())
	}
}

// injections are texts that SQL, URLs or the grammar of searches could take for something
// else than a value.
var injections = []string{
	`'`, `"`, `''`, `';DROP TABLE tok;--`, `' OR '1'='1`, `") UNION SELECT * FROM read_csv('/etc/passwd')--`, `x'||(SELECT 1)||'`,
	"`", `/*`, `*/`, `--`, `;`, `%`, `_`, `%%`, `\`, `\\`, `\,`, `\|`, `\$`, `\\,`, `a\`, `,`, `|`, `||`, `$`, `$$`, `a$b$c`, `.`, `:`, `::`, `!`, `*`, `?`, `#`,
	"\x00", "a\x00b", "\n", "\r\n", "\t", "\x1b[31m", "\x7f", "\u202e", "\ufeff", "\U0010ffff", "\xff\xfe", "\xc0\xaf", "\xed\xa0\x80",
	`99999999999999999999999999`, `-0`, `1e308`, `1e309`, `-1e-400`, `1e2147483647`, `0x10`, `NaN`, `Infinity`, `1_000`, `+1`, `.5`, `5.`,
	`0000`, `0000-00-00`, `9999-12-31T23:59:60Z`, `10000-01-01`, `2020-02-30`, `2020-13`, `2020-01-01T25:00`, `2020-01-01T00:00:00+99:99`, `-2020`, `2020-1`,
	`gt`, `ge2020`, `ap0001`, `ap9999-12-31T23:59:59.999999999+14:00`, `ne`, `apap1`, `sa1e400`,
	`http://hl7.org/fhir/ValueSet/observation-status`, `http://x|1|2`, `urn:oid:1.2.3`, `ValueSet/'`, `http://[::1`, `//`, `../../../etc/passwd`,
	`((((`, `))))`, `(a OR (b AND NOT (c)))`, `"a`, `NOT NOT NOT a`, `OR`, `{{7*7}}`, `${x}`, `<script>`, `null`, `true`, `Patient/a`, `Patient/`, `/a`,
}

// positions are where a client's text stands in a search.
var positions = []string{
	"/Patient?%s", "/Patient?%s=a", "/Patient?name:%s=a", "/Patient?name=%s", "/Patient?name:exact=%s", "/Patient?name:contains=%s", "/Patient?name=a,%s,b",
	"/Patient?name:missing=%s", "/Patient?gender=%s", "/Patient?gender:not=%s", "/Patient?identifier=%s", "/Patient?identifier=%s%%7C%s", "/Patient?identifier=%%7C%s",
	"/Patient?identifier:of-type=%s%%7C%s%%7C%s", "/Patient?birthdate=%s", "/Patient?birthdate=ge%s", "/Patient?birthdate=ap%s", "/Patient?_lastUpdated=%s",
	"/Patient?_id=%s", "/?_id=%s&_type=Patient", "/?_type=%s", "/Patient?_tag=%s", "/Patient?_profile=%s", "/Patient?_profile:below=%s", "/Patient?_source:above=%s",
	"/Patient?_security=%s", "/Patient?_text=%s", "/Patient?_content=%s", "/Patient?_list=%s", "/Patient?_has=%s", "/Patient?_has:%s=a", "/Patient?_has:Observation:%s:code=a",
	"/Patient?_has:Observation:patient:%s=a", "/Patient?_has:Observation:patient:code=%s", "/Patient?organization=%s", "/Patient?organization:%s=a", "/Patient?organization:identifier=%s",
	"/Patient?organization.%s=a", "/Patient?organization.name=%s", "/Patient?organization:Organization.partof.name=%s", "/Patient?organization:Organization.%s.name=a",
	"/Patient?_sort=%s", "/Patient?_sort=-%s", "/Patient?_sort=name,%s", "/Patient?_count=%s", "/Patient?_total=%s", "/Patient?_summary=%s", "/Patient?_elements=%s",
	"/Patient?_include=%s", "/Patient?_include=Patient:%s", "/Patient?_include=Patient:organization:%s", "/Patient?_include:%s=Patient:organization", "/Patient?_revinclude=%s",
	"/Patient?_revinclude=Observation:%s", "/Patient?_contained=%s", "/Patient?_containedType=%s", "/Patient?_explain=%s", "/Patient?_page=%s", "/Patient?_format=%s", "/Patient?_pretty=%s",
	"/Patient?_filter=%s", "/Patient?_query=%s", "/Patient?createdAt=%s", "/Observation?value-quantity=%s", "/Observation?value-quantity=lt%s%%7C%s%%7C%s", "/Observation?value-quantity=5%%7C%%7C%s",
	"/Observation?code=%s", "/Observation?code:text=%s", "/Observation?code:in=%s", "/Observation?code:not-in=%s", "/Observation?code:below=%s", "/Observation?code:above=http://loinc.org%%7C%s",
	"/Observation?code-value-quantity=%s", "/Observation?code-value-quantity=a$%s", "/Observation?code-value-quantity=%s$5", "/Observation?value-concept=%s", "/Observation?value-string=%s",
	"/Observation?subject=Patient/%s", "/Observation?patient=%s", "/RiskAssessment?probability=%s", "/RiskAssessment?probability=ap%s", "/ValueSet?url=%s", "/ValueSet?url:above=%s", "/ValueSet?reference=%s",
	"/Location?near=%s", "/Location?near=1%%7C1%%7C%s", "/Location?near=1%%7C%s%%7C1%%7Ckm", "/Encounter?length=%s", "/MolecularSequence?window-start=%s", "/Condition?onset-age=%s",
	"/Patient/%s/Observation", "/Patient/%s/*", "/Patient/p/%s?code=a", "/Patient/p/Observation?code=%s", "/Patient/%s/$everything", "/Patient/p/$everything?_since=%s", "/Patient/p/$everything?start=%s",
	"/Patient/p/$everything?_type=%s", "/Patient/p/$everything?_count=%s", "/Patient/p/$everything?_page=%s",
}

// injectable is a server that has a resource for most of what is asked, some of it with SQL
// as values.
func injectable(t testing.TB) *server {
	s := newServer(t, nil)
	for i, text := range []string{
		`{"resourceType":"Organization","id":"o","name":"'; -- acme"}`,
		`{"resourceType":"Patient","id":"p","name":[{"family":"a"},{"given":["' OR '1'='1"]}],"gender":"male","birthDate":"1970-01-02","managingOrganization":{"reference":"Organization/o"},"identifier":[{"system":"urn:a;--","value":"\\,|$"}]}`,
		`{"resourceType":"Observation","id":"x","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"a"}]},"subject":{"reference":"Patient/p"},"valueQuantity":{"value":5,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}}`,
		`{"resourceType":"Location","id":"l","position":{"longitude":1,"latitude":1}}`,
		`{"resourceType":"RiskAssessment","id":"r","status":"final","subject":{"reference":"Patient/p"},"prediction":[{"probabilityDecimal":0.5}]}`,
		`{"resourceType":"ValueSet","id":"v","url":"http://x","status":"active"}`,
	} {
		typ := strings.Split(text, `"`)[3]
		id := strings.Split(text, `"`)[7]
		if w := s.do(t, "PUT", "/"+typ+"/"+id, text); w.Code != 201 {
			t.Fatalf("%d: %d %s", i, w.Code, w.Body)
		}
	}
	return s
}

// at puts a text into a position.
func at(position, text string) string {
	n := strings.Count(strings.ReplaceAll(position, "%%", ""), "%s")
	args := make([]any, n)
	for i := range args {
		args[i] = text
	}
	return fmt.Sprintf(position, args...)
}

// inject asks by GET, and when it can by POST of a form; what is no URL is asked by nobody.
// It gives the statuses of the answers.
func (s *server) inject(t *testing.T, target, handling string) (statuses []int) {
	t.Helper()
	ask := func(method, target, body string, header ...string) {
		w := s.do(t, method, target, body, header...)
		answered(t, method+" "+target, w)
		statuses = append(statuses, w.Code)
	}
	prefer := "Prefer: handling=" + handling
	isURL := func(target string) bool {
		_, err := url.ParseRequestURI("http://lake.test" + target)
		return err == nil && !strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c == 0x7f })
	}
	if isURL(target) {
		ask("GET", target, "", prefer)
	}
	path, query, ok := strings.Cut(target, "?")
	if ok && strings.Count(path, "/") == 1 && path != "/" && isURL(path) {
		ask("POST", path+"/_search", query, prefer, "Content-Type: application/x-www-form-urlencoded")
	}
	return statuses
}

// TestInjectionsInEveryPosition asks for each text in each position, as it stands and
// escaped, strictly and leniently.
func TestInjectionsInEveryPosition(t *testing.T) {
	s := injectable(t)
	rnd := rand.New(rand.NewPCG(1, 1))
	may := []int{200, 400, 404, 410, 422}
	for i, p := range positions {
		try := func(target, handling string) {
			for _, got := range s.inject(t, target, handling) {
				if !slices.Contains(may, got) && !(got == 406 && strings.Contains(p, "_format")) {
					t.Errorf("%s: status %d", target, got)
				}
			}
		}
		texts := slices.Clone(injections)
		if injectEvery > 1 { // others of them in each position
			rnd.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
			texts = texts[:len(texts)/injectEvery]
		}
		for j, text := range texts {
			handling := [...]string{"lenient", "strict"}[(i+j)%2]
			try(at(p, url.QueryEscape(text)), handling)
			if injectEvery == 1 {
				try(at(p, text), handling)
				try(at(p, url.QueryEscape(text)), [...]string{"strict", "lenient"}[(i+j)%2])
			}
		}
		if t.Failed() {
			return
		}
	}
	if w := s.do(t, "GET", "/Patient?_summary=count", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"total":1`) {
		t.Errorf("after them: %d %s", w.Code, w.Body)
	}
}

// TestInjectionsAreFoundAsTheyStand: what is escaped as R4 has it is a value like others.
func TestInjectionsAreFoundAsTheyStand(t *testing.T) {
	s := newServer(t, nil)
	escape := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)
	n := 0
	for i, text := range injections {
		body := fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","identifier":[{"system":"urn:s","value":%q}]}`, i, text)
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x1b\x7f\u202e\ufeff\U0010ffff") || strings.TrimSpace(text) == "" {
			continue // no value of an element
		}
		if w := s.do(t, "PUT", fmt.Sprintf("/Patient/p%d", i), body); w.Code != 201 {
			t.Fatalf("%q: %d %s", text, w.Code, w.Body)
		}
		w := s.do(t, "GET", "/Patient?identifier="+url.QueryEscape("urn:s|"+escape.Replace(text)), "", "Prefer: handling=strict")
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"total":1`) || !strings.Contains(w.Body.String(), fmt.Sprintf(`"id":"p%d"`, i)) {
			t.Errorf("%q: %d %s", text, w.Code, w.Body)
		}
		n++
	}
	if n < 60 {
		t.Errorf("%d values: too few", n)
	}
}

// TestPathsThatAreNotCleanAreNotRedirected: an answer 404 has an OperationOutcome, and
// nobody is sent elsewhere.
func TestPathsThatAreNotCleanAreNotRedirected(t *testing.T) {
	s := injectable(t)
	for _, path := range []string{"//", "/Patient//", "/Patient/p//?code=a", "//Patient", "/Patient/p/../q", "/Patient/./p", "/Patient/p///"} {
		w := s.do(t, "GET", path, "")
		if answered(t, path, w); w.Code != 404 {
			t.Errorf("%s: %d, want 404", path, w.Code)
		}
	}
}

// TestChangedPageTokens: a token with any other byte is no page.
func TestChangedPageTokens(t *testing.T) {
	s := injectable(t)
	if w := s.do(t, "PUT", "/Patient/q", `{"resourceType":"Patient","id":"q"}`); w.Code != 201 {
		t.Fatal(w.Body)
	}
	m := nextToken.FindStringSubmatch(s.do(t, "GET", "/Patient?_count=1", "").Body.String())
	if m == nil {
		t.Fatal("no link next")
	}
	for i := range m[1] {
		for _, with := range []string{"A", "_", "'", "%00", "%ff", ""} {
			if changed := m[1][:i] + with + m[1][i+1:]; changed != m[1] {
				w := s.do(t, "GET", "/Patient?_count=1&_page="+changed, "")
				if answered(t, changed, w); w.Code != 400 {
					t.Errorf("%s: %d, want 400", changed, w.Code)
				}
			}
		}
	}
	if w := s.do(t, "GET", "/Patient?_count=1&_page="+m[1], ""); w.Code != 200 {
		t.Errorf("as it was: %d %s", w.Code, w.Body)
	}
}

// TestLongSearchesOverHTTP: what passes a limit of searches is refused by its name before
// the index is asked.
func TestLongSearchesOverHTTP(t *testing.T) {
	f := &finder{}
	s := handlerOf(t, rest.DataStoreOptions{Store: &fake{}, Search: f, Secret: secret}, &newServer(t, nil).ids, nil)
	for name, c := range map[string]struct{ query, want string }{
		"10,001 values":             {"gender=" + strings.Repeat("a,", 10_000) + "a", "values"},
		"100 hops":                  {"organization:Organization." + strings.Repeat("partof:Organization.", 99) + "name=a", "hops"},
		"_has 100 deep":             {strings.Repeat("_has:Observation:has-member:", 100) + "code=a", ""},
		"the same 5,000 times":      {strings.Repeat("a=1&", 5_000), "parameters"},
		"a text nested 1,000 deep":  {"_text=" + strings.Repeat("(", 1_000) + "a" + strings.Repeat(")", 1_000), ""},
		"a content nested 17 deep":  {"_content=" + strings.Repeat("(", 17) + "a" + strings.Repeat(")", 17), "deeper"},
		"a text of 201 words":       {"_text=" + strings.Repeat("a+", 200) + "a", "words"},
		"33 keys":                   {"_sort=" + strings.Repeat("name,", 32) + "_id", "keys"},
		"a search of 2 MB, by POST": {"name=" + strings.Repeat("x", 2<<20), ""},
	} {
		w := do(t, s, "POST", "/Patient/_search", c.query, "Content-Type: application/x-www-form-urlencoded", "Prefer: handling=strict")
		if answered(t, name, w); w.Code != 400 || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %.300s, want 400 with %q", name, w.Code, w.Body, c.want)
		}
	}
	if f.asks > 0 {
		t.Errorf("the index was asked %d times", f.asks)
	}
}

// FuzzSearchOverHTTP: any target below the base gets an answer.
func FuzzSearchOverHTTP(f *testing.F) {
	for i, p := range positions {
		f.Add(at(p, url.QueryEscape(injections[i%len(injections)])), i%2 == 0)
	}
	for i, text := range injections {
		f.Add(at(positions[i%len(positions)], text), i%2 == 0)
	}
	s := injectable(f)
	f.Fuzz(func(t *testing.T, target string, strict bool) {
		if !strings.HasPrefix(target, "/") || strings.HasSuffix(target, "/$reindex") {
			return
		}
		handling := "lenient"
		if strict {
			handling = "strict"
		}
		s.inject(t, target, handling)
	})
}
