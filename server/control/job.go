package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/fhirlake/fhirlake/server/jobs"
	"github.com/fhirlake/fhirlake/store/catalog"
)

type startRequest struct {
	JobName             string
	InputDataConfig     json.RawMessage
	JobOutputDataConfig json.RawMessage // of an import
	OutputDataConfig    json.RawMessage // of an export
	DatastoreId         string
	DataAccessRoleArn   string
	ClientToken         string
	ValidationLevel     string
	InputFormat         string
}

// check checks what imports and exports have in common.
func (c *checks) start(r *startRequest) {
	c.id("DatastoreId", r.DatastoreId)
	c.text("JobName", r.JobName, 64, true)
	c.role(r.DataAccessRoleArn)
	c.token(r.ClientToken)
}

// output checks where a job writes.
func (c *checks) output(name string, config json.RawMessage) (o jobs.Output) {
	var union map[string]json.RawMessage
	switch {
	case absent(config):
		c.add("%s is missing", name)
	case !c.known(name, config, &union):
	case len(union) != 1 || union["S3Configuration"] == nil:
		c.add("%s must have S3Configuration and nothing else", name)
	case c.known(name, config, &o):
		c.uri(name+".S3Configuration.S3Uri", o.S3.URI)
		c.text(name+".S3Configuration.KmsKeyId", o.S3.KMSKeyID, 400, true)
	}
	return o
}

type startAnswer struct {
	JobID       string `json:"JobId"`
	Status      string `json:"JobStatus"`
	DatastoreID string `json:"DatastoreId"`
}

func (h *Handler) startImport(_ context.Context, r *startRequest) (any, error) {
	var c checks
	c.start(r)
	var in jobs.Input
	var union map[string]json.RawMessage
	switch {
	case absent(r.InputDataConfig):
		c.add("InputDataConfig is missing")
	case !c.known("InputDataConfig", r.InputDataConfig, &union):
	case len(union) != 1 || union["S3Uri"] == nil:
		c.add("InputDataConfig must have S3Uri and nothing else")
	case c.known("InputDataConfig", r.InputDataConfig, &in):
		c.uri("InputDataConfig.S3Uri", in.S3URI)
	}
	out := c.output("JobOutputDataConfig", r.JobOutputDataConfig)
	c.oneOf("ValidationLevel", r.ValidationLevel, true, "strict", "structure-only", "minimal")
	if r.InputFormat != "" && r.InputFormat != "FHIR" {
		c.add("InputFormat must be FHIR")
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	j := &catalog.Job{Kind: catalog.Import, Inputs: []string{in.S3URI}}
	j.Input, j.JobOutput = r.InputDataConfig, out.Encode()
	j.ValidationLevel = cmp.Or(r.ValidationLevel, "strict")
	return h.submit(r, j)
}

func (h *Handler) startExport(_ context.Context, r *startRequest) (any, error) {
	var c checks
	c.start(r)
	out := c.output("OutputDataConfig", r.OutputDataConfig)
	if err := c.err(); err != nil {
		return nil, err
	}
	j := &catalog.Job{Kind: catalog.Export}
	j.Output = out.Encode()
	return h.submit(r, j)
}

func (h *Handler) submit(r *startRequest, j *catalog.Job) (any, error) {
	j.Name, j.DatastoreID, j.DataAccessRoleARN, j.ClientToken = r.JobName, r.DatastoreId, r.DataAccessRoleArn, r.ClientToken
	j, err := h.o.Jobs.Submit(j)
	if err != nil {
		return nil, err
	}
	// The state that a job has before all others, also when it runs already.
	status := j.Status
	if !j.Ended() {
		status = catalog.JobSubmitted
	}
	return startAnswer{j.ID, status, j.DatastoreID}, nil
}

type jobRequest struct{ DatastoreId, JobId string }

// job finds a job of a kind in the data store that the request names, and in no other.
func (h *Handler) job(r *jobRequest, kind catalog.JobKind) (*catalog.Job, error) {
	var c checks
	c.id("DatastoreId", r.DatastoreId)
	c.id("JobId", r.JobId)
	if err := c.err(); err != nil {
		return nil, err
	}
	if !h.o.Jobs.Serves(kind) {
		return nil, fmt.Errorf("%s jobs: %w", kind, jobs.ErrNoKind)
	}
	if _, err := h.o.Catalog.DataStore(r.DatastoreId); err != nil {
		return nil, err
	}
	j, err := h.o.Jobs.Job(r.JobId)
	if err != nil {
		return nil, err
	}
	if j.DatastoreID != r.DatastoreId || j.Kind != kind {
		return nil, fmt.Errorf("job %q: %w", r.JobId, catalog.ErrNotFound)
	}
	return j, nil
}

func (h *Handler) describeImport(_ context.Context, r *jobRequest) (any, error) {
	j, err := h.job(r, catalog.Import)
	if err != nil {
		return nil, err
	}
	return struct {
		Properties catalog.JobProperties `json:"ImportJobProperties"`
	}{shown(j)}, nil
}

func (h *Handler) describeExport(_ context.Context, r *jobRequest) (any, error) {
	j, err := h.job(r, catalog.Export)
	if err != nil {
		return nil, err
	}
	return struct {
		Properties catalog.JobProperties `json:"ExportJobProperties"`
	}{shown(j)}, nil
}

// shown is a job as clients see it. Where it writes is the folder of the job.
func shown(j *catalog.Job) catalog.JobProperties {
	p := j.JobProperties
	var o jobs.Output
	switch {
	case j.Kind == catalog.Export:
		p.Progress = nil
		if json.Unmarshal(p.Output, &o) == nil && o.S3.URI != "" {
			p.Output = o.Folder(j, "FHIR_EXPORT").Encode()
		}
	case json.Unmarshal(p.JobOutput, &o) == nil && o.S3.URI != "":
		p.JobOutput = o.Folder(j, "FHIR_IMPORT").Encode()
	}
	return p
}

type listJobsRequest struct {
	DatastoreId                     string
	JobName                         string
	JobStatus                       string
	SubmittedBefore, SubmittedAfter catalog.Time
	page
}

var jobStates = []string{
	catalog.JobSubmitted, catalog.JobQueued, catalog.JobInProgress, catalog.JobCompletedWithErrors, catalog.JobCompleted,
	catalog.JobFailed, catalog.JobCancelSubmitted, catalog.JobCancelInProgress, catalog.JobCancelCompleted, catalog.JobCancelFailed,
}

// jobs gives a page of the jobs of a kind in a data store.
func (h *Handler) jobs(r *listJobsRequest, kind catalog.JobKind) (list []catalog.JobProperties, next string, err error) {
	var c checks
	c.id("DatastoreId", r.DatastoreId)
	c.text("JobName", r.JobName, 64, true)
	c.oneOf("JobStatus", r.JobStatus, true, jobStates...)
	c.page(&r.page)
	if err := c.err(); err != nil {
		return nil, "", err
	}
	if !h.o.Jobs.Serves(kind) {
		return nil, "", fmt.Errorf("%s jobs: %w", kind, jobs.ErrNoKind)
	}
	if _, err := h.o.Catalog.DataStore(r.DatastoreId); err != nil {
		return nil, "", err
	}
	all, err := h.o.Jobs.Jobs(r.DatastoreId)
	if err != nil {
		return nil, "", err
	}
	all = slices.DeleteFunc(all, func(j *catalog.Job) bool {
		return j.Kind != kind || r.JobName != "" && j.Name != r.JobName ||
			r.JobStatus != "" && j.Status != r.JobStatus || outside(j.SubmitTime, r.SubmittedAfter, r.SubmittedBefore)
	})
	which := fmt.Sprint(kind, r.DatastoreId, r.JobName, r.JobStatus, r.SubmittedAfter.UnixMilli(), r.SubmittedBefore.UnixMilli())
	part, next, err := cut(all, &r.page, which, func(j *catalog.Job) place { return place{j.SubmitTime.UnixMilli(), j.ID} })
	if err != nil {
		return nil, "", err
	}
	list = []catalog.JobProperties{}
	for _, j := range part {
		list = append(list, shown(j))
	}
	return list, next, nil
}

func (h *Handler) listImports(_ context.Context, r *listJobsRequest) (any, error) {
	list, next, err := h.jobs(r, catalog.Import)
	if err != nil {
		return nil, err
	}
	return struct {
		List []catalog.JobProperties `json:"ImportJobPropertiesList"`
		Next string                  `json:"NextToken,omitempty"`
	}{list, next}, nil
}

func (h *Handler) listExports(_ context.Context, r *listJobsRequest) (any, error) {
	list, next, err := h.jobs(r, catalog.Export)
	if err != nil {
		return nil, err
	}
	return struct {
		List []catalog.JobProperties `json:"ExportJobPropertiesList"`
		Next string                  `json:"NextToken,omitempty"`
	}{list, next}, nil
}
