package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/datastores"
)

func newRereadCommand(g *globals) *cobra.Command {
	return rereadJob.command(g, 512<<20, &cobra.Command{
		Use:   "reread",
		Short: "Read the clinical notes of what is stored",
		Long: `Reread reads the notes of stored DocumentReferences that were not read when they came
(--nlp off), or by another version of the engine or with another dictionary (after
fhirlake terminology import), or whose Binary came later. What is found takes the place
of what was found before, at once. Resources and their versions do not change. Reads,
writes and searches go on meanwhile.

With --whole all notes are read.`,
		Example: "  fhirlake reread\n  fhirlake reread --whole --json",
	}, "read all notes")
}

var rereadJob = storeJob[*bulk.RereadResult]{
	name: "reread", reads: true,
	run: (*datastores.Compactor).Reread,
	show: func(out io.Writer, d *bulk.RereadResult) error {
		if d.Segments == 0 {
			_, err := fmt.Fprintf(out, "all notes are read; snapshot %d\n", d.Snapshot)
			return err
		}
		_, err := fmt.Fprintf(out, "read the notes of %s of %s resources in %.1f s; snapshot %d\n",
			formatCount(d.Read), formatCount(d.Resources), d.Seconds, d.Snapshot)
		return err
	},
}
