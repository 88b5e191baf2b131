package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fhirlake/fhirlake/store/disk"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// JobKind tells imports from exports.
type JobKind string

// The kinds of jobs.
const (
	Import  JobKind = "import"
	Export  JobKind = "export"
	Preload JobKind = "preload" // fills a new data store with generated resources
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
	// Request is what a client has asked for over REST (server/bulkdata); nil: it was the
	// control plane, or a command.
	Request json.RawMessage `json:"request,omitempty"`
	// Removed says that what the job has made here was removed, by its client or when its time was over.
	Removed bool `json:"removed,omitempty"`
	// Resumable says that a server goes on with this job after a crash, so the
	// next owner leaves its state alone. When the job has published, the next owner sets
	// Snapshot, and what is left to do is its report.
	Resumable bool `json:"resumable,omitempty"`
}

// jobToken is what makes a request to start a job repeatable.
type jobToken struct {
	kind      JobKind
	datastore string
	token     string
}

func (j *Job) token() jobToken { return jobToken{j.Kind, j.DatastoreID, j.ClientToken} }

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
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.putJob(j)
}

func (c *Catalog) putJob(j *Job) error {
	if !IsID(j.ID) || !IsID(j.DatastoreID) {
		return fmt.Errorf("write job %q: %w: ids of job and data store are 32 hexadecimal digits", j.ID, ErrInvalid)
	}
	if err := c.write(jobs, j.ID, j); err != nil {
		return err
	}
	c.known(j)
	return nil
}

// known keeps what the owner must know of a job, and tells the watcher of a new state.
func (c *Catalog) known(j *Job) {
	was := c.states[j.ID]
	c.states[j.ID] = j.Status
	if j.ClientToken != "" {
		c.tokens[j.token()] = j.ID
	}
	if c.watcher != nil && was != j.Status {
		d, err := c.DataStore(j.DatastoreID)
		if err != nil {
			d = nil
		}
		c.watcher.JobChanged(j, d)
	}
}

// AddJob makes the record of a job that is to run, with a new id and the present time, a
// millisecond after the last one at the earliest: the order of jobs is that of their times. A
// request that says the token of an earlier one, of the same kind and for the same data
// store, gets that one's job, and added is false. The error is [ErrNotFound] when the data store
// is not there or deleted.
func (c *Catalog) AddJob(j *Job) (_ *Job, added bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.live(j.DatastoreID); err != nil {
		return nil, false, err
	}
	if id, ok := c.tokens[j.token()]; ok && j.ClientToken != "" {
		earlier, err := c.Job(id)
		return earlier, false, err
	}
	if j.ID, err = c.random(16); err != nil {
		return nil, false, err
	}
	j.Status, j.SubmitTime = JobSubmitted, At(c.o.Now())
	if next := c.lastJob.Add(time.Millisecond); j.SubmitTime.Before(next) {
		j.SubmitTime = At(next)
	}
	c.lastJob = j.SubmitTime.Time
	return j, true, c.putJob(j)
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

// JobFile is what a job has made of one of its inputs.
type JobFile struct {
	Name     string `json:"name"`
	Status   string `json:"status"` // COMPLETED or COMPLETED_WITH_ERRORS; IN_PROGRESS while the job runs
	Accepted int64  `json:"accepted"`
	Rejected int64  `json:"rejected"`
}

// PutJobFiles writes what a job has made of its inputs, one line each.
func (c *Catalog) PutJobFiles(id string, files []JobFile) error {
	if !IsID(id) {
		return fmt.Errorf("write files of job %q: %w: no id", id, ErrInvalid)
	}
	if !c.root.Exclusive() {
		return fmt.Errorf("write files of job %s: %w", id, ErrReadOnly)
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	for i := range files {
		if err := e.Encode(&files[i]); err != nil {
			return fmt.Errorf("write files of job %s: %w", id, err)
		}
	}
	if err := errors.Join(c.fs.MkdirAll(c.root.JobDir(id)), disk.Replace(c.fs, c.jobFiles(id), text.Bytes())); err != nil {
		return fmt.Errorf("write files of job %s: %w", id, err)
	}
	return nil
}

func (c *Catalog) jobFiles(id string) string {
	return filepath.Join(c.root.JobDir(id), "files.ndjson")
}

// JobFiles lists what a job has made of its inputs; nothing before it ends.
func (c *Catalog) JobFiles(id string) ([]JobFile, error) {
	if !IsID(id) {
		return nil, fmt.Errorf("job %q: %w", id, ErrNotFound)
	}
	text, err := os.ReadFile(c.jobFiles(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read files of job: %w", err)
	}
	var files []JobFile
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var f JobFile
		err := d.Decode(&f)
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read files of job %s: %w", id, err)
		}
		files = append(files, f)
	}
}

// recoverJobs ends the jobs of processes that died, notes which of those that a server goes
// on with have published, and forgets those of data stores that were purged.
func (c *Catalog) recoverJobs(gone map[string]bool) error {
	all, err := c.Jobs("")
	if err != nil {
		return err
	}
	for _, j := range all {
		switch {
		case gone[j.DatastoreID]:
			if err := errors.Join(os.RemoveAll(c.root.JobDir(j.ID)), c.fs.Remove(c.file(jobs, j.ID))); err != nil {
				return err
			}
			continue
		case j.Ended():
		case j.Resumable:
			if n := c.published(j); n > 0 && j.Snapshot == 0 {
				j.Snapshot = n
				err = c.write(jobs, j.ID, j)
			}
		default:
			c.endDead(j)
			err = c.write(jobs, j.ID, j)
		}
		if err != nil {
			return err
		}
		c.known(j)
	}
	return nil
}

// endDead ends a job that nobody goes on with.
func (c *Catalog) endDead(j *Job) {
	j.EndTime = At(c.o.Now())
	if n := c.published(j); n > 0 {
		j.Status, j.Snapshot = JobCompleted, n
		j.Message = "the process that ran this job ended right after publication; its counts are lost"
		return
	}
	j.Status = JobFailed
	j.Message = "the process that ran this job ended before the job did; nothing of it was published, run it again"
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
