package rest_test

import (
	"net/url"
	"strings"
	"testing"
)

// TestHostileSearches: any search gets an answer or a fault of its sender, by GET and by
// POST, alone and as criteria.
func TestHostileSearches(t *testing.T) {
	s := newServer(t, nil)
	if w := s.do(t, "PUT", "/Patient/p", `{"resourceType":"Patient","id":"p","name":[{"family":"a"}]}`); w.Code != 201 {
		t.Fatal(w.Body)
	}
	const sql = `';DROP TABLE x;--`
	for name, query := range map[string]string{
		"10,000 values":              "name=" + strings.Repeat("a,", 10_000) + "a",
		"100 hops":                   strings.Repeat("organization.partof.", 50) + "name=a",
		"reverse hops":               strings.Repeat("_has:Observation:patient:", 100) + "code=a",
		"the same again":             strings.Repeat("name=a&", 5000) + "name=a",
		"many parameters":            strings.Repeat("name:contains=a&name=b&name=c&", 100),
		"broken escapes":             `name=a\&name=%5C%5C%5C`,
		"broken percents":            "name=%",
		"bytes that are no text":     "name=%ff%00%fe",
		"SQL as a value":             "name=" + url.QueryEscape(sql),
		"SQL as it stands":           "name=" + sql,
		"SQL as a name":              url.QueryEscape(sql) + "=a",
		"SQL as a modifier":          "name:" + url.QueryEscape(sql) + "=a",
		"SQL as a key":               "_sort=" + url.QueryEscape(sql),
		"SQL as an include":          "_include=Patient:" + url.QueryEscape(sql),
		"SQL as an id":               "_id=" + url.QueryEscape(sql),
		"SQL as a system":            "identifier=" + url.QueryEscape(sql+"|"+sql),
		"SQL as elements":            "_elements=" + url.QueryEscape(sql),
		"a page":                     "_page=" + strings.Repeat("A", 80),
		"a page of control bytes":    "_page=%00%0a",
		"a count":                    "_count=99999999999999999999",
		"summaries":                  "_summary=true&_summary=false",
		"includes of everything":     "_include=*&_revinclude=*&_include:iterate=*&_revinclude:iterate=*",
		"all there is, in any order": "_sort=-_lastUpdated,_id,name,birthdate,-gender&_total=accurate&_explain=true",
		"no name":                    "=a&&&=&a",
		"separators":                 "name=,,,&identifier=|||&code-value-quantity=$$$",
	} {
		t.Run(name, func(t *testing.T) {
			check := func(how, method, path, body string, header ...string) {
				t.Helper()
				if w := s.do(t, method, path, body, header...); w.Code >= 500 && w.Code != 501 || !strings.HasPrefix(w.Body.String(), `{"resourceType":`) {
					t.Errorf("%s: %d %.300s", how, w.Code, w.Body)
				}
			}
			form := "Content-Type: application/x-www-form-urlencoded"
			check("posted", "POST", "/Patient/_search", query, form)
			check("posted without a type", "POST", "/_search", query, form)
			check("as criteria", "POST", "/Patient", `{"resourceType":"Patient"}`, "If-None-Exist: "+query)
			if u, err := url.Parse("http://x/?" + query); err == nil && u.RawQuery == query && !strings.Contains(query, " ") {
				check("got", "GET", "/Patient?"+query, "")
				check("in a compartment", "GET", "/Patient/p/*?"+query, "")
				check("patched", "PATCH", "/Patient?"+query, `[]`, "Content-Type: application/json-patch+json")
			}
		})
	}
}
