package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/bulkdata"
	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/lake"
)

// Exports are export jobs: of what the Request of the record asks for, of the whole data
// store as NDJSON when there is none. They write to OutputDataConfig of the record, whose URI is
// the one that the client has sent and below which the folder of the job is made; without one the
// files are kept in the folder of the job.
type Exports struct {
	*Engine
	// Select finds what the filters of a request are about; nil: there are none.
	Select func(ctx context.Context, datastore string, view *lake.View, r *bulkdata.Request) (bulk.Selection, error)
}

var (
	_ Kind    = Exports{}
	_ Remover = Exports{}
)

// Publishes implements [Kind].
func (Exports) Publishes() bool { return false }

// Remove implements [Remover].
func (k Exports) Remove(id string) error { return bulkdata.RemoveFiles(k.Root.JobDir(id)) }

// Run implements [Kind]. What an earlier run has left goes.
func (k Exports) Run(ctx context.Context, j *Job) error {
	r := &bulkdata.Request{Level: bulkdata.System, Format: bulk.ExportNDJSON}
	if j.Request != nil {
		if err := json.Unmarshal(j.Request, r); err != nil {
			return fmt.Errorf("what the job exports: %w", err)
		}
	}
	if err := k.Remove(j.ID); err != nil {
		return fmt.Errorf("remove what an earlier run has left: %w", err)
	}
	o, err := k.options(j, r)
	if err != nil {
		return err
	}
	dir, result := k.Root.JobDir(j.ID), &bulkdata.Result{}
	if j.Output == nil {
		o.Format = bulkdata.Kept(r.Format)
		if o.Output, err = blob.NewFolder(bulkdata.FilesDir(dir)); err != nil {
			return err
		}
	} else if o.Output, result.URI, err = k.bucket(ctx, j); err != nil {
		return err
	}
	res, err := bulk.Export(ctx, o)
	if err != nil {
		return err
	}
	result.Time, result.Resources = res.Time, res.Resources
	result.Files, result.Deleted = files(res.Files), files(res.Deleted)
	return bulkdata.WriteResult(dir, result)
}

// bucket opens where the job writes.
func (k Exports) bucket(ctx context.Context, j *Job) (blob.Output, string, error) {
	_, out, err := place(j.Output)
	if err != nil {
		return nil, "", err
	}
	out = out.Folder(j.Job, "FHIR_EXPORT")
	at, _, err := place(out.Encode())
	if err != nil {
		return nil, "", err
	}
	to, err := k.Blobs.Output(ctx, at, blob.OutputOptions{KMSKeyID: out.S3.KMSKeyID, Replace: true})
	return to, out.S3.URI, err
}

// options says what is exported.
func (k Exports) options(j *Job, r *bulkdata.Request) (o bulk.ExportOptions, err error) {
	o = bulk.ExportOptions{
		Format: r.Format, Run: bulk.RunOf(j.ID), TempDir: k.Root.TempDir,
		Workers: k.Workers, Memory: k.Memory, Monitor: &j.Progress.Monitor,
		Since: r.Since, Until: r.Until, Elements: r.Elements, Associated: r.Associated,
		Deleted: r.Level == bulkdata.System && !r.Since.IsZero(),
	}
	if o.Lake, err = k.Lake(j.DatastoreID); err != nil {
		return o, err
	}
	if r.Types != nil {
		wanted := map[r4.TypeID]bool{}
		for _, name := range r.Types {
			wanted[r4.ResourceTypeByName([]byte(name))] = true
		}
		o.Types = func(t r4.TypeID) bool { return wanted[t] }
	}
	if r.Searches() {
		if k.Select == nil {
			return o, errors.New("this server does not search, which _typeFilter, _tag and _security need")
		}
		o.Select = func(ctx context.Context, view *lake.View) (bulk.Selection, error) {
			return k.Select(ctx, j.DatastoreID, view, r)
		}
	}
	if o.OfPatients = r.Level != bulkdata.System; o.OfPatients {
		o.Patients, err = patients(o.Lake, r)
	}
	return o, err
}

// patients gives the patients that an export is about; nil for all.
func patients(l *lake.Lake, r *bulkdata.Request) (of bulk.Patients, err error) {
	if r.Level == bulkdata.Group {
		if of, err = bulk.GroupPatients(l, r.Group); err != nil {
			return nil, err
		}
	}
	if r.Patients == nil {
		return of, nil
	}
	named := bulk.Patients{}
	for _, id := range r.Patients {
		if of == nil || of[id] {
			named[id] = true
		}
	}
	return named, nil
}

func files(list []bulk.ExportFile) []bulkdata.File {
	all := []bulkdata.File{}
	for _, f := range list {
		all = append(all, bulkdata.File{Type: f.Type, Path: f.Name, Resources: f.Resources, Bytes: f.Bytes})
	}
	return all
}
