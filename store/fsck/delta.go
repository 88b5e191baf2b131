package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/fhirlake/fhirlake/store/delta"
)

// maxProblems is how many problems of one delta are listed: a table that cannot be
// read is found again from each of its rows.
const maxProblems = 50

// delta checks the delta of the data store in dir, through own when this process has it
// open.
func (r *Report) delta(ctx context.Context, dir string, own *delta.Store) error {
	problems := 0
	report := func(p delta.Problem) {
		if problems++; problems <= maxProblems {
			r.damage(filepath.ToSlash(filepath.Join("delta", p.File)), p.Err.Error(), "")
		}
	}
	var done delta.Checked
	var err error
	if own != nil {
		done, err = own.Check(ctx, report)
	} else {
		done, err = delta.Check(ctx, filepath.Join(dir, "delta"), delta.Options{Memory: 1}, report)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, delta.ErrClosed): // none was made, or it was deleted meanwhile
	case errors.Is(err, delta.ErrLocked):
		r.Findings = append(r.Findings, Finding{Unchecked, "delta", "another process writes to it; run fsck again when it has ended", ""})
	case err != nil:
		return fmt.Errorf("fsck: %w", err)
	}
	if more := problems - maxProblems; more > 0 {
		r.damage("delta", fmt.Sprintf("%d further problems", more), "")
	}
	r.Files += done.Tables
	r.Versions += int64(done.Entries)
	return nil
}
