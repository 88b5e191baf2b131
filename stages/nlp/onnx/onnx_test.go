package onnx_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/onnx"
)

// gather is the model of the tests without ONNX.
func gather(t testing.TB) func(ids []int64) ([]float32, error) {
	rows := table(t)
	return func(ids []int64) (out []float32, err error) {
		for _, id := range ids {
			out = append(out, rows[id]...)
		}
		return out, nil
	}
}

func openFake(t *testing.T, change map[string]string) *onnx.Model {
	t.Helper()
	m, err := onnx.OpenFake(writeModel(t, change), gather(t))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// find has a text read, and gives each entity as "begin-end text type TRAITS, attribute ...", after checking that it is
// at its place.
func find(t *testing.T, m *onnx.Model, text string) []string {
	t.Helper()
	r, err := m.Provider(nlp.CoreIndex()).NewReader()
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.Append(context.Background(), []byte("["), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var er entity.Reader
	res, err := er.Read([]byte(`{"texts":[{"status":"SUCCESS","entities":` + string(list) + `]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	runes := []rune(text)
	all := []string{}
	for i := range res.Texts[0].Entities {
		e := &res.Texts[0].Entities[i]
		if string(runes[e.Begin:e.End]) != string(e.Text) {
			t.Errorf("%d to %d is not %q", e.Begin, e.End, e.Text)
		}
		if s := e.Score.Float(); s < 0.9 || s > 1 {
			t.Errorf("%q has the score %v: a model that is sure", e.Text, s)
		}
		line := fmt.Sprintf("%d-%d %s %s %s", e.Begin, e.End, e.Text, e.Category, e.Type)
		for _, x := range e.Traits {
			line += " " + string(x.Name)
		}
		for _, x := range e.Attributes {
			line += ", " + string(x.Type) + " " + string(x.Text)
		}
		all = append(all, line)
	}
	return all
}

func TestMentionsOfAModel(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"a word", "the fever", []string{"4-9 fever MEDICAL_CONDITION DX_NAME SYMPTOM"}},
		{"nothing", "the of is", []string{}},
		{"an empty text", "", []string{}},
		{"the context is that of the rules", "Patient denies fever.", []string{"15-20 fever MEDICAL_CONDITION DX_NAME NEGATION SYMPTOM"}},
		{"a mention goes on", "the head pain is", []string{"4-13 head pain MEDICAL_CONDITION DX_NAME SYMPTOM"}},
		{"a mention that begins ends the one before it", "fever asthma", []string{"0-5 fever MEDICAL_CONDITION DX_NAME SYMPTOM", "6-12 asthma MEDICAL_CONDITION DX_NAME DIAGNOSIS"}},
		{"a mention that goes on without having begun", "the pain", []string{"4-8 pain MEDICAL_CONDITION DX_NAME SYMPTOM"}},
		{"another name ends the one before it", "fever mg", []string{"0-5 fever MEDICAL_CONDITION DX_NAME SYMPTOM", "6-8 mg MEDICATION GENERIC_NAME"}},
		{"pieces of a word have one label", "the headache", []string{"4-12 headache MEDICAL_CONDITION DX_NAME SYMPTOM"}},
		{"doses are those of the rules", "Aspirin 81 daily", []string{"0-7 Aspirin MEDICATION GENERIC_NAME, FREQUENCY daily"}},
		{"labels without prefix", "cafe café CAFÉ of strasse", []string{"0-14 cafe café CAFÉ ANATOMY SYSTEM_ORGAN_SITE", "18-25 strasse ANATOMY SYSTEM_ORGAN_SITE"}},
		{"code points", "ä🤕 “fever” \u0301asthma", []string{"4-9 fever MEDICAL_CONDITION DX_NAME SYMPTOM", "12-18 asthma MEDICAL_CONDITION DX_NAME DIAGNOSIS"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, find(t, openFake(t, nil), c.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCodesAreThoseOfTheDictionary(t *testing.T) {
	r, err := openFake(t, nil).Provider(nlp.CoreIndex()).NewReader()
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Append(context.Background(), nil, []byte("asthma of pain"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(got), `"code":"J45.909"`) {
		t.Errorf("no code of asthma: %s", got)
	}
}

func TestTheLabelsOfAUser(t *testing.T) {
	m := openFake(t, map[string]string{"labels.json": `{"Chemical": {"category": "MEDICATION", "type": "BRAND_NAME"}, "ORGAN": null}`})
	want := []string{"0-2 mg MEDICATION BRAND_NAME", "11-16 fever MEDICAL_CONDITION DX_NAME SYMPTOM"}
	if diff := cmp.Diff(want, find(t, m, "mg of cafe fever")); diff != "" {
		t.Error(diff)
	}
}

func TestWindows(t *testing.T) {
	sentence := "the patient denies unknown headaches, asthma; the pain of head pain is fever.\n"
	text := strings.Repeat(sentence, 40)
	want := find(t, openFake(t, nil), text)
	if len(want) != 40*5 {
		t.Fatalf("%d mentions, want 5 a sentence", len(want))
	}
	for _, places := range []int{5, 6, 7, 13, 30, 512} {
		longest := 0
		fn := gather(t)
		config := strings.Replace(`{"model_type": "bert", "max_position_embeddings": N, "id2label": {"0":"O","1":"B-Disease","2":"I-Disease","3":"B-Chemical","4":"I-Chemical","5":"ORGAN"}}`, "N", fmt.Sprint(places), 1)
		m, err := onnx.OpenFake(writeModel(t, map[string]string{"config.json": config}), func(ids []int64) ([]float32, error) {
			longest = max(longest, len(ids))
			if ids[0] != 2 || ids[len(ids)-1] != 3 {
				t.Errorf("a window is not between [CLS] and [SEP]: %v", ids)
			}
			return fn(ids)
		})
		if err != nil {
			t.Fatal(err)
		}
		// This model looks at nothing around a piece, so windows change nothing.
		if diff := cmp.Diff(want, find(t, m, text)); diff != "" {
			t.Errorf("%d places: %s", places, diff)
		}
		if longest > places || longest > 256 {
			t.Errorf("a window of %d pieces, %d places", longest, places)
		}
	}
}

func TestLongTextsAreReadInParts(t *testing.T) {
	if testing.Short() {
		t.Skip("a text of more than 1 MiB")
	}
	text := strings.Repeat("the ä fever is. ", 65_000) // more than a part
	if n := len(find(t, openFake(t, nil), text)); n != 65_000 {
		t.Errorf("%d mentions", n)
	}
}

func TestFaultsOfAModel(t *testing.T) {
	for name, c := range map[string]struct {
		fn   func(ids []int64) ([]float32, error)
		want string
	}{
		"it fails":            {func([]int64) ([]float32, error) { return nil, errors.New("no memory") }, "the model: no memory"},
		"it gives too much":   {func(ids []int64) ([]float32, error) { return make([]float32, len(ids)*7), nil }, "the model gives 28 numbers for 4 pieces of words and 6 labels"},
		"it gives too little": {func([]int64) ([]float32, error) { return nil, nil }, "the model gives 0 numbers for 4 pieces of words and 6 labels"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := onnx.OpenFake(writeModel(t, nil), c.fn)
			if err != nil {
				t.Fatal(err)
			}
			r, err := m.Provider(nlp.CoreIndex()).NewReader()
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Append(context.Background(), []byte("kept"), []byte("the fever"))
			if err == nil || err.Error() != c.want || string(got) != "kept" {
				t.Errorf("%q, error %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestTheEndOfTheJobEndsReading(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	runs := 0
	fn := gather(t)
	m, err := onnx.OpenFake(writeModel(t, nil), func(ids []int64) ([]float32, error) {
		runs++
		cancel()
		return fn(ids)
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Provider(nlp.CoreIndex()).NewReader()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Append(ctx, nil, []byte(strings.Repeat("the fever is. ", 100))); !errors.Is(err, context.Canceled) || runs != 1 {
		t.Errorf("error %v after %d windows", err, runs)
	}
}

func TestVersionNamesTheFilesOfTheModel(t *testing.T) {
	version := func(change map[string]string) string {
		engine, dictionary := openFake(t, change).Provider(nlp.CoreIndex()).Version()
		if engine != "onnx-"+onnx.Version {
			t.Errorf("engine %q", engine)
		}
		return dictionary
	}
	seen := map[string]string{}
	for name, change := range map[string]map[string]string{
		"as it is":     nil,
		"another one":  {"model.onnx": "x"},
		"other labels": {"labels.json": `{"ORGAN":null}`},
		"more data":    {"model.onnx_data": "x"},
	} {
		v := version(change)
		if other, ok := seen[v]; ok {
			t.Errorf("%s and %s have the same version", name, other)
		}
		seen[v] = name
	}
	if seen[version(nil)] != "as it is" {
		t.Error("equal files have different versions")
	}
}

func TestFoldersThatAreNoModel(t *testing.T) {
	config := func(labels string) map[string]string {
		return map[string]string{"config.json": `{"max_position_embeddings":64,"id2label":` + labels + `}`}
	}
	for _, c := range []struct {
		name   string
		change map[string]string
		want   string
	}{
		{"no config", map[string]string{"config.json": ""}, "config.json: no such file"},
		{"no tokenizer", map[string]string{"tokenizer.json": ""}, "tokenizer.json: no such file"},
		{"no model", map[string]string{"model.onnx": ""}, "model.onnx: no such file"},
		{"a config that is none", map[string]string{"config.json": "x"}, "config.json: invalid character"},
		{"a tokenizer that is not known", map[string]string{"tokenizer.json": `{"model":{"type":"Unigram","vocab":{"a":1}}}`}, "the model is Unigram"},
		{"no labels", config(`{}`), "names nothing"},
		{"nothing but O", config(`{"0":"O"}`), "names nothing"},
		{"a label without number", config(`{"x":"B-Disease"}`), `the number "x"`},
		{"a number that is too high", config(`{"0":"O","2":"B-Disease"}`), `the number "2"`},
		{"a label that is not known", config(`{"0":"O","1":"B-Planet"}`), `what the label "Planet" means is not known`},
		{"labels.json that is none", map[string]string{"labels.json": `[]`}, "labels.json: json: cannot unmarshal"},
		{"a category that is none", map[string]string{"labels.json": `{"Disease":{"category":"DISEASE","type":"DX_NAME"}}`}, `there is no category "DISEASE"`},
		{"a type that is missing", map[string]string{"labels.json": `{"Disease":{"category":"MEDICAL_CONDITION"}}`}, `with a type ""`},
		{"a label that the model has not", map[string]string{"labels.json": `{"disease":null}`}, `the model has no label "disease"`},
		{"no places", map[string]string{"config.json": `{"max_position_embeddings":2,"id2label":{"0":"Disease"}}`}, "leaves no place"},
		{"no places behind the padding", map[string]string{"config.json": `{"model_type":"roberta","pad_token_id":1,"max_position_embeddings":4,"id2label":{"0":"Disease"}}`}, "leaves no place"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := onnx.OpenFake(writeModel(t, c.change), gather(t))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func TestABinaryWithoutModelsSaysHowToBuildOne(t *testing.T) {
	_, err := onnx.Open(onnx.Options{Dir: t.TempDir()})
	if onnx.Built {
		if errors.Is(err, onnx.ErrNotBuilt) || err == nil {
			t.Errorf("error %v", err)
		}
		return
	}
	if !errors.Is(err, onnx.ErrNotBuilt) || !strings.Contains(err.Error(), "-tags onnx") {
		t.Errorf("error %v", err)
	}
}
