// Package subword cuts texts into the pieces of words that a model of the transformer family reads, as
// the file tokenizer.json of the model says: WordPiece with BERT's rules, or byte-level BPE with
// GPT-2's. What it does not know it refuses, since a model that is given other pieces than it
// has learned from finds nonsense without any sign of it. [Read] is where to begin.
package subword

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Token is a piece of a word.
type Token struct {
	ID         int32
	Begin, End int32 // bytes of the text
	Start      bool  // it is the first piece of a word
}

// Tokenizer cuts texts. It is immutable and safe for concurrent use.
type Tokenizer struct {
	// Before and After are what the model wants around each text.
	Before, After []int64
	cut           func(dst []Token, text []byte) []Token
}

// Append appends the pieces of a text, which is UTF-8 of less than 2 GiB. Names of special tokens
// in it are words as others are.
func (t *Tokenizer) Append(dst []Token, text []byte) []Token { return t.cut(dst, text) }

// ErrUnknown is the error of a tokenizer.json that is none, or has what this package does not do.
var ErrUnknown = errors.New("tokenizer.json is not understood")

func unknown(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnknown, fmt.Sprintf(format, args...))
}

// typed is an object of tokenizer.json that says what it is; empty: there is none.
type typed struct {
	Type string `json:"type"`

	// BertNormalizer
	CleanText          *bool `json:"clean_text"`
	HandleChineseChars *bool `json:"handle_chinese_chars"`
	StripAccents       *bool `json:"strip_accents"`
	Lowercase          *bool `json:"lowercase"`

	// ByteLevel
	AddPrefixSpace *bool `json:"add_prefix_space"`
	UseRegex       *bool `json:"use_regex"`

	// TemplateProcessing
	Single []struct {
		SpecialToken *struct {
			ID string `json:"id"`
		}
		Sequence *struct{}
	} `json:"single"`
	SpecialTokens map[string]struct {
		IDs []int64 `json:"ids"`
	} `json:"special_tokens"`

	// BertProcessing, RobertaProcessing
	CLS *special `json:"cls"`
	SEP *special `json:"sep"`
}

// special is ["[CLS]", 101].
type special struct{ id int64 }

func (s *special) UnmarshalJSON(b []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil || len(pair) != 2 {
		return unknown("a special token is no pair")
	}
	return json.Unmarshal(pair[1], &s.id)
}

type modelFile struct {
	Type   string           `json:"type"`
	Vocab  map[string]int32 `json:"vocab"`
	Unk    *string          `json:"unk_token"`
	Prefix *string          `json:"continuing_subword_prefix"`

	// WordPiece
	MaxInput int `json:"max_input_chars_per_word"`

	// BPE
	Merges       []merge `json:"merges"`
	Suffix       *string `json:"end_of_word_suffix"`
	ByteFallback bool    `json:"byte_fallback"`
	IgnoreMerges bool    `json:"ignore_merges"`
}

// merge is "a b" or ["a", "b"].
type merge [2]string

func (m *merge) UnmarshalJSON(b []byte) error {
	var pair []string
	if json.Unmarshal(b, &pair) != nil {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return unknown("a merge is neither text nor a list")
		}
		for i := 1; i < len(s)-1; i++ { // symbols of byte-level BPE have no space
			if s[i] == ' ' {
				pair = []string{s[:i], s[i+1:]}
				break
			}
		}
	}
	if len(pair) != 2 || pair[0] == "" || pair[1] == "" {
		return unknown("a merge is not of two symbols")
	}
	*m = merge(pair)
	return nil
}

// Read reads a tokenizer.json.
func Read(data []byte) (*Tokenizer, error) {
	var f struct {
		Normalizer    *typed     `json:"normalizer"`
		PreTokenizer  *typed     `json:"pre_tokenizer"`
		PostProcessor *typed     `json:"post_processor"`
		Model         *modelFile `json:"model"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		if errors.Is(err, ErrUnknown) {
			return nil, err
		}
		return nil, unknown("%v", err)
	}
	if f.Model == nil || len(f.Model.Vocab) == 0 {
		return nil, unknown("there is no vocabulary")
	}
	t := &Tokenizer{}
	if err := t.around(f.PostProcessor); err != nil {
		return nil, err
	}
	name := func(o *typed) string {
		if o == nil {
			return "none"
		}
		return o.Type
	}
	switch how := [3]string{f.Model.Type, name(f.Normalizer), name(f.PreTokenizer)}; how {
	case [3]string{"WordPiece", "BertNormalizer", "BertPreTokenizer"}:
		return t, t.wordPiece(f.Model, f.Normalizer)
	case [3]string{"BPE", "none", "ByteLevel"}:
		return t, t.bytePairs(f.Model, f.PreTokenizer)
	default:
		return nil, unknown("the model is %s, the normalizer %s, the pre-tokenizer %s; there are WordPiece, BertNormalizer, BertPreTokenizer, and BPE, none, ByteLevel", how[0], how[1], how[2])
	}
}

// around reads what the model wants around a text.
func (t *Tokenizer) around(p *typed) error {
	if p == nil {
		return nil
	}
	switch p.Type {
	case "ByteLevel":
	case "BertProcessing", "RobertaProcessing":
		if p.CLS == nil || p.SEP == nil {
			return unknown("%s has no cls or no sep", p.Type)
		}
		t.Before, t.After = []int64{p.CLS.id}, []int64{p.SEP.id}
	case "TemplateProcessing":
		at := &t.Before
		for _, s := range p.Single {
			if s.SpecialToken == nil {
				at = &t.After
				continue
			}
			ids := p.SpecialTokens[s.SpecialToken.ID].IDs
			if len(ids) == 0 {
				return unknown("the special token %q has no id", s.SpecialToken.ID)
			}
			*at = append(*at, ids...)
		}
	default:
		return unknown("the post-processor is %s", p.Type)
	}
	return nil
}

func isTrue(b *bool, otherwise bool) bool {
	if b == nil {
		return otherwise
	}
	return *b
}

// unknownID is the id of the unknown token; ok is false if there is none.
func (f *modelFile) unknownID() (id int32, ok bool) {
	if f.Unk == nil {
		return 0, false
	}
	id, ok = f.Vocab[*f.Unk]
	return id, ok
}

// longest is the length of the longest entry of the vocabulary.
func (f *modelFile) longest() int {
	n := 0
	for s := range f.Vocab {
		n = max(n, len(s))
	}
	return n
}
