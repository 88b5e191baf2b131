package dictionary_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/server/dictionary"
	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology/release"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
	"github.com/fhirlake/fhirlake/store/root"
)

var when = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func openRoot(t testing.TB, dir string, exclusive bool) *root.Root {
	t.Helper()
	r, err := root.Open(dir, root.Options{Exclusive: exclusive})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func open(t testing.TB, r *root.Root) *dictionary.Dictionary {
	t.Helper()
	d, err := dictionary.Open(r, dictionary.Options{Log: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// table writes a TSV and gives its release.
func table(t testing.TB, name, text string) []release.Release {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := release.Find([]string{file}, "")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

const (
	glorps = "system\tcode\tterm\tkind\nICD-10-CM\tZ1\tglorp\tSIGN\nICD-10-CM\tZ2\tgreat  glorp\t\n"
	blips  = "system\tcode\tterm\tcategory\nRxNorm\t7\tblipomycin\tMEDICATION\n"
)

func importAll(t testing.TB, d *dictionary.Dictionary, name, text string) {
	t.Helper()
	if _, err := d.Import(context.Background(), table(t, name, text), when, nil); err != nil {
		t.Fatal(err)
	}
}

// codes are those of the longest term at the begin of a text.
func codes(x *terminology.Index, text string) string {
	e, _ := x.Longest(token.Append(nil, []byte(text)))
	if e == 0 {
		return "none"
	}
	out := x.Kind(e).String()
	for i := range x.Concepts(e) {
		c := x.Concept(e, i)
		out += " " + c.System.String() + " " + string(c.Code)
	}
	return out
}

func TestANewRootHasTheCoreLexicon(t *testing.T) {
	dir := t.TempDir()
	d := open(t, openRoot(t, dir, false))
	if d.Current() != nlp.CoreIndex() || len(d.Sources()) != 0 {
		t.Errorf("version %s with %d sources", d.Current().Version(), len(d.Sources()))
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("looking made %s", entries[0].Name())
	}
}

func TestWhatIsImportedIsFound(t *testing.T) {
	dir := t.TempDir()
	d := open(t, openRoot(t, dir, true))
	before := d.Current()
	importAll(t, d, "glorps-2026.tsv", glorps)
	importAll(t, d, "blips.tsv", blips)
	for _, x := range []*terminology.Index{d.Current(), open(t, openRoot(t, dir, false)).Current()} {
		got := []string{codes(x, "glorp"), codes(x, "great glorp"), codes(x, "blipomycin"), codes(x, "hypertension")}
		if diff := cmp.Diff([]string{"SIGN ICD-10-CM Z1", "DIAGNOSIS ICD-10-CM Z2", " RxNorm 7", "DIAGNOSIS ICD-10-CM I10"}, got); diff != "" {
			t.Error(diff)
		}
	}
	if got := codes(before, "glorp"); got != "none" {
		t.Errorf("the index from before the import finds %s", got)
	}
	want := []string{"glorps tsv 2026 2", "blips tsv  1"}
	var got []string
	for _, s := range d.Sources() {
		got = append(got, strings.Join([]string{s.Name, s.Kind, s.Version, string(rune('0' + s.Terms))}, " "))
		if len(s.Read) != 1 || !s.Added.Equal(when) {
			t.Errorf("%s: read %v, added %v", s.Name, s.Read, s.Added)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheSameNameTakesThePlace(t *testing.T) {
	d := open(t, openRoot(t, t.TempDir(), true))
	importAll(t, d, "glorps-2026.tsv", glorps)
	importAll(t, d, "blips.tsv", blips)
	importAll(t, d, "glorps-2027.tsv", strings.Replace(glorps, "Z1", "Z9", 1))
	if got := codes(d.Current(), "glorp"); got != "SIGN ICD-10-CM Z9" {
		t.Errorf("got %s", got)
	}
	if s := d.Sources(); len(s) != 2 || s[0].Name != "glorps" || s[0].Version != "2027" {
		t.Errorf("sources %+v", s)
	}
}

func TestAReleaseWithoutTermsIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	d := open(t, openRoot(t, dir, true))
	both := append(table(t, "empty.tsv", "code\tterm\n"), table(t, "blips.tsv", blips)...)
	added, err := d.Import(context.Background(), both, when, nil)
	if err != nil || len(added) != 1 || added[0].Name != "blips" || len(d.Sources()) != 1 {
		t.Errorf("added %+v, error %v", added, err)
	}
	if got := files(t, dir); len(got) != 3 {
		t.Errorf("files %v", got)
	}
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	d := open(t, openRoot(t, dir, true))
	importAll(t, d, "glorps.tsv", glorps)
	importAll(t, d, "blips.tsv", blips)
	if err := d.Remove("glorps", "nothing"); !errors.Is(err, dictionary.ErrUnknown) || len(d.Sources()) != 2 {
		t.Errorf("error %v, %d sources", err, len(d.Sources()))
	}
	if err := d.Remove("glorps"); err != nil {
		t.Fatal(err)
	}
	if got := codes(d.Current(), "glorp") + codes(d.Current(), "blipomycin"); got != "none RxNorm 7" {
		t.Errorf("got %s", got)
	}
	if err := d.Remove("blips"); err != nil {
		t.Fatal(err)
	}
	if d.Current() != nlp.CoreIndex() {
		t.Error("not the core lexicon")
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("left are %v", got)
	}
}

// files are the names in the folder of a root.
func files(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "terminology"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestAFaultChangesNothing(t *testing.T) {
	dir := t.TempDir()
	d := open(t, openRoot(t, dir, true))
	importAll(t, d, "blips.tsv", blips)
	before, version := files(t, dir), d.Current().Version()
	for _, c := range []struct {
		name     string
		releases []release.Release
		cancel   bool
		want     string
	}{
		{"faulty line", append(table(t, "a.tsv", glorps), table(t, "b.tsv", glorps+"RxNorm\t1\t\t\n")...), false, "b.tsv: line 4: no term"},
		{"two of a name", append(table(t, "a.tsv", glorps), table(t, "a.tsv", glorps)...), false, "would both be called a"},
		{"no terms", table(t, "c.tsv", "code\tterm\n"), false, "c.tsv: no terms"},
		{"cancelled", table(t, "d.tsv", glorps), true, "context canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if c.cancel {
				cancel()
			}
			_, err := d.Import(ctx, c.releases, when, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
			if diff := cmp.Diff(before, files(t, dir)); diff != "" || d.Current().Version() != version {
				t.Errorf("version %s, files %s", d.Current().Version(), diff)
			}
		})
	}
	beside := open(t, openRoot(t, dir, false))
	if err := beside.Remove("blips"); !errors.Is(err, dictionary.ErrReadOnly) {
		t.Errorf("a reader got %v", err)
	}
}

func TestOthersSeeAChange(t *testing.T) {
	dir := t.TempDir()
	owner := open(t, openRoot(t, dir, true))
	beside := open(t, openRoot(t, dir, false))
	old := beside.Current()
	importAll(t, owner, "glorps.tsv", glorps)
	for range 1000 { // it looks once in a second
		if codes(beside.Current(), "glorp") != "none" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := codes(beside.Current(), "glorp"); got != "SIGN ICD-10-CM Z1" {
		t.Errorf("got %s", got)
	}
	importAll(t, owner, "glorps.tsv", strings.Replace(glorps, "Z1", "Z3", 1))
	if got := codes(old, "hypertension"); got != "DIAGNOSIS ICD-10-CM I10" {
		t.Errorf("the index that was replaced gives %s", got)
	}
}

// edit changes the list of a root.
func edit(t *testing.T, dir string, f func(m map[string]any)) {
	t.Helper()
	name := filepath.Join(dir, "terminology", "sources.json")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	f(m)
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestAnotherProgramsIndexIsMadeAgain opens what another version of the program left, and
// what damage left: first beside an owner, which changes nothing, then as the owner.
func TestAnotherProgramsIndexIsMadeAgain(t *testing.T) {
	indexFile := func(t *testing.T, dir string) string {
		t.Helper()
		for _, name := range files(t, dir) {
			if strings.HasPrefix(name, "index-") {
				return filepath.Join(dir, "terminology", name)
			}
		}
		t.Fatal("no index")
		return ""
	}
	for _, c := range []struct {
		name string
		harm func(t *testing.T, dir string)
	}{
		{"another core lexicon", func(t *testing.T, dir string) {
			edit(t, dir, func(m map[string]any) { m["index"].(map[string]any)["core"] = "other" })
		}},
		{"another compiler", func(t *testing.T, dir string) {
			edit(t, dir, func(m map[string]any) { m["index"].(map[string]any)["compiler"] = "other" })
		}},
		{"a changed byte", func(t *testing.T, dir string) {
			text, err := os.ReadFile(indexFile(t, dir))
			if err != nil {
				t.Fatal(err)
			}
			text[len(text)/2] ^= 1
			if err := os.WriteFile(indexFile(t, dir), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		{"no index", func(t *testing.T, dir string) {
			if err := os.Remove(indexFile(t, dir)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			r := openRoot(t, dir, true)
			d := open(t, r)
			importAll(t, d, "glorps.tsv", glorps)
			version := d.Current().Version()
			c.harm(t, dir)
			harmed := files(t, dir)
			beside := open(t, openRoot(t, dir, false))
			if got := codes(beside.Current(), "glorp"); got != "SIGN ICD-10-CM Z1" || beside.Current().Version() != version {
				t.Errorf("beside: %s", got)
			}
			if diff := cmp.Diff(harmed, files(t, dir)); diff != "" {
				t.Errorf("a reader wrote: %s", diff)
			}
			again := open(t, r)
			if got := again.Current().Version(); got != version {
				t.Errorf("version %s, want %s", got, version)
			}
			if got := files(t, dir); len(got) != 3 || cmp.Equal(got, harmed) {
				t.Errorf("files %v, before %v", got, harmed)
			}
		})
	}
}

func TestDamagedTermsAreNamed(t *testing.T) {
	dir := t.TempDir()
	r := openRoot(t, dir, true)
	importAll(t, open(t, r), "glorps.tsv", glorps)
	edit(t, dir, func(m map[string]any) {
		m["index"].(map[string]any)["core"] = "other"
		m["sources"].([]any)[0].(map[string]any)["crc32c"] = 1
	})
	_, err := dictionary.Open(r, dictionary.Options{})
	if err == nil || !strings.Contains(err.Error(), "the terms of glorps in") || !strings.Contains(err.Error(), "are damaged") {
		t.Errorf("error %v", err)
	}
	if err := dictionary.ToRepair(r, dictionary.Options{}).Remove("glorps"); err != nil {
		t.Errorf("remove what is damaged: %v", err)
	}
	if d := open(t, r); len(d.Sources()) != 0 {
		t.Errorf("sources %+v", d.Sources())
	}
	edit(t, dir, func(m map[string]any) { m["version"] = 9 })
	if _, err := dictionary.Open(r, dictionary.Options{}); err == nil || !strings.Contains(err.Error(), "has version 9; this program knows 1") {
		t.Errorf("error %v", err)
	}
}

// TestTermsAreKeptWhole compares the index that is made of the kept terms with that of the
// terms as they were read.
func TestTermsAreKeptWhole(t *testing.T) {
	found := table(t, "all.tsv", "system\tcode\tpreferred\tterm\tcategory\ttype\tkind\n"+
		"SNOMED CT\t1\tGlorp (finding)\tGLRP\tMEDICAL_CONDITION\tDX_NAME\tSYMPTOM\n"+
		"RxNorm\t2\tBlip\tblip blop\tMEDICATION\tBRAND_NAME\t\n"+
		"\t\t\twater\tANATOMY\t\t\n")
	found = append(found, table(t, "RXNCONSO.RRF", "30|ENG|P|L1|PF|S1|Y|A1||||RXNORM|SCD|30|glorpamide 5 MG Tablet|0|N||\n")...)
	terms := nlp.CoreTerms()
	for i := range found {
		if err := found[i].Read(nil, func(m terminology.Term) { terms = append(terms, m) }); err != nil {
			t.Fatal(err)
		}
	}
	d := open(t, openRoot(t, t.TempDir(), true))
	if _, err := d.Import(context.Background(), found, when, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := d.Current().Version(), terminology.Compile(terms).Version(); got != want {
		t.Errorf("version %s, want %s", got, want)
	}
}
