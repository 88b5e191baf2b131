package bundle

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/stages/parse"
)

func tree(t testing.TB, text string) (*fhir.Tree, fhir.NodeID) {
	t.Helper()
	tree := &fhir.Tree{}
	tree.Reset([]byte(text))
	res := parse.NewParser().Parse(tree, 0, uint32(len(text)))
	if res.Root == fhir.NoNode {
		t.Fatalf("%s: %v", text, res.Issues)
	}
	return tree, res.Root
}

func limits(transaction bool) int {
	if transaction {
		return 2
	}
	return 3
}

func TestRead(t *testing.T) {
	tr, root := tree(t, `{"resourceType":"Bundle","type":"transaction","entry":[
		{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"a=b"}},
		{"request":{"method":"DELETE","url":"Patient/1","ifMatch":"W/\"2\"","ifNoneMatch":"*","ifModifiedSince":"2020-01-01T00:00:00Z"}}]}`)
	b, err := Read(tr, root, limits)
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{FullURL: "urn:uuid:1", Resource: b.Entries[0].Resource, Method: "POST", URL: "Patient", IfNoneExist: "a=b"},
		{Resource: fhir.NoNode, Method: "DELETE", URL: "Patient/1", IfMatch: `W/"2"`, IfNoneMatch: "*", IfModifiedSince: "2020-01-01T00:00:00Z"},
	}
	if d := cmp.Diff(want, b.Entries); d != "" || !b.Transaction {
		t.Errorf("entries (-want +got):\n%s", d)
	}
	if got := string(tr.JSON(b.Entries[0].Resource)); got != `{"resourceType":"Patient"}` {
		t.Errorf("resource %s", got)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"another type", `{"resourceType":"Bundle","type":"collection"}`, "Bundle.type: a Bundle of type 'collection' cannot be processed; expected batch or transaction"},
		{"no type", `{"resourceType":"Bundle"}`, "Bundle.type: a Bundle of type '' cannot be processed; expected batch or transaction"},
		{"too many of a transaction", `{"resourceType":"Bundle","type":"transaction","entry":[{},{},{}]}`, "Bundle.entry: the Bundle has more than 2 entries"},
		{"too many of a batch", `{"resourceType":"Bundle","type":"batch","entry":[{},{},{},{}]}`, "Bundle.entry: the Bundle has more than 3 entries"},
	} {
		tr, root := tree(t, c.text)
		if _, err := Read(tr, root, limits); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestLinks(t *testing.T) {
	const server = "http://x.org/fhir/Patient/7"
	for _, c := range []struct{ name, fullURL, resource, want string }{
		{"a Reference", "urn:uuid:o", `{"resourceType":"Observation","subject":{"reference":"urn:uuid:p","display":"urn:uuid:p"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/1","display":"urn:uuid:p"}}`},
		{"an escaped Reference", "", `{"resourceType":"Observation","subject":{"reference":"urn:uuid:\u0070"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/1"}}`},
		{"a fragment stays", "", `{"resourceType":"Observation","subject":{"reference":"urn:uuid:p#\u00e9\""}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/1#é\""}}`},
		{"in an extension, a list and a contained resource", "", `{"resourceType":"Observation","contained":[{"resourceType":"Group","member":[{"entity":{"reference":"urn:uuid:p"}}]}],"extension":[{"url":"urn:uuid:x","valueReference":{"reference":"urn:uuid:p"}}]}`, `{"resourceType":"Observation","contained":[{"resourceType":"Group","member":[{"entity":{"reference":"Patient/1"}}]}],"extension":[{"url":"urn:uuid:x","valueReference":{"reference":"Patient/1"}}]}`},
		{"a uri and a uuid, not a canonical or string", "", `{"resourceType":"Basic","extension":[{"url":"http://x","valueUri":"urn:uuid:p"},{"url":"http://x","valueUuid":"urn:uuid:p"},{"url":"http://x","valueCanonical":"urn:uuid:p"},{"url":"http://x","valueString":"urn:uuid:p"}]}`, `{"resourceType":"Basic","extension":[{"url":"http://x","valueUri":"Patient/1"},{"url":"http://x","valueUuid":"Patient/1"},{"url":"http://x","valueCanonical":"urn:uuid:p"},{"url":"http://x","valueString":"urn:uuid:p"}]}`},
		{"links in a narrative", "", `{"resourceType":"Basic","text":{"status":"generated","div":"<div><a href=\"urn:uuid:p\">urn:uuid:p</a><img\n src = 'urn:uuid:p#f' alt=\"src=urn:uuid:p\"/><a href=\"urn:uuid:q\"/></div>"}}`, `{"resourceType":"Basic","text":{"status":"generated","div":"<div><a href=\"Patient/1\">urn:uuid:p</a><img\n src = 'Patient/1#f' alt=\"src=urn:uuid:p\"/><a href=\"urn:uuid:q\"/></div>"}}`},
		{"absolute, of another server", "", `{"resourceType":"Observation","subject":{"reference":"` + server + `"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/2"}}`},
		{"relative to the server of the entry", "http://x.org/fhir/Observation/9", `{"resourceType":"Observation","subject":{"reference":"Patient/7"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/2"}}`},
		{"relative to another server", "http://y.org/fhir/Observation/9", `{"resourceType":"Observation","subject":{"reference":"Patient/7"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/7"}}`},
		{"relative, of an entry without a server", "urn:uuid:o", `{"resourceType":"Observation","subject":{"reference":"Patient/7"}}`, `{"resourceType":"Observation","subject":{"reference":"Patient/7"}}`},
		{"local, conditional, unknown, of a version", server, `{"resourceType":"Basic","subject":{"reference":"#p"},"author":{"reference":"Practitioner?identifier=a|b"},"extension":[{"url":"x","valueReference":{"reference":"urn:uuid:none"}},{"url":"x","valueReference":{"reference":"` + server + `/_history/1"}}]}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l Links
			if !l.Add("urn:uuid:p", "Patient/1") || !l.Add(server, "Patient/2") || !l.Add("", "Patient/3") || !l.Add("", "Patient/4") {
				t.Fatal("a new fullUrl is refused")
			}
			tr, root := tree(t, c.resource)
			want := c.want
			if want == "" {
				want = c.resource
			}
			if got := string(l.AppendResource(nil, tr, &Entry{FullURL: c.fullURL, Resource: root})); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	var l Links
	l.Add("urn:uuid:p", "Patient/1")
	if l.Add("urn:uuid:p", "Patient/2") {
		t.Error("a fullUrl is taken twice")
	}
}

func FuzzLinks(f *testing.F) {
	f.Add(`<a href=\"urn:uuid:p\"/>`, "urn:uuid:p#x", "http://x/Patient/1")
	f.Add(` src = '`, "Patient/7", "http:///")
	f.Fuzz(func(t *testing.T, div, reference, fullURL string) {
		if strings.ContainsAny(reference, "\"\\\n") {
			return
		}
		text := `{"resourceType":"Basic","text":{"status":"generated","div":"` + div + `"},"subject":{"reference":"` + reference + `"}}`
		tr := &fhir.Tree{}
		tr.Reset([]byte(text))
		p := parse.NewParser()
		before := p.Parse(tr, 0, uint32(len(text)))
		if before.Root == fhir.NoNode {
			return
		}
		n := len(tr.Nodes)
		var l Links
		l.Add("urn:uuid:p", "Patient/1")
		l.Add(reference, "Patient/2")
		out := l.AppendResource(nil, tr, &Entry{FullURL: fullURL, Resource: before.Root})
		tr.Reset(out)
		if after := p.Parse(tr, 0, uint32(len(out))); after.Root == fhir.NoNode || len(tr.Nodes) != n {
			t.Fatalf("%s became %s", text, out)
		}
	})
}
