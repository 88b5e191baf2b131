package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/datastores"
)

func newReindexCommand(g *globals) *cobra.Command {
	return reindexJob.command(g, 512<<20, &cobra.Command{
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
	}, "build the index of all resources anew")
}

var reindexJob = storeJob[*bulk.ReindexResult]{
	name: "reindex",
	run:  (*datastores.Compactor).Reindex,
	show: func(out io.Writer, d *bulk.ReindexResult) error {
		if d.Segments == 0 && d.Dropped == 0 {
			_, err := fmt.Fprintf(out, "all of it is indexed; snapshot %d\n", d.Snapshot)
			return err
		}
		_, err := fmt.Fprintf(out, "indexed %s resources of %d segments in %.1f s, %s; %d old index files left; snapshot %d\n",
			formatCount(d.Resources), d.Segments, d.Seconds, formatBytes(d.Bytes), d.Dropped, d.Snapshot)
		return err
	},
}
