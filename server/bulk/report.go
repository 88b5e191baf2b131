package bulk

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/sinks/reject"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/store/catalog"
)

// reportManifest is Manifest.json as HealthLake writes it.
type reportManifest struct {
	Input struct {
		S3URI string `json:"s3Uri"`
	} `json:"inputDataConfig"`
	Output struct {
		S3URI string `json:"s3Uri"`
		KeyID string `json:"encryptionKeyID"`
	} `json:"outputDataConfig"`
	Success struct {
		URI string `json:"successOutputS3Uri"`
	} `json:"successOutput"`
	Failure struct {
		URI string `json:"failureOutputS3Uri"`
	} `json:"failureOutput"`
	WithIssues        *withIssues `json:"successWithSearchValidationFailuresOutput,omitempty"` // of a job that is lenient
	ScannedFiles      int64       `json:"numberOfScannedFiles"`
	ImportedFiles     int64       `json:"numberOfFilesImported"`
	ScannedMB         float64     `json:"sizeOfScannedFilesInMB"`
	ImportedMB        float64     `json:"sizeOfDataImportedSuccessfullyInMB"`
	ScannedResources  int64       `json:"numberOfResourcesScanned"`
	ImportedResources int64       `json:"numberOfResourcesImportedSuccessfully"`
	CustomerErrors    int64       `json:"numberOfResourcesWithCustomerError"`
	ServerErrors      int64       `json:"numberOfResourcesWithServerError"`
}

// withIssues is what HealthLake's manifest does not have: it has no entry for the
// folder of the resources that were taken with errors.
type withIssues struct {
	URI       string `json:"successWithSearchValidationFailuresOutputS3Uri"`
	Resources int64  `json:"numberOfResourcesImportedWithSearchValidationFailures"`
}

// ReportNames is how the manifest of a report calls the places of a job.
type ReportNames struct {
	Input    string // where it reads
	Folder   string // the folder of the report
	KMSKeyID string // what the report is encrypted with
}

// names gives the names, paths when the caller has no others.
func (j *importJob) names() ReportNames {
	n := j.Names
	if n.Input == "" && len(j.Inputs) > 0 {
		n.Input = j.Inputs[0]
	}
	if n.Folder == "" {
		n.Folder = j.Report
	}
	return n
}

// WriteReportManifest writes the manifest of a job whose progress is that of its end into the
// folder of its report.
func WriteReportManifest(dir string, j *catalog.Job, n ReportNames) error {
	p := j.Progress
	m := reportManifest{
		ScannedFiles:      p.ScannedFiles,
		ImportedFiles:     p.ImportedFiles,
		ScannedMB:         p.ScannedMB,
		ImportedMB:        p.ScannedMB,
		ScannedResources:  p.ScannedResources,
		ImportedResources: p.ImportedResources,
		CustomerErrors:    p.RejectedResources,
	}
	in := func(folder string) string { return strings.TrimSuffix(n.Folder, "/") + "/" + folder }
	m.Input.S3URI = n.Input
	m.Output.S3URI, m.Output.KeyID = n.Folder, n.KMSKeyID
	m.Success.URI = in(reject.Success)
	m.Failure.URI = in(reject.Failure)
	if j.ValidationLevel == validate.Minimal.String() {
		m.WithIssues = &withIssues{in(reject.WithIssues), j.WithIssues}
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return reject.WriteManifest(dir, append(b, '\n'))
}
