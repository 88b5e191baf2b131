package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/datastores"
)

func newCompactCommand(g *globals) *cobra.Command {
	p := compactParams{Memory: 1 << 30}
	c := &cobra.Command{
		Use:   "compact",
		Short: "Fold what was written one by one into the snapshot, and merge its layers",
		Long: `Compact writes what is in the delta store into the columnar files, merges layers of
the snapshot that have become many, and removes versions that the retention of the data
store does not keep. A server does so by itself; reads and writes go on meanwhile.

With --whole all layers become one and every dead row goes, which reads and writes the
whole id index. How long old versions are kept: fhirlake datastore configure.`,
		Example: "  fhirlake compact\n  fhirlake compact --whole --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			limitMemory(int64(p.Memory))
			p.Datastore = g.datastore
			done, err := compactWork.run(c, g, nil, p)
			if err != nil {
				return err
			}
			return g.showCompacted(c.OutOrStdout(), &done)
		},
	}
	c.Flags().BoolVar(&p.Whole, "whole", false, "merge all layers and remove all dead rows")
	c.Flags().Var(&p.Memory, "memory", "memory that the process may use")
	return c
}

type compactParams struct {
	Datastore string   `json:"datastore"`
	Whole     bool     `json:"whole"`
	Memory    byteSize `json:"memory"`
}

// compacted is the result of a compaction.
type compacted struct {
	*bulk.CompactResult
	Seconds float64 `json:"seconds"`
}

var compactWork = work[compactParams, compacted]{
	name: "compact",
	do: func(ctx context.Context, l *lake, s *session, p compactParams) (compacted, error) {
		start := time.Now()
		d, err := l.catalog.Use(p.Datastore)
		if err != nil {
			return compacted{}, err
		}
		if s.memory > 0 {
			p.Memory = byteSize(min(int64(p.Memory), s.memory))
		}
		monitor := &pipeline.Monitor{}
		stop := s.watch(func() progress { return progressOf(monitor.Figures()) })
		defer stop()
		res, err := l.compactor.Compact(ctx, d.ID, datastores.Request{
			Whole: p.Whole, Memory: int64(p.Memory) / 4, Workers: cores, Monitor: monitor,
			Waiting: func() { s.note("waiting for another job to end") },
		})
		return compacted{res, time.Since(start).Seconds()}, err
	},
}

func (g *globals) showCompacted(out io.Writer, d *compacted) error {
	if g.json {
		return printJSON(out, d)
	}
	if d.Versions == 0 && d.Folded == 0 && d.After == d.Before {
		_, err := fmt.Fprintf(out, "there was nothing to do; snapshot %d, %d layers\n", d.Snapshot, d.After.Layers)
		return err
	}
	_, err := fmt.Fprintf(out, "folded %s versions in, wrote %s rows anew in %.1f s; snapshot %d\n"+
		"layers %d -> %d, segments %d -> %d, rows %s -> %s, %s -> %s\n",
		formatCount(d.Folded), formatCount(d.Rewritten), d.Seconds, d.Snapshot,
		d.Before.Layers, d.After.Layers, d.Before.Segments, d.After.Segments,
		formatCount(d.Before.Rows), formatCount(d.After.Rows), formatBytes(d.Before.Bytes), formatBytes(d.After.Bytes))
	return err
}
