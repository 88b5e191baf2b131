//go:build onnx

package onnx

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

const built = true

// runtime is ONNX Runtime, which a process has once.
var runtime struct {
	sync.Mutex
	library string
}

// start loads ONNX Runtime.
func start(library string) error {
	runtime.Lock()
	defer runtime.Unlock()
	if library == "" {
		library = systemLibrary
	}
	if ort.IsInitialized() {
		if runtime.library != library {
			return fmt.Errorf("ONNX Runtime is loaded from %s, and cannot be loaded from %s too", runtime.library, library)
		}
		return nil
	}
	ort.SetSharedLibraryPath(library)
	// What it would log it also returns.
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return fmt.Errorf("ONNX Runtime %s cannot be loaded; install version %s or later, and set FHIRLAKE_ONNXRUNTIME to its file: %w", library, leastVersion, err)
	}
	runtime.library = library
	return nil
}

const (
	systemLibrary = "libonnxruntime.so"
	leastVersion  = "1.24" // whose interface the binding asks for
)

// model is a session of ONNX Runtime.
type model struct {
	s      *ort.DynamicAdvancedSession
	inputs []string
	labels int
}

// openSession opens a model of so many labels, and looks whether it is one that labels pieces of words.
func openSession(file, library string, labels int) (session, error) {
	if err := start(library); err != nil {
		return nil, err
	}
	inputs, outputs, err := ort.GetInputOutputInfo(file)
	if err != nil {
		return nil, fmt.Errorf("model.onnx: %w", err)
	}
	m := &model{labels: labels}
	for _, in := range inputs {
		if !slices.Contains([]string{"input_ids", "attention_mask", "token_type_ids"}, in.Name) || in.DataType != ort.TensorElementDataTypeInt64 {
			return nil, fmt.Errorf("model.onnx: the input %q (%v) is not one of input_ids, attention_mask and token_type_ids, of int64", in.Name, in.DataType)
		}
		m.inputs = append(m.inputs, in.Name)
	}
	if !slices.Contains(m.inputs, "input_ids") || len(outputs) == 0 {
		return nil, errors.New("model.onnx: it has no input_ids, or no output")
	}
	out := outputs[0]
	for _, o := range outputs {
		if o.Name == "logits" {
			out = o
		}
	}
	d := out.Dimensions
	if len(d) != 3 || d[2] != int64(labels) && d[2] > 0 || out.DataType != ort.TensorElementDataTypeFloat {
		return nil, fmt.Errorf("model.onnx: the output %q has the shape %v (%v); a model that labels pieces of words has [texts, pieces, %d] of float, as many as config.json has labels", out.Name, d, out.DataType, labels)
	}
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer o.Destroy()
	// Each worker reads a text of its own.
	if err := errors.Join(o.SetIntraOpNumThreads(1), o.SetInterOpNumThreads(1)); err != nil {
		return nil, err
	}
	if m.s, err = ort.NewDynamicAdvancedSession(file, m.inputs, []string{out.Name}, o); err != nil {
		return nil, fmt.Errorf("model.onnx: %w", err)
	}
	return m, nil
}

func (m *model) close() error { return m.s.Destroy() }

func (m *model) run(ids []int64) ([]float32, error) {
	shape := ort.NewShape(1, int64(len(ids)))
	var in []ort.Value
	defer func() {
		for _, v := range in {
			v.Destroy()
		}
	}()
	for _, name := range m.inputs {
		data := ids
		if name != "input_ids" {
			data = make([]int64, len(ids))
		}
		if name == "attention_mask" {
			for i := range data {
				data[i] = 1
			}
		}
		t, err := ort.NewTensor(shape, data)
		if err != nil {
			return nil, err
		}
		in = append(in, t)
	}
	out := []ort.Value{nil}
	if err := m.s.Run(in, out); err != nil {
		return nil, err
	}
	defer out[0].Destroy()
	t, ok := out[0].(*ort.Tensor[float32])
	if !ok {
		return nil, errors.New("its output is no list of numbers")
	}
	return slices.Clone(t.GetData()), nil // the memory is the runtime's
}
