package subword

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// wordPiece is BERT's way: words are runs without space and punctuation, each punctuation mark and
// Chinese character is one; a word is the longest pieces of the vocabulary from left to right.
type wordPiece struct {
	vocab          map[string]int32
	prefix         string // of pieces within a word
	unknown        int32
	maxRunes       int // of a word that is looked up
	longest        int // bytes of an entry
	clean, chinese bool
	strip, lower   bool
}

func (t *Tokenizer) wordPiece(f *modelFile, n *typed) error {
	id, ok := f.unknownID()
	if !ok {
		return unknown("WordPiece needs an unknown token")
	}
	w := &wordPiece{vocab: f.Vocab, prefix: "##", unknown: id, maxRunes: f.MaxInput, longest: f.longest()}
	if f.Prefix != nil {
		w.prefix = *f.Prefix
	}
	if w.maxRunes <= 0 {
		w.maxRunes = 100
	}
	w.clean, w.chinese = isTrue(n.CleanText, true), isTrue(n.HandleChineseChars, true)
	w.lower = isTrue(n.Lowercase, true)
	w.strip = isTrue(n.StripAccents, w.lower)
	t.cut = w.append
	return nil
}

// letter is a character of a normalized word, with the place that it comes from.
type letter struct {
	begin, end int32 // of the text
	at         int32 // in the word
}

func (w *wordPiece) append(dst []Token, text []byte) []Token {
	var word []byte
	var letters []letter
	flush := func() {
		if len(letters) > 0 {
			dst = w.pieces(dst, word, letters)
			word, letters = word[:0], letters[:0]
		}
	}
	var one [utf8.UTFMax]byte
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		begin, end := int32(i), int32(i+size)
		i += size
		switch {
		case w.clean && dropped(r):
			continue
		case unicode.IsSpace(r) || unicode.Is(unicode.Zs, r):
			flush()
			continue
		case w.chinese && isChinese(r):
			flush()
			letters = append(letters, letter{begin, end, 0})
			word = utf8.AppendRune(word, r)
			flush()
			continue
		}
		normal := append(one[:0], text[begin:end]...)
		if r == utf8.RuneError {
			normal = utf8.AppendRune(one[:0], r)
		}
		if w.strip && r >= utf8.RuneSelf {
			normal = norm.NFD.Bytes(normal)
		}
		for len(normal) > 0 {
			c, n := utf8.DecodeRune(normal)
			normal = normal[n:]
			if w.strip && unicode.Is(unicode.Mn, c) {
				continue
			}
			if w.lower {
				c = unicode.ToLower(c)
			}
			punctuation := isPunctuation(c)
			if punctuation {
				flush()
			}
			letters = append(letters, letter{begin, end, int32(len(word))})
			word = utf8.AppendRune(word, c)
			if punctuation {
				flush()
			}
		}
	}
	flush()
	return dst
}

// pieces appends those of one word. A word that cannot be made of the vocabulary is one unknown token.
func (w *wordPiece) pieces(dst []Token, word []byte, letters []letter) []Token {
	start := len(dst)
	last := len(letters) - 1
	whole := append(dst, Token{w.unknown, letters[0].begin, letters[last].end, true})
	if len(letters) > w.maxRunes {
		return whole
	}
	var key []byte
	for i := 0; i < len(letters); {
		found := false
		for j := len(letters); j > i && !found; j-- {
			end := len(word)
			if j < len(letters) {
				end = int(letters[j].at)
			}
			key = key[:0]
			if i > 0 {
				key = append(key, w.prefix...)
			}
			if key = append(key, word[letters[i].at:end]...); len(key) > w.longest {
				continue
			}
			var id int32
			if id, found = w.vocab[string(key)]; found {
				dst = append(dst, Token{id, letters[i].begin, letters[j-1].end, i == 0})
				i = j
			}
		}
		if !found {
			return append(dst[:start], Token{w.unknown, letters[0].begin, letters[last].end, true})
		}
	}
	return dst
}

// dropped tells whether BERT leaves a character out.
func dropped(r rune) bool {
	if r == '\t' || r == '\n' || r == '\r' {
		return false
	}
	return r == 0 || r == utf8.RuneError || unicode.Is(unicode.C, r)
}

// isPunctuation tells what BERT takes for punctuation: besides that of Unicode all signs of ASCII.
func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 33 && r <= 47 || r >= 58 && r <= 64 || r >= 91 && r <= 96 || r >= 123 && r <= 126
	}
	return unicode.IsPunct(r)
}

// isChinese tells whether a character is in a block of CJK ideographs.
func isChinese(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF || r >= 0x2A700 && r <= 0x2B73F ||
		r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF || r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
}
