package jobs

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/catalog"
)

// Input is InputDataConfig of HealthLake's API.
type Input struct {
	S3URI string `json:"S3Uri"`
}

// Output is JobOutputDataConfig and OutputDataConfig of HealthLake's API.
type Output struct {
	S3 struct {
		URI      string `json:"S3Uri"`
		KMSKeyID string `json:"KmsKeyId,omitempty"`
	} `json:"S3Configuration"`
}

// Folder gives the same place with the folder of a job in it, named as HealthLake does; what
// is FHIR_IMPORT or FHIR_EXPORT.
func (o Output) Folder(j *catalog.Job, what string) Output {
	o.S3.URI = fmt.Sprintf("%s/%s-%s-%s/", strings.TrimRight(o.S3.URI, "/"), j.DatastoreID, what, j.ID)
	return o
}

// place decodes where a job writes.
func place(config json.RawMessage) (at blob.URI, o Output, err error) {
	if err := json.Unmarshal(config, &o); err != nil {
		return at, o, fmt.Errorf("where the job writes: %w", err)
	}
	at, err = blob.ParseURI(strings.TrimRight(o.S3.URI, "/"))
	return at, o, err
}

// Encode gives the place as a record has it.
func (o Output) Encode() json.RawMessage {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err) // strings alone
	}
	return text
}
