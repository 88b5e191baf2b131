package jobs

import (
	"context"

	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/store/blob"
)

// Exports are export jobs of whole data stores, as NDJSON, to OutputDataConfig of the record.
// Its URI is the one that the client has sent; the folder of the job is made below it.
type Exports struct{ *Engine }

var _ Kind = Exports{}

// Publishes implements [Kind].
func (Exports) Publishes() bool { return false }

// Run implements [Kind]. What an earlier run has left there goes.
func (k Exports) Run(ctx context.Context, j *Job) error {
	_, out, err := place(j.Output)
	if err != nil {
		return err
	}
	out = out.Folder(j.Job, "FHIR_EXPORT")
	at, _, err := place(out.Encode())
	if err != nil {
		return err
	}
	l, err := k.Lake(j.DatastoreID)
	if err != nil {
		return err
	}
	o := bulk.ExportOptions{
		Lake: l, Format: bulk.ExportNDJSON, Run: bulk.RunOf(j.ID), TempDir: k.Root.TempDir,
		Workers: k.Workers, Memory: k.Memory, Monitor: &j.Progress.Monitor,
	}
	if o.Output, err = k.Blobs.Output(ctx, at, blob.OutputOptions{KMSKeyID: out.S3.KMSKeyID, Replace: true}); err != nil {
		return err
	}
	_, err = bulk.Export(ctx, o)
	return err
}
