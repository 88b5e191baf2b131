package onnx

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/nlp/onnx/subword"
	"github.com/fhirlake/fhirlake/stages/nlp/passage"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// Version is that of how labels are made into entities.
const Version = "1"

// ErrNotBuilt is the error of a binary without what runs a model.
var ErrNotBuilt = errors.New("this fhirlake is built without ONNX models; build it with them: go build -tags onnx ./cmd/fhirlake")

// Options say which model reads.
type Options struct {
	Dir     string // of the model
	Library string // file of ONNX Runtime; "": $FHIRLAKE_ONNXRUNTIME, else that of the system
}

// Model is a model that is open. It is safe for concurrent use; Close is last.
type Model struct {
	tokens  *subword.Tokenizer
	labels  []label
	window  int // pieces of words that the model takes at once
	session session
	sum     string // of its files
}

// session runs a model. It is safe for concurrent use.
type session interface {
	// run gives the logits of each label for each of ids, one after the other.
	run(ids []int64) ([]float32, error)
	close() error
}

// bestWindow is the longest window: models learn from sentences, and the time of a window grows
// faster than its length.
const bestWindow = 254

// Open opens a model.
func Open(o Options) (*Model, error) {
	if !built {
		return nil, ErrNotBuilt
	}
	m := &Model{}
	if err := m.open(o, openSession); err != nil {
		return nil, fmt.Errorf("model %s: %w", o.Dir, err)
	}
	return m, nil
}

func (m *Model) open(o Options, run func(file, library string, labels int) (session, error)) error {
	read := map[string][]byte{}
	for _, name := range []string{"config.json", "tokenizer.json", "labels.json"} {
		b, err := os.ReadFile(filepath.Join(o.Dir, name))
		if err != nil && (name != "labels.json" || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
		read[name] = b
	}
	var err error
	if m.labels, err = readLabels(read["config.json"], read["labels.json"]); err != nil {
		return err
	}
	if m.tokens, err = subword.Read(read["tokenizer.json"]); err != nil {
		return err
	}
	if m.window, err = window(read["config.json"], len(m.tokens.Before)+len(m.tokens.After)); err != nil {
		return err
	}
	sum := sha256.New()
	for _, name := range []string{"model.onnx", "model.onnx_data", "model.onnx.data", "config.json", "tokenizer.json", "labels.json"} {
		if err := addFile(sum, filepath.Join(o.Dir, name)); err != nil && (name == "model.onnx" || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	m.sum = hex.EncodeToString(sum.Sum(nil))
	m.session, err = run(filepath.Join(o.Dir, "model.onnx"), cmp.Or(o.Library, os.Getenv("FHIRLAKE_ONNXRUNTIME")), len(m.labels))
	return err
}

func addFile(w io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintf(w, "%s\n", filepath.Base(name))
	_, err = io.Copy(w, f)
	return err
}

// window is how many pieces of words go into the model at once, beside those that are around them. RoBERTa
// counts places from behind the one of padding.
func window(config []byte, around int) (int, error) {
	var c struct {
		Type      string `json:"model_type"`
		Positions int    `json:"max_position_embeddings"`
		Padding   int    `json:"pad_token_id"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return 0, fmt.Errorf("config.json: %w", err)
	}
	n := bestWindow
	if c.Positions > 0 {
		places := c.Positions
		if c.Type == "roberta" || c.Type == "xlm-roberta" || c.Type == "camembert" || c.Type == "longformer" {
			places -= c.Padding + 1
		}
		n = min(n, places-around)
	}
	if n < 1 {
		return 0, fmt.Errorf("config.json: max_position_embeddings %d leaves no place for a text", c.Positions)
	}
	return n, nil
}

// Close gives the memory of the model back.
func (m *Model) Close() error { return m.session.close() }

// Provider reads by the model, with the codes of a dictionary, which also knows what kind of a
// condition one is.
func (m *Model) Provider(index *terminology.Index) notes.Provider { return provider{m, index} }

type provider struct {
	m     *Model
	index *terminology.Index
}

// Version names how labels are read, and all that decides them: the files of the model, the rules and
// the dictionary.
func (p provider) Version() (engine, dictionary string) {
	sum := sha256.Sum256([]byte(p.m.sum + "\n" + nlp.Version + "\n" + p.index.Version()))
	return "onnx-" + Version, hex.EncodeToString(sum[:4])
}

// NewReader gives what one worker asks.
func (p provider) NewReader() (notes.Reader, error) {
	return &reader{m: p.m, detector: nlp.NewDetector(p.index)}, nil
}

// reader has the texts of one worker read.
type reader struct {
	m        *Model
	detector *nlp.Detector
	tokens   []subword.Token
	ids      []int64
	words    []word
	mentions []nlp.Mention
	scores   []float32 // of mentions
}

// partBytes is how much text is read at once.
const partBytes = 1 << 20

// Append has the model read a text, part by part. The error is that of the model, or of ctx.
func (r *reader) Append(ctx context.Context, dst, text []byte) ([]byte, error) {
	start := len(dst)
	for shift := 0; len(text) > 0; {
		part := text[:passage.Cut(text, partBytes)]
		if err := r.find(ctx, part); err != nil {
			return dst[:start], err
		}
		doc := r.detector.DetectWith(part, r.mentions)
		own := doc.Entities[:0]
		for _, e := range doc.Entities {
			if m := e.Mention(); m >= 0 {
				e.Score = r.scores[m]
				own = append(own, e)
			}
		}
		if doc.Entities = own; len(own) > 0 && len(dst) > start {
			dst = append(dst, ',')
		}
		dst = doc.AppendEntities(dst, shift)
		shift += utf8.RuneCount(part)
		text = text[len(part):]
	}
	return dst, nil
}
