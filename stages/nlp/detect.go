package nlp

import (
	"slices"
	"sort"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

// Version is that of the rules and of the passes: results of another version may differ.
const Version = "1.1.0"

// A Detector finds entities. It belongs to one goroutine; its buffers are used
// again by each call.
type Detector struct {
	index    *terminology.Index
	doc      Document
	tokens   []token.Token
	marks    []mark
	found    []found // the rules at each token of the sentence, by token
	short    []shortForm
	section  argument
	base     int        // the first token of found
	habits   bool       // found has some that may be a habit
	mentions []numbered // those that are still to come, by begin
	numbered []numbered
}

// A Mention is a place of the text that the caller knows to be an entity, in bytes. What it is
// may be left to the dictionary, by NoCategory; a term of the same category has the dictionary's type.
type Mention struct {
	Begin, End int
	Category   terminology.Category
	Type       terminology.Type
}

type numbered struct {
	Mention
	number int32
	reach  int // the last end of the mentions so far
}

// mark is a context phrase of a sentence, by tokens.
type mark struct {
	begin, end int32
	rule       rule
}

// found is the rule phrase that begins at a token: its rule and its length.
type found struct {
	rule rule
	n    int32
}

// NewDetector makes a detector over a dictionary.
func NewDetector(index *terminology.Index) *Detector { return &Detector{index: index} }

// Detect finds the entities of text, which the result aliases.
func (d *Detector) Detect(text []byte) *Document { return d.DetectWith(text, nil) }

// DetectWith does the same with mentions that are entities whatever the
// dictionary says ([Entity.Mention]). They have to lie within the text; an
// empty one is none. Mentions may overlap; no other entity overlaps them.
func (d *Detector) DetectWith(text []byte, mentions []Mention) *Document {
	d.doc = Document{Text: text, Entities: d.doc.Entities[:0], Attributes: d.doc.Attributes[:0], index: d.index}
	d.tokens = token.Append(d.tokens[:0], text)
	d.short = d.short[:0]
	d.section = noArgument
	d.numbered = d.numbered[:0]
	for i, m := range mentions {
		if m.Begin < m.End {
			d.numbered = append(d.numbered, numbered{m, int32(i + 1), 0})
		}
	}
	slices.SortStableFunc(d.numbered, func(a, b numbered) int { return a.Begin - b.Begin })
	reach := 0
	for i := range d.numbered {
		reach = max(reach, d.numbered[i].End)
		d.numbered[i].reach = reach
	}
	d.mentions = d.numbered
	for begin := 0; begin < len(d.tokens); {
		end := d.sentenceEnd(begin)
		d.sentence(begin, end)
		begin = end
	}
	slices.SortStableFunc(d.doc.Entities, func(a, b Entity) int {
		if a.ByteBegin != b.ByteBegin {
			return a.ByteBegin - b.ByteBegin
		}
		return b.ByteEnd - a.ByteEnd
	})
	d.doc.codePoints()
	return &d.doc
}

// sentence finds the entities of tokens [begin, end).
func (d *Detector) sentence(begin, end int) {
	d.phrases(begin, end)
	begin = d.heading(begin, end)
	first := len(d.doc.Entities)
	d.given(begin, end)
	d.terms(begin, end)
	d.context(first, begin, end)
	d.relate(first, begin, end)
	d.personal(first, begin, end)
}

// phrases finds the phrases of the rules in tokens [begin, end).
func (d *Detector) phrases(begin, end int) {
	d.marks, d.habits = d.marks[:0], false
	if cap(d.found) < end-begin {
		d.found = make([]found, maxSentence)
	}
	d.found, d.base = d.found[:end-begin], begin
	clear(d.found)
	for i := begin; i < end; {
		v, n := language.set.Longest(d.tokens[i:end])
		if v == 0 {
			i++
			continue
		}
		r := language.rules[v]
		d.found[i-begin] = found{r, int32(n)}
		d.habits = d.habits || r.kind&(substance|habit) != 0
		if r.kind&context != 0 {
			d.marks = append(d.marks, mark{int32(i), int32(i + n), r})
		}
		i += n
	}
}

// Scores by how a mention was found; docs/nlp.md explains them.
const (
	scorePhrase = 0.97 // a term of several words
	scoreWord   = 0.92 // a term of one word
	scoreShort  = 0.80 // a term that is an abbreviation
	scoreHabit  = 0.85 // a substance or a verb that the words around it make a habit
	scoreLocal  = 0.90 // a short form that the document defines
	scoreFormed = 0.65 // a word known by its formation
	scoreGiven  = 0.99 // a mention that the caller gave
)

// terms finds the terms of tokens [begin, end), the longest at each place.
func (d *Detector) terms(begin, end int) {
	t := d.tokens
	for i := begin; i < end; {
		k := &t[i]
		if k.Kind == token.Punct || k.Flags.Has(token.Glued|token.Skip) || d.taken(i) {
			i++
			continue
		}
		if n := d.localShort(i, end); n > 0 {
			i += n
			continue
		}
		entry, n := d.index.Longest(t[i:end])
		if entry != 0 && d.index.Exact(entry) && (capitals(d.doc.Text[k.Begin:k.End]) < 2 || d.shouting(begin, end)) {
			entry = 0
		}
		if entry != 0 && d.overlaps(i, i+n) {
			entry = 0
		}
		if d.habits {
			known := 0
			if entry != 0 {
				known = n
			}
			if h := d.habit(i, begin, end, known, entry != 0 && d.index.Category(entry) == terminology.Medication); h > 0 {
				i += h
				continue
			}
		}
		if entry == 0 {
			if !d.deficiency(i, begin) {
				d.formed(i, end)
			}
			i++
			continue
		}
		whole := terminology.Entry(0)
		if d.index.Dosed(entry) {
			if drug, m := d.undosed(i, i+n); drug != 0 {
				whole, entry, n = entry, drug, m
			}
		}
		score := float32(scoreWord)
		switch {
		case n > 1:
			score = scorePhrase
		case k.Flags.Has(token.Upper) && k.End-k.Begin <= 5:
			score = scoreShort
		}
		from := i
		if d.index.Category(entry) == terminology.MedicalCondition {
			if from = d.extend(i, i+n, begin); from < i && !d.overlaps(from, i) {
				d.dropFrom(from)
			} else {
				from = i
			}
		}
		d.add(from, i+n, d.index.Category(entry), d.index.Type(entry), d.index.Kind(entry), entry, score).whole = whole
		d.define(from, i+n, end)
		i += n
	}
}

// undosed finds the drug that the name of a drug with its strength, tokens [i, j), begins
// with: strength, form and route are attributes of it.
func (d *Detector) undosed(i, j int) (drug terminology.Entry, n int) {
	for k := i + 1; k < j; k++ {
		if d.tokens[k].Kind == token.Number {
			drug, n = d.index.Longest(d.tokens[i:k])
			break
		}
	}
	if drug != 0 && (d.index.Category(drug) != terminology.Medication || d.index.Dosed(drug) || d.index.Exact(drug)) {
		drug = 0
	}
	return drug, n
}

// add appends an entity over tokens [i, j).
func (d *Detector) add(i, j int, c terminology.Category, typ terminology.Type, k terminology.Kind, entry terminology.Entry, score float32) *Entity {
	e := Entity{
		ByteBegin: int(d.tokens[i].Begin), ByteEnd: int(d.tokens[j-1].End), Category: c, Type: typ, Score: score, entry: entry,
		tokens: span{int32(i), int32(j)},
	}
	switch k {
	case terminology.Diagnosis:
		e.Traits = TraitDiagnosis
	case terminology.Sign:
		e.Traits = TraitSign
	case terminology.Symptom:
		e.Traits = TraitSymptom
	}
	d.doc.Entities = append(d.doc.Entities, e)
	return &d.doc.Entities[len(d.doc.Entities)-1]
}

// formed adds a word that its ending tells.
func (d *Detector) formed(i, end int) {
	k := &d.tokens[i]
	if k.Kind != token.Word || i+1 < end && d.tokens[i+1].Flags.Has(token.Glued) {
		return
	}
	s := formed(d.doc.Text[k.Begin:k.End])
	if s == nil {
		return
	}
	typ := terminology.DXName
	if s.category == terminology.Medication {
		typ = terminology.GenericName
	}
	d.add(i, i+1, s.category, typ, s.kind, 0, scoreFormed)
	d.define(i, i+1, end)
}

// shouting tells whether a sentence is written in capitals, so that they tell nothing.
func (d *Detector) shouting(begin, end int) bool {
	upper, words := 0, 0
	for _, k := range d.tokens[begin:end] {
		if k.Kind == token.Word && k.End-k.Begin > 1 {
			words++
			if k.Flags.Has(token.Upper) {
				upper++
			}
		}
	}
	return words > 3 && upper*10 > words*8
}

// given adds the mentions that begin in tokens [begin, end).
func (d *Detector) given(begin, end int) {
	for len(d.mentions) > 0 && d.mentions[0].Begin < int(d.tokens[end-1].End) {
		m := d.mentions[0]
		d.mentions = d.mentions[1:]
		i := d.base
		for i < end-1 && int(d.tokens[i].End) <= m.Begin {
			i++
		}
		j := i + 1
		for j < end && int(d.tokens[j].Begin) < m.End {
			j++
		}
		c, typ, k, entry := terminology.MedicalCondition, terminology.DXName, terminology.NoKind, terminology.Entry(0)
		if v, n := d.index.Longest(d.tokens[i:j]); v != 0 && n == j-i {
			c, typ, k, entry = d.index.Category(v), d.index.Type(v), d.index.Kind(v), v
		}
		if m.Category != terminology.NoCategory && (entry == 0 || m.Category != c) {
			c, typ, k, entry = m.Category, m.Type, terminology.NoKind, 0
		}
		e := d.add(i, j, c, typ, k, entry, scoreGiven)
		e.ByteBegin, e.ByteEnd, e.mention = m.Begin, m.End, m.number
	}
}

// taken tells whether a given mention has the token.
func (d *Detector) taken(i int) bool { return d.overlaps(i, i+1) }

// overlaps tells whether a given mention has one of tokens [i, j).
func (d *Detector) overlaps(i, j int) bool {
	if len(d.numbered) == 0 {
		return false
	}
	begin, end := int(d.tokens[i].Begin), int(d.tokens[j-1].End)
	n := sort.Search(len(d.numbered), func(k int) bool { return d.numbered[k].Begin >= end })
	return n > 0 && d.numbered[n-1].reach > begin
}
