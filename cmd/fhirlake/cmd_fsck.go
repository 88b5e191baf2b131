package main

import (
	"context"
	"fmt"
	"io"
	"path"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/server/dictionary"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/fsck"
	lakes "github.com/fhirlake/fhirlake/store/lake"
)

func newFsckCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "fsck",
		Short: "Check every file, checksum, count and index of the root",
		Long: `Fsck reads everything below the root and compares it with the manifests: sizes
and checksums, rows of Parquet and resources files, id and search indexes, superseded
rows, the delta with its tables and logs, the catalog, terminologies. It changes nothing and works beside
a running owner.

Leftovers of a crashed job are named but do no harm; the exit code is 1 only when
something is damaged. --datastore limits the check to one data store.`,
		Example: "  fhirlake fsck --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			only := ""
			if c.Flags().Changed("datastore") {
				only = g.datastore
			}
			rep, err := fsckWork.runBeside(c, g, only)
			if err != nil {
				return err
			}
			if err := g.showFindings(c.OutOrStdout(), rep); err != nil {
				return err
			}
			if !rep.OK() {
				return exitError{code: exitFailed}
			}
			return nil
		},
	}
}

// fsckWork checks the data store of a name or id, or all for an empty one.
var fsckWork = work[string, *fsck.Report]{
	name: "fsck",
	do: func(ctx context.Context, l *lake, _ *session, nameOrID string) (*fsck.Report, error) {
		id := ""
		if nameOrID != "" {
			d, err := l.catalog.Find(nameOrID)
			if err != nil {
				return nil, err
			}
			id = d.ID
		}
		rep, err := fsck.Root(ctx, l.root, l.catalog, id, l.openDelta)
		if err == nil && id == "" {
			checkDictionary(l, rep)
		}
		return rep, err
	},
}

// checkDictionary adds what is wrong with the terminologies of the root.
func checkDictionary(l *lake, rep *fsck.Report) {
	c := dictionary.Check(l.root)
	rep.Files += c.Files
	rep.Bytes += c.Bytes
	for _, f := range c.Faults {
		severity := fsck.Damage
		if f.Leftover {
			severity = fsck.Leftover
		}
		rep.Findings = append(rep.Findings, fsck.Finding{Severity: severity, Path: path.Join("terminology", f.File), Found: f.Err.Error()})
	}
}

// openDelta gives the delta of a data store that this process has open.
func (l *lake) openDelta(id string) (d *delta.Store) {
	if l.stores != nil {
		l.stores.Each(func(open string, lake *lakes.Lake) {
			if open == id {
				d = lake.Delta()
			}
		})
	}
	return d
}

func (g *globals) showFindings(out io.Writer, rep *fsck.Report) error {
	if g.json {
		return printJSON(out, struct {
			OK bool `json:"ok"`
			*fsck.Report
		}{rep.OK(), rep})
	}
	for _, f := range rep.Findings {
		fmt.Fprintln(out, f)
	}
	_, err := fmt.Fprintf(out, "%d data stores, %s files, %s, %s rows, %s versions in deltas: %s\n", rep.DataStores,
		formatCount(int64(rep.Files)), formatBytes(rep.Bytes), formatCount(rep.Rows), formatCount(rep.Versions), verdict(rep))
	return err
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
