package snapshot

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// SearchIndex is a file of the search index (docs/formats/search.md). It is derived: a
// segment that no index covers is not found by a search until it is indexed.
type SearchIndex struct {
	File File `json:"file"`
	// Version is that of the rows (postings.Version): readers leave out another one.
	Version int `json:"version"`
	// Resources is how many it has rows of, those of Gone too; 0 when that is not known.
	Resources int64 `json:"resources,omitempty"`
	// Segments are the ordinals of the segments it covers, rising. Gone are those that
	// it has rows of and that left the manifest; nobody looks at these rows.
	Segments []uint32 `json:"segments"`
	Gone     []uint32 `json:"gone,omitempty"`
	// Groups are the value groups of search parameters that users added which the file has
	// the rows of, by resource type, as search.Group.Name has them, rising. What is not
	// among those of its type, a segment is not searched by.
	Groups map[string][]string `json:"groups,omitempty"`
	// Partial says that the file has rows of Groups alone. Another one, which is not,
	// covers its segments too.
	Partial bool `json:"partial,omitempty"`
}

const searchSuffix = ".duckdb"

// SearchRel gives the path of a search index below a data store's folder; name is that
// of nothing else in it.
func SearchRel(name string) string { return path.Join(indexDir, name+searchSuffix) }

// withSearch gives m the search indexes of old that still cover a segment and are not
// dropped, and the new one.
func (m *Manifest) withSearch(old *Manifest, o *PublishOptions) {
	for _, x := range slices.Concat(old.Search, o.Search) {
		if slices.Contains(o.DropSearch, x.File.Path) {
			continue
		}
		n := SearchIndex{File: x.File, Version: x.Version, Resources: x.Resources, Gone: slices.Clone(x.Gone), Groups: x.Groups, Partial: x.Partial}
		for _, ordinal := range x.Segments {
			if m.ByOrdinal(ordinal) != nil {
				n.Segments = append(n.Segments, ordinal)
			} else {
				n.Gone = append(n.Gone, ordinal)
			}
		}
		if len(n.Segments) > 0 {
			slices.Sort(n.Gone)
			m.Search = append(m.Search, n)
		}
	}
}

// checkSearch holds the rules of search indexes.
func (m *Manifest) checkSearch(file func(*File, string) error) error {
	covered := map[uint32]bool{}
	for i := range m.Search {
		x := &m.Search[i]
		name, ok := strings.CutPrefix(x.File.Path, indexDir+"/")
		name, ok2 := strings.CutSuffix(name, searchSuffix)
		if !ok || !ok2 || !isName(name) {
			return fmt.Errorf("path %q is not a search index", x.File.Path)
		}
		if err := file(&x.File, SearchRel(name)); err != nil {
			return err
		}
		if x.Version < 1 || x.Resources < 0 {
			return fmt.Errorf("search index %s: version %d, %d resources", name, x.Version, x.Resources)
		}
		if len(x.Segments) == 0 || !rising(x.Segments) || !rising(x.Gone) {
			return errors.New("search index " + name + ": ordinals do not rise, or there are none")
		}
		for _, ordinal := range x.Segments {
			if !x.Partial && covered[ordinal] || m.ByOrdinal(ordinal) == nil {
				return fmt.Errorf("search index %s: segment %d is covered twice or does not exist", name, ordinal)
			}
			covered[ordinal] = covered[ordinal] || !x.Partial
		}
		if x.Partial && len(x.Groups) == 0 {
			return errors.New("search index " + name + ": it is partial and has no groups")
		}
		for _, ordinal := range x.Gone {
			if m.ByOrdinal(ordinal) != nil || ordinal >= m.NextSegment {
				return fmt.Errorf("search index %s: segment %d is not gone", name, ordinal)
			}
		}
	}
	return nil
}

func rising(ordinals []uint32) bool {
	for i := 1; i < len(ordinals); i++ {
		if ordinals[i] <= ordinals[i-1] {
			return false
		}
	}
	return true
}

// Unindexed gives the ordinals of the segments with current rows that no search index
// of a version covers.
func (m *Manifest) Unindexed(version int) (ordinals []uint32) {
	covered := map[uint32]bool{}
	for i := range m.Search {
		if m.Search[i].Version == version && !m.Search[i].Partial {
			for _, ordinal := range m.Search[i].Segments {
				covered[ordinal] = true
			}
		}
	}
	for i := range m.Segments {
		if s := &m.Segments[i]; s.Current > 0 && !covered[s.Ordinal] {
			ordinals = append(ordinals, s.Ordinal)
		}
	}
	return ordinals
}

// Lacking gives, by ordinal, the value groups of those that are wanted of its type, which
// a segment with current rows is not indexed by.
func (m *Manifest) Lacking(version int, wanted map[string][]string) map[uint32][]string {
	has := map[uint32]map[string]bool{}
	for i := range m.Search {
		x := &m.Search[i]
		if x.Version != version || len(x.Groups) == 0 {
			continue
		}
		for _, ordinal := range x.Segments {
			s := m.ByOrdinal(ordinal)
			if s == nil {
				continue
			}
			if has[ordinal] == nil {
				has[ordinal] = map[string]bool{}
			}
			for _, g := range x.Groups[s.ResourceType] {
				has[ordinal][g] = true
			}
		}
	}
	lacking := map[uint32][]string{}
	for i := range m.Segments {
		s := &m.Segments[i]
		if s.Current == 0 {
			continue
		}
		for _, g := range wanted[s.ResourceType] {
			if !has[s.Ordinal][g] {
				lacking[s.Ordinal] = append(lacking[s.Ordinal], g)
			}
		}
	}
	return lacking
}

// SearchWith gives the paths of the search indexes that have rows of a segment which one of
// some has, too, and so on: what is built anew is left in none of the others.
func (m *Manifest) SearchWith(paths []string) []string {
	all := slices.Clone(paths)
	for again := true; again; {
		again = false
		segments := map[uint32]bool{}
		for i := range m.Search {
			if slices.Contains(all, m.Search[i].File.Path) {
				for _, n := range m.Search[i].Segments {
					segments[n] = true
				}
			}
		}
		for i := range m.Search {
			x := &m.Search[i]
			if !slices.Contains(all, x.File.Path) && slices.ContainsFunc(x.Segments, func(n uint32) bool { return segments[n] }) {
				all, again = append(all, x.File.Path), true
			}
		}
	}
	return all
}
