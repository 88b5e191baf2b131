package load

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/fhirlake/fhirlake/store/duck"
)

// CopyResult is what [CopyWithDuckDB] did.
type CopyResult struct {
	Rows int64 `json:"rows"`
	// Resampled are files that DuckDB could not read with the schema that it
	// guessed from its sample, so that it had to read them in full twice.
	Resampled []string `json:"resampled,omitempty"`
}

// CopyWithDuckDB turns each NDJSON file into a Parquet file with DuckDB's own
// reader, as its users do: COPY (SELECT * FROM read_ndjson(...)) TO ... It
// validates nothing and keeps no resources, ids or versions.
func CopyWithDuckDB(ctx context.Context, files []string, out string) (*CopyResult, error) {
	db, err := duck.OpenPlain(ctx)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	res := &CopyResult{}
	for _, f := range files {
		to := filepath.Join(out, filepath.Base(f)+".parquet")
		n, err := copyFile(ctx, db, f, to, "")
		if err != nil {
			res.Resampled = append(res.Resampled, filepath.Base(f))
			n, err = copyFile(ctx, db, f, to, ", sample_size=-1")
		}
		if err != nil {
			return nil, fmt.Errorf("DuckDB COPY of %s: %w", f, err)
		}
		res.Rows += n
	}
	return res, nil
}

func copyFile(ctx context.Context, db *duck.Plain, from, to, options string) (int64, error) {
	return db.Exec(ctx, fmt.Sprintf("COPY (SELECT * FROM read_ndjson(%s, maximum_object_size=268435456%s)) TO %s (FORMAT parquet)",
		duck.Quote(from), options, duck.Quote(to)))
}

// runDuckDB measures one COPY of all files, in a process of its own.
func runDuckDB(ctx context.Context, o *ImportOptions, files []string, size int64) (ImportRun, error) {
	out := filepath.Join(o.Work, "duckdb")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return ImportRun{}, fmt.Errorf("bench import: %w", err)
	}
	defer os.RemoveAll(out)
	text, r, err := runProcess(ctx, o.Program, append([]string{"bench", "duckdb-copy", "--out", out}, slices.Clone(files)...), 0)
	if err != nil {
		return r, fmt.Errorf("DuckDB COPY: %w", err)
	}
	var res CopyResult
	if err := json.Unmarshal(lastLine(text), &res); err != nil {
		return r, fmt.Errorf("DuckDB COPY: result: %w", err)
	}
	r.Resources = res.Rows
	r.MegabytesPerSecond = float64(size) / 1e6 / r.Seconds
	r.ResourcesPerSecond = float64(res.Rows) / r.Seconds
	if len(res.Resampled) > 0 {
		r.Note = fmt.Sprintf("read twice, since the sampled schema did not hold: %v", res.Resampled)
	}
	r.DiskBytes, err = diskUsage(out)
	return r, err
}
