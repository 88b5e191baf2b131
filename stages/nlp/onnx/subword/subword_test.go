package subword_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/nlp/onnx/subword"
)

func read(t testing.TB, name string) *subword.Tokenizer {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	k, err := subword.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var names = []string{"cased", "uncased", "bytes", "bytes-prefix"}

// The golden files are what Hugging Face's tokenizers give for the same tokenizer.json: ids, offsets in code
// points, and the word that each token is of.
func TestTextsAreCutAsTheReferenceDoes(t *testing.T) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			k := read(t, name)
			f, err := os.Open("testdata/" + name + ".golden")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			lines := 0
			for sc := bufio.NewScanner(f); sc.Scan(); lines++ {
				var want struct {
					Text    string
					IDs     []int64
					Offsets [][2]int
					Words   []*int
				}
				if err := json.Unmarshal(sc.Bytes(), &want); err != nil {
					t.Fatal(err)
				}
				tokens := k.Append(nil, []byte(want.Text))
				ids := append([]int64{}, k.Before...)
				for _, x := range tokens {
					ids = append(ids, int64(x.ID))
				}
				if diff := cmp.Diff(want.IDs, append(ids, k.After...)); diff != "" {
					t.Errorf("%q: %s", want.Text, diff)
					continue
				}
				before := len(k.Before)
				for i, x := range tokens {
					at := [2]int{utf8.RuneCountInString(want.Text[:x.Begin]), utf8.RuneCountInString(want.Text[:x.End])}
					// Within a character the reference has its own way.
					if utf8.ValidString(want.Text[x.Begin:x.End]) && x.Begin < x.End && at != want.Offsets[before+i] {
						t.Errorf("%q: token %d is at %v, want %v", want.Text, i, at, want.Offsets[before+i])
					}
					start := i == 0 || *want.Words[before+i] != *want.Words[before+i-1]
					if start != x.Start {
						t.Errorf("%q: token %d begins a word: %v, want %v", want.Text, i, x.Start, start)
					}
				}
			}
			if lines < 30 {
				t.Errorf("%d lines", lines)
			}
		})
	}
}

func TestWhatIsNotKnownIsRefused(t *testing.T) {
	b, err := os.ReadFile("testdata/uncased.json")
	if err != nil {
		t.Fatal(err)
	}
	bpe, err := os.ReadFile("testdata/bytes.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		file     []byte
		old, new string
		want     string
	}{
		{"no JSON", b, `{`, `[`, "invalid character"},
		{"another model", b, `"WordPiece", "unk`, `"Unigram", "unk`, "the model is Unigram"},
		{"another normalizer", b, `"BertNormalizer"`, `"NFKC"`, "the normalizer NFKC"},
		{"no normalizer", b, `"normalizer": {`, `"other": {`, "the normalizer none"},
		{"another pre-tokenizer", b, `"BertPreTokenizer"`, `"Metaspace"`, "the pre-tokenizer Metaspace"},
		{"another post-processor", b, `"TemplateProcessing"`, `"Other"`, "the post-processor is Other"},
		{"a special token without an id", b, `"ids": [2]`, `"ids": []`, `the special token "[CLS]" has no id`},
		{"no unknown token", b, `"unk_token": "[UNK]"`, `"unk_token": "[NONE]"`, "needs an unknown token"},
		{"no vocabulary", b, `"vocab"`, `"words"`, "there is no vocabulary"},
		{"a byte that is missing", bpe, `"!": `, `"!!": `, "byte 33 is not in the vocabulary"},
		{"a merge of other symbols", bpe, `"h e"`, `"h €"`, "merge 0 is of symbols"},
		{"a merge of one symbol", bpe, `"h e"`, `"he"`, "a merge is not of two symbols"},
		{"byte fallback", bpe, `"byte_fallback": false`, `"byte_fallback": true`, "byte_fallback"},
		{"no expression", bpe, `"use_regex": true}, "post`, `"use_regex": false}, "post`, "without its expression"},
		{"a special token that is no pair", bpe, `["</s>", 2]`, `["</s>"]`, "a special token is no pair"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := bytes.Replace(c.file, []byte(c.old), []byte(c.new), 1)
			if bytes.Equal(changed, c.file) {
				t.Fatal("nothing is changed")
			}
			_, err := subword.Read(changed)
			if !errors.Is(err, subword.ErrUnknown) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// FuzzAppend checks that tokens lie in the text, in its order, and that the first one begins a word.
func FuzzAppend(f *testing.F) {
	for _, s := range []string{"No fever.", "中文 e\u0301 \xff\x00", strings.Repeat("a", 600), "  'sä"} {
		f.Add([]byte(s))
	}
	var all []*subword.Tokenizer
	for _, n := range names {
		all = append(all, read(f, n))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for i, k := range all {
			at := int32(0)
			for n, x := range k.Append(nil, text) {
				if x.Begin < 0 || x.Begin > x.End || int(x.End) > len(text) || x.End < at || n == 0 && !x.Start {
					t.Fatalf("%s: token %d: %+v", names[i], n, x)
				}
				at = x.End
			}
		}
	})
}
