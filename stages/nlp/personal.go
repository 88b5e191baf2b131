package nlp

import (
	"bytes"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

// Scores of what is known by its shape.
const (
	scoreShape = 0.9 // a date, a phone number, an e-mail address
	scoreName  = 0.75
	scoreTime  = 0.85
)

// personal adds the personal data and the time expressions of tokens [begin, end).
// The entities from the first one on are those of the sentence.
func (d *Detector) personal(first, begin, end int) {
	terms := len(d.doc.Entities)
	for i := begin; i < end; {
		p := d.shape(i, end)
		if p.end <= p.begin || d.overlaps(p.begin, p.end) {
			i++
			continue
		}
		if p.category == terminology.TimeExpression {
			p.typ = d.timeOf(first, terms, i)
		}
		d.add(p.begin, p.end, p.category, p.typ, terminology.NoKind, 0, p.score)
		i = p.end
	}
}

// timeOf is the type of a time expression at token i: by the entity that it is nearest to.
func (d *Detector) timeOf(first, last, i int) terminology.Type {
	best, typ := 1<<30, terminology.TimeToDX
	for n := first; n < last; n++ {
		e := &d.doc.Entities[n]
		distance := max(i-int(e.tokens.end), int(e.tokens.begin)-i)
		if distance >= best {
			continue
		}
		switch {
		case e.Category == terminology.MedicalCondition:
			best, typ = distance, terminology.TimeToDX
		case e.Category == terminology.Medication:
			best, typ = distance, terminology.TimeToMedication
		case e.Type == terminology.ProcedureName:
			best, typ = distance, terminology.TimeToProcedure
		case e.Type == terminology.TreatmentName:
			best, typ = distance, terminology.TimeToTreatment
		case e.Type == terminology.TestName:
			best, typ = distance, terminology.TimeToTest
		}
	}
	return typ
}

// A shape is what its form tells about tokens [begin, end), nothing if there are none.
type shape struct {
	begin, end int
	category   terminology.Category
	typ        terminology.Type
	score      float32
}

func personalData(begin, end int, t terminology.Type, score float32) shape {
	return shape{begin, end, terminology.PHI, t, score}
}

func timeExpression(begin, end int) shape {
	return shape{begin, end, terminology.TimeExpression, terminology.NoType, scoreTime}
}

// shape tells what begins at token i.
func (d *Detector) shape(i, end int) shape {
	k := &d.tokens[i]
	f := d.at(i)
	switch {
	case k.Kind == token.Number:
		return d.numberShape(i, end)
	case k.Char == '(' && k.Kind == token.Punct:
		if j := d.phone(i, end); j > i {
			return personalData(i, j, terminology.Phone, scoreShape)
		}
		return shape{}
	case k.Kind == token.Word && !k.Flags.Has(token.Glued):
		if j := d.address(i, end); j > i {
			typ := terminology.Email
			if bytes.IndexByte(d.doc.Text[k.Begin:d.tokens[j-1].End], '@') < 0 {
				typ = terminology.URL
			}
			return personalData(i, j, typ, scoreShape)
		}
	}
	if f.n == 0 {
		return shape{}
	}
	return d.phraseShape(i, end, f)
}

// numberShape: dates, ages, phone numbers, and times that begin with a number.
func (d *Detector) numberShape(i, end int) shape {
	if j := d.date(i, end); j > i {
		return personalData(i, j, terminology.Date, scoreShape)
	}
	if j := d.phone(i, end); j > i {
		return personalData(i, j, terminology.Phone, scoreShape)
	}
	if j := d.groups(i, end, 3, 2, 4); j > i {
		return personalData(i, j, terminology.ID, scoreShape)
	}
	u := d.joined(i+1, end)
	if f := d.at(u); f.rule.kind&yearsOld != 0 {
		return personalData(i, i+1, terminology.Age, scoreShape)
	}
	if j := d.periods(i, end); j != 0 && j < end && d.at(j).rule.kind&ago != 0 {
		return timeExpression(i, j+int(d.at(j).n))
	}
	return shape{}
}

// phraseShape: what a phrase of the rules announces.
func (d *Detector) phraseShape(i, end int, f found) shape {
	next := i + int(f.n)
	switch k := f.rule.kind; {
	case k&month != 0 && d.tokens[i].Flags.Has(token.Title|token.Upper):
		if j := d.monthDate(next, end); j > next {
			return personalData(i, j, terminology.Date, scoreShape)
		}
	case k&title != 0 && d.tokens[i].Flags.Has(token.Title):
		if from, j := d.name(next, end); j > from {
			return personalData(from, j, terminology.Name, scoreName)
		}
	case k&(idWord|phoneWord) != 0:
		if from, j := d.identifier(next, end); j > from {
			typ := terminology.ID
			if k&phoneWord != 0 {
				typ = terminology.Phone
			}
			return personalData(from, j, typ, scoreShape)
		}
	case k&ageWord != 0 && next < end && d.tokens[next].Kind == token.Number:
		return personalData(next, next+1, terminology.Age, scoreShape)
	case k&timeWord != 0:
		return timeExpression(i, next)
	case k&forWord != 0:
		if j := d.during(i, end); j != 0 {
			return timeExpression(i, j)
		}
	}
	return shape{}
}

// digits is the value of a number of at most four digits, or -1.
func (d *Detector) digits(i, end int) int {
	if i >= end || d.tokens[i].Kind != token.Number || d.tokens[i].End-d.tokens[i].Begin > 4 {
		return -1
	}
	v := 0
	for _, b := range d.doc.Text[d.tokens[i].Begin:d.tokens[i].End] {
		if b < '0' || b > '9' {
			return -1
		}
		v = v*10 + int(b-'0')
	}
	return v
}

// tight tells whether tokens [i, j) have no white space between them.
func (d *Detector) tight(i, j int) bool {
	for k := i + 1; k < j; k++ {
		if d.tokens[k].Begin != d.tokens[k-1].End {
			return false
		}
	}
	return true
}

// date reads 1/31/2020, 2020-01-31 and 31 January 2020, and gives the end.
func (d *Detector) date(i, end int) int {
	a := d.digits(i, end)
	if a < 0 || d.tokens[i].Flags.Has(token.Glued) {
		return i
	}
	if i+4 < end && d.tight(i, i+5) && d.tokens[i+1].Char == d.tokens[i+3].Char && (d.tokens[i+1].Char == '/' || d.tokens[i+1].Char == '-') {
		b, c := d.digits(i+2, end), d.digits(i+4, end)
		year := a >= 1900 && a < 2100 && b >= 1 && b <= 12 && c >= 1 && c <= 31
		american := a >= 1 && a <= 31 && b >= 1 && b <= 31 && (a <= 12 || b <= 12) && (c >= 1900 && c < 2100 || c >= 0 && d.tokens[i+4].End-d.tokens[i+4].Begin == 2)
		if year || american {
			return i + 5
		}
	}
	if f := d.at(i + 1); a >= 1 && a <= 31 && f.rule.kind&month != 0 && d.tokens[i+1].Flags.Has(token.Title|token.Upper) {
		if y := d.digits(i+1+int(f.n), end); y >= 1900 && y < 2100 {
			return i + 2 + int(f.n)
		}
		return i + 1 + int(f.n)
	}
	return i
}

// monthDate reads "5, 2020", "5" or "2020" after a month.
func (d *Detector) monthDate(i, end int) int {
	if i < end && d.tokens[i].Char == '.' {
		i++
	}
	a := d.digits(i, end)
	switch {
	case a >= 1900 && a < 2100:
		return i + 1
	case a < 1 || a > 31:
		return 0
	}
	j := i + 1
	if j < end && d.tokens[j].Flags.Has(token.Glued) { // 5th
		j++
	}
	k := j
	if k < end && d.tokens[k].Char == ',' {
		k++
	}
	if y := d.digits(k, end); y >= 1900 && y < 2100 {
		return k + 1
	}
	return j
}

// groups reads numbers of so many digits with hyphens or full stops between them.
func (d *Detector) groups(i, end int, sizes ...int) int {
	j := i
	for n, size := range sizes {
		if n > 0 {
			if j < end && (d.tokens[j].Char == '-' || d.tokens[j].Char == '.') {
				j++
			}
		}
		if j >= end || d.tokens[j].Kind != token.Number || int(d.tokens[j].End-d.tokens[j].Begin) != size {
			return i
		}
		j++
	}
	if j-i != 2*len(sizes)-1 || !d.tight(i, j) {
		return i
	}
	return j
}

// phone reads (555) 123-4567, 555-123-4567 and 555.123.4567.
func (d *Detector) phone(i, end int) int {
	if d.tokens[i].Char == '(' {
		if i+2 < end && d.tokens[i+2].Char == ')' && d.tokens[i+1].End-d.tokens[i+1].Begin == 3 && d.tokens[i+1].Kind == token.Number {
			if j := d.groups(i+3, end, 3, 4); i+3 < end && j > i+3 {
				return j
			}
		}
		return i
	}
	if j := d.groups(i, end, 3, 3, 4); j > i {
		return j
	}
	k := d.doc.Text[d.tokens[i].Begin:d.tokens[i].End]
	if len(k) == 12 && k[3] == '.' && k[7] == '.' {
		return i + 1
	}
	return i
}

// identifier reads what follows "MRN:" or "Phone:": a run of characters with a digit.
func (d *Detector) identifier(i, end int) (from, to int) {
	at := i
	for i < end && i < at+3 && d.tokens[i].Kind == token.Punct {
		i++
	}
	begin, digits := i, 0
	for i < end && (i == begin || !d.tokens[i].Flags.Has(token.Spaced)) && d.tokens[i].Char != ',' && d.tokens[i].Char != ';' {
		if d.tokens[i].Kind == token.Number {
			digits += int(d.tokens[i].End - d.tokens[i].Begin)
		}
		i++
	}
	for i > begin && d.tokens[i-1].Kind == token.Punct {
		i--
	}
	if digits < 4 {
		return at, at
	}
	return begin, i
}

// address reads an e-mail address or a URL at token i.
func (d *Detector) address(i, end int) int {
	j := i + 1
	at, dot := 0, 0
	for ; j < end && !d.tokens[j].Flags.Has(token.Spaced|token.Newline); j++ {
		c := d.tokens[j].Char
		if d.tokens[j].Kind == token.Punct && bytes.IndexByte([]byte(`,;()<>"`), c) >= 0 {
			break
		}
		switch {
		case c == '@':
			at = j
		case c == '.' && at != 0:
			dot = j
		}
	}
	for j > i+1 && d.tokens[j-1].Kind == token.Punct && d.tokens[j-1].Char != '/' {
		j--
	}
	if at != 0 && dot > at+1 && dot < j-1 {
		return j
	}
	if j-i > 4 && d.tokens[i+1].Char == ':' && d.tokens[i+2].Char == '/' && d.tokens[i+3].Char == '/' {
		return j
	}
	return i
}

// name reads up to three capitalised words after a title.
func (d *Detector) name(i, end int) (from, to int) {
	if i < end && d.tokens[i].Char == '.' {
		i++
	}
	from = i
	for words := 0; words < 3 && i < end && d.capitalized(i, from); words++ {
		i++
		if i < end && d.tokens[i].Char == '.' && d.tokens[i-1].End-d.tokens[i-1].Begin == 1 {
			i++ // of an initial
		}
	}
	return from, i
}

// capitalized tells whether token i may be a part of the name that begins at from.
func (d *Detector) capitalized(i, from int) bool {
	k := &d.tokens[i]
	return k.Kind == token.Word && !(i > from && k.Flags.Has(token.Newline)) &&
		(k.Flags.Has(token.Title) || k.Flags.Has(token.Upper) && k.End-k.Begin == 1)
}
