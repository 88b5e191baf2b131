package subword

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// bytePairs is GPT-2's way: words keep the space before them, their bytes are the first symbols, and the
// pair of symbols that was learned first is joined, again and again.
type bytePairs struct {
	ids    [256]int32 // of each byte
	merges map[[2]int32]joined
	spaced bool // a space is put before the text
}

// joined is what a pair becomes.
type joined struct{ rank, id int32 }

// maxWord is how many bytes of a word are joined at once. What is longer is no word, and joining takes the
// square of the length.
const maxWord = 256

func (t *Tokenizer) bytePairs(f *modelFile, p *typed) error {
	if f.ByteFallback || f.IgnoreMerges || f.Suffix != nil && *f.Suffix != "" || f.Prefix != nil && *f.Prefix != "" {
		return unknown("BPE with byte_fallback, ignore_merges, a prefix or a suffix")
	}
	if !isTrue(p.UseRegex, true) {
		return unknown("ByteLevel without its expression")
	}
	b := &bytePairs{merges: make(map[[2]int32]joined, len(f.Merges)), spaced: isTrue(p.AddPrefixSpace, true)}
	unk, haveUnk := f.unknownID()
	for i, s := range byteSymbols() {
		id, ok := f.Vocab[s]
		if !ok && !haveUnk {
			return unknown("byte %d is not in the vocabulary, and there is no unknown token", i)
		}
		if !ok {
			id = unk
		}
		b.ids[i] = id
	}
	for rank, m := range f.Merges {
		left, okLeft := f.Vocab[m[0]]
		right, okRight := f.Vocab[m[1]]
		id, ok := f.Vocab[m[0]+m[1]]
		if !ok || !okLeft || !okRight {
			return unknown("merge %d is of symbols that are not in the vocabulary", rank)
		}
		if _, twice := b.merges[[2]int32{left, right}]; !twice {
			b.merges[[2]int32{left, right}] = joined{int32(rank), id}
		}
	}
	t.cut = b.append
	return nil
}

// byteSymbols are the characters that stand for bytes in vocabularies: printable ones for themselves, others
// from U+0100 on.
func byteSymbols() (symbols [256]string) {
	next := rune(0x100)
	for i := range symbols {
		if i >= '!' && i <= '~' || i >= 0xA1 && i <= 0xAC || i >= 0xAE {
			symbols[i] = string(rune(i))
			continue
		}
		symbols[i] = string(next)
		next++
	}
	return symbols
}

func (b *bytePairs) append(dst []Token, text []byte) []Token {
	var symbols []Token
	for i := 0; i < len(text); {
		n := wordLength(text[i:])
		// The space belongs to the word for the model, not for who reads the text.
		word := text[i : i+n]
		blank := 0
		for blank < n && word[blank] == ' ' {
			blank++
		}
		for k := 0; k < n; {
			m := k + 1
			for m < n && (m-k < maxWord || !utf8.RuneStart(word[m])) {
				m++
			}
			symbols = symbols[:0]
			if b.spaced && i == 0 && k == 0 && !unicode.IsSpace(firstRune(text)) {
				symbols = append(symbols, Token{ID: b.ids[' '], Begin: 0, End: 0})
			}
			for at := k; at < m; at++ {
				symbols = append(symbols, Token{ID: b.ids[word[at]], Begin: int32(i + max(at, blank)), End: int32(i + max(at+1, blank))})
			}
			symbols = b.join(symbols)
			symbols[0].Start = k == 0
			dst = append(dst, symbols...)
			k = m
		}
		i += n
	}
	return dst
}

func firstRune(text []byte) rune {
	r, _ := utf8.DecodeRune(text)
	return r
}

// join joins pairs until there is none that was learned.
func (b *bytePairs) join(s []Token) []Token {
	for len(s) > 1 {
		best, at := joined{rank: -1}, -1
		for i := range len(s) - 1 {
			if m, ok := b.merges[[2]int32{s[i].ID, s[i+1].ID}]; ok && (at < 0 || m.rank < best.rank) {
				best, at = m, i
			}
		}
		if at < 0 {
			break
		}
		s[at] = Token{ID: best.id, Begin: s[at].Begin, End: s[at+1].End}
		s = append(s[:at+1], s[at+2:]...)
	}
	return s
}

// wordLength is the length of the first match of GPT-2's expression,
// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ .
func wordLength(text []byte) int {
	if text[0] == '\'' {
		for _, s := range []string{"s", "t", "re", "ve", "m", "ll", "d"} {
			if strings.HasPrefix(string(text[1:min(len(text), 3)]), s) {
				return 1 + len(s)
			}
		}
	}
	n := 0
	if text[0] == ' ' && len(text) > 1 {
		if r, _ := utf8.DecodeRune(text[1:]); !unicode.IsSpace(r) {
			n = 1
		}
	}
	class := classOf(firstRune(text[n:]))
	last := n
	for n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		if classOf(r) != class {
			break
		}
		last = n
		n += size
	}
	// Of several spaces before a word the last one belongs to it, or is one of its own.
	if class == classSpace && n < len(text) && last > 0 {
		return last
	}
	return n
}

const (
	classSpace = iota
	classLetter
	classDigit
	classSign
)

func classOf(r rune) int {
	switch {
	case unicode.IsSpace(r):
		return classSpace
	case unicode.IsLetter(r):
		return classLetter
	case unicode.IsNumber(r):
		return classDigit
	}
	return classSign
}
