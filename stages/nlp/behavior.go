package nlp

import (
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

// Habits: tobacco, alcohol and other drugs that people take. The dictionary has names that say
// so alone; "alcohol" or "cocaine" is a habit by the words around it (rules/behavior.tsv).

// How many tokens from a habit other words may be that make it one, or say that it is over.
const (
	habitBefore = 8 // "denies", "no" before what is taken
	usedBefore  = 3 // "uses" before it
	habitAhead  = 5 // what is taken after "smokes"
	quitBefore  = 3
	quitAfter   = 6
)

// passive are words before "smoke" that make it a thing.
var passive = hashSet("passive", "secondhand", "hand", "tobacco", "cigarette")

var habitTypes = [...]terminology.Type{
	habitAlcohol: terminology.Alcohol, habitTobacco: terminology.Tobacco, habitDrugs: terminology.Drugs, habitStreet: terminology.Drugs, habitAnyDrug: terminology.Drugs,
}

// habit adds the habit that begins at token i, and gives its length, or 0. Known is the length
// of the dictionary's term there, and medication whether that is one.
func (d *Detector) habit(i, begin, end, known int, medication bool) int {
	f := d.at(i)
	n := int(f.n)
	if f.rule.kind&(substance|habit) == 0 || n < known || i+n > end || d.overlaps(i, i+n) {
		return 0
	}
	if i+n < end && d.tokens[i+n].Flags.Has(token.Skip) {
		return 0 // "alcohol-based", "drug-induced"
	}
	is := f.rule.kind&substance != 0 && d.consumed(i, begin, end, medication)
	if !is && f.rule.kind&habit != 0 {
		is = d.indulged(i, begin, end)
	}
	if !is {
		return 0
	}
	d.add(i, i+n, terminology.Behavior, habitTypes[f.rule.argument], terminology.NoKind, 0, scoreHabit)
	return n
}

// asked tells whether tokens [i, j) are a question of a form, "Alcohol: none".
func (d *Detector) asked(i, j, begin, end int) bool {
	return j < end && d.tokens[j].Char == ':' && (i == begin || d.tokens[i].Flags.Has(token.Newline) || d.tokens[i-1].Kind == token.Punct)
}

// consumed tells whether somebody takes, or does not take, the substance at token i.
func (d *Detector) consumed(i, begin, end int, medication bool) bool {
	f := d.at(i)
	next := i + int(f.n)
	if f.rule.argument == habitAnyDrug {
		return d.anyDrug(next, begin, end) && (d.section == sectionSocial || d.besides(begin))
	}
	if d.section == sectionSocial || d.asked(i, next, begin, end) {
		return true
	}
	if i-1 > begin && d.tokens[i-1].Hash == hashOf {
		if c := d.phraseBefore(i-1, begin); d.at(c).rule.kind&count != 0 && d.numberBefore(c, begin) < c {
			return true // 2 glasses of wine
		}
	}
	medication = medication && f.rule.argument != habitStreet
	if !medication && next < end && d.at(next).rule.kind&consumption != 0 {
		return true
	}
	for k := i - 1; k >= max(begin, i-habitBefore); k-- {
		if c := d.tokens[k].Char; c == ';' || c == ':' {
			return false
		}
		switch rule := d.at(k).rule.kind; {
		case rule&cue != 0:
			return true
		case medication:
		case rule&habit != 0, (rule&negPre != 0 || rule&consumption != 0 && i-k <= usedBefore) && d.closes(next, end):
			return true
		}
	}
	return false
}

// anyDrug tells whether "drugs" before token next stands alone or is used, and is no part of
// "drug allergies".
func (d *Detector) anyDrug(next, begin, end int) bool {
	return d.closes(next, end) || d.asked(next-1, next, begin, end) || d.at(next).rule.kind&consumption != 0
}

// closes tells whether no further noun follows at a token.
func (d *Detector) closes(i, end int) bool {
	if i >= end {
		return true
	}
	k := &d.tokens[i]
	return k.Kind == token.Punct || k.Hash == hashAnd || k.Hash == hashOr || d.at(i).rule.kind&(consumption|stop|negPre|quit|often|frequency) != 0
}

// besides tells whether the sentence has a habit already.
func (d *Detector) besides(begin int) bool {
	for n := len(d.doc.Entities) - 1; n >= 0 && int(d.doc.Entities[n].tokens.begin) >= begin; n-- {
		if d.doc.Entities[n].Category == terminology.Behavior {
			return true
		}
	}
	return false
}

// indulged tells whether the verb at token i is a habit: "smokes", "drinks socially". When it
// says what is taken, that is.
func (d *Detector) indulged(i, begin, end int) bool {
	f := d.at(i)
	next := i + int(f.n)
	if i > begin && (d.tokens[i-1].Kind == token.Number || passive[d.tokens[i-1].Hash]) {
		return false
	}
	for k := next; k < min(end, next+habitAhead); k++ {
		t, rule := &d.tokens[k], d.at(k).rule.kind
		if t.Kind == token.Punct || t.Hash == hashAnd || t.Hash == hashOr || rule&(stop|often) != 0 {
			break
		}
		if rule&substance != 0 {
			return false
		}
	}
	if f.rule.argument == habitTobacco || d.section == sectionSocial {
		return true
	}
	if _, counted := d.counted(next, end); counted > next || d.at(next).rule.kind&(often|frequency) != 0 {
		return true
	}
	if i == begin {
		return false
	}
	last := d.tokens[i-1].Hash
	switch before := d.at(i - 1).rule.kind; {
	case before&quit != 0:
		return true
	case before&negPre != 0 || (last == hashAnd || last == hashOr) && d.besides(begin):
		return next == end || d.tokens[next].Kind == token.Punct
	}
	return false
}

// counted gives the end of a number at token i, and that of what it counts, "2 packs", or i.
func (d *Detector) counted(i, end int) (numberEnd, countEnd int) {
	j := d.quantity(i, end)
	if f := d.at(i); j == i && f.rule.kind&number != 0 {
		j = i + int(f.n)
		if d.at(j).rule.kind&number != 0 { // "half a pack"
			j += int(d.at(j).n)
		}
	}
	if j == i || j > end {
		return i, i
	}
	u := d.joined(j, end)
	if f := d.at(u); f.rule.kind&count != 0 && u+int(f.n) <= end {
		return j, u + int(f.n)
	}
	return j, i
}

// habitTraits is what the words of a habit and those around it say of it.
func (d *Detector) habitTraits(e *Entity, begin, end int) Traits {
	i, j := int(e.tokens.begin), int(e.tokens.end)
	var traits Traits
	switch k := d.at(i).rule.kind; {
	case e.mention != 0: // what its own words deny, the text asserts
	case k&abstains != 0:
		traits |= Negation
	case k&(histPre|quit) != 0: // "former smoker"
		traits |= PastHistory
	}
	if d.asked(i, j, begin, end) {
		return traits | d.answer(j+1, end)
	}
	traits |= d.before(e) | d.after(e, end)&^PastHistory | d.sectionTraits(e)
	for k := i - 1; k >= max(begin, i-quitBefore) && d.tokens[k].Kind != token.Punct; k-- {
		if d.at(k).rule.kind&quit != 0 {
			traits |= PastHistory
		}
	}
	for k := j; k < min(end, j+quitAfter); k++ {
		if c := d.tokens[k].Char; c == ';' || c == ':' || d.at(k).rule.kind&(negPre|habit|substance) != 0 {
			break
		}
		if d.at(k).rule.kind&(quit|histPost) != 0 {
			traits |= PastHistory
		}
	}
	return traits
}

// answer is what the first words after the question of a form say.
func (d *Detector) answer(i, end int) Traits {
	if i >= end {
		return 0
	}
	switch k := d.at(i).rule.kind; {
	case k&(negPre|abstains) != 0:
		return Negation
	case k&(histPre|quit) != 0:
		return PastHistory
	}
	return 0
}

// habitAttributes reads how much, how often and how long, before and after a habit.
func (d *Detector) habitAttributes(e *Entity, begin, limit int) {
	entity := *e
	d.habitsBefore(&entity, begin)
	skipped := 0
	for i := int(entity.tokens.end); i < limit && skipped <= gap; {
		f := d.at(i)
		if d.tokens[i].Char == ';' || f.rule.kind&quit != 0 {
			return
		}
		if n := d.habitAt(&entity, i, limit); n > i {
			i, skipped = n, 0
			continue
		}
		if d.tokens[i].Kind == token.Word {
			skipped++
		}
		i++
	}
}

// habitAt reads one attribute of a habit at token i and gives its end, or i.
func (d *Detector) habitAt(e *Entity, i, limit int) int {
	if j := d.interval(i, limit); j != 0 {
		d.attribute(e, i, j, terminology.Frequency, "FREQUENCY")
		return j
	}
	if j := d.during(i, limit); j != 0 {
		d.attribute(e, i, j, terminology.Duration, "DURATION")
		return j
	}
	if j := d.periods(i, limit); j != 0 && d.at(j).rule.kind&ago == 0 {
		d.attribute(e, i, j, terminology.Duration, "DURATION")
		return j
	}
	n, j := d.counted(i, limit)
	if j > i {
		d.attribute(e, i, j, terminology.Amount, "AMOUNT")
		return j
	}
	f := d.at(i)
	if n > i { // 3 times a week
		times := d.at(n)
		if j = n + int(times.n); times.rule.kind&forWord == 0 || d.at(j).rule.kind&(often|frequency) == 0 || j+int(d.at(j).n) > limit {
			return i
		}
		j += int(d.at(j).n)
		d.attribute(e, i, j, terminology.Frequency, "FREQUENCY")
		return j
	}
	if f.rule.kind&(often|frequency) != 0 && i+int(f.n) <= limit {
		d.attribute(e, i, i+int(f.n), terminology.Frequency, "FREQUENCY")
		return i + int(f.n)
	}
	if d.tokens[i].Char == '/' && i+1 < limit { // packs/day
		if p := d.at(i + 1); p.rule.kind&period != 0 && i+1+int(p.n) <= limit {
			d.attribute(e, i, i+1+int(p.n), terminology.Frequency, "FREQUENCY")
			return i + 1 + int(p.n)
		}
	}
	return i
}

// habitsBefore reads "occasional", "20 pack-year" and "2 glasses of" before a habit.
func (d *Detector) habitsBefore(e *Entity, begin int) {
	p := int(e.tokens.begin)
	if p-1 > begin && d.tokens[p-1].Hash == hashOf {
		p--
	}
	for tries := 0; tries < 2 && p > begin; tries++ {
		i := d.phraseBefore(p, begin)
		switch k := d.at(i).rule.kind; {
		case i == p:
		case k&count != 0 && i > begin:
			if q := d.numberBefore(i, begin); q < i {
				d.attribute(e, q, p, terminology.Amount, "AMOUNT")
				p = q
				continue
			}
		case k&(often|frequency) != 0:
			d.attribute(e, i, p, terminology.Frequency, "FREQUENCY")
			p = i
			continue
		}
		if q := d.numberBefore(p, begin); q < p && d.at(int(e.tokens.begin)).rule.kind&count != 0 && p == int(e.tokens.begin) {
			d.attribute(e, q, p, terminology.Amount, "AMOUNT") // 2 beers
		}
		return
	}
}

// phraseBefore gives the first token of the rule phrase that ends before token p, or p.
func (d *Detector) phraseBefore(p, begin int) int {
	for i := p - 1; i >= begin && i >= p-4; i-- {
		if n := int(d.at(i).n); n > 0 {
			if i+n == p {
				return i
			}
			break
		}
	}
	return p
}

// numberBefore gives the first token of the number that ends before token p, or p.
func (d *Detector) numberBefore(p, begin int) int {
	if p-1 >= begin && d.tokens[p-1].Flags.Has(token.Skip) {
		p-- // 20-pack-year
	}
	i := p - 1
	switch {
	case i < begin:
		return p
	case d.tokens[i].Kind == token.Number:
		if i-2 >= begin && d.tokens[i-2].Kind == token.Number && (d.tokens[i-1].Char == '-' || d.tokens[i-1].Char == '/') {
			i -= 2
		}
		return i
	}
	if i = d.phraseBefore(p, begin); i < p && d.at(i).rule.kind&number != 0 {
		return i
	}
	return p
}
