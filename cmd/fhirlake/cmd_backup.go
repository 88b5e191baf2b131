package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/store/backup"
	"github.com/fhirlake/fhirlake/store/root"
)

func newBackupCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FOLDER",
		Short: "Copy everything to a new folder, also while a server runs",
		Long: `Backup copies all data stores, profiles and the catalog to a folder that is empty or
not there yet. A server that owns the root goes on reading and writing: what was
acknowledged before the backup began is in it. Every file of a snapshot is read against
its checksum on the way.

The folder has all data in plain text, and is made for its user alone. One without the
file backup.json was not finished.`,
		Example: "  fhirlake backup /backups/2026-03-01",
		Args:    exactly(1, "a FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			done, err := backupWork.run(c, g, nil, args[0])
			if err != nil {
				return err
			}
			return g.showBackup(c.OutOrStdout(), "backed up", done)
		},
	}
}

func newRestoreCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FOLDER",
		Short: "Make a root of a backup",
		Long: `Restore copies a backup into a root that has no data stores: a new one, named by
--root. Every file of a snapshot is read against its checksum on the way.`,
		Example: "  fhirlake restore --root new-lake /backups/2026-03-01",
		Args:    exactly(1, "a FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			done, err := restoreBackup(c, g, args[0])
			if err != nil {
				return err
			}
			return g.showBackup(c.OutOrStdout(), "restored", done)
		},
	}
}

// copiedBackup is the result of a backup or a restore.
type copiedBackup struct {
	*backup.Manifest
	Bytes int64 `json:"bytes"` // of all files
}

// backupWork copies the root to a folder.
var backupWork = work[string, copiedBackup]{
	name: "backup",
	do: func(ctx context.Context, l *lake, s *session, to string) (copiedBackup, error) {
		return copying(s.watch, func(copied func(int64)) (*backup.Manifest, error) {
			from := backup.Source{Root: l.root, Catalog: l.catalog, Lake: s.lake}
			return backup.Write(ctx, from, to, time.Now(), copied)
		})
	},
	abroad: filepath.Abs,
}

// restoreBackup needs a root that nobody has: there is no server that could do it.
func restoreBackup(c *cobra.Command, g *globals, from string) (copiedBackup, error) {
	if _, err := backup.Read(from); err != nil {
		return copiedBackup{}, err // before the root is made
	}
	r, err := root.Open(g.root, root.Options{Exclusive: true})
	if err != nil {
		return copiedBackup{}, err
	}
	show := func(f func() progress) func() { return watch(c.ErrOrStderr(), f) }
	done, err := copying(show, func(copied func(int64)) (*backup.Manifest, error) {
		return backup.Restore(c.Context(), from, r, copied)
	})
	return done, errors.Join(err, r.Close())
}

// copying shows how much do has copied, while it copies.
func copying(show func(func() progress) func(), do func(copied func(int64)) (*backup.Manifest, error)) (copiedBackup, error) {
	var bytes atomic.Int64
	stop := show(func() progress { return progress{Bytes: bytes.Load()} })
	defer stop()
	m, err := do(func(n int64) { bytes.Add(n) })
	return copiedBackup{m, bytes.Load()}, err
}

func (g *globals) showBackup(out io.Writer, what string, done copiedBackup) error {
	if g.json {
		return printJSON(out, done)
	}
	_, err := fmt.Fprintf(out, "%s %d data stores, %s\n", what, len(done.DataStores), formatBytes(done.Bytes))
	return err
}
