package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/store/fsck"
)

func newFsckCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "fsck",
		Short: "Check every file, checksum, count and index of the root",
		Long: `Fsck reads everything below the root and compares it with the manifests: sizes
and checksums, rows of Parquet and resources files, id indexes, superseded rows,
the catalog. It changes nothing and works beside a running owner.

Leftovers of a crashed job are named but do no harm; the exit code is 1 only when
something is damaged. --datastore limits the check to one data store.`,
		Example: "  fhirlake fsck --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return withRoot(g, func(l *lake) error {
				id := ""
				if c.Flags().Changed("datastore") {
					d, err := l.catalog.Find(g.datastore)
					if err != nil {
						return err
					}
					id = d.ID
				}
				rep, err := fsck.Root(c.Context(), l.root, l.catalog, id)
				if err != nil {
					return err
				}
				if g.json {
					err = printJSON(c.OutOrStdout(), struct {
						OK bool `json:"ok"`
						*fsck.Report
					}{rep.OK(), rep})
				} else {
					for _, f := range rep.Findings {
						fmt.Fprintln(c.OutOrStdout(), f)
					}
					_, err = fmt.Fprintf(c.OutOrStdout(), "%d data stores, %s files, %s, %s rows: %s\n", rep.DataStores,
						formatCount(int64(rep.Files)), formatBytes(rep.Bytes), formatCount(rep.Rows), verdict(rep))
				}
				if err != nil {
					return err
				}
				if !rep.OK() {
					return exitError{code: exitFailed}
				}
				return nil
			})
		},
	}
}

func verdict(r *fsck.Report) string {
	damaged := 0
	for _, f := range r.Findings {
		if f.Severity == fsck.Damage {
			damaged++
		}
	}
	if damaged == 0 {
		return "all good"
	}
	return fmt.Sprintf("%d damaged", damaged)
}
