package nlp_test

import (
	"bufio"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology/release"
)

var (
	update = flag.Bool("update", false, "rewrite testdata/quality.tsv with better figures")
	errs   = flag.Int("errors", 0, "print the most frequent errors of each evaluation")
)

// testdata is the folder of public corpora and terminologies that are not part
// of the repository.
func testdata(t testing.TB) string {
	dir := os.Getenv("FHIRLAKE_TESTDATA")
	if dir == "" {
		t.Skip("FHIRLAKE_TESTDATA does not name the folder of corpora")
	}
	return dir
}

func open(t testing.TB, path string) io.Reader {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if !strings.HasSuffix(path, ".gz") {
		return f
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// releases reads releases after the core lexicon.
func releases(t testing.TB, names ...string) []terminology.Term {
	terms := nlp.CoreTerms()
	for _, n := range names {
		if _, err := release.Read(open(t, filepath.Join(testdata(t), "terminology", n)), func(m terminology.Term) { terms = append(terms, m) }); err != nil {
			t.Fatalf("%s: %v", n, err)
		}
	}
	return terms
}

const (
	icdOrder = "icd10cm-order-Jan-2021.txt.gz"
	icdList  = "icd10cm_tabular_2021.xml.gz"
	icdDrugs = "icd10cm_drug_2019.xml.gz"
	icdTumor = "icd10cm_neoplasm_2019.xml.gz"
	doid     = "doid-2016-09-01.obo.gz"
	symp     = "symp.obo.gz"
)

// A passage is a text with the spans that its annotators marked, in bytes.
type passage struct {
	text string
	gold map[[2]int]bool
}

// readIOB reads a token and its label a line; an empty line ends a passage. The
// text is the tokens with a space between them.
func readIOB(r io.Reader) []passage {
	var out []passage
	p := passage{gold: map[[2]int]bool{}}
	begin, last := -1, 0
	closeSpan := func() {
		if begin >= 0 {
			p.gold[[2]int{begin, last}] = true
		}
		begin = -1
	}
	s := bufio.NewScanner(r)
	for s.Scan() {
		word, label, ok := strings.Cut(s.Text(), "\t")
		if !ok {
			closeSpan()
			if p.text != "" {
				out = append(out, p)
			}
			p = passage{gold: map[[2]int]bool{}}
			continue
		}
		if label[0] != 'I' {
			closeSpan()
		}
		if p.text != "" {
			p.text += " "
		}
		if label[0] == 'B' {
			begin = len(p.text)
		}
		p.text += word
		last = len(p.text)
	}
	closeSpan()
	if p.text != "" {
		out = append(out, p)
	}
	return out
}

// readPubTator reads title, abstract and annotations of each document.
func readPubTator(r io.Reader) []passage {
	var out []passage
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := s.Text()
		f := strings.Split(line, "\t")
		if len(f) >= 5 {
			b, _ := strconv.Atoi(f[1])
			e, _ := strconv.Atoi(f[2])
			p := &out[len(out)-1]
			r := []rune(p.text)
			b, e = len(string(r[:b])), len(string(r[:e]))
			p.gold[[2]int{b, e}] = true
			continue
		}
		if f := strings.SplitN(line, "|", 3); len(f) == 3 && f[1] == "t" {
			out = append(out, passage{text: f[2], gold: map[[2]int]bool{}})
		} else if len(f) == 3 && f[1] == "a" {
			out[len(out)-1].text += " " + f[2]
		}
	}
	return out
}

type counts struct{ tp, fp, fn int }

func (c counts) f1() float64 { return 2 * float64(c.tp) / float64(2*c.tp+c.fp+c.fn) }

func (c counts) String() string {
	return fmt.Sprintf("P %.3f R %.3f F1 %.3f", float64(c.tp)/float64(c.tp+c.fp), float64(c.tp)/float64(c.tp+c.fn), c.f1())
}

// spans compares the spans of a category with those of the annotators: equal
// spans count, nothing else.
func spans(t *testing.T, index *terminology.Index, passages []passage, category terminology.Category) counts {
	d := nlp.NewDetector(index)
	var c counts
	wrong := map[string]int{}
	for _, p := range passages {
		hit := 0
		doc := d.Detect([]byte(p.text))
		for i := range doc.Entities {
			e := &doc.Entities[i]
			if e.Category != category {
				continue
			}
			if p.gold[[2]int{e.ByteBegin, e.ByteEnd}] {
				hit++
				delete(p.gold, [2]int{e.ByteBegin, e.ByteEnd})
			} else {
				c.fp++
				wrong["+ "+strings.ToLower(string(doc.Bytes(e)))]++
			}
		}
		c.tp += hit
		c.fn += len(p.gold)
		for g := range p.gold {
			wrong["- "+strings.ToLower(p.text[g[0]:g[1]])]++
		}
	}
	report(t, wrong)
	return c
}

func report(t *testing.T, wrong map[string]int) {
	for range *errs {
		best := ""
		if len(wrong) == 0 {
			return
		}
		for k, n := range wrong {
			if n > wrong[best] || n == wrong[best] && k < best {
				best = k
			}
		}
		t.Logf("%4d %s", wrong[best], best)
		delete(wrong, best)
	}
}

// negation compares what is told of given mentions with the annotators.
func negation(t *testing.T, index *terminology.Index) counts {
	d := nlp.NewDetector(index)
	var c counts
	s := bufio.NewScanner(open(t, filepath.Join(testdata(t), "nlp/negex/negex.dev.tsv")))
	s.Scan()
	wrong := map[string]int{}
	missing := 0
	for s.Scan() {
		f := strings.Split(s.Text(), "\t")
		text, want := []byte(f[2]), f[3] == "Negated"
		doc := d.DetectWith(text, nlp.Locate(text, []string{f[1]}))
		got, found := false, false
		for i := range doc.Entities {
			if doc.Entities[i].Mention() == 0 {
				found = true
				got = doc.Entities[i].Traits.Has(nlp.Negation)
			}
		}
		if !found {
			missing++
		}
		switch {
		case got && want:
			c.tp++
		case got:
			c.fp++
			wrong["+ "+f[1]+" : "+f[2]]++
		case want:
			c.fn++
			wrong["- "+f[1]+" : "+f[2]]++
		}
	}
	report(t, wrong)
	t.Logf("%d mentions are not in their sentence as they are given", missing)
	return c
}

// TestQuality measures on public corpora, and fails when a figure is worse than
// the one in testdata/quality.tsv: the table may only improve.
func TestQuality(t *testing.T) {
	dir := filepath.Join(testdata(t), "nlp")
	core := nlp.CoreIndex()
	full := terminology.Compile(releases(t, icdOrder, icdList, icdTumor, doid, symp))
	drugs := terminology.Compile(releases(t, icdDrugs))
	disease := readIOB(open(t, filepath.Join(dir, "bc5cdr/BC5CDR-disease-IOB.devel.tsv.gz")))
	disease2 := readIOB(open(t, filepath.Join(dir, "bc5cdr/BC5CDR-disease-IOB.devel.tsv.gz")))
	chemical := readIOB(open(t, filepath.Join(dir, "bc5cdr/BC5CDR-chem-IOB.devel.tsv.gz")))
	ncbi := readPubTator(open(t, filepath.Join(dir, "ncbi-disease/NCBIdevelopset_corpus.txt.gz")))
	for _, m := range []struct {
		name string
		run  func(t *testing.T) counts
	}{
		{"negation, negex.dev, given mentions", func(t *testing.T) counts { return negation(t, core) }},
		{"disease spans, bc5cdr devel, core and ICD, DO, SYMP", func(t *testing.T) counts { return spans(t, full, disease, terminology.MedicalCondition) }},
		{"disease spans, bc5cdr devel, core", func(t *testing.T) counts { return spans(t, core, disease2, terminology.MedicalCondition) }},
		{"chemical spans, bc5cdr devel, core and ICD drug table", func(t *testing.T) counts { return spans(t, drugs, chemical, terminology.Medication) }},
		{"disease spans, ncbi develop, core and ICD, DO, SYMP", func(t *testing.T) counts { return spans(t, full, ncbi, terminology.MedicalCondition) }},
	} {
		t.Run(m.name, func(t *testing.T) {
			c := m.run(t)
			t.Log(c)
			best := best(t)
			was, ok := best[m.name]
			switch f := math.Floor(c.f1()*1000) / 1000; {
			case ok && f < was:
				t.Errorf("F1 %.3f, was %.3f", f, was)
			case *update && f > was:
				best[m.name] = f
				write(t, best)
			case !ok:
				t.Error("testdata/quality.tsv has no figure; run with -update")
			}
		})
	}
}

const qualityFile = "testdata/quality.tsv"

// best is the table of figures so far.
func best(t *testing.T) map[string]float64 {
	t.Helper()
	b, err := os.ReadFile(qualityFile)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	m := map[string]float64{}
	for line := range strings.Lines(string(b)) {
		if name, f, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && name != "measure" {
			if m[name], err = strconv.ParseFloat(f, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

func write(t *testing.T, m map[string]float64) {
	t.Helper()
	out := "measure\tF1\n"
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out += fmt.Sprintf("%s\t%.3f\n", name, m[name])
	}
	if err := os.WriteFile(qualityFile, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
}
