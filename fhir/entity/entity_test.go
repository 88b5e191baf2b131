package entity

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files anew")

// sample is a result of two texts, with escapes, and members of a later version.
const sample = `{"engine":"1.2.0","dictionary":"ab12cd34","texts":[
{"path":"content[0].attachment","status":"SUCCESS","later":{"a":[1,true,null,"x\"y"]},"entities":[
 {"text":"asthma","beginOffset":11,"endOffset":17,"category":"MEDICAL_CONDITION","type":"DX_NAME","score":0.92,
  "traits":[{"name":"NEGATION","score":0.95},{"name":"DIAGNOSIS","score":0.9}],
  "attributes":[{"text":"severe","beginOffset":4,"endOffset":10,"category":"MEDICAL_CONDITION","type":"ACUITY","score":0.8,"relationshipScore":0.9,"relationshipType":"ACUITY"}],
  "icd10cm":[{"code":"J45.909","description":"Unspecified asthma, uncomplicated","score":0.865},{"code":"J45.901","description":"Unspecified asthma \"with\" (acute) exacerbation","score":0.8}]},
 {"text":"caf\u00e9 \"x\"","beginOffset":20,"endOffset":28,"category":"MEDICATION","type":"GENERIC_NAME","rxnorm":[{"code":"1","description":"d","score":1}]}]},
{"path":"content[1].attachment","status":"UNSUPPORTED","message":"content type image/png is not read"}]}`

// The twin of Reader.
type twinResult struct {
	Engine, Dictionary string
	Texts              []struct {
		Path, Status, Message string
		Entities              []twinEntity
	}
}

type twinEntity struct {
	Text                   string
	BeginOffset, EndOffset int
	Category, Type         string
	Score                  float64
	RelationshipType       string
	RelationshipScore      float64
	Traits                 []struct {
		Name  string
		Score float64
	}
	Attributes                []twinEntity
	ICD10CM, RxNorm, SNOMEDCT []twinConcept
}

type twinConcept struct {
	Code, Description string
	Score             float64
}

func twinOf(r *Result) (t twinResult) {
	t.Engine, t.Dictionary = string(r.Engine), string(r.Dictionary)
	for i := range r.Texts {
		x := &r.Texts[i]
		t.Texts = append(t.Texts, struct {
			Path, Status, Message string
			Entities              []twinEntity
		}{Path: string(x.Path), Status: x.Status.String(), Message: string(x.Message)})
		for k := range x.Entities {
			e := &x.Entities[k]
			te := twinSpan(&e.Span)
			for _, y := range e.Traits {
				te.Traits = append(te.Traits, struct {
					Name  string
					Score float64
				}{string(y.Name), y.Score.Float()})
			}
			for a := range e.Attributes {
				ta := twinSpan(&e.Attributes[a].Span)
				ta.RelationshipType, ta.RelationshipScore = string(e.Attributes[a].Relationship), e.Attributes[a].RelationshipScore.Float()
				te.Attributes = append(te.Attributes, ta)
			}
			te.ICD10CM, te.RxNorm, te.SNOMEDCT = twinConcepts(e, InferICD10CM), twinConcepts(e, InferRxNorm), twinConcepts(e, InferSNOMEDCT)
			t.Texts[i].Entities = append(t.Texts[i].Entities, te)
		}
	}
	return t
}

func twinSpan(s *Span) twinEntity {
	return twinEntity{
		Text: string(s.Text), BeginOffset: s.Begin, EndOffset: s.End,
		Category: string(s.Category), Type: string(s.Type), Score: s.Score.Float(),
	}
}

func twinConcepts(e *Entity, o Operation) (out []twinConcept) {
	for _, c := range e.Concepts[o] {
		out = append(out, twinConcept{string(c.Code), string(c.Description), c.Score.Float()})
	}
	return out
}

func TestReaderReadsWhatEncodingJSONReads(t *testing.T) {
	var want twinResult
	if err := json.Unmarshal([]byte(sample), &want); err != nil {
		t.Fatal(err)
	}
	var r Reader
	for range 2 { // its memory is used again
		got, err := r.Read([]byte(sample))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, twinOf(got)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestReaderAllocatesNothingWhenItIsWarm(t *testing.T) {
	var r Reader
	data := []byte(sample)
	if n := testing.AllocsPerRun(10, func() {
		if _, err := r.Read(data); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReaderTellsWhereTextIsNoResult(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":           ``,
		"no object":         `[]`,
		"cut short":         sample[:len(sample)/2],
		"text after":        `{"engine":"1"} x`,
		"another status":    `{"texts":[{"status":"DONE"}]}`,
		"offset below zero": `{"texts":[{"entities":[{"beginOffset":-1}]}]}`,
		"offset with point": `{"texts":[{"entities":[{"beginOffset":1.5}]}]}`,
		"score is text":     `{"texts":[{"entities":[{"score":"0.5"}]}]}`,
		"deep":              `{"x":` + strings.Repeat("[", 100_000),
	} {
		if r, err := new(Reader).Read([]byte(text)); err == nil || !strings.Contains(err.Error(), "at byte") {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestStatusOfAResourceIsTheWeightiestOfItsTexts(t *testing.T) {
	for want, texts := range map[Status][]Status{
		Unsupported:     {Unsupported, Unsupported},
		Success:         {Unsupported, Success},
		ValidationError: {Success, ValidationError, Unsupported},
	} {
		r := Result{}
		for _, s := range texts {
			r.Texts = append(r.Texts, Text{Status: s})
		}
		if got := r.Status(); got != want {
			t.Errorf("%v make %s, want %s", texts, got, want)
		}
	}
}

const document = `{"resourceType":"DocumentReference","id":"d","status":"current","extension":[{"url":"http://healthlake.amazonaws.com/aws-cm/","extension":[]},{"url":"http://example.org/x","valueString":"y"}],"content":[]}`

func TestResourceIsShownWithItsResult(t *testing.T) {
	text, err := AppendShown(nil, []byte(document), []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	got, _ := json.MarshalIndent(v, "", " ")
	golden := filepath.Join("testdata", "shown.json")
	if *update {
		if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Error(diff)
	}
	// Its other text is as it was, and shown again it is the same.
	if !strings.HasPrefix(string(text), document[:strings.Index(document, `[{"url":"http://healthlake`)]) || !strings.HasSuffix(string(text), `"content":[]}`) {
		t.Errorf("shown as %s", text)
	}
	again, err := AppendShown(nil, text, []byte(sample))
	if err != nil || string(again) != string(text) {
		t.Errorf("shown again: %s, %v", again, err)
	}
}

func TestEntitiesBeyondTheBoundAreCounted(t *testing.T) {
	one := `{"text":"x","beginOffset":0,"endOffset":1,"category":"ANATOMY","type":"SYSTEM_ORGAN_SITE","score":0.9}`
	n := MaxShown/8 + 7
	data := `{"engine":"1","dictionary":"1","texts":[{"path":"p","status":"SUCCESS","entities":[` + strings.Repeat(one+",", n-1) + one + `]}]}`
	text, err := AppendShown(nil, []byte(`{"resourceType":"DocumentReference"}`), []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(text), `aws-cm-detect-entity"}`); got != MaxShown/8 {
		t.Errorf("%d entities are shown, want %d", got, MaxShown/8)
	}
	if !strings.Contains(string(text), "7 more entities") {
		t.Error("what is left out is not told")
	}
}

func FuzzReader(f *testing.F) {
	f.Add(sample)
	f.Add(`{"texts":[{"status":"SUCCESS","entities":[{}]}]}`)
	f.Add(`{"derived":{"linkage":"Linkage/l","resources":["Condition/c",""],"later":1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := new(Reader).Read([]byte(text))
		if err != nil || !json.Valid([]byte(text)) {
			return
		}
		shown, err := AppendShown(nil, []byte(document), []byte(text))
		if err != nil || !json.Valid(shown) {
			t.Errorf("%v: %+v is shown as %s", err, got, shown)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	var r Reader
	data := []byte(sample)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := r.Read(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendShown(b *testing.B) {
	data := []byte(sample)
	var dst []byte
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		var err error
		if dst, err = AppendShown(dst[:0], []byte(document), data); err != nil {
			b.Fatal(err)
		}
	}
}

func TestStringsEndAtTheFirstQuote(t *testing.T) {
	bytes := []byte{'"', '\\', '"' - 1, '"' + 1, '\\' + 1, 0, 0x80 | '"', 0xff, 'a'}
	for size := range 20 {
		for at := range size {
			for _, a := range bytes {
				for _, b := range bytes {
					s := []byte(strings.Repeat("x", size))
					s[at], s[size-1-at/2] = a, b
					want := strings.IndexAny(string(s), `"\`)
					if want < 0 {
						want = size
					}
					if got := plain(s); got != want {
						t.Fatalf("plain(%q) = %d, want %d", s, got, want)
					}
				}
			}
		}
	}
}
