package terminology

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/fhirlake/fhirlake/stages/nlp/phrase"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

// maxWords is how long a term may be: longer ones are definitions, and are not
// found in running text.
const maxWords = 16

//go:embed everyday.txt
var everydayText string

// everyday are words that mean something else in running text than in a
// terminology which has them as terms.
var everyday = hashes(everydayText)

//go:embed alias.txt
var aliasText string

// alias are words that are compared as another one.
var alias = func() map[uint64]uint64 {
	m := map[uint64]uint64{}
	for line := range strings.Lines(aliasText) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		to, _ := token.HashOf(f[0])
		for _, from := range f[1:] {
			h, _ := token.HashOf(from)
			m[h] = to
		}
	}
	return m
}()

func hashes(text string) map[uint64]bool {
	m := map[uint64]bool{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, w := range strings.Fields(line) {
			if h, ok := token.HashOf(w); ok {
				m[h] = true
			}
		}
	}
	return m
}

// Everyday tells whether a word, by its hash, is one of daily speech.
func Everyday(hash uint64) bool { return everyday[hash] }

// An entry is gathered from all terms with the same words.
type entry struct {
	info        uint32 // category, type and kind, of the first term
	exact       bool
	first, last uint32 // of its references, from 1; 0 none
}

// reference is a concept of an entry, with the rank in the upper 8 bits, and the next one
// of the entry.
type reference struct{ ref, next uint32 }

// rules is the number of the rules by which terms become an index, those of package
// token included. It goes up when equal terms give another index.
const rules = 1

// CompilerVersion names how terms become an index: of one version, equal terms give
// equal indexes.
var CompilerVersion = sync.OnceValue(func() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %q %q", magic, rules, everydayText, aliasText)
	return hex.EncodeToString(h.Sum(nil)[:8])
})

// Compile makes an index of terms, as a [Compiler] does.
func Compile(terms []Term) *Index {
	c := NewCompiler()
	for i := range terms {
		c.Add(&terms[i])
	}
	return c.Index()
}

// A Compiler makes an index of the terms that are added to it. Where several have the
// same words, the first one gives category and type, and all of the same category their
// concepts. Equal terms in the same order give the same index. It is used by one goroutine.
type Compiler struct {
	byWords  map[uint64]uint32 // number of an entry, from 0, by the hash of its words or the next free one
	entries  []entry
	refs     []reference
	words    []uint64
	spans    []int
	concepts map[conceptKey]uint32
	list     []concept
	tokens   []token.Token
	text     []byte
}

// NewCompiler makes a compiler without terms.
func NewCompiler() *Compiler {
	return &Compiler{byWords: map[uint64]uint32{}, concepts: map[conceptKey]uint32{}, spans: []int{0}}
}

// Index is the index of all terms that were added. The compiler is not used after it.
func (c *Compiler) Index() *Index {
	c.byWords, c.concepts = nil, nil
	x := &Index{}
	var refs []uint32
	phrases := make([]phrase.Phrase, len(c.entries))
	for i := range c.entries {
		e := &c.entries[i]
		phrases[i] = phrase.Phrase{Words: c.words[c.spans[i]:c.spans[i+1]], Value: uint32(i) + 1}
		if e.exact {
			e.info |= flagExact << 24
		}
		x.info = append(x.info, e.info)
		x.refFirst = append(x.refFirst, uint32(len(x.refs)))
		refs = refs[:0]
		for r := e.first; r != 0; r = c.refs[r-1].next {
			refs = append(refs, c.refs[r-1].ref)
		}
		x.refs = append(x.refs, c.best(refs)...)
	}
	x.refFirst = append(x.refFirst, uint32(len(x.refs)))
	x.set = *phrase.Build(phrases, alias)
	for _, k := range c.list {
		x.systems = append(x.systems, uint32(k.system))
		x.text = append(x.text, uint32(len(x.blob)))
		x.blob = append(x.blob, k.code...)
		x.text = append(x.text, uint32(len(x.blob)))
		x.blob = append(x.blob, k.description...)
	}
	x.text = append(x.text, uint32(len(x.blob)))
	x.version = x.fingerprint()
	return x
}

type conceptKey struct {
	system System
	code   string
}

type concept struct {
	conceptKey
	description string
	own         bool // the description is the system's own
}

// Add takes one more term, of which it keeps nothing but strings.
func (c *Compiler) Add(t *Term) {
	c.text = append(c.text[:0], t.Text...)
	c.tokens = token.Append(c.tokens[:0], c.text)
	at := len(c.words)
	c.words = phrase.Words(c.words, c.tokens)
	words := c.words[at:]
	for k, w := range words {
		if to, ok := alias[w]; ok {
			words[k] = to
		}
	}
	if !findable(t, c.tokens, words) {
		c.words = c.words[:at]
		return
	}
	n, known := c.find(words)
	if known {
		c.words = c.words[:at]
		e := &c.entries[n]
		e.exact = e.exact && exact(t, c.tokens)
		if Category(e.info) != t.Category {
			return
		}
	} else {
		info := uint32(t.Category) | uint32(t.Type)<<8 | uint32(t.Kind)<<16
		if t.Dosed {
			info |= flagDosed << 24
		}
		c.entries = append(c.entries, entry{info: info, exact: exact(t, c.tokens)})
		c.spans = append(c.spans, len(c.words))
	}
	if t.Code != "" {
		c.refer(&c.entries[n], c.concept(t)|uint32(t.Rank)<<24)
	}
}

// find gives the entry of words, or makes its number known as that of the next one.
func (c *Compiler) find(words []uint64) (n uint32, known bool) {
	h := uint64(len(words))
	for _, w := range words {
		h = (h ^ w) * 0x9E3779B97F4A7C15
		h ^= h >> 29
	}
	for ; ; h++ {
		if n, known = c.byWords[h]; !known {
			n = uint32(len(c.entries))
			c.byWords[h] = n
			return n, false
		}
		if slices.Equal(c.words[c.spans[n]:c.spans[n+1]], words) {
			return n, true
		}
	}
}

// refer adds a concept to an entry.
func (c *Compiler) refer(e *entry, ref uint32) {
	c.refs = append(c.refs, reference{ref: ref})
	n := uint32(len(c.refs))
	if e.first == 0 {
		e.first = n
	} else {
		c.refs[e.last-1].next = n
	}
	e.last = n
}

// findable tells whether a term is worth looking for.
func findable(t *Term, tokens []token.Token, words []uint64) bool {
	if len(words) == 0 || len(words) > maxWords || tokens[0].Kind == token.Punct || tokens[0].Flags.Has(token.Skip) {
		return false
	}
	letters := 0
	for _, k := range tokens {
		if k.Kind == token.Word {
			letters += int(k.End - k.Begin)
		}
	}
	if letters < 2 {
		return false
	}
	return len(words) > 1 || t.Reviewed || letters > 2 && !everyday[words[0]]
}

// exact tells whether a term is only itself in capitals: a short form that is
// said to be one, and that could be read as a word otherwise.
func exact(t *Term, tokens []token.Token) bool {
	if !t.Exact || len(tokens) != 1 || capitals(t.Text) < 2 {
		return false
	}
	n := tokens[0].End - tokens[0].Begin
	return n < 3 || n <= 4 && strings.ContainsAny(t.Text, "AEIOUY") || everyday[tokens[0].Hash]
}

func capitals(s string) int {
	n := 0
	for _, b := range []byte(s) {
		if b >= 'A' && b <= 'Z' {
			n++
		}
	}
	return n
}

func (c *Compiler) concept(t *Term) uint32 {
	k := conceptKey{t.System, t.Code}
	n, ok := c.concepts[k]
	if !ok {
		n = uint32(len(c.list))
		c.concepts[k] = n
		c.list = append(c.list, concept{conceptKey: k, description: t.Text})
	}
	if t.Preferred != "" && !c.list[n].own {
		c.list[n].description, c.list[n].own = t.Preferred, true
	}
	return n & 0xFFFFFF
}

// best orders the concepts of an entry and keeps the best of each system.
func (c *Compiler) best(refs []uint32) []uint32 {
	slices.SortStableFunc(refs, func(a, b uint32) int {
		x, y := &c.list[a&0xFFFFFF], &c.list[b&0xFFFFFF]
		return cmp.Or(
			cmp.Compare(x.system, y.system), cmp.Compare(a&0xFFFFFF, b&0xFFFFFF), cmp.Compare(a, b))
	})
	refs = slices.CompactFunc(refs, func(a, b uint32) bool { return a&0xFFFFFF == b&0xFFFFFF })
	slices.SortStableFunc(refs, func(a, b uint32) int {
		x, y := &c.list[a&0xFFFFFF], &c.list[b&0xFFFFFF]
		return cmp.Or(cmp.Compare(x.system, y.system), cmp.Compare(a>>24, b>>24), cmp.Compare(x.code, y.code))
	})
	kept := refs[:0]
	n := 0
	for i, r := range refs {
		if i > 0 && c.list[r&0xFFFFFF].system != c.list[refs[i-1]&0xFFFFFF].system {
			n = 0
		}
		if n++; n <= perSystem {
			kept = append(kept, r)
		}
	}
	return kept
}
