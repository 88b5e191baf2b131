package bulkdata

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fhirlake/fhirlake/store/disk"
)

// Result is what an export came to. It is written into the folder of the job when all
// of its files are there, before the record says that the job is completed.
type Result struct {
	Time      time.Time `json:"time"` // of the state that was exported
	Resources int64     `json:"resources"`
	URI       string    `json:"uri,omitempty"` // s3://..., of the folder of the files; "": they are kept here
	Files     []File    `json:"files"`
	Deleted   []File    `json:"deleted,omitempty"`
}

// File is one file of an export.
type File struct {
	Type      string `json:"type"`
	Path      string `json:"path"` // below the folder of the files, with forward slashes
	Resources int64  `json:"resources"`
	Bytes     int64  `json:"bytes"` // on disk
}

const (
	resultName = "export.json"
	filesName  = "export" // the folder of files that are kept here
)

// FilesDir is where an export keeps its files, by the folder of its job.
func FilesDir(jobDir string) string { return filepath.Join(jobDir, filesName) }

// WriteResult makes the result of a job durable.
func WriteResult(jobDir string, r *Result) error {
	text, err := json.Marshal(r)
	if err == nil {
		err = errors.Join(disk.OS{}.MkdirAll(jobDir), disk.Replace(disk.OS{}, filepath.Join(jobDir, resultName), text))
	}
	if err != nil {
		return fmt.Errorf("write the list of exported files: %w", err)
	}
	return nil
}

// ReadResult reads the result of a job; nil when there is none.
func ReadResult(jobDir string) (*Result, error) {
	text, err := os.ReadFile(filepath.Join(jobDir, resultName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	r := &Result{}
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		return nil, fmt.Errorf("read the list of exported files: %w", err)
	}
	return r, nil
}

// RemoveFiles removes what an export has made here.
func RemoveFiles(jobDir string) error {
	return errors.Join(os.RemoveAll(FilesDir(jobDir)), os.RemoveAll(filepath.Join(jobDir, resultName)))
}
