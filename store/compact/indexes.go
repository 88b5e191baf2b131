package compact

import (
	"cmp"
	"slices"
)

// IndexFile is what a plan knows of a file of the search index.
type IndexFile struct {
	Rows int64 // resources that it has rows of; 0: not known
	Live int64 // those of them whose segments stay
	Gone bool  // it has rows of segments that do not stay
	Must bool  // such rows have to leave the disk
}

// deadIndex is the share of dead resources from which on a file is written anew: half.
// What the file has shrinks by that at least, so a row is copied for every one that leaves.
const deadIndex = 2

// wasteful tells whether a file is written anew for what it has of segments that are gone.
func (f *IndexFile) wasteful() bool {
	return f.Gone && (f.Must || f.Rows == 0 || f.Live*deadIndex < f.Rows)
}

// MergeIndexes gives the files of the search index that become one, rising; none when all
// stay. One alone is written anew. Besides those that are wasteful it takes the smallest
// ones, so that of those which are left each has more than twice the resources of all that
// are smaller: n resources lie in some log3(n) files, and a row is copied as often. As files
// are in no order among themselves, any may be taken, where layers are only the newest.
func MergeIndexes(files []IndexFile, whole bool) (picked []int) {
	var rest []int
	sum := int64(0)
	for i := range files {
		if whole || files[i].wasteful() {
			picked = append(picked, i)
			sum += files[i].Live
		} else {
			rest = append(rest, i)
		}
	}
	alone := slices.ContainsFunc(picked, func(i int) bool { return files[i].Gone })
	slices.SortStableFunc(rest, func(a, b int) int { return cmp.Compare(files[a].Live, files[b].Live) })
	taken := 0
	for i, n := range rest {
		if i+len(picked) > 0 && files[n].Live <= growth*sum {
			taken = i + 1
		}
		sum += files[n].Live
	}
	picked = append(picked, rest[:taken]...)
	if len(picked) == 1 && !alone {
		return nil
	}
	slices.Sort(picked)
	return picked
}
