package datastores_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fill writes files into the bucket.
func (e *exporting) fill(files map[string]string) {
	e.t.Helper()
	for name, text := range files {
		path := filepath.Join(e.bucket, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			e.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			e.t.Fatal(err)
		}
	}
}

// imported is the answer of an import that is done.
type imported struct {
	TransactionTime, Request string
	Output, Error            []struct {
		InputURL string
		Count    int64
	}
	ImportJobProperties struct {
		JobStatus         string
		JobProgressReport map[string]float64
	}
}

// load begins an import and waits for its end.
func (e *exporting) load(body string) (at string, m imported) {
	e.t.Helper()
	resp, text := e.ask("POST", "/$import", body, "Prefer", "respond-async", "Content-Type", "application/fhir+json")
	at = resp.Header.Get("Content-Location")
	if resp.StatusCode != http.StatusAccepted || !strings.HasPrefix(at, e.url+"/import/") {
		e.t.Fatalf("$import: %d %s, at %q", resp.StatusCode, text, at)
	}
	for {
		resp, text := e.ask("GET", at, "")
		switch resp.StatusCode {
		case http.StatusAccepted:
			if resp.Header.Get("X-Progress") == "" || resp.Header.Get("Retry-After") == "" {
				e.t.Fatalf("while it runs: %v", resp.Header)
			}
			time.Sleep(5 * time.Millisecond)
			continue
		case http.StatusOK:
			if err := json.Unmarshal([]byte(text), &m); err != nil {
				e.t.Fatal(err)
			}
			return at, m
		}
		e.t.Fatalf("%s: %d %s", at, resp.StatusCode, text)
	}
}

func TestImportsFromBuckets(t *testing.T) {
	e := newExporting(t)
	e.fill(map[string]string{
		"in/Patient.ndjson":     `{"resourceType":"Patient","id":"loaded-a","gender":"male"}` + "\n" + `{"resourceType":"Patient"}` + "\n",
		"in/Observation.ndjson": `{"resourceType":"Observation","id":"loaded-o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/loaded-a"}}` + "\n",
		"more/x.ndjson":         `{"resourceType":"Patient","id":"loaded-b"}` + "\n",
	})
	for name, body := range map[string]string{
		"Parameters": `{"resourceType":"Parameters","parameter":[{"name":"inputFormat","valueCode":"application/fhir+ndjson"},{"name":"inputSource","valueUri":"https://example.org"},
			{"name":"input","part":[{"name":"type","valueCode":"Patient"},{"name":"url","valueUri":"s3://bucket-of-exports/in"}]},
			{"name":"input","part":[{"name":"type","valueCode":"Patient"},{"name":"url","valueUrl":"s3://bucket-of-exports/more/x.ndjson"}]}]}`,
		"JSON": `{"inputFormat":"application/fhir+ndjson","inputSource":"https://example.org","storageDetail":{"type":"aws-s3"},
			"input":[{"type":"Patient","url":"s3://bucket-of-exports/in"},{"type":"Patient","url":"s3://bucket-of-exports/more/x.ndjson"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, m := e.load(body)
			counts := map[string]int64{}
			for _, f := range m.Output {
				counts[f.InputURL] = f.Count
			}
			if len(m.Output) != 3 || counts["Patient.ndjson"] != 1 || counts["Observation.ndjson"] != 1 {
				t.Errorf("output: %+v", m.Output)
			}
			if len(m.Error) != 1 || m.Error[0].InputURL != "Patient.ndjson" || m.Error[0].Count != 1 {
				t.Errorf("error: %+v", m.Error)
			}
			if m.ImportJobProperties.JobStatus != "COMPLETED_WITH_ERRORS" || m.ImportJobProperties.JobProgressReport["TotalNumberOfResourcesImported"] != 3 {
				t.Errorf("properties: %+v", m.ImportJobProperties)
			}
			for _, id := range []string{"loaded-a", "loaded-b"} {
				resp, text := e.ask("GET", "/Patient/"+id, "")
				if resp.StatusCode != 200 || !strings.Contains(text, `"versionId":"1"`) {
					t.Errorf("Patient/%s: %d %s", id, resp.StatusCode, text)
				}
			}
			if resp, text := e.ask("GET", "/Observation?subject=Patient/loaded-a&_summary=count", ""); resp.StatusCode != 200 || !strings.Contains(text, `"total":1`) {
				t.Errorf("searched: %d %s", resp.StatusCode, text)
			}
		})
	}
}

func TestAnImportWritesItsReportWhereItIsAsked(t *testing.T) {
	e := newExporting(t)
	e.fill(map[string]string{"in/Patient.ndjson": `{"resourceType":"Patient"}` + "\n" + `{"resourceType":"Patient","id":"a"}` + "\n"})
	at, _ := e.load(`{"input":[{"type":"Patient","url":"s3://bucket-of-exports/in/Patient.ndjson"}],"report":"s3://bucket-of-exports/reports"}`)
	job := at[strings.LastIndexByte(at, '/')+1:]
	for _, name := range []string{"Manifest.json", "SUCCESS/Patient.ndjson", "FAILURE/Patient.ndjson"} {
		if _, err := os.Stat(filepath.Join(e.bucket, "reports", e.id+"-FHIR_IMPORT-"+job, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestFaultsOfImports(t *testing.T) {
	e := newExporting(t)
	async := []string{"Prefer", "respond-async", "Content-Type", "application/fhir+json"}
	for name, tc := range map[string]struct {
		body   string
		header []string
		status int
		want   string
	}{
		"no header":     {`{"input":[{"url":"s3://bucket-of-exports/in"}]}`, async[2:], 400, "Prefer: respond-async"},
		"no JSON":       {`input`, async, 400, ""},
		"no input":      {`{"inputFormat":"application/fhir+ndjson"}`, async, 400, "there is no input"},
		"the web":       {`{"input":[{"url":"https://example.org/Patient.ndjson"}]}`, async, 400, "is not read here; name a place in a bucket"},
		"a file":        {`{"input":[{"url":"file:///etc/passwd"}]}`, async, 400, "is not read here"},
		"a path":        {`{"input":[{"url":"/etc/passwd"}]}`, async, 400, "is not read here"},
		"a bucket":      {`{"input":[{"url":"s3://UP/x"}]}`, async, 400, "a bucket's name"},
		"a format":      {`{"inputFormat":"text/csv","input":[{"url":"s3://bucket-of-exports/in"}]}`, async, 400, "cannot be read"},
		"a parameter":   {`{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"x"}]}`, async, 400, "parameter 'mode' is not known"},
		"another type":  {`{"resourceType":"Patient"}`, async, 400, "expected Parameters"},
		"report abroad": {`{"input":[{"url":"s3://bucket-of-exports/in"}],"report":"/tmp"}`, async, 400, "of report"},
	} {
		resp, text := e.ask("POST", "/$import", tc.body, tc.header...)
		if resp.StatusCode != tc.status || !strings.Contains(text, tc.want) {
			t.Errorf("%s: %d %s, want %d %s", name, resp.StatusCode, text, tc.status, tc.want)
		}
	}
	if resp, _ := e.ask("GET", "/$import", "", async...); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", resp.StatusCode)
	}
	for _, at := range []string{"/import/x", "/import/0123456789abcdef0123456789abcdef"} {
		if resp, text := e.ask("GET", at, ""); resp.StatusCode != 404 {
			t.Errorf("%s: %d %s", at, resp.StatusCode, text)
		}
	}
	// What is not there is the end of the job, which says so.
	resp, _ := e.ask("POST", "/$import", `{"input":[{"url":"s3://bucket-of-exports/none"}]}`, async...)
	at := resp.Header.Get("Content-Location")
	for range 1000 {
		resp, text := e.ask("GET", at, "")
		if resp.StatusCode == http.StatusAccepted {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if resp.StatusCode != 500 || !strings.Contains(text, "s3://bucket-of-exports/none") {
			t.Errorf("a place that is not there: %d %s", resp.StatusCode, text)
		}
		break
	}
	// The job of one data store is not found below another one's base.
	resp, _ = e.ask("GET", strings.Replace(at, e.id, "0123456789abcdef0123456789abcdef", 1), "")
	if resp.StatusCode != 404 {
		t.Errorf("below another data store: %d", resp.StatusCode)
	}
	if resp, _ := e.ask("DELETE", at, ""); resp.StatusCode != http.StatusAccepted {
		t.Errorf("DELETE: %d", resp.StatusCode)
	}
}

// TestNotesOfAJobWaitForItsBinaries has documents before the Binaries that they refer to.
func TestNotesOfAJobWaitForItsBinaries(t *testing.T) {
	for name, fault := range map[string]error{"read": nil, "not read": errors.New("the disk is full")} {
		t.Run(name, func(t *testing.T) {
			e := newExporting(t)
			e.reread = fault
			e.fill(map[string]string{
				"in/1.ndjson": `{"resourceType":"DocumentReference","id":"n","status":"current","content":[{"attachment":{"contentType":"text/plain","url":"Binary/b"}}]}` + "\n" +
					note("long", strings.Repeat("No fever. ", 200_000)) + "\n",
				"in/2.ndjson": `{"resourceType":"Binary","id":"b","contentType":"text/plain","data":"QXN0aG1hLg=="}` + "\n",
			})
			at, m := e.load(`{"inputFormat":"application/fhir+ndjson","inputSource":"https://example.org","storageDetail":{"type":"aws-s3"},
				"input":[{"type":"DocumentReference","url":"s3://bucket-of-exports/in"}]}`)
			if m.ImportJobProperties.JobStatus != "COMPLETED" {
				t.Errorf("%+v", m)
			}
			j, err := e.catalog.Job(at[strings.LastIndexByte(at, '/')+1:])
			if err != nil {
				t.Fatal(err)
			}
			want, told := "Asthma DIAGNOSIS SUCCESS", ""
			if fault != nil {
				want, told = "UNSUPPORTED", "the disk is full; `fhirlake reread`"
			}
			if f := decorated(t, e.resource("GET", "/DocumentReference/n", "")); f != want || !strings.Contains(j.Message, told) || told == "" && j.Message != "" {
				t.Errorf("it shows %q, the job says %q", f, j.Message)
			}
		})
	}
}
