//go:build onnx

package onnx_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/onnx"
)

// open opens a model by ONNX Runtime. Without it there is nothing to test, unless its file is named.
func open(t *testing.T, dir string) *onnx.Model {
	t.Helper()
	m, err := onnx.Open(onnx.Options{Dir: dir})
	if err != nil && os.Getenv("FHIRLAKE_ONNXRUNTIME") == "" && strings.Contains(err.Error(), "ONNX Runtime") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestAModelInONNXRuntimeFindsWhatTheFakeFinds(t *testing.T) {
	text := strings.Repeat("Patient denies fever and headaches; asthma 🤕 of head pain.\nAspirin 81 mg daily, unknown café. ", 30)
	want := find(t, openFake(t, nil), text)
	if len(want) != 30*7 {
		t.Fatalf("%d mentions", len(want))
	}
	m := open(t, writeModel(t, nil))
	if diff := cmp.Diff(want, find(t, m, text)); diff != "" {
		t.Error(diff)
	}
	var wg sync.WaitGroup
	for range 4 { // readers share the session
		wg.Go(func() {
			r, err := m.Provider(nlp.CoreIndex()).NewReader()
			if err != nil {
				t.Error(err)
				return
			}
			for range 3 {
				got, err := r.Append(context.Background(), nil, []byte(text))
				if err != nil || strings.Count(string(got), `"category"`) < len(want) {
					t.Errorf("%d bytes, error %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

func TestModelsOfOtherKindsAreRefused(t *testing.T) {
	rows := table(t)
	fewer := make([][]float32, len(rows))
	for i := range rows {
		fewer[i] = rows[i][:3]
	}
	for _, c := range []struct{ name, model, want string }{
		{"no ONNX", "text", "model.onnx: "},
		{"other inputs", string(encodeModel(rows, "words")), `the input "words"`},
		{"no pieces of words", string(encodeModel(rows, "attention_mask")), "it has no input_ids"},
		{"fewer labels", string(encodeModel(fewer, "input_ids")), "as many as config.json has labels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			open(t, writeModel(t, nil)) // or skip
			_, err := onnx.Open(onnx.Options{Dir: writeModel(t, map[string]string{"model.onnx": c.model})})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func TestPiecesThatTheModelDoesNotHaveAreAnError(t *testing.T) {
	m := open(t, writeModel(t, map[string]string{"model.onnx": string(encodeModel(table(t)[:50], "input_ids"))}))
	r, err := m.Provider(nlp.CoreIndex()).NewReader()
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Append(context.Background(), nil, []byte("the secret fever"))
	if err == nil || !strings.HasPrefix(err.Error(), "the model: ") || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

func TestRuntimesThatAreNone(t *testing.T) {
	open(t, writeModel(t, nil)) // or skip
	_, err := onnx.Open(onnx.Options{Dir: writeModel(t, nil), Library: "/no/such/library.so"})
	if err == nil || !strings.Contains(err.Error(), "cannot be loaded from /no/such/library.so") {
		t.Errorf("error %v", err)
	}
}
