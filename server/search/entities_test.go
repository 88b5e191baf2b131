package search_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	fhirsearch "github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/bulk"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/server/search/searchtest"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// note is a document and what NLP found in it; without found it was never read.
type note struct{ patient, found string }

// putNotes writes documents with what was found in them, in one commit. nil deletes.
func (s *store) putNotes(notes map[string]*note) {
	s.t.Helper()
	var writes []lake.Write
	for id, n := range notes {
		w := lake.Write{Type: r4.TypeDocumentReference, ID: id, Method: delta.Delete}
		if n != nil {
			text := fmt.Sprintf(`"status":"current","subject":{"reference":"Patient/%s"},"description":"%x"`, n.patient, xxhash.Sum64String(n.found))
			w.Method, w.Content = delta.Update, xxhash.Sum64String(text)
			w.Stamp = func(dst []byte, number uint32, updated string) []byte {
				return fmt.Appendf(dst, `{"resourceType":"DocumentReference","id":"%s","meta":{"versionId":"%d","lastUpdated":"%s"},%s}`, id, number, updated, text)
			}
			if n.found != "" {
				w.Beside = beside.Values{{Kind: beside.NLP, Data: []byte(n.found)}}
			}
		}
		writes = append(writes, w)
	}
	if _, err := s.lake.Commit(s.t.Context(), writes); err != nil {
		s.t.Fatal(err)
	}
}

// oneText is what was found in a document of one text.
func oneText(status string, entities ...string) string {
	return compacted(`{"engine":"1","dictionary":"1","texts":[{"path":"content[0].attachment","status":"` + status + `","entities":[` + strings.Join(entities, ",") + `]}]}`)
}

// compacted is JSON without white space between its tokens.
func compacted(text string) string {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		panic(err)
	}
	return b.String()
}

const (
	throat = `{"text":"Streptococcal sore throat","beginOffset":0,"endOffset":25,"category":"MEDICAL_CONDITION","type":"DX_NAME","score":0.97,
		"icd10cm":[{"code":"J02.0","description":"Streptococcal pharyngitis","score":0.91},{"code":"J03.00","description":"Acute streptococcal tonsillitis, unspecified","score":0.55}]}`
	aspirin = `{"text":"Aspirin","beginOffset":30,"endOffset":37,"category":"MEDICATION","type":"GENERIC_NAME","score":0.92,
		"rxnorm":[{"code":"1191","description":"aspirin","score":0.8}]}`
	earache = `{"text":"Otalgie, éàÇ","beginOffset":0,"endOffset":12,"category":"MEDICAL_CONDITION","type":"DX_NAME","score":0.5,
		"icd10cm":[{"code":"H92.09","description":"Otalgia, unspecified ear","score":0.4}],"snomedct":[{"code":"16001004","description":"Otalgia","score":0.7}]}`
	barred = `{"text":"a|b, c$d\\e","beginOffset":0,"endOffset":10,"category":"ANATOMY","type":"SYSTEM_ORGAN_SITE","score":0.65}`
)

// notes are documents of every status.
func notes() map[string]*note {
	return map[string]*note{
		"throat":  {"a", oneText("SUCCESS", throat)},
		"both":    {"b", oneText("SUCCESS", throat, aspirin)},
		"aspirin": {"a", oneText("SUCCESS", aspirin)},
		"earache": {"b", oneText("SUCCESS", earache)},
		"barred":  {"a", oneText("SUCCESS", barred)},
		"image":   {"a", oneText("UNSUPPORTED")},
		"failed":  {"b", oneText("VALIDATION_ERROR")},
		"nothing": {"a", oneText("SUCCESS")},
		"mixed": {"b", compacted(`{"engine":"1","dictionary":"1","texts":[{"path":"content[0].attachment","status":"UNSUPPORTED"},
			{"path":"content[1].attachment","status":"SUCCESS","entities":[` + aspirin + `]}]}`)},
		"half": {"b", compacted(`{"engine":"1","dictionary":"1","texts":[{"path":"content[0].attachment","status":"SUCCESS","entities":[` + throat + `]},
			{"path":"content[1].attachment","status":"VALIDATION_ERROR","message":"too long"}]}`)},
		"unread": {"a", ""},
	}
}

// words are the words of a text, nil for none.
func words(text string) []string { return append([]string(nil), strings.Fields(text)...) }

// TestSearchesByWhatNLPFound asks what was written, and the same once it is folded.
func TestSearchesByWhatNLPFound(t *testing.T) {
	s := newStore(t, nil)
	s.put(map[string]string{"Patient/a": `"gender":"male"`, "Patient/b": `"gender":"female"`})
	s.putNotes(notes())
	for _, where := range []string{"written", "folded"} {
		t.Run(where, func(t *testing.T) {
			for _, x := range []struct{ query, want string }{
				{"detectEntities-entity-text=sore", ""},
				{"detectEntities-entity-text=streptococcal+SORE", "both half throat"},
				{"detectEntities-entity-text:contains=sore", "both half throat"},
				{"detectEntities-entity-text:exact=Aspirin", "aspirin both mixed"},
				{"detectEntities-entity-text:exact=aspirin", ""},
				{"detectEntities-entity-text=otalgie+eac", "earache"},
				{"detectEntities-entity-text=aspirin,otalgie", "aspirin both earache mixed"},
				{"detectEntities-entity-text=aspirin&detectEntities-entity-text=streptococcal", "both"},
				{`detectEntities-entity-text=a\|b\,+c\$d`, "barred"},
				{`detectEntities-entity-text:exact=a\|b\,+c\$d\\e`, "barred"},
				{"detectEntities-entity-text:exact='", ""},
				{"detectEntities-entity-category=medication", "aspirin both mixed"},
				{"detectEntities-entity-type=DX_NAME", "both earache half throat"},
				{"detectEntities-entity-score=0.9", "aspirin both mixed"},
				{"detectEntities-entity-score=gt0.95", "both half throat"},
				{"detectEntities-entity-score=lt0.6,ge0.97", "both earache half throat"},
				{"detectEntities-entity-score:missing=true", "failed image nothing unread"},
				{"detectEntities-entity-text-category=aspirin|MEDICATION", "aspirin both mixed"},
				{"detectEntities-entity-text-category=aspirin|MEDICAL", ""},
				{"detectEntities-entity-type-score=DX_NAME|0.6", "both half throat"},
				{"detectEntities-entity-type-score=DX_NAME$lt0.6", "earache"},
				{"detectEntities-entity-text-score=aspirin|0.95", ""},
				{"detectEntities-entity-text-type=aspirin|GENERIC", "aspirin both mixed"},
				{"detectEntities-entity-category-score=ANATOMY|0.6,MEDICATION|0.9", "aspirin barred both mixed"},
				{"infer-icd10cm-entity-concept-code=J02.0", "both half throat"},
				{"infer-icd10cm-entity-concept-code=J0", "both half throat"},
				{"infer-icd10cm-entity-concept-code=h92", "earache"},
				{"infer-icd10cm-entity-concept-code:exact=J03.00", "both half throat"},
				{"infer-icd10cm-entity-concept-code=1191", ""},
				{"infer-icd10cm-entity-text=aspirin", ""},
				{"infer-icd10cm-entity-score=gt0.9", "both half throat"},
				{"infer-icd10cm-entity-concept-description:contains=tonsillitis", "both half throat"},
				{"infer-icd10cm-entity-concept-score=ge0.9", "both half throat"},
				{"infer-icd10cm-entity-concept-score=ne0.91", "both earache half throat"},
				{"infer-icd10cm-entity-text-concept-score=streptococcal|0.6", "both half throat"},
				{"infer-icd10cm-entity-text-concept-score=streptococcal|0.95", ""},
				{"infer-icd10cm-entity-text-concept-score=streptococcal|lt0.6", "both half throat"},
				{"infer-icd10cm-entity-text-concept-code=streptococcal|J03", "both half throat"},
				{"infer-icd10cm-entity-text-concept-code=streptococcal|H92,otalgie|H92", "earache"},
				{"infer-icd10cm-entity-concept-description-concept-score=acute+streptococcal|0.6", ""},
				{"infer-icd10cm-entity-concept-description-concept-score=acute+streptococcal|0.5", "both half throat"},
				{"infer-icd10cm-entity-concept-code:missing=false", "both earache half throat"},
				{"infer-rxnorm-entity-concept-code=1191", "aspirin both mixed"},
				{"infer-rxnorm-entity-text-concept-code=aspirin|1191&infer-icd10cm-entity-text-concept-code=strep|J02", "both"},
				{"infer-rxnorm-entity-concept-description-concept-score=asp|0.9", ""},
				{"infer-snomedct-entity-concept-code=16001004", "earache"},
				{"cm-decoration-status=SUCCESS", "aspirin barred both earache mixed nothing throat"},
				{"cm-decoration-status=validation_error,UNSUPPORTED", "failed half image"},
				{"cm-decoration-status:not=SUCCESS", "failed half image unread"},
				{"cm-decoration-status:missing=true", "unread"},
				{"cm-decoration-status=http://example.org|SUCCESS", ""},
				{"cm-decoration-status=|UNSUPPORTED", "image"},
				{"cm-decoration-status=OTHER", ""},
				{"infer-icd10cm-entity-concept-code=J02&patient=Patient/a", "throat"},
				{"infer-icd10cm-entity-concept-code=J02&subject:Patient.gender=female", "both half"},
				{"infer-icd10cm-entity-concept-code=J02&_id=throat,aspirin", "throat"},
			} {
				s.t = t
				s.want("DocumentReference", x.query, words(x.want)...)
			}
			s.want("Patient", "_has:DocumentReference:subject:infer-icd10cm-entity-concept-code=H92", "b")
			s.want("Patient", "_has:DocumentReference:subject:cm-decoration-status=UNSUPPORTED", "a")
			sorted, _ := s.walk("DocumentReference", "infer-icd10cm-entity-concept-code=J02&_sort=-_id&_count=2")
			if d := cmp.Diff([]string{"DocumentReference/throat", "DocumentReference/half", "DocumentReference/both"}, sorted); d != "" {
				t.Errorf("sorted: %s", d)
			}
			p, err := s.search("DocumentReference", "detectEntities-entity-text=otalgie&_include=DocumentReference:subject&_total=accurate")
			if err != nil || p.Total != 1 || len(p.Included) != 1 || p.Included[0].ID != "b" {
				t.Errorf("included with the document: %+v, %v", p, err)
			}
		})
		s.t = t
		s.compact()
	}
}

// TestWhatNLPFoundGoesWithItsVersion: a version has what was found in it, and nothing of
// another; what is deleted is not found.
func TestWhatNLPFoundGoesWithItsVersion(t *testing.T) {
	s := newStore(t, nil)
	find := func(aspirin, throat string) {
		t.Helper()
		s.want("DocumentReference", "infer-rxnorm-entity-concept-code=1191", words(aspirin)...)
		s.want("DocumentReference", "infer-icd10cm-entity-concept-code=J02", words(throat)...)
		s.want("DocumentReference", "infer-icd10cm-entity-concept-code:missing=true&infer-rxnorm-entity-concept-code:missing=false", words(aspirin)...)
	}
	for range 2 {
		s.putNotes(map[string]*note{"x": {"a", oneText("SUCCESS", throat)}, "y": {"a", oneText("SUCCESS", throat)}})
		find("", "x y")
		s.putNotes(map[string]*note{"x": {"a", oneText("SUCCESS", aspirin)}})
		find("x", "y")
		s.compact()
		find("x", "y")
		s.putNotes(map[string]*note{"x": nil, "y": {"a", ""}})
		find("", "")
		s.reopen()
		find("", "")
		s.compact()
		find("", "")
	}
}

// TestPagesByWhatNLPFoundAreOfOneState reads pages while what they find is changed, deleted,
// added to and folded.
func TestPagesByWhatNLPFoundAreOfOneState(t *testing.T) {
	for _, sort := range []string{"", "&_sort=-_id"} {
		s := newStore(t, nil)
		all := map[string]*note{}
		var want []string
		for i := range 40 {
			id := fmt.Sprintf("doc-%02d", i)
			// Of each there are many rows, so that pages end among those of one document.
			all[id] = &note{"a", oneText("SUCCESS", slices.Repeat([]string{throat}, i)...)}
			if i > 0 {
				want = append(want, "DocumentReference/"+id)
			}
			if i == 20 {
				s.putNotes(all)
				s.compact()
				clear(all)
			}
		}
		s.putNotes(all)
		var got []string
		query := "infer-icd10cm-entity-text-concept-code=streptococcal|J02&_count=3" + sort
		next := ""
		for n := 0; ; n++ {
			p, err := s.search("DocumentReference", query+"&_page="+next)
			if next == "" {
				p, err = s.search("DocumentReference", query)
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range p.Matches {
				got = append(got, "DocumentReference/"+p.Matches[i].ID)
			}
			if next = p.Next; next == "" {
				break
			}
			switch n {
			case 1:
				s.putNotes(map[string]*note{"doc-30": {"a", oneText("SUCCESS", aspirin)}, "doc-39": nil, "doc-05": nil, "doc-new": {"a", oneText("SUCCESS", throat)}})
			case 3:
				s.compact()
			case 5:
				s.putNotes(map[string]*note{"doc-38": nil, "doc-12": {"a", ""}})
				s.compact()
			}
		}
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("sort %q (-want +got):\n%s", sort, d)
		}
		if ids := s.ids("DocumentReference", "detectEntities-entity-text=streptococcal"); len(ids) != 40-1-5+1 {
			t.Errorf("then %q", ids)
		}
	}
}

// TestManyTextsAreFound: what is looked for may be more texts than SQL has a list of.
func TestManyTextsAreFound(t *testing.T) {
	s := newStore(t, nil)
	all := map[string]*note{}
	for i := range 30 {
		var entities []string
		for j := range 40 {
			entities = append(entities, fmt.Sprintf(`{"text":"Finding %d","category":"MEDICAL_CONDITION","type":"DX_NAME","score":0.9,"icd10cm":[{"code":"R%d.%d","score":0.8}]}`, i*40+j, i, j))
		}
		all[fmt.Sprintf("doc-%02d", i)] = &note{"a", oneText("SUCCESS", entities...)}
	}
	s.putNotes(all)
	for range 2 {
		s.want("DocumentReference", "detectEntities-entity-text=finding", slices.Sorted(maps.Keys(all))...)
		s.want("DocumentReference", "detectEntities-entity-text=finding&detectEntities-entity-text:contains=inding+1199", "doc-29")
		s.want("DocumentReference", "detectEntities-entity-text:exact=nothing,Finding+41&infer-icd10cm-entity-concept-code=R", "doc-01")
		s.want("DocumentReference", "infer-icd10cm-entity-text-concept-code=finding|R7.1,finding+1|R7.1", "doc-07")
		s.want("DocumentReference", "detectEntities-entity-text:contains=nding,nothing&_id=doc-03", "doc-03")
		many := func(n int) string { return strings.TrimSuffix(strings.Repeat("finding|R7.1,", n), ",") }
		if got := s.ids("DocumentReference", "infer-icd10cm-entity-text-concept-code="+many(200)); !slices.Equal(got, []string{"doc-07"}) {
			t.Errorf("200 values of a composite find %q", got)
		}
		if got := s.ids("DocumentReference", "detectEntities-entity-text="+strings.TrimSuffix(strings.Repeat("finding+1199,", 2000), ",")); !slices.Equal(got, []string{"doc-29"}) {
			t.Errorf("2000 values find %q", got)
		}
		_, err := s.search("DocumentReference", "_id=x&infer-icd10cm-entity-text-concept-code="+many(201))
		var fault *outcome.Fault
		if !errors.As(err, &fault) || fault.Kind != outcome.TooCostly {
			t.Errorf("201 values of a composite: %v", err)
		}
		_, err = s.search("Patient", "_has:DocumentReference:subject:detectEntities-entity-text="+strings.TrimSuffix(strings.Repeat("finding+1199,", 2001), ","))
		if !errors.As(err, &fault) || fault.Kind != outcome.TooCostly {
			t.Errorf("2001 values: %v", err)
		}
		s.compact()
	}
}

// TestReleaseHoldsNothingOfWhatNLPFound: rows and texts of what was erased leave the memory.
func TestReleaseHoldsNothingOfWhatNLPFound(t *testing.T) {
	s := newStore(t, nil)
	s.putNotes(map[string]*note{"x": {"a", oneText("SUCCESS", throat)}})
	s.compact()
	s.want("DocumentReference", "detectEntities-entity-text=streptococcal", "x")
	s.putNotes(map[string]*note{"y": {"a", oneText("SUCCESS", aspirin)}})
	s.want("DocumentReference", "detectEntities-entity-text=aspirin,streptococcal", "x", "y")
	if got := s.index.Entities(t.Context()); !slices.Equal(got, []string{"aspirin", "streptococcal sore throat"}) {
		t.Fatalf("in memory are %q: the test tells nothing", got)
	}
	for _, id := range []string{"x", "y"} {
		if _, err := bulk.Compact(t.Context(), bulk.CompactOptions{
			Lake: s.lake, SearchIndex: true, Whole: true, Erase: []bulk.Resource{{Type: r4.TypeDocumentReference, ID: id}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	s.want("DocumentReference", "detectEntities-entity-text=aspirin,streptococcal")
	s.index.Release()
	if got := s.index.Entities(t.Context()); len(got) > 0 {
		t.Errorf("in memory are %q", got)
	}
}

// TestAnswersByWhatNLPFoundAreOfOneMoment: beside a writer and compactions, all pages of an
// answer are what there was at one moment between the request and its first page.
func TestAnswersByWhatNLPFoundAreOfOneMoment(t *testing.T) {
	s := newStore(t, nil)
	h := &history{all: []map[string]string{{}}}
	stop := make(chan struct{})
	var all sync.WaitGroup
	for _, text := range []string{"infer-icd10cm-entity-concept-code=J02&_count=3", "detectEntities-entity-text-score=streptococcal|0.9&_count=4&_sort=-_id"} {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				from, to := h.ended.Load(), int64(-1)
				var got []string
				for next := ""; ; {
					_, p, err := s.ask(query.Request{Type: r4.TypeDocumentReference, Raw: []string{text}}, next)
					if err != nil {
						t.Errorf("%s: %v", text, err)
						return
					}
					if to < 0 {
						to = h.begun.Load()
					}
					for i := range p.Matches {
						got = append(got, p.Matches[i].ID)
					}
					if next = p.Next; next == "" {
						break
					}
				}
				slices.Sort(got)
				one := false
				for at := from; at <= to && !one; at++ {
					one = slices.Equal(got, h.matching(at, "throat"))
				}
				if !one {
					t.Errorf("%s, after %d to %d writes: %v; after the first: %v", text, from, to, got, h.matching(from, "throat"))
					return
				}
			}
		})
	}
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				s.compactBeside()
			}
		}
	})
	rnd := rand.New(rand.NewPCG(5, 6))
	writes := 120
	if testing.Short() {
		writes = 40
	}
	for range writes {
		changes, notes := map[string]string{}, map[string]*note{}
		for range 1 + rnd.IntN(4) {
			id := fmt.Sprintf("doc-%02d", rnd.IntN(20))
			switch rnd.IntN(4) {
			case 0:
				changes[id], notes[id] = "", nil
			case 1:
				changes[id], notes[id] = "aspirin", &note{"a", oneText("SUCCESS", aspirin)}
			default:
				changes[id], notes[id] = "throat", &note{"a", oneText("SUCCESS", throat, aspirin, throat)}
			}
		}
		h.write(changes, func() { s.putNotes(notes) })
	}
	close(stop)
	all.Wait()
}

// vocabulary is what random documents speak of, with characters that a search, SQL or JSON
// have another use for.
var vocabulary = []string{
	"Fever", "fever", "FEVER of unknown origin", "sore throat", "Sore-throat", "Été's", "a|b", "c,d", "e$f", `g\h`, "it''s", `"quoted"`, "%_like", "ﬁbrosis", "Straße", "中耳炎",
	"asthma", "Asthma, unspecified", "J45.909", "J45.20", "J02.0", "H66.90", "1191", "11", "line\nbreak",
}

// randomFound makes what was found in a document; "" for one that was not read.
func randomFound(rnd *rand.Rand) string {
	word := func() string { return vocabulary[rnd.IntN(len(vocabulary))] }
	score := func() json.Number { return json.Number(fmt.Sprintf("%.*f", 1+rnd.IntN(4), rnd.Float64())) }
	type object = map[string]any
	concepts := func() (all []object) {
		for range rnd.IntN(4) {
			c := object{"code": word(), "score": score()}
			if rnd.IntN(3) > 0 {
				c["description"] = word()
			}
			all = append(all, c)
		}
		return all
	}
	if rnd.IntN(8) == 0 {
		return ""
	}
	var texts []object
	for i := range 1 + rnd.IntN(2) {
		text := object{"path": fmt.Sprintf("content[%d].attachment", i), "status": []string{"SUCCESS", "SUCCESS", "UNSUPPORTED", "VALIDATION_ERROR"}[rnd.IntN(4)]}
		var entities []object
		if text["status"] == "SUCCESS" {
			for range rnd.IntN(4) {
				e := object{
					"text": word(), "beginOffset": 0, "endOffset": 1, "score": score(),
					"category": []string{"MEDICAL_CONDITION", "MEDICATION", "ANATOMY"}[rnd.IntN(3)], "type": []string{"DX_NAME", "GENERIC_NAME"}[rnd.IntN(2)],
				}
				for _, member := range []string{"icd10cm", "rxnorm", "snomedct"} {
					if list := concepts(); len(list) > 0 && rnd.IntN(2) == 0 {
						e[member] = list
					}
				}
				entities = append(entities, e)
			}
			text["entities"] = entities
		}
		if entities == nil {
			delete(text, "entities")
		}
		texts = append(texts, text)
	}
	found, err := json.Marshal(object{"engine": "1", "dictionary": "1", "texts": texts})
	if err != nil {
		panic(err)
	}
	return string(found)
}

// TestRandomSearchesByWhatNLPFound compares the index with an evaluation over decoded JSON,
// while documents are written, folded, changed and deleted.
func TestRandomSearchesByWhatNLPFound(t *testing.T) {
	s := newStore(t, nil)
	m, err := searchtest.NewStore(fhirsearch.R4())
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(11, 12))
	put := func(typ r4.TypeID, id string) {
		t.Helper()
		r, err := s.lake.Read(typ, id, nil)
		if err == nil {
			err = m.Put(append(r.JSON, '\n'), r.Updated)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	patients := map[string]string{}
	for i := range 5 {
		patients[fmt.Sprintf("Patient/%d", i)] = fmt.Sprintf(`"gender":"%s"`, []string{"male", "female"}[i%2])
	}
	s.put(patients)
	for i := range 5 {
		put(r4.TypePatient, fmt.Sprint(i))
	}
	rounds := 60
	if testing.Short() {
		rounds = 20
	}
	asked, found := 0, 0
	for phase := range 5 {
		changes := map[string]*note{}
		for range []int{60, 30, 10, 30, 1}[phase] {
			id := fmt.Sprintf("doc-%d", rnd.IntN(120))
			if changes[id] = (&note{fmt.Sprint(rnd.IntN(5)), randomFound(rnd)}); rnd.IntN(6) == 0 {
				changes[id] = nil
			}
		}
		s.putNotes(changes)
		for id, n := range changes {
			k := searchtest.Key{Type: r4.TypeDocumentReference, ID: id}
			if n == nil {
				m.Delete(k)
				continue
			}
			if put(k.Type, id); n.found != "" {
				if err := m.Annotate(k, []byte(n.found)); err != nil {
					t.Fatal(err)
				}
			}
		}
		g := searchtest.NewGenerator(m, rnd, search.Features)
		for range rounds {
			asked++
			found += agree(t, s, m, g.Next())
			if t.Failed() {
				return
			}
		}
		if phase == 0 || phase == 2 {
			s.compactBeside()
		}
	}
	t.Logf("%d searches found %d resources", asked, found)
	if found < asked {
		t.Errorf("%d searches found %d resources: too few to tell anything", asked, found)
	}
}
