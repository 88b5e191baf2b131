package snapshot

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// randomLayers writes layers over few keys, so that one has a key many times: with the
// same number in two layers, with numbers that are withdrawn, and with more versions than
// a step of a search reads.
func randomLayers(t *testing.T, rng *rand.Rand, layers, size int) *Index {
	t.Helper()
	dir := t.TempDir()
	m := &Manifest{}
	for n := range layers {
		type place struct {
			key     Key
			version uint32
		}
		all := map[place]Entry{}
		for range rng.IntN(size) {
			e := Entry{
				Key: Key{rng.Uint64N(8) << 61, rng.Uint64N(8)}, Version: 1 + rng.Uint32N(300), Content: rng.Uint64(),
				Address: Address{uint32(n), rng.Uint32N(1000)}, Updated: int64(rng.IntN(50)) * 1000, Deleted: rng.IntN(5) == 0,
			}
			if rng.IntN(6) == 0 {
				e.Withdrawn, e.Deleted = true, false
			}
			all[place{e.Key, e.Version}] = e
		}
		var es []Entry
		for _, e := range all {
			es = append(es, e)
		}
		slices.SortFunc(es, func(a, b Entry) int {
			return cmp.Or(cmp.Compare(a.Key[0], b.Key[0]), cmp.Compare(a.Key[1], b.Key[1]), cmp.Compare(b.Version, a.Version))
		})
		m.Layers = append(m.Layers, Layer{IDs: writeIDs(t, dir, fmt.Sprintf("index/%d.ids", n), es)})
	}
	x, err := OpenIndex(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// read gives all that a merge has.
func read(t *testing.T, m *Merge, err error) (all []Entry) {
	t.Helper()
	for err == nil {
		var group []Entry
		if group, err = m.Next(); group == nil && err == nil {
			return all
		}
		all = append(all, group...)
	}
	t.Fatal(err)
	return nil
}

// TestAMergeHasWhatLookupsFind compares a merge, from the beginning and from somewhere,
// with what a lookup says of each key.
func TestAMergeHasWhatLookupsFind(t *testing.T) {
	keys := []Key{{0, 0}}
	for hi := range uint64(8) {
		for lo := range uint64(9) {
			keys = append(keys, Key{hi << 61, lo})
		}
	}
	keys = append(keys[1:], Key{1<<64 - 1, 1<<64 - 1})
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 5))
		x := randomLayers(t, rng, rng.IntN(6), 1+rng.IntN(9000))
		lookup := x.NewLookup()
		for _, from := range append([]Key{{}}, keys[rng.IntN(len(keys))], keys[rng.IntN(len(keys))], keys[len(keys)-1]) {
			var want []Entry
			for _, k := range keys {
				if k.Less(from) {
					continue
				}
				var err error
				if want, err = lookup.Versions(want, k); err != nil {
					t.Fatal(err)
				}
			}
			m, err := x.MergeFrom(from)
			if diff := gocmp.Diff(want, read(t, m, err)); diff != "" {
				t.Fatalf("seed %d, from %x (-lookup +merge):\n%s", seed, from, diff)
			}
		}
	}
}

// TestAMergeOfSomeLayers has the newest ones or the others.
func TestAMergeOfSomeLayers(t *testing.T) {
	x := randomLayers(t, rand.New(rand.NewPCG(1, 6)), 5, 2000)
	for n := range 6 {
		for name, part := range map[string]*Index{"newest": x.Newest(n), "older": x.Older(n)} {
			var want []Entry
			lookup := part.NewLookup()
			for hi := range uint64(8) {
				for lo := range uint64(8) {
					var err error
					if want, err = lookup.Versions(want, Key{hi << 61, lo}); err != nil {
						t.Fatal(err)
					}
				}
			}
			m, err := part.Merge()
			if diff := gocmp.Diff(want, read(t, m, err)); diff != "" {
				t.Errorf("%s %d (-lookup +merge):\n%s", name, n, diff)
			}
		}
	}
	if n := x.Newest(2).Layers() + x.Older(2).Layers(); n != 5 {
		t.Errorf("%d layers in both parts, want 5", n)
	}
}

// TestALayerWithoutAFilter is one of so many entries that it has none: lookups and merges
// find in it what they find in one that has.
func TestALayerWithoutAFilter(t *testing.T) {
	dir := t.TempDir()
	es := testEntries(500)
	bounds := boundsOf(es)
	bounds.Entries = 8*idMaxFilter/idFilterBits + 1000
	var f File
	w, err := CreateIDs(dir, "index/large.ids", bounds, &f)
	if err != nil {
		t.Fatal(err)
	}
	for i := range es {
		if err := w.Add(&es[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	newer := es[7]
	newer.Version++
	m := &Manifest{Layers: []Layer{{IDs: f}, {IDs: writeIDs(t, dir, "index/small.ids", []Entry{newer})}}}
	x, err := OpenIndex(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if n := len(x.layers[1].filter); n > 0 {
		t.Fatalf("the layer has a filter of %d bytes: the test is of none", n)
	}
	lookup := x.NewLookup()
	merge, err := x.Merge()
	all := read(t, merge, err)
	if len(all) != len(es)+1 {
		t.Fatalf("%d versions in the merge, want %d", len(all), len(es)+1)
	}
	for i := range es {
		want := es[i]
		if i == 7 {
			want = newer
		}
		if got, ok, err := lookup.One(es[i].Key); err != nil || !ok || got != want {
			t.Fatalf("%x: %+v %v %v", es[i].Key, got, ok, err)
		}
		if _, ok, err := lookup.One(Key{es[i].Key[0], es[i].Key[1] + 1}); err != nil || ok {
			t.Fatalf("a key that is not there: %v %v", ok, err)
		}
	}
}
