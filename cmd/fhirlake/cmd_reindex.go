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

func newReindexCommand(g *globals) *cobra.Command {
	p := reindexParams{Memory: 512 << 20}
	c := &cobra.Command{
		Use:   "reindex",
		Short: "Build the search index of what has none, or all of it",
		Long: `Reindex reads the stored resources that no search index covers, because they were
imported with --search-index off or by a version whose index was another one, and
builds their index. What is indexed, but not by search parameters that were added since
(SearchParameter resources), is indexed by these. Searches see it when all of it is done; after an error or a crash
the old index stays. Reads, writes and searches go on meanwhile.

With --whole the index is built anew from all resources: it is derived from them, so
that nothing is lost when an index file is damaged or old.`,
		Example: "  fhirlake reindex\n  fhirlake reindex --whole --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			limitMemory(int64(p.Memory))
			p.Datastore = g.datastore
			done, err := reindexWork.run(c, g, nil, p)
			if err != nil {
				return err
			}
			return g.showReindexed(c.OutOrStdout(), &done)
		},
	}
	c.Flags().BoolVar(&p.Whole, "whole", false, "build the index of all resources anew")
	c.Flags().Var(&p.Memory, "memory", "memory that the process may use")
	return c
}

type reindexParams struct {
	Datastore string   `json:"datastore"`
	Whole     bool     `json:"whole"`
	Memory    byteSize `json:"memory"`
}

// reindexed is the result of indexing.
type reindexed struct {
	*bulk.ReindexResult
	Seconds float64 `json:"seconds"`
}

var reindexWork = work[reindexParams, reindexed]{
	name: "reindex",
	do: func(ctx context.Context, l *lake, s *session, p reindexParams) (reindexed, error) {
		start := time.Now()
		d, err := l.catalog.Use(p.Datastore)
		if err != nil {
			return reindexed{}, err
		}
		if s.memory > 0 {
			p.Memory = byteSize(min(int64(p.Memory), s.memory))
		}
		monitor := &pipeline.Monitor{}
		stop := s.watch(func() progress { return progressOf(monitor.Figures()) })
		defer stop()
		res, err := l.compactor.Reindex(ctx, d.ID, datastores.Request{
			Whole: p.Whole, Memory: int64(p.Memory) / 4, Workers: cores, Monitor: monitor,
			Waiting: func() { s.note("waiting for another job to end") },
		})
		return reindexed{res, time.Since(start).Seconds()}, err
	},
}

func (g *globals) showReindexed(out io.Writer, d *reindexed) error {
	if g.json {
		return printJSON(out, d)
	}
	if d.Segments == 0 && d.Dropped == 0 {
		_, err := fmt.Fprintf(out, "all of it is indexed; snapshot %d\n", d.Snapshot)
		return err
	}
	_, err := fmt.Fprintf(out, "indexed %s resources of %d segments in %.1f s, %s; %d old index files left; snapshot %d\n",
		formatCount(d.Resources), d.Segments, d.Seconds, formatBytes(d.Bytes), d.Dropped, d.Snapshot)
	return err
}
