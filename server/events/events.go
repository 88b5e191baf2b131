// Package events tells others what happens to data stores and jobs, in the words of
// HealthLake's events: a log on disk, and a webhook that gets the same. An event says that
// something has become durable; after a crash one may be missing or be there twice, so a
// program that must know asks the API (docs/formats/events.md).
//
// Read [Log] first.
package events

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fhirlake/fhirlake/store/catalog"
)

// Event is one line of the log: the envelope of EventBridge with HealthLake's detail.
type Event struct {
	Version    string    `json:"version"`
	ID         string    `json:"id"`
	DetailType string    `json:"detail-type"`
	Source     string    `json:"source"`
	Account    string    `json:"account"`
	Time       time.Time `json:"time"`
	Region     string    `json:"region"`
	Resources  []string  `json:"resources"`
	Detail     any       `json:"detail"`
}

type storeDetail struct {
	ID          string `json:"datastoreId"`
	Name        string `json:"datastoreName,omitempty"`
	TypeVersion string `json:"datastoreTypeVersion"`
	Endpoint    string `json:"datastoreEndpoint"`
}

type jobDetail struct {
	ID          string    `json:"jobId"`
	SubmitTime  time.Time `json:"submitTime"`
	DatastoreID string    `json:"datastoreId"`
	Input       *place    `json:"inputDataConfig,omitempty"`
	Output      *place    `json:"outputDataConfig,omitempty"`
}

type place struct {
	S3URI string `json:"s3Uri"`
}

// Options of a log; zero values are usable.
type Options struct {
	Dir     string           // of the files; made when missing
	Bytes   int64            // of a file, after which the next one begins; 0: 16 MiB
	Files   int              // that are kept beside the current one; 0: 4
	Webhook *Webhook         // nil: none
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // nil: nowhere
}

// Log writes events. It is safe for concurrent use.
type Log struct {
	o Options

	mu   sync.Mutex
	file *os.File
	size int64
}

var _ catalog.Watcher = (*Log)(nil)

// The names of the files: the current one, and what it is called when it is full.
const (
	current = "events.ndjson"
	older   = "events-%d.ndjson"
)

// Open opens the log. A line that a crash has cut is ended.
func Open(o Options) (*Log, error) {
	if o.Bytes <= 0 {
		o.Bytes = 16 << 20
	}
	if o.Files <= 0 {
		o.Files = 4
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Log{o: o}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open event log: %w", err)
	}
	return l, nil
}

func (l *Log) open() error {
	if err := os.MkdirAll(l.o.Dir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(l.o.Dir, current), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, st.Size()
	var last [1]byte
	if l.size > 0 {
		if _, err := f.ReadAt(last[:], l.size-1); err != nil {
			return errors.Join(err, f.Close())
		}
		if last[0] != '\n' {
			n, err := f.WriteString("\n")
			l.size += int64(n)
			return err
		}
	}
	return nil
}

// Close closes the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// storeStates are HealthLake's words for the states of a data store. One that is made is
// active at once, and was being created before.
var storeStates = map[string][]string{
	catalog.StatusActive:   {"Data Store Creating", "Data Store Active"},
	catalog.StatusDeleting: {"Data Store Deleting"},
	catalog.StatusDeleted:  {"Data Store Deleted"},
}

// jobStates are HealthLake's words for the states of a job. It has none for cancelled ones.
var jobStates = map[string]string{
	catalog.JobSubmitted:           "Submitted",
	catalog.JobInProgress:          "In Progress",
	catalog.JobCompleted:           "Completed",
	catalog.JobCompletedWithErrors: "Completed With Errors",
	catalog.JobFailed:              "Failed",
}

// DataStoreChanged implements [catalog.Watcher].
func (l *Log) DataStoreChanged(d *catalog.DataStore) {
	for _, name := range storeStates[d.Status] {
		l.add(name, d, storeDetail{d.ID, d.Name, d.TypeVersion, d.Endpoint})
	}
}

// JobChanged implements [catalog.Watcher].
func (l *Log) JobChanged(j *catalog.Job, d *catalog.DataStore) {
	state := jobStates[j.Status]
	kind := map[catalog.JobKind]string{catalog.Import: "Import", catalog.Export: "Export"}[j.Kind]
	if state == "" || kind == "" || d == nil {
		return
	}
	l.add(kind+" Job "+state, d, jobDetail{j.ID, j.SubmitTime.Time, j.DatastoreID, uri(j.Input), uri(j.Output)})
}

// uri finds the place in the configuration of a job's input or output.
func uri(config json.RawMessage) *place {
	var c struct {
		S3URI string `json:"S3Uri"`
		S3    struct {
			URI string `json:"S3Uri"`
		} `json:"S3Configuration"`
	}
	if json.Unmarshal(config, &c) != nil || c.S3URI+c.S3.URI == "" {
		return nil
	}
	return &place{c.S3URI + c.S3.URI}
}

func (l *Log) add(name string, d *catalog.DataStore, detail any) {
	// arn:aws:healthlake:<region>:<account>:datastore/fhir/<id>
	arn := strings.SplitN(d.ARN+":::::", ":", 6)
	e := Event{
		Version: "0", ID: newID(), DetailType: name, Source: "aws.healthlake", Region: arn[3], Account: arn[4],
		Time: l.o.Now().UTC().Truncate(time.Millisecond), Resources: []string{d.ARN}, Detail: detail,
	}
	var line bytes.Buffer
	if err := json.NewEncoder(&line).Encode(e); err != nil {
		l.o.Log.Error("event", "error", err)
		return
	}
	if err := l.write(line.Bytes()); err != nil {
		l.o.Log.Error("write event log", "error", err)
	}
	if l.o.Webhook != nil {
		l.o.Webhook.Send(line.Bytes())
	}
}

// write appends a line, and begins a new file when the current one is full.
func (l *Log) write(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return fs.ErrClosed
	}
	if l.size > 0 && l.size+int64(len(line)) > l.o.Bytes {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	return err
}

func (l *Log) rotate() error {
	if err := l.file.Close(); err != nil {
		return err
	}
	name := func(n int) string { return filepath.Join(l.o.Dir, fmt.Sprintf(older, n)) }
	for n := l.o.Files; n > 1; n-- {
		if err := os.Rename(name(n-1), name(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, l.open())
		}
	}
	return errors.Join(os.Rename(filepath.Join(l.o.Dir, current), name(1)), l.open())
}

// newID makes a UUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
