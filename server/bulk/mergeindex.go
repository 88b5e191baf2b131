package bulk

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"

	"github.com/fhirlake/fhirlake/store/compact"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// mergeIndexes merges files of the search index as store/compact says: those of the base
// and the one that was made. It gives the files that are new, and the paths of those that
// leave the manifest. going are segments that leave with this compaction.
//
// What is erased has rows in segments that go, or went before. So no file that has rows of such
// a segment may stay, when something is erased.
//
// Only files with the same groups of parameters that users added become one: what the manifest
// says of a file's groups must be so for all its segments.
func (c *compaction) mergeIndexes(ctx context.Context, made []snapshot.SearchIndex, going []uint32) (indexes []snapshot.SearchIndex, drop []string, err error) {
	erases := len(c.Erase) > 0
	isNew := map[string]bool{}
	for i := range made {
		isNew[made[i].File.Path] = true
	}
	var order []string
	alike := map[string][]snapshot.SearchIndex{}
	for _, x := range slices.Concat(c.base.Search, made) {
		switch {
		case x.Version == postings.Version:
			key := fmt.Sprint(x.Partial, x.Groups)
			if alike[key] == nil {
				order = append(order, key)
			}
			alike[key] = append(alike[key], x)
		case erases && (len(x.Gone) > 0 || slices.ContainsFunc(x.Segments, func(n uint32) bool { return slices.Contains(going, n) })):
			drop = append(drop, x.File.Path) // searches do not read it, nor does anything else
		}
	}
	for _, key := range order {
		all := alike[key]
		merged, picked, err := c.mergeAlike(ctx, all, going)
		if err != nil {
			return nil, nil, err
		}
		indexes = append(indexes, merged...)
		for i := range all {
			path := all[i].File.Path
			switch taken := slices.Contains(picked, i); {
			case taken && !isNew[path]:
				drop = append(drop, path)
			case !taken && isNew[path]:
				indexes = append(indexes, all[i])
			case taken: // no manifest ever names it
				if err := os.Remove(c.Lake.Snapshot().Path(&all[i].File)); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	return indexes, drop, nil
}

// mergeAlike merges some of files that have the same groups. It gives the file that was
// made, if any, and which files it stands for.
func (c *compaction) mergeAlike(ctx context.Context, all []snapshot.SearchIndex, going []uint32) (merged []snapshot.SearchIndex, picked []int, err error) {
	erases := len(c.Erase) > 0
	inputs, files := make([]searchdb.Input, len(all)), make([]compact.IndexFile, len(all))
	for i := range all {
		inputs[i], files[i] = c.indexFile(&all[i], going)
		files[i].Must = erases
	}
	picked = compact.MergeIndexes(files, c.Whole)
	var taken []searchdb.Input
	var segments []uint32
	for _, i := range picked {
		if len(inputs[i].Keep) > 0 {
			taken, segments = append(taken, inputs[i]), append(segments, inputs[i].Keep...)
		}
	}
	switch {
	case len(taken) == 0 && len(picked) == len(all) && !erases:
		return nil, nil, nil // without a file, the data store would be one that is not indexed
	case len(taken) == 0:
		return nil, picked, nil
	}
	x, err := c.merge(ctx, taken, segments)
	if err != nil {
		return nil, nil, err
	}
	x.Groups, x.Partial = all[0].Groups, all[0].Partial
	return []snapshot.SearchIndex{x}, picked, nil
}

// indexFile says what a file of the index has, to merge it and to plan that. Rows are kept
// of segments that stay and have a current resource: others nobody looks for.
func (c *compaction) indexFile(x *snapshot.SearchIndex, going []uint32) (searchdb.Input, compact.IndexFile) {
	in := searchdb.Input{Path: c.Lake.Snapshot().Path(&x.File), Drop: slices.Clone(x.Gone)}
	f := compact.IndexFile{Rows: x.Resources}
	for _, ordinal := range x.Segments {
		s := c.base.ByOrdinal(ordinal)
		switch {
		case s == nil: // of the file that was made
			in.Keep, f.Live = append(in.Keep, ordinal), x.Resources
		case s.Current > 0 && !slices.Contains(going, ordinal):
			in.Keep = append(in.Keep, ordinal)
			f.Live += s.Rows
		default:
			in.Drop = append(in.Drop, ordinal)
		}
	}
	if f.Rows > 0 {
		f.Live = min(f.Live, f.Rows) // a file may have only what was current
	}
	f.Gone = len(in.Drop) > 0
	return in, f
}

// merge makes one file of some, which has the rows of segments.
func (c *compaction) merge(ctx context.Context, inputs []searchdb.Input, segments []uint32) (snapshot.SearchIndex, error) {
	debug.FreeOSMemory() // what was in flight would stay beside what DuckDB takes
	store := c.Lake.Snapshot()
	f := snapshot.File{Path: snapshot.SearchRel(fmt.Sprintf("%d-%s", c.base.Number+1, c.NewID()))}
	path := store.Path(&f)
	n, err := searchdb.Merge(ctx, inputs, searchdb.BuildOptions{
		Path: path, TempDir: path + ".tmp", Memory: buildMemory(c.Memory), Threads: c.Workers,
	})
	if err == nil {
		f, err = snapshot.DescribeFile(store.Dir(), f.Path)
	}
	if err != nil {
		return snapshot.SearchIndex{}, fmt.Errorf("%w; `fhirlake reindex --whole` builds the search index anew", err)
	}
	slices.Sort(segments)
	return snapshot.SearchIndex{File: f, Version: postings.Version, Resources: n, Segments: segments}, nil
}

// onlyIndexes publishes a state in which nothing but the files of the search index is
// another, if some are to be merged.
func (c *compaction) onlyIndexes(ctx context.Context, res *CompactResult) error {
	indexes, drop, err := c.mergeIndexes(ctx, nil, nil)
	if err != nil || len(drop) == 0 {
		return err
	}
	_, err = c.publish(ctx, nil, snapshot.PublishOptions{Search: indexes, DropSearch: drop}, res)
	return err
}
