// Package phrase holds sets of phrases, sequences of words, in flat arrays
// without pointers, and finds the longest one at a place of a text. It knows words
// only by their hash ([token.Token]); what a phrase means, its value, is up to
// the caller. [Set] is the type to read first.
package phrase

import (
	"slices"

	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

// A Phrase is a sequence of words, by hash, with what it stands for.
type Phrase struct {
	Words []uint64
	Value uint32 // not 0
}

// A Set is a trie over phrases. It is immutable, and may be shared.
//
// The nodes are numbered breadth first, and the edges of a node are sorted by
// word. So the edge with number e leads to node e+1, and a node is where its
// edges begin: no other links are kept.
type Set struct {
	Keys   []uint64 // open addressing by hash; 0 is free
	IDs    []uint32 // word numbers beside Keys, from 1
	First  []uint32 // first edge of each node, and the number of edges
	Edges  []uint32 // the word of each edge
	Values []uint32 // value of each node, 0 none
	Root   []uint32 // the child of the root for each word number, 0 none
}

// Build makes a set. Of phrases with the same words, the first one counts.
// Alias words are hashes that stand for another one, which has to be in a phrase
// to have an effect.
func Build(phrases []Phrase, alias map[uint64]uint64) *Set {
	b := builder{ids: make(map[uint64]uint32, len(phrases)/2)}
	flat := make([]uint32, 0, len(phrases)*4)
	spans := make([]span, 0, len(phrases))
	for i, p := range phrases {
		if len(p.Words) == 0 {
			continue
		}
		at := len(flat)
		for _, w := range p.Words {
			if to, ok := alias[w]; ok {
				w = to
			}
			flat = append(flat, b.id(w))
		}
		spans = append(spans, span{uint32(at), uint32(len(flat)), uint32(i)})
	}
	slices.SortFunc(spans, func(x, y span) int {
		if c := slices.Compare(flat[x.begin:x.end], flat[y.begin:y.end]); c != 0 {
			return c
		}
		return int(x.phrase) - int(y.phrase)
	})
	s := &Set{}
	s.trie(flat, spans, phrases)
	for from, to := range alias {
		if id, ok := b.ids[to]; ok {
			if _, taken := b.ids[from]; !taken {
				b.ids[from] = id
			}
		}
	}
	s.words(b.ids, int(b.last)+1)
	return s
}

type span struct{ begin, end, phrase uint32 }

type builder struct {
	ids  map[uint64]uint32
	last uint32
}

func (b *builder) id(w uint64) uint32 {
	id, ok := b.ids[w]
	if !ok {
		b.last++
		id = b.last
		b.ids[w] = id
	}
	return id
}

// trie numbers the nodes of the sorted spans, level by level.
func (s *Set) trie(flat []uint32, spans []span, phrases []Phrase) {
	type node struct{ lo, hi, depth uint32 }
	queue := []node{{0, uint32(len(spans)), 0}}
	for at := 0; at < len(queue); at++ {
		n := queue[at]
		s.First = append(s.First, uint32(len(s.Edges)))
		value := uint32(0)
		i := n.lo
		for ; i < n.hi && spans[i].end-spans[i].begin == n.depth; i++ {
			if value == 0 {
				value = phrases[spans[i].phrase].Value
			}
		}
		s.Values = append(s.Values, value)
		for i < n.hi {
			w := flat[spans[i].begin+n.depth]
			j := i + 1
			for j < n.hi && flat[spans[j].begin+n.depth] == w {
				j++
			}
			s.Edges = append(s.Edges, w)
			queue = append(queue, node{i, j, n.depth + 1})
			i = j
		}
	}
	s.First = append(s.First, uint32(len(s.Edges)))
}

// words fills the hash table and the children of the root. Keys go in by order,
// so that the same phrases give the same bytes.
func (s *Set) words(ids map[uint64]uint32, n int) {
	size := 16
	for size < len(ids)*2 {
		size *= 2
	}
	s.Keys, s.IDs = make([]uint64, size), make([]uint32, size)
	hashes := make([]uint64, 0, len(ids))
	for h := range ids {
		hashes = append(hashes, h)
	}
	slices.Sort(hashes)
	for _, h := range hashes {
		i := int(h) & (size - 1)
		for s.Keys[i] != 0 {
			i = (i + 1) & (size - 1)
		}
		s.Keys[i], s.IDs[i] = h, ids[h]
	}
	s.Root = make([]uint32, n)
	for e := s.First[0]; e < s.First[1]; e++ {
		s.Root[s.Edges[e]] = e + 1
	}
}

// Word is the number of a word, 0 if no phrase has it.
func (s *Set) Word(hash uint64) uint32 {
	mask := len(s.Keys) - 1
	for i := int(hash) & mask; ; i = (i + 1) & mask {
		switch s.Keys[i] {
		case hash:
			return s.IDs[i]
		case 0:
			return 0
		}
	}
}

// child is the node that a word leads to, 0 if none.
func (s *Set) child(node, word uint32) uint32 {
	lo, hi := s.First[node], s.First[node+1]
	for hi-lo > 8 {
		mid := (lo + hi) / 2
		if s.Edges[mid] <= word {
			lo = mid
		} else {
			hi = mid
		}
	}
	for ; lo < hi; lo++ {
		if s.Edges[lo] == word {
			return lo + 1
		}
	}
	return 0
}

// Longest finds the longest phrase that begins with the first token. It gives
// its value and how many tokens it takes, or 0, 0. A phrase ends where a word
// ends: not before a token that is glued to it. It does not go over an empty line.
func (s *Set) Longest(tokens []token.Token) (value uint32, n int) {
	word := s.Word(tokens[0].Hash)
	if word == 0 {
		return 0, 0
	}
	node := s.Root[word]
	if node == 0 {
		return 0, 0
	}
	for i := 1; ; i++ {
		if v := s.Values[node]; v != 0 && (i == len(tokens) || !tokens[i].Flags.Has(token.Glued)) {
			value, n = v, i
		}
		for i < len(tokens) && tokens[i].Flags.Has(token.Skip) {
			i++
		}
		if i >= len(tokens) || tokens[i].Flags.Has(token.Blank) || s.First[node] == s.First[node+1] {
			return value, n
		}
		if word = s.Word(tokens[i].Hash); word == 0 {
			return value, n
		}
		if node = s.child(node, word); node == 0 {
			return value, n
		}
	}
}

// Words are the words of a phrase as the set compares them: without hyphens and
// the 's of a possessive.
func Words(dst []uint64, tokens []token.Token) []uint64 {
	for _, t := range tokens {
		if !t.Flags.Has(token.Skip) {
			dst = append(dst, t.Hash)
		}
	}
	return dst
}
