package fsck_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
	"github.com/fhirlake/fhirlake/store/fsck"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// index publishes a search index of the segment of a lake, with resources of some rows
// and tokens of others.
func index(t *testing.T, s *snapshot.Store, version int, resources, tokens []postings.Address) {
	t.Helper()
	h, err := postings.NewHasher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	rows := &postings.Rows{}
	for i, at := range resources {
		rows.AddResource(postings.Resource{Type: r4.TypePatient, Version: 1, At: at, Key: uint64(i), ID: fmt.Sprint("p", i)})
	}
	var v search.Values
	for i := range tokens {
		v.Tokens = append(v.Tokens, search.Token{Row: search.Row{Record: int32(i), Group: 1}, Code: v.AddString("c")})
	}
	rows.Add(h, &v, func(i int32) (postings.Address, bool) { return tokens[i], true })
	run, err := postings.WriteRun(filepath.Join(t.TempDir(), "run"), rows)
	if err != nil {
		t.Fatal(err)
	}
	rel := snapshot.SearchRel("1-i")
	o := searchdb.BuildOptions{Path: filepath.Join(s.Dir(), filepath.FromSlash(rel)), TempDir: t.TempDir(), Threads: 1}
	if err := searchdb.Build(context.Background(), []*postings.Run{run}, o); err != nil {
		t.Fatal(err)
	}
	f, err := snapshot.DescribeFile(s.Dir(), rel)
	if err != nil {
		t.Fatal(err)
	}
	x := snapshot.SearchIndex{File: f, Version: version, Segments: []uint32{0}}
	if _, err := s.Publish(nil, snapshot.PublishOptions{Now: time.Unix(0, 0), KeepVersions: true, Search: []snapshot.SearchIndex{x}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
}

func TestSearchIndexes(t *testing.T) {
	at := func(rows ...uint32) (all []postings.Address) {
		for _, r := range rows {
			all = append(all, postings.At(0, r))
		}
		return all
	}
	tests := []struct {
		name              string
		version           int
		resources, tokens []postings.Address
		want              string // "" for none
	}{
		{"sound", postings.Version, at(0, 1, 2, 3, 4), at(1, 1, 4), ""},
		{"without what is superseded", postings.Version, at(4, 3, 2, 1), at(1), ""},
		{"of another version", postings.Version + 1, at(1), at(9), ""},
		{"without current rows", postings.Version, at(0, 1, 4), at(1), "1-i.duckdb: 2 current resources that are not in it"},
		{"with a row twice", postings.Version, at(1, 2, 3, 3, 4), at(1), "1 resources that are in it twice"},
		{"with a row that is not there", postings.Version, at(1, 2, 3, 4, 5), at(1), "1 addresses of rows that are not there"},
		{"with a value of a row that is not there", postings.Version, at(1, 2, 3, 4), at(1, 5), "1 addresses of rows that are not there"},
		{"with a value of a segment that is not there", postings.Version, at(1, 2, 3, 4), []postings.Address{postings.At(7, 0)}, "1 addresses of rows that are not there"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, c, s := lake(t, even)
			index(t, s, tt.version, tt.resources, tt.tokens)
			rep := check(t, r, c)
			if tt.want != "" {
				expect(t, rep, fsck.Damage, tt.want)
			} else if !rep.OK() || len(rep.Findings) > 0 {
				t.Errorf("%+v", rep)
			}
		})
	}
}
