package bulk

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/store/blob"
)

// noProvenance is an output that has no room for files of Provenance.
type noProvenance struct{ blob.Output }

func (o noProvenance) Create(name string) (blob.File, error) {
	if strings.HasPrefix(name, "Provenance/") {
		return nil, errNoRoom
	}
	return o.Output.Create(name)
}

// TestAnExportThatFailsAtProvenanceLeavesNothing fails when all else is written.
func TestAnExportThatFailsAtProvenanceLeavesNothing(t *testing.T) {
	l := newLake(t)
	l.load(write(t, "in.ndjson", patient("one", "a"),
		`{"resourceType":"Provenance","id":"p","recorded":"2020-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}],"target":[{"reference":"Patient/one"}]}`))
	for _, f := range []ExportFormat{ExportNDJSON, ExportNDJSONZstd, ExportParquet} {
		for _, which := range []Associated{LatestProvenance, RelevantProvenance} {
			dir := filepath.Join(t.TempDir(), "out")
			export := func(wrap func(blob.Output) blob.Output) error {
				out, err := blob.NewFolder(dir)
				if err != nil {
					t.Fatal(err)
				}
				_, err = Export(context.Background(), ExportOptions{
					Store: l.store, Output: wrap(out), Format: f, Associated: which,
					TempDir: func() (string, func(), error) { return t.TempDir(), func() {}, nil },
				})
				return err
			}
			if err := export(func(o blob.Output) blob.Output { return noProvenance{o} }); !errors.Is(err, errNoRoom) {
				t.Errorf("%s: error: %v", f, err)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: the folder is there: %v", f, err)
			}
			if err := export(func(o blob.Output) blob.Output { return o }); err != nil {
				t.Errorf("%s: then: %v", f, err)
			}
			for _, typ := range []string{"Patient", "Provenance"} {
				if names, _ := filepath.Glob(filepath.Join(dir, typ, "*")); len(names) != 1 {
					t.Errorf("%s: files of %s: %v", f, typ, names)
				}
			}
		}
	}
}
