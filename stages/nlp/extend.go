package nlp

import (
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

func hashSet(words ...string) map[uint64]bool {
	m := map[uint64]bool{}
	for _, w := range words {
		m[hashOfWord(w)] = true
	}
	return m
}

var (
	hashAnd        = hashOfWord("and")
	hashOr         = hashOfWord("or")
	hashDeficiency = hashOfWord("deficiency")

	// inherited are adjectives that are a part of the name of a condition which they go before.
	inherited = hashSet("hereditary", "familial", "inherited", "sporadic")

	// functionWords can not be what is deficient.
	functionWords = hashSet("a", "an", "the", "this", "that", "these", "of", "with", "and", "or", "in", "on", "for", "to", "by", "from", "its",
		"their", "his", "her", "such", "other", "same", "any", "no", "not", "is", "are", "was", "were", "single", "multiple", "combined",
		"relative", "complete", "partial", "total", "isolated", "selective", "specific", "due", "nutritional", "complex", "enzyme")
)

// extend gives the first token of the condition in tokens [i, j) with what goes
// before it: that it is inherited, and a coordinated name that shares its last
// word, "breast and ovarian cancer".
func (d *Detector) extend(i, j, begin int) int {
	for i > begin {
		switch {
		case inherited[d.tokens[i-1].Hash]:
			i--
		case j-i > 1 && d.coordinated(i, j, begin) < i:
			i = d.coordinated(i, j, begin)
		default:
			return i
		}
	}
	return i
}

// coordinated gives the first token of a name that shares the last word of tokens [i, j), or i.
func (d *Detector) coordinated(i, j, begin int) int {
	t := d.tokens
	k := i - 1
	switch {
	case t[k].Hash == hashOr && k-2 > begin && t[k-1].Char == '/' && t[k-2].Hash == hashAnd:
		k -= 3
	case t[k].Hash == hashAnd || t[k].Hash == hashOr || t[k].Char == '/' && t[k].Kind == token.Punct:
		k--
	default:
		return i
	}
	if k < begin || t[k].Kind != token.Word || t[k].Flags.Has(token.Glued) {
		return i
	}
	pair := [2]token.Token{t[k], t[j-1]}
	pair[1].Flags = 0
	if v, n := d.index.Longest(pair[:]); n == 2 && d.index.Category(v) == terminology.MedicalCondition {
		return k
	}
	return i
}

// deficiency adds "X deficiency" of something that no dictionary has, where
// the word is token i.
func (d *Detector) deficiency(i, begin int) bool {
	t := d.tokens
	if t[i].Hash != hashDeficiency || i == begin || i+1 < len(t) && t[i+1].Flags.Has(token.Glued) {
		return false
	}
	k := i - 1
	for k > begin && (t[k].Flags.Has(token.Glued|token.Skip) || t[k-1].Flags.Has(token.Skip)) {
		k--
	}
	if t[k].Kind == token.Punct || t[k].Kind == token.Number && k == i-1 || functionWords[t[k].Hash] || d.at(k).n != 0 || d.overlaps(k, i+1) {
		return false
	}
	d.dropFrom(k)
	d.add(k, i+1, terminology.MedicalCondition, terminology.DXName, terminology.Diagnosis, 0, scoreFormed)
	return true
}

// dropFrom takes back the entities from a token on: a longer one has them.
func (d *Detector) dropFrom(i int) {
	for n := len(d.doc.Entities); n > 0; n-- {
		e := &d.doc.Entities[n-1]
		if e.mention != 0 || int(e.tokens.begin) < i {
			return
		}
		d.doc.Entities = d.doc.Entities[:n-1]
	}
}
