package nlp

import (
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

// at is the rule phrase that begins at a token.
func (d *Detector) at(i int) found {
	if i < d.base || i >= d.base+len(d.found) {
		return found{}
	}
	return d.found[i-d.base]
}

// reach is how many tokens after an entity its attributes may go on, and gap how
// many of them may be none of its attributes.
const (
	reach = 24
	gap   = 3
)

// relate gives the entities from the first one on their attributes, and adds
// the time expressions of tokens [begin, end).
func (d *Detector) relate(first, begin, end int) {
	last := len(d.doc.Entities)
	for n := first; n < last; n++ {
		e := &d.doc.Entities[n]
		at := int32(len(d.doc.Attributes))
		limit := min(end, int(e.tokens.end)+reach)
		if n+1 < last {
			if next := &d.doc.Entities[n+1]; next.Category == e.Category || e.Category == terminology.TestTreatmentProcedure || e.Category == terminology.Behavior {
				limit = min(limit, int(next.tokens.begin))
			}
		}
		switch e.Category {
		case terminology.Medication:
			d.doseBefore(e, begin)
			d.dose(e, limit)
		case terminology.TestTreatmentProcedure:
			if e.Type == terminology.TestName {
				d.testValue(e, limit)
			}
		case terminology.MedicalCondition:
			d.modifiers(e, begin)
			d.site(first, n, begin, last)
		case terminology.Anatomy:
			d.modifiers(e, begin)
		case terminology.Behavior:
			d.habitAttributes(e, begin, limit)
		}
		e = &d.doc.Entities[n]
		e.attributes = span{at, int32(len(d.doc.Attributes))}
	}
}

// attribute appends an attribute over tokens [i, j).
func (d *Detector) attribute(e *Entity, i, j int, typ terminology.Type, relationship string) {
	distance := max(i-int(e.tokens.end), int(e.tokens.begin)-j, 0)
	d.doc.Attributes = append(d.doc.Attributes, Attribute{
		ByteBegin: int(d.tokens[i].Begin), ByteEnd: int(d.tokens[j-1].End), Category: e.Category, Type: typ, Score: 0.9,
		RelationshipScore: max(0.5, 0.98-0.02*float32(distance)), Relationship: relationship,
	})
}

// quantity gives the end of a number at token i: "5", "1-2", "1/2", or i if there is none.
func (d *Detector) quantity(i, end int) int {
	if i >= end || d.tokens[i].Kind != token.Number {
		return i
	}
	if i+2 < end && d.tokens[i+2].Kind == token.Number && (d.tokens[i+1].Char == '-' || d.tokens[i+1].Char == '/') {
		return i + 3
	}
	return i + 1
}

// joined skips the hyphen of "5-mg".
func (d *Detector) joined(i, end int) int {
	if i < end && d.tokens[i].Flags.Has(token.Skip) {
		i++
	}
	return i
}

// span of a duration or an interval that begins with a number at token i: "7 days", or 0.
func (d *Detector) periods(i, end int) int {
	j := d.quantity(i, end)
	if j == i {
		return 0
	}
	j = d.joined(j, end)
	if f := d.at(j); f.rule.kind&period != 0 && j+int(f.n) <= end {
		return j + int(f.n)
	}
	return 0
}

// interval gives the end of "every 6 hours", "q6h" or "q 6 h" at token i, or 0.
func (d *Detector) interval(i, end int) int {
	k := &d.tokens[i]
	f := d.at(i)
	next := i + int(f.n)
	if f.rule.kind&every == 0 {
		if k.Char|0x20 != 'q' || k.End-k.Begin != 1 || i+1 >= end || !d.tokens[i+1].Flags.Has(token.Glued) {
			return 0
		}
		next = i + 1
	}
	if j := d.periods(next, end); j != 0 {
		return j
	}
	if j := d.quantity(next, end); j > next && j < end && d.tokens[j].Char|0x20 == 'h' && d.tokens[j].End-d.tokens[j].Begin <= 3 {
		return j + 1
	}
	if f := d.at(next); f.rule.kind&period != 0 {
		return next + int(f.n)
	}
	return 0
}

// during gives the end of "for 7 days", "x 7 days" or "x7 days" at token i, or 0.
func (d *Detector) during(i, end int) int {
	k := &d.tokens[i]
	f := d.at(i)
	next := i + int(f.n)
	if f.rule.kind&forWord == 0 {
		if k.Char|0x20 != 'x' || k.End-k.Begin != 1 || i+1 >= end || !d.tokens[i+1].Flags.Has(token.Glued) {
			return 0
		}
		next = i + 1
	}
	return d.periods(next, end)
}

// dose reads the attributes of a medication after it.
func (d *Detector) dose(e *Entity, limit int) {
	entity := *e
	strength, skipped := false, 0
	for i := int(entity.tokens.end); i < limit && skipped <= gap; {
		if d.tokens[i].Char == ';' {
			return
		}
		n := d.doseAt(&entity, i, limit, &strength)
		if n == i {
			if d.tokens[i].Kind == token.Word {
				skipped++
			}
			i++
			continue
		}
		skipped = 0
		i = n
	}
}

// doseAt reads one attribute of a medication at token i and gives its end, or i.
func (d *Detector) doseAt(e *Entity, i, limit int, strength *bool) int {
	if j := d.interval(i, limit); j != 0 {
		d.attribute(e, i, j, terminology.Frequency, "FREQUENCY")
		return j
	}
	if j := d.during(i, limit); j != 0 {
		d.attribute(e, i, j, terminology.Duration, "DURATION")
		return j
	}
	if j := d.quantity(i, limit); j > i {
		return d.amount(e, i, j, limit, strength)
	}
	f := d.at(i)
	j := i + int(f.n)
	if f.n == 0 || j > limit {
		return i
	}
	switch {
	case f.rule.kind&frequency != 0:
		d.attribute(e, i, j, terminology.Frequency, "FREQUENCY")
	case f.rule.kind&route != 0:
		d.attribute(e, i, j, terminology.RouteOrMode, "ROUTE_OR_MODE")
	case f.rule.kind&form != 0:
		d.attribute(e, i, j, terminology.Form, "FORM")
	default:
		return i
	}
	return j
}

// amount reads a number at tokens [i, j) with its unit or form. The first mass
// is the strength of a medication, a further one what is taken.
func (d *Detector) amount(e *Entity, i, j, limit int, strength *bool) int {
	u := d.joined(j, limit)
	f := d.at(u)
	end := u + int(f.n)
	if f.n == 0 || end > limit {
		return i
	}
	switch k := f.rule.kind; {
	case k&unit != 0 && f.rule.argument == unitRate:
		d.attribute(e, i, end, terminology.Rate, "RATE")
	case k&unit != 0 && f.rule.argument == unitMass && !*strength:
		*strength = true
		d.attribute(e, i, end, terminology.Strength, "STRENGTH")
	case k&unit != 0 && f.rule.argument <= unitVolume:
		d.attribute(e, i, end, terminology.Dosage, "DOSAGE")
	case k&form != 0:
		d.attribute(e, i, j, terminology.Dosage, "DOSAGE")
		d.attribute(e, u, end, terminology.Form, "FORM")
	case k&forWord != 0 && end < limit && d.at(end).rule.kind&frequency != 0: // 3 times a day
		end += int(d.at(end).n)
		d.attribute(e, i, end, terminology.Frequency, "FREQUENCY")
	default:
		return i
	}
	return end
}

// doseBefore reads "500 mg of", "2 tablets of" and "IV" before a medication.
func (d *Detector) doseBefore(e *Entity, begin int) {
	p := int(e.tokens.begin) - 1
	if p > begin && d.tokens[p].Hash == hashOf {
		p--
	}
	if p < begin {
		return
	}
	entity := *e
	f := d.at(p)
	number := p > begin && d.tokens[p-1].Kind == token.Number
	switch {
	case f.n != 1:
	case f.rule.kind&unit != 0 && number && f.rule.argument == unitMass:
		d.attribute(&entity, p-1, p+1, terminology.Strength, "STRENGTH")
	case f.rule.kind&unit != 0 && number && f.rule.argument == unitVolume:
		d.attribute(&entity, p-1, p+1, terminology.Dosage, "DOSAGE")
	case f.rule.kind&form != 0:
		if number {
			d.attribute(&entity, p-1, p, terminology.Dosage, "DOSAGE")
		}
		d.attribute(&entity, p, p+1, terminology.Form, "FORM")
	case f.rule.kind&route != 0:
		d.attribute(&entity, p, p+1, terminology.RouteOrMode, "ROUTE_OR_MODE")
	}
}

// testValue reads the value of a test and its unit after it.
func (d *Detector) testValue(e *Entity, limit int) {
	entity := *e
	for i := int(entity.tokens.end); i < limit && i < int(entity.tokens.end)+6; i++ {
		if d.tokens[i].Char == ';' {
			return
		}
		f := d.at(i)
		if f.rule.kind&value != 0 || f.rule.kind&(negPre|negPost) == negPre|negPost {
			d.attribute(&entity, i, i+int(f.n), terminology.TestValue, "TEST_VALUE")
			return
		}
		j := d.quantity(i, limit)
		if j == i {
			continue
		}
		if f := d.at(d.joined(j, limit)); f.rule.kind&(period|form) != 0 {
			return // the number is of something else
		}
		d.attribute(&entity, i, j, terminology.TestValue, "TEST_VALUE")
		if f := d.at(j); f.rule.kind&unit != 0 && j+int(f.n) <= limit {
			d.attribute(&entity, j, j+int(f.n), terminology.TestUnit, "TEST_UNIT")
		}
		return
	}
}

// modifiers reads the words directly before a condition or a part of the body.
func (d *Detector) modifiers(e *Entity, begin int) {
	entity := *e
	for p := int(entity.tokens.begin) - 1; p >= begin; p-- {
		f := d.at(p)
		if d.tokens[p].Flags.Has(token.Skip) {
			continue
		}
		switch k := f.rule.kind; {
		case f.n != 1:
			return
		case k&direction != 0:
			d.attribute(&entity, p, p+1, terminology.Direction, "DIRECTION")
		case k&acuity != 0 && entity.Category == terminology.MedicalCondition:
			d.attribute(&entity, p, p+1, terminology.Acuity, "ACUITY")
		case k&quality != 0 && entity.Category == terminology.MedicalCondition:
			d.attribute(&entity, p, p+1, terminology.Quality, "QUALITY")
		default:
			return
		}
	}
}

// site finds the part of the body of a condition: before it, or after it with "of" or "in".
func (d *Detector) site(first, n, begin, last int) {
	e := d.doc.Entities[n]
	for _, m := range [2]int{n - 1, n + 1} {
		if m < first || m >= last {
			continue
		}
		a := d.doc.Entities[m]
		if a.Category != terminology.Anatomy {
			continue
		}
		near := m < n && a.tokens.end == e.tokens.begin
		if m > n && a.tokens.begin-e.tokens.end <= 4 && a.tokens.begin > e.tokens.end {
			h := d.tokens[e.tokens.end].Hash
			near = h == hashOf || h == hashIn
		}
		if near {
			d.attribute(&e, int(a.tokens.begin), int(a.tokens.end), terminology.SystemOrganSite, "SYSTEM_ORGAN_SITE")
		}
	}
}
