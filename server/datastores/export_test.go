package datastores_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/server/bulkdata"
	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/server/jobs"
	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/server/search"
	nlpnotes "github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/catalog"
)

// exporting is a data store whose server exports.
type exporting struct {
	*searched
	jobs    *jobs.Manager
	bucket  string // folder of s3://bucket-of-exports
	reread  error  // of what waits for Binaries; nil: it is read
	now     time.Time
	handler *rest.Handler
}

func newExporting(t *testing.T, inputs ...string) *exporting {
	t.Helper()
	e := &exporting{searched: newSearched(t, inputs...), bucket: t.TempDir(), now: time.Now()}
	fhir := datastores.NewFHIR(e.set, datastores.NewCompactor(e.set, datastores.CompactorOptions{}), search.Options{Threads: 2})
	engine := &jobs.Engine{
		Root: e.root, Catalog: e.catalog, Lake: e.set.Lake, Workers: 2, Memory: 64 << 20,
		Blobs: blob.New(blob.Options{Folders: map[string]string{"bucket-of-exports": e.bucket}}),
		Notes: func(id string) *nlpnotes.Options { return e.set.Notes(id, datastores.ReadAsSet) },
		Reread: func(ctx context.Context, id string) error {
			if e.reread != nil {
				return e.reread
			}
			return e.compact.RereadWaiting(ctx, id)
		},
	}
	e.jobs = jobs.New(jobs.Options{
		Catalog: e.catalog, Turn: e.set.BeginJob, Now: func() time.Time { return e.now },
		Kinds: map[catalog.JobKind]jobs.Kind{catalog.Export: jobs.Exports{Engine: engine, Select: fhir.Select}, catalog.Import: jobs.Imports{Engine: engine}},
	})
	if err := e.jobs.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.jobs.Stop)
	e.handler = rest.New(rest.Options{DataStore: fhir.DataStore, Jobs: &rest.Jobs{Manager: e.jobs, Dir: e.root.JobDir}})
	srv := httptest.NewServer(e.handler)
	t.Cleanup(srv.Close)
	e.url = srv.URL + "/datastore/" + e.id + "/r4"
	return e
}

// ask makes a request; header are pairs.
func (e *exporting) ask(method, at, body string, header ...string) (*http.Response, string) {
	e.t.Helper()
	if !strings.HasPrefix(at, "http") {
		at = e.url + at
	}
	r, err := http.NewRequest(method, at, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := e.client.Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return resp, string(text)
}

func (e *exporting) put(at, body string) {
	e.t.Helper()
	if resp, text := e.ask("PUT", at, body, "Content-Type", "application/fhir+json"); resp.StatusCode/100 != 2 {
		e.t.Fatalf("PUT %s: %d %s", at, resp.StatusCode, text)
	}
}

// manifest is what the tests look at of the list of files.
type manifest struct {
	TransactionTime        string
	Request                string
	RequiresAccessToken    bool
	Output, Deleted, Error []struct {
		Type, URL string
		Count     int64
	}
	ExportJobProperties map[string]any
}

// begin kicks off an export and waits for its end; it gives where it is asked for.
func (e *exporting) begin(method, at, body string) string {
	e.t.Helper()
	resp, text := e.ask(method, at, body, "Prefer", "respond-async", "Accept", "application/fhir+json", "Content-Type", "application/fhir+json")
	where := resp.Header.Get("Content-Location")
	if resp.StatusCode != 202 || where == "" {
		e.t.Fatalf("%s %s: %d %s", method, at, resp.StatusCode, text)
	}
	e.jobs.Wait(e.t.Context(), where[strings.LastIndex(where, "/")+1:])
	return where
}

func (e *exporting) manifest(where string) (m manifest) {
	e.t.Helper()
	resp, text := e.ask("GET", where, "", "Accept", "application/json")
	if resp.StatusCode != 200 {
		e.t.Fatalf("GET %s: %d %s", where, resp.StatusCode, text)
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		e.t.Fatal(err)
	}
	return m
}

// export gives the list of files of an export, and its resources by Type/id.
func (e *exporting) export(method, at, body string) (manifest, map[string]string) {
	e.t.Helper()
	m := e.manifest(e.begin(method, at, body))
	all := map[string]string{}
	for _, f := range m.Output {
		resp, text := e.ask("GET", f.URL, "", "Accept", "application/fhir+ndjson")
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/fhir+ndjson" {
			e.t.Fatalf("GET %s: %d %s", f.URL, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
		var n int64
		for line := range strings.Lines(text) {
			var r struct{ ResourceType, ID string }
			if err := json.Unmarshal([]byte(line), &r); err != nil || r.ResourceType != f.Type {
				e.t.Fatalf("%s: %v, a %s", f.URL, err, r.ResourceType)
			}
			all[r.ResourceType+"/"+r.ID] = strings.TrimSuffix(line, "\n")
			n++
		}
		if n != f.Count {
			e.t.Errorf("%s: %d lines, the list says %d", f.URL, n, f.Count)
		}
	}
	return m, all
}

func names(all map[string]string) (list []string) {
	for name := range all {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func write(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.ndjson")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ward is two patients with what is theirs, an organization, and a group of one of them.
var ward = []string{
	`{"resourceType":"Patient","id":"pat-a","meta":{"tag":[{"system":"urn:t","code":"red"}]},"gender":"female","birthDate":"1990-01-01"}`,
	`{"resourceType":"Patient","id":"pat-b","gender":"male"}`,
	`{"resourceType":"Observation","id":"obs-a","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/pat-a"}}`,
	`{"resourceType":"Observation","id":"obs-b","status":"amended","code":{"text":"x"},"subject":{"reference":"Patient/pat-b"}}`,
	`{"resourceType":"Organization","id":"org","name":"Ward"}`,
	`{"resourceType":"Group","id":"of-a","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/pat-a"}},{"entity":{"reference":"Patient/pat-b"},"inactive":true}]}`,
}

// TestWhatIsExported asks for the same data store, half of it in the snapshot and half written
// since, in many ways.
func TestWhatIsExported(t *testing.T) {
	e := newExporting(t, write(t, ward[0], ward[3], ward[4]))
	for _, text := range []string{ward[1], ward[2], ward[5]} {
		var r struct{ ResourceType, ID string }
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		e.put("/"+r.ResourceType+"/"+r.ID, text)
	}
	all := "Group/of-a Observation/obs-a Observation/obs-b Organization/org Patient/pat-a Patient/pat-b"
	parameters := func(list ...string) string {
		return `{"resourceType":"Parameters","parameter":[` + strings.Join(list, ",") + `]}`
	}
	for _, tt := range []struct{ name, method, at, body, want string }{
		{"everything", "GET", "/$export", "", all},
		{"by POST", "POST", "/$export", "", all},
		{"some types", "GET", "/$export?_type=Patient,Group", "", "Group/of-a Patient/pat-a Patient/pat-b"},
		{"types of Parameters", "POST", "/$export", parameters(`{"name":"_type","valueString":"Patient"}`, `{"name":"_type","valueString":"Group"}`), "Group/of-a Patient/pat-a Patient/pat-b"},
		{"nothing there", "GET", "/$export?_type=Basic", "", ""},
		{"of patients", "GET", "/Patient/$export", "", "Group/of-a Observation/obs-a Observation/obs-b Patient/pat-a Patient/pat-b"},
		{"of one patient", "POST", "/Patient/$export", parameters(`{"name":"patient","valueReference":{"reference":"Patient/pat-b"}}`), "Group/of-a Observation/obs-b Patient/pat-b"},
		{"of a group", "GET", "/Group/of-a/$export?_type=Patient,Observation", "", "Observation/obs-a Patient/pat-a"},
		{"after all", "GET", "/$export?_since=2999-01-01T00:00:00Z", "", ""},
		{"before all", "GET", "/$export?_until=2000-01-01T00:00:00%2B01:00", "", ""},
		{"a filter", "GET", "/$export?_typeFilter=Observation%3Fstatus%3Dfinal&_type=Patient,Observation", "", "Observation/obs-a Patient/pat-a Patient/pat-b"},
		{"two filters", "GET", "/$export?_type=Observation&_typeFilter=" + url.QueryEscape("Observation?status=final,preliminary,Observation?status=amended"), "", "Observation/obs-a Observation/obs-b"},
		{"a filter by a chain", "GET", "/$export?_type=Observation&_typeFilter=" + url.QueryEscape("Observation?subject:Patient.gender=male"), "", "Observation/obs-b"},
		{"a tag", "GET", "/$export?_tag=urn:t%7Cred", "", "Patient/pat-a"},
		{"a tag and a filter", "GET", "/$export?_tag=red&_typeFilter=Patient%3Fgender%3Dmale", "", ""},
		{"a label that nothing has", "GET", "/Patient/$export?_security=R", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, got := e.export(tt.method, tt.at, tt.body)
			if d := cmp.Diff(tt.want, strings.Join(names(got), " ")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if want := e.url + tt.at; m.Request != want {
				t.Errorf("request %s, want %s", m.Request, want)
			}
			if m.Error == nil || len(m.Error) > 0 || m.Output == nil || m.RequiresAccessToken {
				t.Errorf("list of files: %+v", m)
			}
		})
	}
}

func TestElementsOfAnExport(t *testing.T) {
	e := newExporting(t, write(t, ward...))
	_, got := e.export("GET", "/$export?_elements=Patient.gender", "")
	for name, want := range map[string]string{
		"Patient/pat-b":     `"gender":"male"`,
		"Organization/org":  `"name":"Ward"`,
		"Observation/obs-a": `"subject"`,
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s: %s", name, got[name])
		}
	}
	if a := got["Patient/pat-a"]; strings.Contains(a, "birthDate") || !strings.Contains(a, `"code":"SUBSETTED"`) || !strings.Contains(a, `"code":"red"`) {
		t.Errorf("a patient with some elements: %s", a)
	}
	if strings.Contains(got["Organization/org"], "SUBSETTED") {
		t.Error("a whole resource is tagged")
	}
	_, got = e.export("GET", "/$export?_elements=id", "")
	if o := got["Observation/obs-a"]; !strings.Contains(o, `"status":"final","code":`) || strings.Contains(o, "subject") {
		t.Errorf("an observation without elements: %s", o)
	}
}

// TestWhatWasDeleted deletes before and after a compaction, and brings one back.
func TestWhatWasDeleted(t *testing.T) {
	e := newExporting(t, write(t, ward...))
	remove := func(at string) {
		if resp, text := e.ask("DELETE", at, ""); resp.StatusCode != 204 {
			t.Fatalf("DELETE %s: %d %s", at, resp.StatusCode, text)
		}
	}
	deleted := func(query string) string {
		m, _ := e.export("GET", "/$export?"+query, "")
		var list []string
		for _, f := range m.Deleted {
			_, text := e.ask("GET", f.URL, "")
			for line := range strings.Lines(text) {
				var b struct {
					ResourceType, Type string
					Entry              []struct{ Request struct{ Method, URL string } }
				}
				if err := json.Unmarshal([]byte(line), &b); err != nil || b.Type != "transaction" || f.Type != "Bundle" {
					t.Fatalf("%v: %s", err, line)
				}
				for _, entry := range b.Entry {
					list = append(list, entry.Request.Method+" "+entry.Request.URL)
				}
			}
		}
		slices.Sort(list)
		return strings.Join(list, ", ")
	}
	remove("/Observation/obs-a")
	remove("/Observation/obs-b")
	if _, err := e.compact.Compact(t.Context(), e.id, datastores.Request{}); err != nil {
		t.Fatal(err)
	}
	remove("/Organization/org")
	e.put("/Observation/obs-b", ward[3])
	for query, want := range map[string]string{
		"_since=2020-01-01T00:00:00Z":                   "DELETE Observation/obs-a, DELETE Organization/org",
		"_since=2020-01-01T00:00:00Z&_type=Observation": "DELETE Observation/obs-a",
		"_since=2999-01-01T00:00:00Z":                   "",
		"_type=Observation":                             "",
	} {
		if got := deleted(query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	e := newExporting(t, write(t, ward...))
	other, err := e.catalog.CreateDataStore(catalog.Create{Properties: catalog.Properties{Name: "other"}})
	if err != nil {
		t.Fatal(err)
	}
	where := e.begin("GET", "/$export", "")
	file := e.manifest(where).Output[0].URL
	elsewhere := func(at string) string { return strings.Replace(at, e.id, other.ID, 1) }
	async := []string{"Prefer", "respond-async"}
	strict := []string{"Prefer", "respond-async, handling=strict"}
	for _, tt := range []struct {
		name, method, at, body string
		header                 []string
		status                 int
		says                   string
	}{
		{"not asynchronous", "GET", "/$export", "", nil, 400, "respond-async"},
		{"HEAD", "HEAD", "/$export", "", async, 405, ""},
		{"a format", "GET", "/$export?_outputFormat=text/csv", "", async, 400, "text/csv"},
		{"a type", "GET", "/$export?_type=Shaw", "", async, 400, "Shaw"},
		{"an element", "GET", "/$export?_elements=Patient.shaw", "", async, 400, "Patient.shaw"},
		{"a time", "GET", "/$export?_since=yesterday", "", async, 400, "yesterday"},
		{"times", "GET", "/$export?_since=2020-01-01T00:00:00Z&_until=2019-01-01T00:00:00Z", "", async, 400, "_until"},
		{"a parameter", "GET", "/$export?shaw=1", "", strict, 400, "shaw"},
		{"associated data", "GET", "/$export?includeAssociatedData=_shaw", "", strict, 400, "_shaw"},
		{"patients of all", "POST", "/$export?patient=Patient/1", "", async, 400, "patient"},
		{"patients by GET", "GET", "/Patient/$export?patient=Patient/1", "", async, 400, "patient"},
		{"a filter", "GET", "/$export?_typeFilter=Patient", "", async, 400, "_typeFilter"},
		{"a filter of another type", "GET", "/$export?_type=Group&_typeFilter=Patient%3Fgender%3Dmale", "", async, 400, "_typeFilter"},
		{"a filter that is not known", "GET", "/$export?_typeFilter=Patient%3Fshaw%3Dmale", "", async, 400, "shaw"},
		{"a filter that shapes", "GET", "/$export?_typeFilter=Patient%3F_count%3D1", "", async, 400, "_count"},
		{"no such group", "GET", "/Group/none/$export", "", async, 404, ""},
		{"a place without it", "GET", "/Observation/$export", "", async, 404, ""},
		{"a resource as body", "POST", "/$export", `{"resourceType":"Patient"}`, async, 400, "Patient"},
		{"no bucket", "POST", "/$export", `{"OutputDataConfig":{"S3Configuration":{"S3Uri":"file:///etc"}}}`, async, 400, "S3Uri"},
		{"no such job", "GET", "/export/0123456789abcdef0123456789abcdef", "", nil, 404, ""},
		{"no job", "GET", "/export/shaw", "", nil, 404, ""},
		{"the job of another data store", "GET", elsewhere(where), "", nil, 404, ""},
		{"its file", "GET", elsewhere(file), "", nil, 404, ""},
		{"its end", "DELETE", elsewhere(where), "", nil, 404, ""},
		{"a file that is not there", "GET", where + "/export.json", "", nil, 404, ""},
		{"a path", "GET", where + "/..%2f..%2fexport.json", "", nil, 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, text := e.ask(tt.method, tt.at, tt.body, append(tt.header, "Content-Type", "application/fhir+json")...)
			if resp.StatusCode != tt.status || !strings.Contains(text, tt.says) || tt.method != "HEAD" && !strings.Contains(text, `"OperationOutcome"`) {
				t.Errorf("%d %s, want %d with %s", resp.StatusCode, text, tt.status, tt.says)
			}
		})
	}
	if resp, _ := e.ask("GET", where, ""); resp.StatusCode != 200 {
		t.Errorf("the job is %d after requests by another base", resp.StatusCode)
	}
}

// TestTheStatementHasExports checks the statement by the rules of R4, too.
func TestTheStatementHasExports(t *testing.T) {
	e := newExporting(t)
	_, text := e.ask("GET", "/metadata", "")
	for _, want := range []string{"OperationDefinition/export", "OperationDefinition/patient-export", "OperationDefinition/group-export", "CapabilityStatement/bulk-data"} {
		if strings.Count(text, "http://hl7.org/fhir/uv/bulkdata/"+want+`"`) != 1 {
			t.Errorf("%s is not there once", want)
		}
	}
	resp, said := e.ask("POST", "/CapabilityStatement/$validate", text, "Content-Type", "application/fhir+json")
	if resp.StatusCode != 200 || strings.Contains(said, `"severity":"error"`) || strings.Contains(said, `"severity":"fatal"`) {
		t.Errorf("the statement: %d %s", resp.StatusCode, said)
	}
}

func TestWhatIsLeftOutIsTold(t *testing.T) {
	e := newExporting(t, write(t, ward...))
	m, _ := e.export("GET", "/$export?includeAssociatedData=_shaw&shaw=1", "")
	if len(m.Error) != 1 || m.Error[0].Count != 2 {
		t.Fatalf("error: %+v", m.Error)
	}
	_, text := e.ask("GET", m.Error[0].URL, "")
	if !strings.Contains(text, "_shaw") || !strings.Contains(text, "parameter shaw") || strings.Count(text, "\n") != 2 {
		t.Error(text)
	}
}

// TestProvenanceThatGoesWithAnExport asks for the Provenance resources of what is exported, some of which
// are in the snapshot and some in the delta.
func TestProvenanceThatGoesWithAnExport(t *testing.T) {
	provenance := func(id, recorded string, targets ...string) string {
		return fmt.Sprintf(`{"resourceType":"Provenance","id":%q,"recorded":%q,"agent":[{"who":{"display":"x"}}],"target":[{"reference":"%s"}]}`,
			id, recorded, strings.Join(targets, `"},{"reference":"`))
	}
	e := newExporting(t, write(t,
		`{"resourceType":"Patient","id":"p"}`, `{"resourceType":"Patient","id":"q","gender":"female"}`,
		`{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"}}`,
		provenance("old", "2020-01-01T00:00:00Z", "Patient/p", "Patient/q"),
		provenance("zone", "2020-01-01T23:00:00-05:00", "Patient/p/_history/1"), // later than the next one
		provenance("same-day", "2020-01-02T03:00:00Z", "Patient/p"),
		provenance("nothing", "2024-01-01T00:00:00Z", "Patient/none"),
		provenance("elsewhere", "2024-01-01T00:00:00Z", "http://example.org/Patient/p"),
		provenance("moved", "2024-01-01T00:00:00Z", "Patient/p"),
	))
	e.put("/Provenance/of-o", provenance("of-o", "2021-01-01T00:00:00Z", "Observation/o"))
	e.put("/Provenance/moved", provenance("moved", "2024-01-01T00:00:00Z", "Patient/none"))
	for query, want := range map[string][]string{
		"includeAssociatedData=RelevantProvenanceResources": {
			"Observation/o", "Patient/p", "Patient/q", "Provenance/of-o", "Provenance/old", "Provenance/same-day", "Provenance/zone",
		},
		"includeAssociatedData=LatestProvenanceResources": {
			"Observation/o", "Patient/p", "Patient/q", "Provenance/of-o", "Provenance/old", "Provenance/zone",
		},
		"_type=Observation&includeAssociatedData=LatestProvenanceResources":                                     {"Observation/o", "Provenance/of-o"},
		"_type=Patient&_typeFilter=Patient%3Fgender%3Dfemale&includeAssociatedData=RelevantProvenanceResources": {"Patient/q", "Provenance/old"},
		"_type=Provenance&includeAssociatedData=RelevantProvenanceResources":                                    nil,
		"_type=Observation&_elements=status&includeAssociatedData=LatestProvenanceResources":                    {"Observation/o", "Provenance/of-o"},
		"_type=Patient": {"Patient/p", "Patient/q"},
	} {
		m, all := e.export("GET", "/$export?"+query, "")
		if len(m.Error) > 0 {
			t.Errorf("%s: %+v", query, m.Error)
		}
		if diff := cmp.Diff(want, names(all)); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

// TestFilesOfAnExport reads one in every way that HTTP has.
func TestFilesOfAnExport(t *testing.T) {
	var lines []string
	for i := range 3000 {
		lines = append(lines, fmt.Sprintf(`{"resourceType":"Patient","id":"pat-%d","name":[{"family":"%x"}]}`, i, i*i*7919))
	}
	e := newExporting(t, write(t, lines...))
	e.put("/Patient/later", `{"resourceType":"Patient","id":"later"}`)
	at := e.manifest(e.begin("GET", "/$export", "")).Output[0].URL
	resp, whole := e.ask("GET", at, "")
	if resp.ContentLength != int64(len(whole)) || strings.Count(whole, "\n") != 3001 {
		t.Fatalf("%d bytes of %d", len(whole), resp.ContentLength)
	}
	tag := resp.Header.Get("Etag")
	for _, r := range [][2]int{{0, 1}, {0, len(whole)}, {len(whole) / 2, len(whole)}, {len(whole) - 1, len(whole)}, {1000, 300000}} {
		resp, part := e.ask("GET", at, "", "Range", fmt.Sprintf("bytes=%d-%d", r[0], r[1]-1), "If-Range", tag, "Accept-Encoding", "gzip, zstd")
		if want := whole[r[0]:min(r[1], len(whole))]; resp.StatusCode != 206 || part != want {
			t.Errorf("part %v: %d, %d bytes", r, resp.StatusCode, len(part))
		}
	}
	for coding, open := range map[string]func(io.Reader) (io.Reader, error){
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	} {
		resp, text := e.ask("GET", at, "", "Accept-Encoding", coding)
		r, err := open(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != whole || resp.Header.Get("Content-Encoding") != coding || resp.Header.Get("Etag") == tag {
			t.Errorf("%s: %v, %d bytes, %v", coding, err, len(got), resp.Header)
		}
	}
	if resp, text := e.ask("HEAD", at, ""); resp.StatusCode != 200 || text != "" || resp.ContentLength != int64(len(whole)) {
		t.Errorf("HEAD: %d, %d", resp.StatusCode, resp.ContentLength)
	}
	if resp, _ := e.ask("GET", at, "", "If-None-Match", tag); resp.StatusCode != 304 {
		t.Errorf("If-None-Match: %d", resp.StatusCode)
	}
	for format, want := range map[string]string{"application/fhir+ndjson+gzip": "application/gzip", "application/fhir%2Bndjson%2Bzstd": "application/zstd", "parquet": "application/vnd.apache.parquet"} {
		at := e.manifest(e.begin("GET", "/$export?_outputFormat="+format, "")).Output[0].URL
		if resp, text := e.ask("GET", at, ""); resp.Header.Get("Content-Type") != want || resp.Header.Get("Content-Encoding") != "" || text == "" {
			t.Errorf("%s: %s, %d bytes of %v", format, at, len(text), resp.Header)
		}
	}
}

func TestTheEndOfAnExport(t *testing.T) {
	e := newExporting(t, write(t, ward...))
	gone := func(where, file string) {
		t.Helper()
		for _, at := range []string{where, file} {
			if resp, text := e.ask("GET", at, ""); resp.StatusCode != 404 {
				t.Errorf("GET %s: %d %s", at, resp.StatusCode, text)
			}
		}
		if dir := bulkdata.FilesDir(e.root.JobDir(where[strings.LastIndex(where, "/")+1:])); exists(dir) {
			t.Errorf("%s is still there", dir)
		}
	}
	where := e.begin("GET", "/$export", "")
	file := e.manifest(where).Output[0].URL
	if resp, text := e.ask("DELETE", where, ""); resp.StatusCode != 202 || !strings.Contains(text, `"jobStatus":"CANCEL_SUBMITTED"`) {
		t.Errorf("DELETE: %d %s", resp.StatusCode, text)
	}
	gone(where, file)

	where = e.begin("GET", "/$export", "")
	file = e.manifest(where).Output[0].URL
	e.now = e.now.Add(jobs.KeepFiles + time.Minute)
	if resp, _ := e.ask("GET", where, ""); resp.StatusCode != 404 {
		t.Errorf("expired: %d", resp.StatusCode)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e.jobs.Sweep(ctx)
	gone(where, file)
}

// TestAFilterSeesOneMoment swaps the states of two observations by transactions, while the
// delta is folded into the snapshot: each export has one of them, whichever.
func TestAFilterSeesOneMoment(t *testing.T) {
	e := newExporting(t, write(t, ward...))
	swap := func(i int) {
		states := []string{"final", "amended"}
		text := `{"resourceType":"Bundle","type":"transaction","entry":[`
		for n := range 2 {
			text += fmt.Sprintf(`{"resource":{"resourceType":"Observation","id":"obs-%d","status":"%s","code":{"text":"x"},"note":[{"text":"%d"}]},"request":{"method":"PUT","url":"Observation/obs-%d"}},`, n, states[(i+n)%2], i, n)
		}
		if resp, text := e.ask("POST", "/", strings.TrimSuffix(text, ",")+"]}", "Content-Type", "application/fhir+json"); resp.StatusCode != 200 {
			t.Errorf("%d %s", resp.StatusCode, text)
		}
	}
	swap(0)
	ended, exports := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		for i := 1; ; i++ {
			select {
			case <-exports:
				return
			default:
			}
			swap(i)
			if i%20 == 0 {
				if _, err := e.compact.Compact(t.Context(), e.id, datastores.Request{}); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	for range 15 {
		_, got := e.export("GET", "/$export?_type=Observation&_typeFilter="+url.QueryEscape("Observation?status=final&code:text=x&_id=obs-0,obs-1"), "")
		if len(got) != 1 {
			t.Errorf("of two of which one is final: %v", names(got))
		}
	}
	close(exports)
	<-ended
}

// TestAnExportGoesOnAfterACrash starts with a job that another process had at work, and half
// a file of it.
func TestAnExportGoesOnAfterACrash(t *testing.T) {
	e := newExporting(t, write(t, ward...))
	j := &catalog.Job{Kind: catalog.Export, Resumable: true, Request: []byte(`{"level":"system","types":["Patient"],"format":"ndjson"}`)}
	j.DatastoreID = e.id
	j, _, err := e.catalog.AddJob(j)
	if err != nil {
		t.Fatal(err)
	}
	j.Status = catalog.JobInProgress
	half := filepath.Join(bulkdata.FilesDir(e.root.JobDir(j.ID)), "Patient", "half")
	if err := errors.Join(e.catalog.PutJob(j), os.MkdirAll(filepath.Dir(half), 0o755), os.WriteFile(half, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	where := "/export/" + j.ID
	if resp, _ := e.ask("GET", where, ""); resp.StatusCode != 202 || resp.Header.Get("Retry-After") == "" || !strings.HasPrefix(resp.Header.Get("X-Progress"), "IN_PROGRESS") {
		t.Errorf("before the job goes on: %d %v", resp.StatusCode, resp.Header)
	}
	if err := e.jobs.Start(); err != nil {
		t.Fatal(err)
	}
	e.jobs.Wait(t.Context(), j.ID)
	m := e.manifest(where)
	if len(m.Output) != 1 || m.Output[0].Count != 2 || exists(half) {
		t.Errorf("%+v, half a file: %v", m.Output, exists(half))
	}
}

func TestAnExportToABucket(t *testing.T) {
	e := newExporting(t, write(t, ward...))
	where := e.begin("POST", "/$export?_type=Patient", `{"DataAccessRoleArn":"arn:aws:iam::123456789012:role/r","JobName":"night","OutputDataConfig":{"S3Configuration":{"S3Uri":"s3://bucket-of-exports/out","KmsKeyId":"k"}}}`)
	m := e.manifest(where)
	id := where[strings.LastIndex(where, "/")+1:]
	folder := "out/" + e.id + "-FHIR_EXPORT-" + id + "/"
	if len(m.Output) != 1 || !strings.HasPrefix(m.Output[0].URL, "s3://bucket-of-exports/"+folder+"Patient/Patient-") {
		t.Fatalf("%+v", m.Output)
	}
	text, err := os.ReadFile(filepath.Join(e.bucket, strings.TrimPrefix(m.Output[0].URL, "s3://bucket-of-exports/")))
	if err != nil || bytes.Count(text, []byte("\n")) != 2 {
		t.Errorf("%v, %s", err, text)
	}
	p := m.ExportJobProperties
	want := map[string]any{
		"jobId": id, "jobName": "night", "jobStatus": "COMPLETED", "datastoreId": e.id, "dataAccessRoleArn": "arn:aws:iam::123456789012:role/r",
		"outputDataConfig": map[string]any{"s3Configuration": map[string]any{"s3Uri": "s3://bucket-of-exports/" + folder, "kmsKeyId": "k"}},
	}
	for _, name := range []string{"submitTime", "endTime"} {
		if _, err := time.Parse("Jan 2, 2006 3:04:05 PM", fmt.Sprint(p[name])); err != nil {
			t.Error(err)
		}
		delete(p, name)
	}
	if d := cmp.Diff(want, p); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	if err := os.WriteFile(filepath.Join(e.bucket, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	where = e.begin("POST", "/$export", `{"OutputDataConfig":{"S3Configuration":{"S3Uri":"s3://bucket-of-exports/file"}}}`)
	if resp, text := e.ask("GET", where, ""); resp.StatusCode != 500 || !strings.Contains(text, "OperationOutcome") {
		t.Errorf("a job that fails: %d %s", resp.StatusCode, text)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
