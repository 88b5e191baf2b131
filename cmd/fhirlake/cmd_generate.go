package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/bench/gen"
)

func newGenerateCommand(g *globals) *cobra.Command {
	o := gen.Options{}
	c := &cobra.Command{
		Use:   "generate --patients N --out DIR",
		Short: "Write a synthetic population as FHIR NDJSON",
		Long: `Generate writes a believable synthetic population, one NDJSON file for each
resource type, clinical notes included. The same number of patients and the same
seed give the same bytes. No real person is in it.`,
		Example: "  fhirlake generate --patients 1000 --seed 7 --out population",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Patients <= 0 {
				return usageError("--patients %d: name how many patients to make, 1 at least", o.Patients)
			}
			if o.Out == "" {
				return usageError("missing --out DIR, the folder to write to; see `%s --help`", c.CommandPath())
			}
			start := time.Now()
			m := newMeter(c.ErrOrStderr())
			last := start
			o.Progress = func(patients, resources, bytes int64) {
				if time.Since(last) >= m.interval() {
					last = time.Now()
					m.show(progress{Done: patients, Total: int64(o.Patients), Bytes: bytes, Resources: resources})
				}
			}
			st, err := gen.Generate(c.Context(), o)
			m.clear()
			if err != nil {
				return err
			}
			seconds := time.Since(start).Seconds()
			if g.json {
				return printJSON(c.OutOrStdout(), struct {
					Patients           int64   `json:"patients"`
					Resources          int64   `json:"resources"`
					Bytes              int64   `json:"bytes"`
					Files              int     `json:"files"`
					Seconds            float64 `json:"seconds"`
					MegabytesPerSecond float64 `json:"megabytesPerSecond"`
				}{st.Patients, st.Resources, st.Bytes, len(st.Files), seconds, float64(st.Bytes) / 1e6 / seconds})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s patients, %s resources, %s in %d files at %s, %.1f s, %.0f MB/s\n",
				formatCount(st.Patients), formatCount(st.Resources), formatBytes(st.Bytes), len(st.Files), o.Out, seconds, float64(st.Bytes)/1e6/seconds)
			return err
		},
	}
	fs := c.Flags()
	fs.IntVar(&o.Patients, "patients", 0, "how many patients")
	fs.Uint64Var(&o.Seed, "seed", 1, "seed of the random numbers")
	fs.StringVar(&o.Out, "out", "", "folder to write to; made when missing")
	fs.IntVar(&o.Workers, "workers", 0, "goroutines (0: one for each core)")
	fs.BoolVar(&o.Gzip, "gzip", false, "write .ndjson.gz")
	return c
}
