package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"

	"github.com/fhirlake/fhirlake/store/disk"
)

// CopyTo makes the folder dir, which must be empty or not there, a data store of its own
// with the state of m, which the caller holds (see [Store.Current]). Everything is read
// against its checksum, so a copy is sound or there is none: CURRENT comes last, when
// all that it names is durable. Copied is told the bytes of each file.
func (s *Store) CopyTo(ctx context.Context, m *Manifest, dir string, copied func(bytes int64)) error {
	if m.Number == 0 {
		return nil
	}
	folders := map[string]bool{}
	for _, f := range m.Files() {
		if err := ctx.Err(); err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(f.Path))
		if folder := filepath.Dir(to); !folders[folder] {
			folders[folder] = true
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return fmt.Errorf("copy data store: %w", err)
			}
		}
		if err := s.copyFile(&f, to); err != nil {
			return fmt.Errorf("copy data store: %s: %w", f.Path, err)
		}
		copied(f.Bytes)
	}
	name := manifestName(m.Number)
	text, err := os.ReadFile(filepath.Join(s.dir, snapshotDir, name))
	if err != nil {
		return fmt.Errorf("copy data store: %w", err)
	}
	files := disk.OS{}
	snapshots := filepath.Join(dir, snapshotDir)
	err = files.MkdirAll(snapshots)
	if err == nil {
		err = files.WriteFile(filepath.Join(snapshots, name), text)
	}
	for folder := range folders {
		err = errors.Join(err, files.SyncDir(folder), files.SyncDir(filepath.Dir(folder)))
	}
	if err = errors.Join(err, files.SyncDir(snapshots)); err != nil {
		return fmt.Errorf("copy data store: %w", err)
	}
	if err := disk.Replace(files, filepath.Join(dir, currentName), []byte(name+"\n")); err != nil {
		return fmt.Errorf("copy data store: %w", err)
	}
	return nil
}

func (s *Store) copyFile(f *File, to string) error {
	in, err := os.Open(s.Path(f))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	h := xxhash.New()
	n, err := io.Copy(io.MultiWriter(h, out), in)
	if err != nil {
		return err
	}
	if sum := fmt.Sprintf("xxh64:%016x", h.Sum64()); n != f.Bytes || sum != f.Checksum {
		return fmt.Errorf("%d bytes with %s, the manifest says %d with %s", n, sum, f.Bytes, f.Checksum)
	}
	if err := out.Sync(); err != nil {
		return err
	}
	return out.Close()
}
