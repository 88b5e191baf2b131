package fsck

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// searchMemory is what DuckDB may take for a check: it adds up few groups.
const searchMemory = 128 << 20

// searches checks the search indexes: each has every current row of the segments that it
// covers, once, and no address of a row that never was. Indexes of another version are
// not read by searches either.
func (c *check) searches(ctx context.Context) error {
	var db *searchdb.DB
	for i := range c.m.Search {
		x := &c.m.Search[i]
		if x.Version != postings.Version || c.isBad(&x.File) {
			continue
		}
		if db == nil {
			var err error
			if db, err = searchdb.Open(ctx, searchdb.Options{Memory: searchMemory, Threads: 1}); err != nil {
				return fmt.Errorf("fsck: %w", err)
			}
			defer db.Close()
		}
		if err := c.search(ctx, db, x); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("fsck: %w", err)
			}
			c.failed(x.File.Path, err)
		}
	}
	return nil
}

func (c *check) search(ctx context.Context, db *searchdb.DB, x *snapshot.SearchIndex) (err error) {
	s, err := db.NewState(ctx, []string{c.s.Path(&x.File)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	indexed := rowSets{}
	outside, twice := 0, 0
	err = numbers(ctx, s, `SELECT addr FROM `+s.Schema()+`.resource`, func(at uint64) {
		switch a := postings.Address(at); {
		case !c.mayBeIn(x, a):
			outside++
		case !indexed.of(a.Segment()).CheckedAdd(a.Row()):
			twice++
		}
	})
	if err != nil {
		return err
	}
	for _, t := range postings.Tables {
		if !t.Grouped {
			continue
		}
		// The last row of each segment tells whether there are some too many.
		query := `SELECT max(addr) FROM ` + s.Schema() + `."` + t.Name + `" GROUP BY addr >> 32`
		err := numbers(ctx, s, query, func(at uint64) {
			if !c.mayBeIn(x, postings.Address(at)) {
				outside++
			}
		})
		if err != nil {
			return err
		}
	}
	missing := uint64(0)
	for _, ordinal := range x.Segments {
		if x.Partial { // it has values alone
			break
		}
		n, err := c.missing(c.m.ByOrdinal(ordinal), indexed.of(ordinal))
		if err != nil {
			continue // reported with the segment
		}
		missing += n
	}
	for _, f := range []struct {
		n    uint64
		what string
	}{{uint64(outside), "addresses of rows that are not there"}, {uint64(twice), "resources that are in it twice"}, {missing, "current resources that are not in it"}} {
		if f.n > 0 {
			c.damage(x.File.Path, fmt.Sprintf("%d %s", f.n, f.what), "none; `fhirlake reindex --whole` builds it anew")
		}
	}
	return nil
}

// mayBeIn tells whether an index may have rows with an address.
func (c *check) mayBeIn(x *snapshot.SearchIndex, a postings.Address) bool {
	if seg := c.m.ByOrdinal(a.Segment()); seg != nil {
		return slices.Contains(x.Segments, a.Segment()) && int64(a.Row()) < seg.Rows
	}
	return slices.Contains(x.Gone, a.Segment())
}

// missing counts the current rows of a segment that are not among rows.
func (c *check) missing(seg *snapshot.Segment, rows *roaring.Bitmap) (uint64, error) {
	all := roaring.New()
	all.AddRange(0, uint64(seg.Rows))
	gone, err := c.s.Superseded(seg)
	if err != nil {
		return 0, err
	}
	if gone != nil {
		all.AndNot(gone)
	}
	all.AndNot(rows)
	return all.GetCardinality(), nil
}

// numbers calls f for each row of a query of one number.
func numbers(ctx context.Context, s *searchdb.State, query string, f func(uint64)) error {
	rows, err := s.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var n uint64
		if err := rows.Scan(&n); err != nil {
			return err
		}
		f(n)
	}
	return rows.Err()
}
