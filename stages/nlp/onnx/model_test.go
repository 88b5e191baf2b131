package onnx_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// The labels of the model of the tests.
var labelNames = []string{"O", "B-Disease", "I-Disease", "B-Chemical", "I-Chemical", "ORGAN"}

// labelOf is what the model of the tests has learned: a label for each piece of a word.
var labelOf = map[string]int{"fever": 1, "asthma": 1, "##ache": 1, "head": 1, "pain": 2, "##aches": 1, "asp": 3, "##irin": 3, "mg": 4, "cafe": 5, "strasse": 5}

// table gives the logits of each piece of the vocabulary.
func table(t testing.TB) [][]float32 {
	t.Helper()
	b, err := os.ReadFile("subword/testdata/uncased.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Model struct{ Vocab map[string]int }
	}
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	rows := make([][]float32, len(f.Model.Vocab))
	for piece, id := range f.Model.Vocab {
		rows[id] = make([]float32, len(labelNames))
		rows[id][labelOf[piece]] = 5
	}
	return rows
}

// writeModel writes a folder with the model of the tests: logits are rows of the table.
func writeModel(t testing.TB, change map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	labels := map[string]string{}
	for i, n := range labelNames {
		labels[fmt.Sprint(i)] = n
	}
	config, err := json.Marshal(map[string]any{"model_type": "bert", "max_position_embeddings": 64, "id2label": labels})
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := os.ReadFile("subword/testdata/uncased.json")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"config.json": string(config), "tokenizer.json": string(tokenizer), "model.onnx": string(encodeModel(table(t), "input_ids", "attention_mask")),
	}
	for name, text := range change {
		files[name] = text
	}
	for name, text := range files {
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// message encodes a message of protocol buffers: pairs of the number of a field and its value.
func message(fields ...any) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		number := uint64(fields[i].(int))
		switch v := fields[i+1].(type) {
		case int:
			b = binary.AppendUvarint(binary.AppendUvarint(b, number<<3), uint64(v))
		case string:
			b = append(binary.AppendUvarint(binary.AppendUvarint(b, number<<3|2), uint64(len(v))), v...)
		case []byte:
			b = append(binary.AppendUvarint(binary.AppendUvarint(b, number<<3|2), uint64(len(v))), v...)
		default:
			panic(fmt.Sprintf("field %d is a %T", number, v))
		}
	}
	return b
}

// The numbers of types in ONNX.
const (
	onnxFloat = 1
	onnxInt64 = 7
)

// valueInfo is a ValueInfoProto; a dimension is a name or a number.
func valueInfo(name string, kind int, dims ...any) []byte {
	var shape []byte
	for _, d := range dims {
		switch d := d.(type) {
		case string:
			shape = append(shape, message(1, message(2, d))...)
		case int:
			shape = append(shape, message(1, message(1, d))...)
		}
	}
	return message(1, name, 2, message(1, message(1, kind, 2, shape)))
}

// encodeModel is a ModelProto: the rows of a table, gathered by the first input.
func encodeModel(rows [][]float32, inputs ...string) []byte {
	var raw bytes.Buffer
	for _, r := range rows {
		for _, x := range r {
			binary.Write(&raw, binary.LittleEndian, math.Float32bits(x))
		}
	}
	tensor := message(1, len(rows), 1, len(rows[0]), 2, onnxFloat, 8, "table", 9, raw.Bytes())
	node := message(1, "table", 1, inputs[0], 2, "logits", 4, "Gather")
	graph := message(1, node, 2, "labels", 5, tensor)
	for _, name := range inputs {
		graph = append(graph, message(11, valueInfo(name, onnxInt64, "texts", "pieces"))...)
	}
	graph = append(graph, message(12, valueInfo("logits", onnxFloat, "texts", "pieces", len(rows[0])))...)
	return message(1, 8, 8, message(2, 13), 7, graph)
}
