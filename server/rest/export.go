package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/bulkdata"
	"github.com/fhirlake/fhirlake/server/jobs"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/store/catalog"
)

// # Exports
//
// $export begins a durable job (package jobs), whose state and then list of files are found
// at export/{job} (FHIR Bulk Data Access 2.0; the URL and the properties beside the list are
// Amazon HealthLake's). A job is found below the base of its own data store only.

// exportPath is no resource type of R4.
const exportPath = "export"

// Jobs is what runs exports.
type Jobs struct {
	*jobs.Manager
	Dir func(id string) string // of what a job keeps here
}

// exportLevel tells which $export the call is; "" when there is none at its place.
func (c *call) exportLevel() bulkdata.Level {
	switch {
	case c.typ == 0 && c.id == "":
		return bulkdata.System
	case c.typ == r4.TypePatient && c.id == "":
		return bulkdata.Patient
	case c.typ == r4.TypeGroup && c.id != "":
		return bulkdata.Group
	}
	return ""
}

// export begins an export ("Bulk Data Kick-off Request").
func (c *call) export() (*reply, error) {
	switch {
	case c.h.o.Jobs == nil:
		return nil, outcome.Faultf(outcome.NotSupported, "operation $export: this server runs no jobs")
	case c.entry:
		return nil, outcome.Faultf(outcome.NotSupported, "operation $export is not processed in a Bundle")
	case c.method == http.MethodHead:
		return nil, &notAllowed{outcome.Faultf(outcome.NotAllowed, "HEAD is not allowed for $export; allowed: GET, POST"), "GET, POST"}
	case !c.prefer.async:
		return nil, outcome.Faultf(outcome.Malformed, "$export is answered later: send the header Prefer: respond-async")
	}
	k := bulkdata.KickOff{
		Level: c.exportLevel(), Group: c.id, Post: c.method == http.MethodPost, Strict: c.prefer.strict, Query: c.query, Body: c.body,
	}
	r, target, err := k.Read()
	if err != nil {
		return nil, err
	}
	r.Base, r.URL, r.Authorized = c.base, c.exportURL(), c.access != nil
	if k.Level == bulkdata.Group {
		if _, err := c.current(); err != nil {
			return nil, err
		}
	}
	if r.Searches() {
		if err := c.tryFilters(r); err != nil {
			return nil, err
		}
	}
	j := &catalog.Job{Kind: catalog.Export}
	j.DatastoreID = c.datastore
	if j.Request, err = json.Marshal(r); err != nil {
		return nil, err
	}
	if target != nil {
		j.Name, j.DataAccessRoleARN, j.Output = target.JobName, target.RoleARN, target.Output
	}
	if j, err = c.h.o.Jobs.Submit(j); err != nil {
		return nil, err
	}
	return c.begun(j, exportPath)
}

// exportURL is the URL of the kick-off.
func (c *call) exportURL() string {
	at := c.base
	for _, part := range []string{c.typ.String(), c.id} {
		if c.typ != 0 && part != "" {
			at += "/" + part
		}
	}
	at += "/$" + c.operation
	if c.raw != "" {
		at += "?" + c.raw
	}
	return at
}

// tryFilters asks for one resource of each filter, so that what cannot be searched is refused
// at once.
func (c *call) tryFilters(r *bulkdata.Request) error {
	if c.ds.options.Search == nil {
		return outcome.Faultf(outcome.NotSupported, "_typeFilter, _tag and _security: this data store is not searched")
	}
	queries, err := r.Queries(c.parse, c.h.o.Now())
	if err != nil {
		return err
	}
	for _, q := range queries {
		q.Count = 1
		if _, err := c.find(q, search.Request{}); err != nil {
			return err
		}
	}
	return nil
}

// job finds the job of the URL, of a kind, in the data store of the URL.
func (c *call) job(kind catalog.JobKind) (*catalog.Job, error) {
	notFound := outcome.Faultf(outcome.NotFound, "there is no %s '%s'", kind, clip(c.id))
	if c.h.o.Jobs == nil || !catalog.IsID(c.id) {
		return nil, notFound
	}
	j, err := c.h.o.Jobs.Job(c.id)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return nil, notFound
	case err != nil:
		return nil, err
	case j.DatastoreID != c.datastore || j.Kind != kind:
		return nil, notFound
	}
	return j, nil
}

// unfinished answers for a job that has no result: it runs, was cancelled, or has failed. Both
// are nil for one that is done. Properties are what a job that runs says of itself.
func (c *call) unfinished(j *catalog.Job, properties map[string]any) (*reply, error) {
	switch j.Status {
	case catalog.JobCancelSubmitted, catalog.JobCancelInProgress, catalog.JobCancelCompleted:
		return nil, outcome.Faultf(outcome.NotFound, "%s '%s' was cancelled", j.Kind, c.id)
	case catalog.JobFailed, catalog.JobCancelFailed:
		return &reply{status: http.StatusInternalServerError, json: outcome.Append(nil, []fhir.Issue{{
			Severity: fhir.Error, Code: "exception", Diagnostics: fmt.Sprintf("the %s failed: %s", j.Kind, j.Message),
		}}, outcome.At{})}, nil
	}
	if j.Ended() {
		return nil, nil
	}
	progress := j.Status
	if f, ok := c.h.o.Jobs.Figures(j.ID); ok && f.Total > 0 {
		progress = fmt.Sprintf("%s, %d%%", progress, min(100*f.Read/f.Total, 99))
	}
	body, err := json.Marshal(properties)
	return &reply{
		status: http.StatusAccepted, json: body, header: map[string]string{"X-Progress": progress, "Retry-After": "1"},
	}, err
}

// begun answers for a job that was submitted: it is asked for below a path of the base.
func (c *call) begun(j *catalog.Job, path string) (*reply, error) {
	body, err := json.Marshal(map[string]string{"datastoreId": c.datastore, "jobStatus": catalog.JobSubmitted, "jobId": j.ID})
	return &reply{
		status: http.StatusAccepted, json: body,
		header: map[string]string{"Content-Location": c.base + "/" + path + "/" + j.ID, "Preference-Applied": "respond-async"},
	}, err
}

// exportStatus tells how far an export is, and where its files are; with DELETE it ends the
// job, or removes the files ("Bulk Data Status Request" and "Delete Request").
func (c *call) exportStatus() (*reply, error) {
	j, err := c.job(catalog.Export)
	if err != nil {
		return nil, err
	}
	if c.method == http.MethodDelete {
		return c.removeExport(j)
	}
	if out, err := c.unfinished(j, map[string]any{"exportJobProperties": propertiesOf(j)}); out != nil || err != nil {
		return out, err
	}
	result, err := c.exportResult(j)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(c.manifest(j, result))
	out := &reply{status: http.StatusOK, json: body, header: map[string]string{}}
	if result.URI == "" {
		out.header["Expires"] = j.EndTime.Add(jobs.KeepFiles).UTC().Format(http.TimeFormat)
	}
	return out, err
}

// exportResult gives the files of a job that is done, which may be gone.
func (c *call) exportResult(j *catalog.Job) (*bulkdata.Result, error) {
	if j.Removed || c.h.o.Jobs.Expired(j) {
		return nil, outcome.Faultf(outcome.NotFound, "the files of export '%s' were removed: they are kept for %s", c.id, jobs.KeepFiles)
	}
	result, err := bulkdata.ReadResult(c.h.o.Jobs.Dir(j.ID))
	if err == nil && result == nil {
		err = fmt.Errorf("export %s is done, and the list of its files is missing", j.ID)
	}
	return result, err
}

func (c *call) removeExport(j *catalog.Job) (*reply, error) {
	if _, err := c.h.o.Jobs.Remove(j.ID); err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{"exportJobProperties": map[string]string{
		"jobId": j.ID, "jobStatus": catalog.JobCancelSubmitted, "datastoreId": j.DatastoreID,
	}})
	return &reply{status: http.StatusAccepted, json: body}, err
}

// exportProperties are HealthLake's, as it spells them here.
type exportProperties struct {
	JobID       string         `json:"jobId"`
	JobName     string         `json:"jobName,omitempty"`
	Status      string         `json:"jobStatus"`
	SubmitTime  string         `json:"submitTime"`
	EndTime     string         `json:"endTime,omitempty"`
	DatastoreID string         `json:"datastoreId"`
	Output      map[string]any `json:"outputDataConfig,omitempty"`
	RoleARN     string         `json:"dataAccessRoleArn,omitempty"`
	Message     string         `json:"message,omitempty"`
}

// spokenTime is the layout of HealthLake's times in these properties.
const spokenTime = "Jan 2, 2006 3:04:05 PM"

func propertiesOf(j *catalog.Job) exportProperties {
	p := exportProperties{
		JobID: j.ID, JobName: j.Name, Status: j.Status, SubmitTime: j.SubmitTime.UTC().Format(spokenTime),
		DatastoreID: j.DatastoreID, RoleARN: j.DataAccessRoleARN, Message: j.Message,
	}
	if !j.EndTime.IsZero() {
		p.EndTime = j.EndTime.UTC().Format(spokenTime)
	}
	var o jobs.Output
	if json.Unmarshal(j.Output, &o) == nil && o.S3.URI != "" {
		o = o.Folder(j, "FHIR_EXPORT")
		s3 := map[string]string{"s3Uri": o.S3.URI}
		if o.S3.KMSKeyID != "" {
			s3["kmsKeyId"] = o.S3.KMSKeyID
		}
		p.Output = map[string]any{"s3Configuration": s3}
	}
	return p
}

// exportManifest is the answer when all is done ("Response - Complete Status").
type exportManifest struct {
	TransactionTime string           `json:"transactionTime"`
	Request         string           `json:"request"`
	NeedsToken      bool             `json:"requiresAccessToken"`
	Output          []exportedFile   `json:"output"`
	Deleted         []exportedFile   `json:"deleted,omitempty"`
	Error           []exportedFile   `json:"error"`
	Properties      exportProperties `json:"exportJobProperties"`
}

type exportedFile struct {
	Type  string `json:"type"`
	URL   string `json:"url"`
	Count int64  `json:"count,omitempty"`
}

// errorsName is the file of what was asked for and left out. It is made when it is read.
const errorsName = "errors.ndjson"

func (c *call) manifest(j *catalog.Job, result *bulkdata.Result) exportManifest {
	r := requestOf(j)
	m := exportManifest{
		TransactionTime: fhir.FormatInstant(result.Time), Request: r.URL, Properties: propertiesOf(j), NeedsToken: r.Authorized && result.URI == "",
		Output: c.exportedFiles(j, r, result, result.Files), Error: []exportedFile{},
	}
	if m.Request == "" { // the control plane began it
		m.Request = c.base + "/$export"
	}
	if result.Deleted != nil {
		m.Deleted = c.exportedFiles(j, r, result, result.Deleted)
	}
	if n := len(r.Notes); n > 0 {
		m.Error = append(m.Error, exportedFile{"OperationOutcome", c.fileURL(j, errorsName), int64(n)})
	}
	return m
}

// requestOf is what a job was asked for.
func requestOf(j *catalog.Job) *bulkdata.Request {
	r := &bulkdata.Request{}
	if j.Request != nil {
		json.Unmarshal(j.Request, r) // it was written here; without it the files are what they are
	}
	return r
}

func (c *call) exportedFiles(j *catalog.Job, r *bulkdata.Request, result *bulkdata.Result, files []bulkdata.File) []exportedFile {
	all := []exportedFile{}
	for i := range files {
		f := &files[i]
		at := strings.TrimRight(result.URI, "/") + "/" + f.Path
		if result.URI == "" {
			at = c.fileURL(j, f.Name(r.Format))
		}
		all = append(all, exportedFile{f.Type, at, f.Resources})
	}
	return all
}

func (c *call) fileURL(j *catalog.Job, name string) string {
	return c.base + "/" + exportPath + "/" + j.ID + "/" + url.PathEscape(name)
}

// exportFile gives a file of an export ("Bulk Data Output File Request").
func (c *call) exportFile() (*reply, error) {
	j, err := c.job(catalog.Export)
	if err != nil {
		return nil, err
	}
	notFound := outcome.Faultf(outcome.NotFound, "export '%s' has no file '%s'", c.id, clip(c.file))
	if j.Status != catalog.JobCompleted {
		return nil, notFound
	}
	result, err := c.exportResult(j)
	if err != nil {
		return nil, err
	}
	r := requestOf(j)
	if c.file == errorsName && len(r.Notes) > 0 {
		return errorsFile(r), nil
	}
	f := result.Find(r.Format, c.file)
	if f == nil || result.URI != "" {
		return nil, notFound
	}
	answer := &bulkdata.Answer{
		Dir: bulkdata.FilesDir(c.h.o.Jobs.Dir(j.ID)), File: f, Asked: r.Format, Tag: j.ID + "-" + c.file, Time: j.EndTime.Time,
	}
	return &reply{status: http.StatusOK, serve: func(x *exchange) error {
		answer.Zstd, answer.Gzip = x.takes("zstd"), x.takes("gzip")
		return answer.Serve(x.w, x.r)
	}}, nil
}

func errorsFile(r *bulkdata.Request) *reply {
	var text []byte
	for _, note := range r.Notes {
		text = append(outcome.Append(text, []fhir.Issue{{Severity: fhir.Warning, Code: "not-supported", Diagnostics: note}}, outcome.At{}), '\n')
	}
	return &reply{status: http.StatusOK, serve: func(x *exchange) error {
		x.w.Header().Set("Content-Type", "application/fhir+ndjson")
		http.ServeContent(x.w, x.r, "", time.Time{}, strings.NewReader(string(text)))
		return nil
	}}
}
