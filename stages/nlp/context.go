package nlp

import (
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

// How many tokens after an entity a phrase may still speak of it.
const (
	postNegation = 8
	postOther    = 6
)

// context sets the traits of the entities from the first one on, which are those of tokens
// [begin, end), by the phrases before and after them (ConText: Harkema et al. 2009).
func (d *Detector) context(first, begin, end int) {
	for n := first; n < len(d.doc.Entities); n++ {
		e := &d.doc.Entities[n]
		if e.Category == terminology.Behavior {
			e.Traits |= d.habitTraits(e, begin, end) & applies(e.Category)
			continue
		}
		e.Traits |= (d.before(e) | d.after(e, end) | d.sectionTraits(e)) & applies(e.Category)
	}
}

// applies are the traits that a category may have of its context.
func applies(c terminology.Category) Traits {
	switch c {
	case terminology.MedicalCondition:
		return Negation | PastHistory | PertainsToFamily | Hypothetical | LowConfidence
	case terminology.Medication:
		return Negation | PastHistory | Hypothetical
	case terminology.TestTreatmentProcedure:
		return Negation | PastHistory | Hypothetical | Future
	case terminology.Behavior:
		return Negation | PastHistory | PertainsToFamily
	}
	return 0
}

// sectionTraits is what a section says about all of its entities.
func (d *Detector) sectionTraits(e *Entity) Traits {
	switch d.section {
	case sectionFamily:
		return PertainsToFamily
	case sectionPast:
		return PastHistory
	case sectionAllergies:
		if e.Category == terminology.Medication {
			return Hypothetical // it is not taken
		}
	case sectionPlan:
		if e.Category == terminology.TestTreatmentProcedure {
			return Future
		}
	}
	return 0
}

// preTraits are what phrases before an entity say of it.
var preTraits = [...]struct {
	kind  kind
	trait Traits
}{{negPre, Negation}, {negRaise, Negation}, {lowPre, LowConfidence}, {histPre, PastHistory}, {hypPre, Hypothetical}, {family, PertainsToFamily}}

// before reads the phrases before an entity, from the nearest on.
func (d *Detector) before(e *Entity) Traits {
	var traits Traits
	governs := negPre | negRaise | lowPre | histPre | hypPre | family // the kinds that still reach the entity
	at := int(e.tokens.begin)
	for i := len(d.marks) - 1; i >= 0; i-- {
		m := d.marks[i]
		if m.end > e.tokens.begin && m.begin < e.tokens.begin {
			m = d.cut(m, e) // "no" of "no change", before a mention that begins with "change"
		}
		if m.end > e.tokens.begin {
			continue
		}
		if d.barrier(int(m.end), at) {
			break
		}
		at = int(m.begin)
		k := m.rule.kind
		if k&(negPseudo|histPseudo) != 0 {
			continue
		}
		for _, g := range preTraits {
			if k&governs&g.kind != 0 && (g.kind != family || !d.tells(i)) {
				traits |= g.trait
			}
		}
		if k&stop != 0 {
			governs &^= negPre | lowPre | histPre
			if k&copula == 0 {
				governs &^= negRaise // "not believe that he is having" denies what comes after "is"
			}
		}
		if k&self != 0 {
			governs &^= family
		}
	}
	return traits
}

// cut is the part of a phrase that goes before an entity which it reaches into,
// if that is a phrase too.
func (d *Detector) cut(m mark, e *Entity) mark {
	v, n := language.set.Longest(d.tokens[m.begin:e.tokens.begin])
	if v != 0 && language.rules[v].kind&context != 0 {
		m.rule, m.end = language.rules[v], m.begin+int32(n)
	}
	return m
}

// tells tells whether the relative of a mark only reports on the patient.
func (d *Detector) tells(i int) bool {
	if i+1 >= len(d.marks) {
		return false
	}
	next := &d.marks[i+1]
	return next.begin == d.marks[i].end && next.rule.kind&(report|negPre) != 0
}

// after reads the phrases after an entity, from the nearest on.
func (d *Detector) after(e *Entity, end int) Traits {
	var traits Traits
	at := e.tokens.end
	for i := range d.marks {
		m := &d.marks[i]
		if m.begin < e.tokens.end {
			continue
		}
		distance := int(m.begin - e.tokens.end)
		if distance > postNegation || d.barrier(int(at), int(m.begin)) {
			break
		}
		at = m.end
		k := m.rule.kind
		if k&(negPseudo|histPseudo) != 0 {
			break
		}
		if k&negPost != 0 && !d.opens(m, end) && (e.Type != terminology.TestName || k&negPre == 0) { // "negative" is a value of a test
			traits |= Negation
		}
		if distance <= postOther {
			if k&lowPost != 0 {
				traits |= LowConfidence
			}
			if k&hypPost != 0 {
				traits |= Hypothetical
			}
			if k&histPost != 0 {
				traits |= PastHistory
			}
			if k&familyPost != 0 || k&family != 0 && d.within(m) {
				traits |= PertainsToFamily
			}
		}
		if k&stop != 0 && k&copula == 0 || k&(negPre|lowPre|histPre|hypPre) != 0 {
			break
		}
	}
	return traits
}

// opens tells whether a phrase that can deny in both directions denies what
// comes after it: the end of the sentence does not follow.
func (d *Detector) opens(m *mark, end int) bool {
	return m.rule.kind&negPre != 0 && int(m.end) < end && d.tokens[m.end].Kind != token.Punct
}

// within tells whether a relative is named as the one who has it: "in his mother".
func (d *Detector) within(m *mark) bool {
	for i := int(m.begin) - 1; i >= d.base && i >= int(m.begin)-3; i-- {
		if h := d.tokens[i].Hash; h == hashIn || h == hashOf {
			return true
		}
	}
	return false
}

var (
	hashIn = hashOfWord("in")
	hashOf = hashOfWord("of")
)

func hashOfWord(w string) uint64 {
	h, _ := token.HashOf(w)
	return h
}

// barrier tells whether punctuation between tokens [i, j) ends what a phrase governs.
func (d *Detector) barrier(i, j int) bool {
	for ; i < j; i++ {
		k := &d.tokens[i]
		switch k.Char {
		case ';', ':':
			return true
		case '.', '!':
			if k.Kind == token.Punct && i+1 < len(d.tokens) && d.tokens[i+1].Flags.Has(token.Spaced) && d.tokens[i+1].Flags.Has(token.Title) {
				return true
			}
		}
	}
	return false
}
