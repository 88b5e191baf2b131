package rest

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/server/bulkdata"
	"github.com/fhirlake/fhirlake/server/jobs"
	"github.com/fhirlake/fhirlake/store/catalog"
)

// importPath is no resource type of R4.
const importPath = "import"

// importBulk begins an import from buckets, in the shape of the proposals of Bulk Data Import:
// the same durable job as HealthLake's.
func (c *call) importBulk() (*reply, error) {
	switch {
	case c.h.o.Jobs == nil:
		return nil, outcome.Faultf(outcome.NotSupported, "operation $import: this server runs no jobs")
	case c.entry:
		return nil, outcome.Faultf(outcome.NotSupported, "operation $import is not processed in a Bundle")
	case !c.prefer.async:
		return nil, outcome.Faultf(outcome.Malformed, "$import is answered later: send the header Prefer: respond-async")
	}
	r, err := bulkdata.ReadImport(c.body)
	if err != nil {
		return nil, err
	}
	level, err := c.level()
	if err != nil {
		return nil, err
	}
	j := &catalog.Job{Kind: catalog.Import, Inputs: r.Inputs}
	j.DatastoreID, j.ValidationLevel = c.datastore, level.String()
	if r.Report != "" {
		if j.Input, err = json.Marshal(jobs.Input{S3URI: r.Inputs[0]}); err != nil {
			return nil, err
		}
		var out jobs.Output
		out.S3.URI = r.Report
		j.JobOutput = out.Encode()
	}
	if j, err = c.h.o.Jobs.Submit(j); err != nil {
		return nil, err
	}
	return c.begun(j, importPath)
}

// importStatus tells how far an import is and what came of it; with DELETE it ends the job.
func (c *call) importStatus() (*reply, error) {
	j, err := c.job(catalog.Import)
	if err != nil {
		return nil, err
	}
	if c.method == http.MethodDelete {
		return c.cancelImport(j)
	}
	m := importManifest{Request: c.base + "/$import", Output: []importedFile{}, Error: []importedFile{}, Properties: importPropertiesOf(j)}
	if out, err := c.unfinished(j, map[string]any{"importJobProperties": m.Properties}); out != nil || err != nil {
		return out, err
	}
	files, err := c.h.o.Jobs.Files(j.ID)
	if err != nil {
		return nil, err
	}
	m.TransactionTime = fhir.FormatInstant(j.EndTime.Time)
	for _, f := range files {
		m.Output = append(m.Output, importedFile{f.Name, f.Accepted})
		if f.Rejected > 0 {
			m.Error = append(m.Error, importedFile{f.Name, f.Rejected})
		}
	}
	body, err := json.Marshal(m)
	return &reply{status: http.StatusOK, json: body}, err
}

func (c *call) cancelImport(j *catalog.Job) (*reply, error) {
	if _, err := c.h.o.Jobs.Cancel(j.ID); err != nil && !errors.Is(err, jobs.ErrEnded) {
		return nil, err
	}
	return &reply{status: http.StatusAccepted, json: outcome.Append(nil, []fhir.Issue{{
		Severity: fhir.Information, Code: "informational", Diagnostics: "the import ends, unless it has ended",
	}}, outcome.At{})}, nil
}

// importManifest is the answer when an import is done.
type importManifest struct {
	TransactionTime string           `json:"transactionTime"`
	Request         string           `json:"request"`
	Output          []importedFile   `json:"output"` // inputs, with the lines that were taken
	Error           []importedFile   `json:"error"`  // those with lines that were rejected
	Properties      importProperties `json:"importJobProperties"`
}

type importedFile struct {
	InputURL string `json:"inputUrl"` // below the place that was named
	Count    int64  `json:"count"`
}

// importProperties are HealthLake's, spelled as those of exports.
type importProperties struct {
	JobID       string                     `json:"jobId"`
	Status      string                     `json:"jobStatus"`
	SubmitTime  string                     `json:"submitTime"`
	EndTime     string                     `json:"endTime,omitempty"`
	DatastoreID string                     `json:"datastoreId"`
	Progress    *catalog.JobProgressReport `json:"jobProgressReport,omitempty"`
	Message     string                     `json:"message,omitempty"`
}

func importPropertiesOf(j *catalog.Job) importProperties {
	p := importProperties{
		JobID: j.ID, Status: j.Status, SubmitTime: j.SubmitTime.UTC().Format(spokenTime),
		DatastoreID: j.DatastoreID, Progress: j.Progress, Message: j.Message,
	}
	if !j.EndTime.IsZero() {
		p.EndTime = j.EndTime.UTC().Format(spokenTime)
	}
	return p
}
