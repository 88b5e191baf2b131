package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/datastores"
)

func newCompactCommand(g *globals) *cobra.Command {
	return compactJob.command(g, 1<<30, &cobra.Command{
		Use:   "compact",
		Short: "Fold what was written one by one into the snapshot, and merge its layers",
		Long: `Compact writes what is in the delta store into the columnar files, merges layers of
the snapshot and files of the search index that have become many, and removes versions
that the retention of the data store does not keep. A server does so by itself; reads
and writes go on meanwhile.

With --whole all layers become one and every dead row goes, which reads and writes the
whole id index and the whole search index. How long old versions are kept: fhirlake
datastore configure.`,
		Example: "  fhirlake compact\n  fhirlake compact --whole --json",
	}, "merge all layers and remove all dead rows")
}

var compactJob = storeJob[*bulk.CompactResult]{
	name: "compact",
	run:  (*datastores.Compactor).Compact,
	show: func(out io.Writer, d *bulk.CompactResult) error {
		if d.Versions == 0 && d.Folded == 0 && d.After == d.Before {
			_, err := fmt.Fprintf(out, "there was nothing to do; snapshot %d, %d layers\n", d.Snapshot, d.After.Layers)
			return err
		}
		_, err := fmt.Fprintf(out, "folded %s versions in, wrote %s rows anew in %.1f s; snapshot %d\n"+
			"layers %d -> %d, segments %d -> %d, rows %s -> %s, %s -> %s\n",
			formatCount(d.Folded), formatCount(d.Rewritten), d.Seconds, d.Snapshot,
			d.Before.Layers, d.After.Layers, d.Before.Segments, d.After.Segments,
			formatCount(d.Before.Rows), formatCount(d.After.Rows), formatBytes(d.Before.Bytes), formatBytes(d.After.Bytes))
		if err == nil && d.Before.IndexFiles+d.After.IndexFiles > 0 {
			_, err = fmt.Fprintf(out, "files of the search index %d -> %d, %s -> %s\n",
				d.Before.IndexFiles, d.After.IndexFiles, formatBytes(d.Before.IndexBytes), formatBytes(d.After.IndexBytes))
		}
		return err
	},
}
