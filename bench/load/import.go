// Package load measures whole jobs from outside, as processes of their own: the
// import, and what other tools do with the same files in the same run, and a server
// with many clients. Rates and peak memory are those that the operating system accounts
// to each process. [NLP] alone measures within its process: the reading of notes, on one core.
//
// Read [CompareImport] or [Read] first.
package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// ImportComparison is one run of fhirlake's import and of DuckDB's COPY over the
// same files.
type ImportComparison struct {
	Files    int           `json:"files"`
	Bytes    int64         `json:"bytes"`
	Args     []string      `json:"args"` // flags of the import
	Fhirlake []ImportRun   `json:"fhirlake"`
	DuckDB   []ImportRun   `json:"duckdb,omitempty"`
	Median   ImportMedians `json:"median"`
}

// ImportRun is one process.
type ImportRun struct {
	Seconds            float64 `json:"seconds"` // of the whole process
	MegabytesPerSecond float64 `json:"megabytesPerSecond"`
	Resources          int64   `json:"resources"`
	ResourcesPerSecond float64 `json:"resourcesPerSecond"`
	PeakRSSBytes       int64   `json:"peakRSSBytes"`
	DiskBytes          int64   `json:"diskBytes"`
	Note               string  `json:"note,omitempty"`
}

// ImportMedians are the figures to quote. Ratio is fhirlake's rate over
// DuckDB's.
type ImportMedians struct {
	Fhirlake float64 `json:"fhirlakeMegabytesPerSecond"`
	DuckDB   float64 `json:"duckdbMegabytesPerSecond,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"`
}

// ImportOptions says what to measure.
type ImportOptions struct {
	Program string   // the fhirlake binary
	Inputs  []string // files or folders of NDJSON
	Args    []string // more flags for import
	Runs    int      // of each; 0: 1
	Work    string   // folder for stores and outputs; removed run by run
	DuckDB  bool     // run DuckDB's COPY too, in turn with the import
	Report  func(what string, r ImportRun)
}

// CompareImport runs the import, and DuckDB in turn with it.
func CompareImport(ctx context.Context, o ImportOptions) (*ImportComparison, error) {
	files, size, err := inputFiles(o.Inputs)
	if err != nil {
		return nil, fmt.Errorf("bench import: %w", err)
	}
	c := &ImportComparison{Files: len(files), Bytes: size, Args: o.Args}
	for range max(o.Runs, 1) {
		r, err := runImport(ctx, &o)
		if err != nil {
			return nil, err
		}
		c.Fhirlake = append(c.Fhirlake, r)
		o.report("fhirlake import", r)
		if !o.DuckDB {
			continue
		}
		if r, err = runDuckDB(ctx, &o, files, size); err != nil {
			return nil, err
		}
		c.DuckDB = append(c.DuckDB, r)
		o.report("DuckDB COPY", r)
	}
	c.Median.Fhirlake = medianRate(c.Fhirlake)
	if c.Median.DuckDB = medianRate(c.DuckDB); c.Median.DuckDB > 0 {
		c.Median.Ratio = c.Median.Fhirlake / c.Median.DuckDB
	}
	return c, nil
}

func (o *ImportOptions) report(what string, r ImportRun) {
	if o.Report != nil {
		o.Report(what, r)
	}
}

// runImport measures one import into an empty store.
func runImport(ctx context.Context, o *ImportOptions) (ImportRun, error) {
	root := filepath.Join(o.Work, "lake")
	defer os.RemoveAll(root)
	args := append([]string{"--root", root, "--json", "import"}, o.Args...)
	out, r, err := runProcess(ctx, o.Program, append(args, o.Inputs...), 3)
	if err != nil {
		return r, fmt.Errorf("import: %w", err)
	}
	var res struct {
		Bytes     int64 `json:"bytes"`
		Resources int64 `json:"resources"`
		Rejected  int64 `json:"rejected"`
	}
	if err := json.Unmarshal(lastLine(out), &res); err != nil {
		return r, fmt.Errorf("import: result: %w", err)
	}
	r.Resources = res.Resources
	r.MegabytesPerSecond = float64(res.Bytes) / 1e6 / r.Seconds
	r.ResourcesPerSecond = float64(res.Resources) / r.Seconds
	if res.Rejected > 0 {
		r.Note = fmt.Sprintf("%d rejected", res.Rejected)
	}
	r.DiskBytes, err = diskUsage(filepath.Join(root, "datastores"))
	return r, err
}

// runProcess runs a program and gives its output and cost. It may exit with 0 or
// with okCode.
func runProcess(ctx context.Context, program string, args []string, okCode int) ([]byte, ImportRun, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	r := ImportRun{Seconds: time.Since(start).Seconds(), PeakRSSBytes: childPeakRSS(cmd.ProcessState)}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == okCode {
		err = nil
	}
	if err != nil {
		return nil, r, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), r, nil
}

func lastLine(b []byte) []byte {
	b = bytes.TrimSpace(b)
	return b[bytes.LastIndexByte(b, '\n')+1:]
}

// inputFiles lists the NDJSON files of the inputs.
func inputFiles(inputs []string) (files []string, size int64, err error) {
	for _, in := range inputs {
		err := filepath.WalkDir(in, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if ok, _ := filepath.Match("*.ndjson*", d.Name()); !ok && p != in {
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			files = append(files, p)
			size += info.Size()
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	if len(files) == 0 {
		return nil, 0, fmt.Errorf("no *.ndjson files in %v", inputs)
	}
	return files, size, nil
}

// diskUsage adds up the sizes of all files below dir.
func diskUsage(dir string) (int64, error) {
	var n int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

func medianRate(rs []ImportRun) float64 {
	rates := make([]float64, len(rs))
	for i, r := range rs {
		rates[i] = r.MegabytesPerSecond
	}
	return median(rates)
}
