package snapshot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func testEntries(n int) []Entry {
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	es := make([]Entry, n)
	for i := range es {
		es[i] = Entry{
			Key:     Key{rng.Uint64(), rng.Uint64()},
			Content: rng.Uint64(),
			Address: Address{uint32(1000 + i%9), uint32(i)},
			Version: uint32(1 + i%4),
			Updated: 1_600_000_000_000_000 + int64(i%3)*1000,
		}
	}
	slices.SortFunc(es, func(a, b Entry) int {
		if a.Key.Less(b.Key) {
			return -1
		}
		return 1
	})
	return es
}

func boundsOf(es []Entry) IDBounds {
	b := IDBounds{Entries: int64(len(es)), FirstSegment: 1 << 31}
	if len(es) > 0 {
		b.FirstUpdated = es[0].Updated
	}
	for _, e := range es {
		b.FirstUpdated, b.LastUpdated = min(b.FirstUpdated, e.Updated), max(b.LastUpdated, e.Updated)
		b.Flags = b.Flags || e.Deleted || e.Withdrawn
		b.FirstSegment = min(b.FirstSegment, e.Address.Segment)
		b.LastSegment = max(b.LastSegment, e.Address.Segment)
		b.Row, b.Version = max(b.Row, e.Address.Row), max(b.Version, e.Version)
	}
	b.FirstSegment = min(b.FirstSegment, b.LastSegment)
	return b
}

func writeIDs(t testing.TB, dir, rel string, es []Entry) File {
	t.Helper()
	var f File
	w, err := CreateIDs(dir, rel, boundsOf(es), &f)
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
	return f
}

func TestIDIndexFindsEveryEntryAndNothingElse(t *testing.T) {
	for _, n := range []int{0, 1, 2, 31, 33, 1000, 50_000} {
		dir := t.TempDir()
		es := testEntries(n)
		f := writeIDs(t, dir, "index/1.ids", es)
		x, err := OpenIDs(dir, f.Path)
		if err != nil {
			t.Fatalf("%d entries: %v", n, err)
		}
		defer x.Close()
		if x.Len() != int64(n) {
			t.Fatalf("Len = %d, want %d", x.Len(), n)
		}
		var buf []byte
		for _, want := range es {
			if got, ok, err := x.Lookup(want.Key, &buf); err != nil || !ok || got != want {
				t.Fatalf("%d entries: Lookup(%x) = %v %v %v, want %v", n, want.Key, got, ok, err, want)
			}
			near := want.Key
			near[1]++
			if _, ok, _ := x.Lookup(near, &buf); ok {
				t.Fatalf("found a key that was never added")
			}
		}
		var all []Entry
		if err := x.Each(func(e *Entry) error { all = append(all, *e); return nil }); err != nil || !slices.Equal(all, es) {
			t.Fatalf("Each gave %d entries (%v), want %d", len(all), err, n)
		}
	}
}

func TestIDFilterRejectsMostAbsentKeys(t *testing.T) {
	dir := t.TempDir()
	f := writeIDs(t, dir, "index/1.ids", testEntries(100_000))
	x, err := OpenIDs(dir, f.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	hits := 0
	for range 100_000 {
		if filterHas(x.filter, Key{rng.Uint64(), rng.Uint64()}) {
			hits++
		}
	}
	if hits > 3_000 {
		t.Errorf("the filter lets %d of 100000 absent keys through, want at most 3000", hits)
	}
}

func TestIDWriterRefusesEntriesOutOfOrderAndBounds(t *testing.T) {
	var f File
	w, err := CreateIDs(t.TempDir(), "x.ids", IDBounds{Entries: 2, Version: 1}, &f)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	e := Entry{Key: Key{5, 5}, Version: 1}
	if err := w.Add(&e); err != nil {
		t.Fatal(err)
	}
	if err := w.Add(&e); err == nil {
		t.Error("Add took the same key twice")
	}
	for _, out := range []Entry{
		{Key: Key{6, 0}, Version: 2},
		{Key: Key{6, 0}, Version: 0},
		{Key: Key{6, 0}, Version: 1, Address: Address{Segment: 1}},
		{Key: Key{6, 0}, Version: 1, Address: Address{Row: 1}},
		{Key: Key{6, 0}, Version: 1, Updated: 1000},
		{Key: Key{6, 0}, Version: 1, Deleted: true},
	} {
		if err := w.Add(&out); err == nil {
			t.Errorf("Add took %+v, which is out of bounds", out)
		}
	}
}

func TestOpenIDsRefusesDamage(t *testing.T) {
	dir := t.TempDir()
	f := writeIDs(t, dir, "good.ids", testEntries(100))
	good, err := os.ReadFile(filepath.Join(dir, f.Path))
	if err != nil {
		t.Fatal(err)
	}
	count := bytes.Clone(good)
	count[len(count)-idFooterSize]++
	for name, b := range map[string][]byte{
		"empty":       nil,
		"cut short":   good[:len(good)-1],
		"wrong count": count,
		"no magic":    append(bytes.Clone(good[:len(good)-1]), 'x'),
	} {
		if err := os.WriteFile(filepath.Join(dir, "bad.ids"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		if x, err := OpenIDs(dir, "bad.ids"); err == nil {
			x.Close()
			t.Errorf("%s: OpenIDs took it", name)
		}
	}
}

// TestIDIndexSaysNothingWrongOfADamagedFile flips a bit in each byte: whoever reads an
// entry gets it as it was written, or an error.
func TestIDIndexSaysNothingWrongOfADamagedFile(t *testing.T) {
	dir := t.TempDir()
	es := testEntries(40)
	f := writeIDs(t, dir, "good.ids", es)
	good, err := os.ReadFile(filepath.Join(dir, f.Path))
	if err != nil {
		t.Fatal(err)
	}
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		if err := os.WriteFile(filepath.Join(dir, "bad.ids"), bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if !refusedOrRight(t, dir, es) && (at < len(good)-idFooterSize+idFooterSums+8 || at >= len(good)-len(idMagic)) {
			t.Errorf("byte %d of %d: nobody sees that it changed", at, len(good))
		}
	}
}

// refusedOrRight tells whether the damaged file was refused at some time.
func refusedOrRight(t *testing.T, dir string, es []Entry) (refused bool) {
	x, err := OpenIDs(dir, "bad.ids")
	if err != nil {
		return true
	}
	defer x.Close()
	var buf []byte
	for i := range es {
		got, ok, err := x.Lookup(es[i].Key, &buf)
		if err != nil {
			refused = true
		} else if !ok || got != es[i] {
			t.Errorf("entry %d is %+v (%v), want %+v", i, got, ok, es[i])
		}
	}
	return refused
}

// TestOpenIDsReadsVersion2 reads a file without checksums.
func TestOpenIDsReadsVersion2(t *testing.T) {
	dir := t.TempDir()
	es := testEntries(100)
	f := writeIDs(t, dir, "3.ids", es)
	b, err := os.ReadFile(filepath.Join(dir, f.Path))
	if err != nil {
		t.Fatal(err)
	}
	foot := bytes.Clone(b[len(b)-idFooterSize:])
	clear(foot[idFooterSums:])
	foot = append(foot[:idFooterSize-len(idMagic2)], idMagic2...)
	b = append(b[:len(b)-idFooterSize-4*4], foot...) // 100 entries have 4 checksums
	if err := os.WriteFile(filepath.Join(dir, "2.ids"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	x, err := OpenIDs(dir, "2.ids")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	var buf []byte
	for i := range es {
		if got, ok, err := x.Lookup(es[i].Key, &buf); err != nil || !ok || got != es[i] {
			t.Errorf("entry %d is %+v (%v %v), want %+v", i, got, ok, err, es[i])
		}
	}
}

func BenchmarkIDLookup(b *testing.B) {
	dir := b.TempDir()
	es := testEntries(1_000_000)
	f := writeIDs(b, dir, "index/1.ids", es)
	x, err := OpenIDs(dir, f.Path)
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	var buf []byte
	b.Run("absent", func(b *testing.B) {
		rng := rand.New(rand.NewPCG(1, 2))
		for b.Loop() {
			if _, _, err := x.Lookup(Key{rng.Uint64(), rng.Uint64()}, &buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("present", func(b *testing.B) {
		rng := rand.New(rand.NewPCG(1, 2))
		for b.Loop() {
			if _, ok, err := x.Lookup(es[rng.IntN(len(es))].Key, &buf); err != nil || !ok {
				b.Fatal(ok, err)
			}
		}
	})
}

func TestLookupFindsTheNewestOfAllLayers(t *testing.T) {
	dir := t.TempDir()
	es := testEntries(3000)
	old, both := es[:2000], es[1000:]
	for i := range both {
		both[i].Version = 2
	}
	first := slices.Clone(old)
	for i := range first {
		first[i].Version = 1
	}
	m := &Manifest{Layers: []Layer{{IDs: writeIDs(t, dir, "1.ids", first)}, {IDs: writeIDs(t, dir, "2.ids", both)}}}
	x, err := OpenIndex(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	var keys []Key
	for _, e := range es {
		keys = append(keys, e.Key, Key{e.Key[0] + 1, e.Key[1]})
	}
	entries, found := make([]Entry, len(keys)), make([]bool, len(keys))
	if err := x.NewLookup().Latest(keys, entries, found); err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		want := uint32(2)
		if i/2 < 1000 {
			want = 1
		}
		if found[i] != (i%2 == 0) || found[i] && (entries[i].Key != keys[i] || entries[i].Version != want) {
			t.Fatalf("key %d: found %v, %+v, want version %d", i, found[i], entries[i], want)
		}
	}
}

func TestLookupFindsAllVersions(t *testing.T) {
	dir := t.TempDir()
	k := Key{7 << 60, 1}
	at := func(row uint32) Address { return Address{3, row} }
	// The third layer withdraws number 3, which the second brought; the fourth has
	// the right one, and more versions than one read.
	layers := [][]Entry{
		{{Key: k, Version: 1, Address: at(1)}},
		{{Key: k, Version: 3, Address: at(30)}, {Key: k, Version: 2, Address: at(2), Deleted: true}},
		{{Key: k, Version: 5, Address: at(5)}, {Key: k, Version: 3, Withdrawn: true}},
		{},
	}
	for n := uint32(3 * searchStep); n > 5; n-- {
		layers[3] = append(layers[3], Entry{Key: k, Version: n, Address: at(n)})
	}
	layers[3] = append(layers[3], Entry{Key: k, Version: 4, Address: at(4), Updated: 77_000}, Entry{Key: k, Version: 3, Address: at(3)})
	for i, want := range [][]uint32{{1}, {30, 2, 1}, {5, 2, 1}, {5, 4, 3, 2, 1}} {
		m := &Manifest{}
		for n, es := range layers[:i+1] {
			// Others in the bucket, before and after.
			es = append([]Entry{{Key: Key{0, 5}, Version: 1}}, es...)
			es = append(es, Entry{Key: Key{^uint64(0), 0}, Version: 1})
			m.Layers = append(m.Layers, Layer{IDs: writeIDs(t, dir, fmt.Sprintf("%d-%d.ids", i, n), es)})
		}
		x, err := OpenIndex(dir, m)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		l := x.NewLookup()
		got, err := l.Versions(nil, k)
		if err != nil {
			t.Fatal(err)
		}
		var rows []uint32
		for _, e := range got {
			if e.Key != k || e.Withdrawn || e.Deleted != (e.Version == 2) {
				t.Errorf("%d layers: %+v", i+1, e)
			}
			if e.Version <= 5 {
				rows = append(rows, e.Address.Row)
			}
		}
		if !slices.Equal(rows, want) {
			t.Errorf("%d layers: rows %v, want %v", i+1, rows, want)
		}
		last, ok, err := l.One(k)
		if err != nil || !ok || last != got[0] {
			t.Errorf("%d layers: the latest is %+v (%v %v), want %+v", i+1, last, ok, err, got[0])
		}
		entries, found := make([]Entry, 1), make([]bool, 1)
		if err := l.Latest([]Key{k}, entries, found); err != nil || !found[0] || entries[0] != got[0] {
			t.Errorf("%d layers: Latest gives %+v (%v %v), want %+v", i+1, entries[0], found[0], err, got[0])
		}
	}
}

func TestAVersionThatIsWithdrawnIsNotFound(t *testing.T) {
	dir := t.TempDir()
	k := Key{1, 1}
	m := &Manifest{Layers: []Layer{
		{IDs: writeIDs(t, dir, "1.ids", []Entry{{Key: k, Version: 1, Address: Address{1, 2}}})},
		{IDs: writeIDs(t, dir, "2.ids", []Entry{{Key: k, Version: 1, Withdrawn: true}})},
	}}
	x, err := OpenIndex(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	l := x.NewLookup()
	entries, found := make([]Entry, 1), make([]bool, 1)
	if err := l.Latest([]Key{k}, entries, found); err != nil || found[0] {
		t.Errorf("Latest gives %+v (%v %v)", entries[0], found[0], err)
	}
	if e, ok, err := l.One(k); ok || err != nil {
		t.Errorf("One gives %+v (%v %v)", e, ok, err)
	}
}

// TestOpenIDsReadsVersion1 reads a file that has the table of times of the format's
// first version.
func TestOpenIDsReadsVersion1(t *testing.T) {
	var b []byte
	for i := range uint64(2) {
		b = binary.BigEndian.AppendUint64(b, i+1)
		b = binary.BigEndian.AppendUint64(b, 9)
		b = binary.LittleEndian.AppendUint64(b, 100+i)
		b = append(b, byte(i), 1) // row, then time
	}
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, 2)
	b = binary.LittleEndian.AppendUint64(b, 5)
	b = binary.LittleEndian.AppendUint64(b, 7)
	for _, n := range []uint64{2, 0, 2, 2} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = binary.LittleEndian.AppendUint32(b, 40)
	b = append(b, 0, 1, 0, 1)
	b = append(b, make([]byte, 16)...)
	b = append(b, idMagic1...)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "1.ids"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	x, err := OpenIDs(dir, "1.ids")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	var buf []byte
	got, ok, err := x.Lookup(Key{2, 9}, &buf)
	want := Entry{Key: Key{2, 9}, Content: 101, Address: Address{40, 1}, Version: 1, Updated: 7}
	if err != nil || !ok || got != want {
		t.Errorf("got %+v (%v %v), want %+v", got, ok, err, want)
	}
}

func BenchmarkOpenIDs(b *testing.B) {
	dir := b.TempDir()
	f := writeIDs(b, dir, "index/1.ids", testEntries(10_000_000))
	for b.Loop() {
		x, err := OpenIDs(dir, f.Path)
		if err != nil {
			b.Fatal(err)
		}
		x.Close()
	}
}
