package catalog

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/fhirlake/fhirlake/store/snapshot"
)

// JobKind tells imports from exports.
type JobKind string

// The kinds of jobs.
const (
	Import JobKind = "import"
	Export JobKind = "export"
)

// The states of a job.
const (
	JobSubmitted           = "SUBMITTED"
	JobQueued              = "QUEUED"
	JobInProgress          = "IN_PROGRESS"
	JobCompletedWithErrors = "COMPLETED_WITH_ERRORS"
	JobCompleted           = "COMPLETED"
	JobFailed              = "FAILED"
	JobCancelSubmitted     = "CANCEL_SUBMITTED"
	JobCancelInProgress    = "CANCEL_IN_PROGRESS"
	JobCancelCompleted     = "CANCEL_COMPLETED"
	JobCancelFailed        = "CANCEL_FAILED"
)

// JobProgressReport counts what an import has done so far.
type JobProgressReport struct {
	ScannedFiles       int64   `json:"TotalNumberOfScannedFiles"`
	ScannedMB          float64 `json:"TotalSizeOfScannedFilesInMB"`
	ImportedFiles      int64   `json:"TotalNumberOfImportedFiles"`
	ScannedResources   int64   `json:"TotalNumberOfResourcesScanned"`
	ImportedResources  int64   `json:"TotalNumberOfResourcesImported"`
	RejectedResources  int64   `json:"TotalNumberOfResourcesWithCustomerError"`
	FilesWithRejects   int64   `json:"TotalNumberOfFilesReadWithCustomerError"`
	MegabytesPerSecond float64 `json:"Throughput"`
}

// JobProperties are a job's properties as HealthLake's API gives them; an
// export has no progress report and no JobOutputDataConfig there.
type JobProperties struct {
	ID                string             `json:"JobId"`
	Name              string             `json:"JobName,omitempty"`
	Status            string             `json:"JobStatus"`
	SubmitTime        Time               `json:"SubmitTime"`
	EndTime           Time               `json:"EndTime,omitzero"`
	DatastoreID       string             `json:"DatastoreId"`
	Input             json.RawMessage    `json:"InputDataConfig,omitempty"`
	Output            json.RawMessage    `json:"OutputDataConfig,omitempty"`
	JobOutput         json.RawMessage    `json:"JobOutputDataConfig,omitempty"`
	Progress          *JobProgressReport `json:"JobProgressReport,omitempty"`
	DataAccessRoleARN string             `json:"DataAccessRoleArn,omitempty"`
	Message           string             `json:"Message,omitempty"`
	ValidationLevel   string             `json:"ValidationLevel,omitempty"`
}

// Job is the record of a job: its properties and what is ours.
type Job struct {
	JobProperties
	Kind        JobKind  `json:"kind"`
	Inputs      []string `json:"inputs,omitempty"` // files and URLs as the user gave them
	Report      string   `json:"report,omitempty"` // folder or URL of the report, or the export's target
	Snapshot    int64    `json:"snapshot,omitempty"`
	WithIssues  int64    `json:"withIssues,omitempty"` // resources that were accepted although they have errors
	ClientToken string   `json:"clientToken,omitempty"`
	// Resumable says that a server goes on with this job after a crash, so the
	// next owner leaves its state alone.
	Resumable bool `json:"resumable,omitempty"`
}

// Ended tells whether the job's state is a last one.
func (j *Job) Ended() bool {
	switch j.Status {
	case JobSubmitted, JobQueued, JobInProgress, JobCancelSubmitted, JobCancelInProgress:
		return false
	}
	return true
}

// PutJob writes a job's record, new or changed.
func (c *Catalog) PutJob(j *Job) error {
	if !IsID(j.ID) || !IsID(j.DatastoreID) {
		return fmt.Errorf("write job %q: %w: ids of job and data store are 32 hexadecimal digits", j.ID, ErrInvalid)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(jobs, j.ID, j)
}

// Job describes a job by its id.
func (c *Catalog) Job(id string) (*Job, error) { return read[Job](c, jobs, id) }

// Jobs lists the jobs of a data store, of all when id is empty, the oldest first.
func (c *Catalog) Jobs(datastoreID string) ([]*Job, error) {
	all, err := readAll[Job](c.folder(jobs))
	if err != nil {
		return nil, err
	}
	list := all[:0]
	for _, j := range all {
		if datastoreID == "" || j.DatastoreID == datastoreID {
			list = append(list, j)
		}
	}
	byTime(list, func(j *Job) time.Time { return j.SubmitTime.Time }, func(j *Job) string { return j.ID })
	return list, nil
}

// JobByToken finds the job that a client's earlier, equal request made; nil
// when there is none.
func (c *Catalog) JobByToken(kind JobKind, token string) (*Job, error) {
	all, err := c.Jobs("")
	if err != nil || token == "" {
		return nil, err
	}
	for _, j := range all {
		if j.Kind == kind && j.ClientToken == token {
			return j, nil
		}
	}
	return nil, nil
}

// recoverJobs ends the jobs of processes that died and forgets those of data
// stores that were purged.
func (c *Catalog) recoverJobs(gone map[string]bool) error {
	all, err := c.Jobs("")
	if err != nil {
		return err
	}
	for _, j := range all {
		switch {
		case gone[j.DatastoreID]:
			if err := c.fs.Remove(c.file(jobs, j.ID)); err != nil {
				return err
			}
		case !j.Ended() && !j.Resumable:
			j.EndTime = At(c.o.Now())
			if n := c.published(j); n > 0 {
				j.Status, j.Snapshot = JobCompleted, n
				j.Message = "the process that ran this job ended right after publication; its counts are lost"
			} else {
				j.Status = JobFailed
				j.Message = "the process that ran this job ended before the job did; nothing of it was published, run it again"
			}
			if err := c.write(jobs, j.ID, j); err != nil {
				return err
			}
		}
	}
	return nil
}

// published gives the number of the manifest that a job published before it could
// say so; 0 when it did not. Nothing was published after it: whoever publishes
// owns the root, and the next owner comes here first.
func (c *Catalog) published(j *Job) int64 {
	s, err := snapshot.Open(c.root.DatastoreDir(j.DatastoreID))
	if err != nil {
		return 0 // whoever uses the data store says what is wrong with it
	}
	m, release, err := s.Current()
	if err != nil {
		return 0
	}
	defer release()
	if m.JobID != j.ID {
		return 0
	}
	return m.Number
}

// LastSnapshot is the number of the newest manifest that the jobs of a data store
// say they published; 0 when there is none.
func (c *Catalog) LastSnapshot(datastoreID string) (int64, error) {
	all, err := c.Jobs(datastoreID)
	if err != nil {
		return 0, err
	}
	var n int64
	for _, j := range all {
		n = max(n, j.Snapshot)
	}
	return n, nil
}
