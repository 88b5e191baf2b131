package gen

import "strings"

// A note is written by an author with habits: one style of heading, whether
// lists run on, how sentences are set. They are drawn per note and kept in it.
type habits struct {
	column  int  // of headings
	mark    int  // how a heading is set off
	terse   bool // fewer sentences, abbreviations
	bullets bool
	wrap    bool
	child   bool
	main    *condition
	symptom int // said last, not to be said twice in a row
	denied  int
}

func next(r *rng, list []string, last *int) string {
	i := r.intn(len(list))
	if i == *last {
		i = (i + 1) % len(list)
	}
	*last = i
	return list[i]
}

// writeNote composes the text of a note of the visit at hand into c.text.
func (c *chart) writeNote(kind noteKind) {
	p, r := &c.p, &c.p.r
	c.text = c.text[:0]
	h := habits{column: r.intn(3), mark: r.intn(4), terse: r.chance(.3), bullets: r.chance(.45), wrap: r.chance(.35), child: p.age(c.v.t) < 16, main: &wellness, symptom: -1, denied: -1}
	if len(c.diag) > 0 {
		h.main = p.problems[c.diag[0]].c
	} else if i := c.otherProblem(nil); i >= 0 && r.chance(.5) {
		h.main = p.problems[i].c
	}
	c.title(kind, &h)
	if kind == telephoneNote {
		for _, i := range c.order(len(calls), r.between(11, 14)) {
			c.say(calls[i], &h)
			c.gap(&h)
		}
	} else {
		for _, s := range pick(r, layouts[kind]) {
			c.section(s, kind, &h)
		}
	}
	c.sign(&h)
	const limit = 6000
	if len(c.text) > limit {
		cut := limit
		for cut > 0 && c.text[cut] != '\n' {
			cut--
		}
		c.text = c.text[:cut]
	}
}

func (c *chart) put(s string) { c.text = append(c.text, s...) }

func (c *chart) putInt(v int) { c.text = appendFixed(c.text, int64(v), 0) }

func (c *chart) gap(h *habits) {
	if h.wrap {
		c.put("\n")
	} else {
		c.put(" ")
	}
}

// order draws n different indexes below of, in a random order, without
// allocating: it keeps at most 16.
func (c *chart) order(of, n int) []int {
	n = min(n, of, 16)
	buf := c.picks[:0]
	for len(buf) < n {
		x := c.p.r.intn(of)
		again := false
		for _, y := range buf {
			again = again || x == y
		}
		if !again {
			buf = append(buf, x)
		}
	}
	c.picks = buf
	return buf
}

func (c *chart) title(kind noteKind, h *habits) {
	p, r := &c.p, &c.p.r
	switch r.intn(4) {
	case 0:
		c.put(noteKinds[kind].name + "\n")
		c.put("Patient: " + p.display + "   MRN: " + p.mrn + "\nDate: ")
		c.text = appendDate(c.text, p.city.zone.localDay(c.at))
		c.put("\n\n")
	case 1:
		c.text = appendDate(c.text, p.city.zone.localDay(c.at))
		c.put("\n" + c.site.name + "\n\n")
	case 2:
		c.put(strings.ToUpper(noteKinds[kind].name) + "\n\n")
	default:
		c.put("\n")
	}
	if kind == dischargeSummary {
		c.put("Admitted: ")
		c.text = appendDate(c.text, p.city.zone.localDay(c.v.t))
		c.put("  Discharged: ")
		c.text = appendDate(c.text, p.city.zone.localDay(c.v.until))
		c.put("\n\n")
	}
	if kind == consultNote {
		c.say(pick(r, consults), h)
		c.put("\n\n")
	}
}

func (c *chart) sign(h *habits) {
	r := &c.p.r
	c.put("\n")
	switch r.intn(4) {
	case 0:
		c.put("Electronically signed by " + c.doctor.display + "\n")
	case 1:
		c.put("-- " + c.doctor.given + " " + c.doctor.family + ", MD\n")
	case 2:
		c.put("Dictated but not read. " + c.doctor.display + "\n")
	}
}

func (c *chart) heading(s section, h *habits) {
	switch h.mark {
	case 0:
		c.put(headings[s][h.column] + ":\n")
	case 1:
		c.put("# " + headings[s][h.column] + "\n")
	case 2:
		c.put(headings[s][h.column] + ": ")
	default:
		c.put(headings[s][h.column] + " -\n")
	}
}

// bullet begins an entry of a list.
func (c *chart) bullet(i int, h *habits) {
	switch {
	case h.bullets && h.column == 2:
		c.put("\n")
		c.putInt(i + 1)
		c.put(". ")
	case h.bullets:
		if i > 0 || h.mark == 2 {
			c.put("\n")
		}
		c.put("- ")
	case i > 0:
		c.put(" ")
	}
}

// otherProblem draws an active chronic problem besides not; -1 if none.
func (c *chart) otherProblem(not *condition) int {
	p := &c.p
	found, n := -1, 0
	for i := range p.problems {
		q := &p.problems[i]
		if q.c == not || q.acute || q.onset > c.v.t || q.abate != 0 && q.abate < c.v.t {
			continue
		}
		n++
		if p.r.intn(n) == 0 {
			found = i
		}
	}
	return found
}

// absent draws the names of a condition that the patient does not have.
func (c *chart) absent() []string {
	p := &c.p
	for range 6 {
		x := &chronic[p.r.intn(len(chronic))]
		if p.r.chance(.4) {
			x = &acute[p.r.intn(len(acute))]
		}
		has := x.men == 0 && !p.female || x.women == 0 && p.female
		for i := range p.problems {
			has = has || p.problems[i].c.code == x.code
		}
		if !has {
			return x.says
		}
	}
	return rareDiseases
}

var rareDiseases = []string{"an occult malignancy", "sarcoidosis", "Lyme disease"}

// say expands a pattern of tables_notes.go and sets its first letter in
// upper case.
func (c *chart) say(pattern string, h *habits) {
	begin := len(c.text)
	for {
		i := strings.IndexByte(pattern, '$')
		if i < 0 {
			c.put(pattern)
			break
		}
		c.put(pattern[:i])
		c.fact(pattern[i+1], h)
		pattern = pattern[i+2:]
	}
	c.upper(begin)
}

func (c *chart) upper(at int) {
	if at < len(c.text) && c.text[at] >= 'a' && c.text[at] <= 'z' {
		c.text[at] -= 'a' - 'A'
	}
}

// counted is say for patterns with a number in place of '#'.
func (c *chart) counted(pattern string, n int, h *habits) {
	if i := strings.IndexByte(pattern, '#'); i >= 0 {
		c.say(pattern[:i], h)
		c.putInt(n)
		pattern = pattern[i+1:]
	}
	c.say(pattern, h)
}

var spans = []string{"two days", "3 days", "4 days", "a week", "10 days", "two weeks", "3 weeks", "a month", "6 weeks", "3 months", "several months"}

func (c *chart) fact(letter byte, h *habits) {
	p, r := &c.p, &c.p.r
	switch letter {
	case 'A':
		c.putAge(h)
	case 'G':
		switch {
		case h.child && p.female:
			c.put("girl")
		case h.child:
			c.put("boy")
		case p.female:
			c.put(pick(r, []string{"woman", "female"}))
		default:
			c.put(pick(r, []string{"man", "male"}))
		}
	case 'P':
		c.put(pronoun(p.female, "She", "He"))
	case 'p':
		c.put(pronoun(p.female, "she", "he"))
	case 'H':
		c.put(pronoun(p.female, "her", "his"))
	case 'L':
		switch {
		case h.child:
			c.put(p.given)
		case p.female:
			c.put("Ms. " + p.family)
		default:
			c.put("Mr. " + p.family)
		}
	case 'O':
		c.put(p.occupation)
	case 'C':
		c.put(pick(r, h.main.says))
	case 'K':
		if i := c.otherProblem(h.main); i >= 0 {
			c.put(pick(r, p.problems[i].c.says))
		} else {
			c.put(pick(r, h.main.says))
		}
	case 'k':
		c.put(pick(r, c.absent()))
	case 'S', 'T':
		c.put(next(r, h.main.symptoms, &h.symptom))
	case 'X', 'Y':
		c.put(next(r, h.main.negative, &h.denied))
	case 'E':
		c.put(pick(r, h.main.exam))
	case 'Q':
		c.put(pick(r, h.main.plan))
	case 'V':
		c.put(pick(r, spans))
	case 'Z':
		y, _, _ := civil(floorDay(max(p.birth, c.v.t-stamp(r.between(1, 9))*year)))
		c.putInt(int(y))
	case 'M', 'm':
		if len(p.meds) == 0 {
			g := &drugs[pick(r, []int{dAcetaminophen, dIbuprofen, dLoratadine})]
			c.putDrug(g, letter == 'M', h)
			return
		}
		c.putDrug(&drugs[pick(r, p.meds).drug], letter == 'M', h)
	case 'D':
		c.put(pick(r, c.w.people).family)
	case 'I':
		c.put(c.site.name)
	case 'R':
		if len(p.family_) > 0 && r.chance(.7) {
			c.put(p.family_[0].who)
			return
		}
		c.put(pick(r, relatives))
	case 'F':
		if len(p.family_) > 0 && r.chance(.7) {
			c.put(p.family_[0].what)
			return
		}
		c.put(pick(r, heritable))
	case 'J':
		c.putInt(r.between(38, 84))
	case 'B':
		c.putPressure()
	case 'U':
		c.putInt(int(c.vitals.pulse))
	}
}

func pronoun(female bool, she, he string) string {
	if female {
		return she
	}
	return he
}

func (c *chart) putAge(h *habits) {
	months := int((c.v.t - c.p.birth) / (year / 12))
	if months < 24 {
		c.putInt(max(1, months))
		c.put("-month-old")
		return
	}
	c.putInt(c.p.age(c.v.t))
	if h.terse {
		c.put(" yo")
	} else {
		c.put("-year-old")
	}
}

func (c *chart) putPressure() {
	if c.vitals.sbp == 0 {
		c.put("118/76")
		return
	}
	c.putInt(int(c.vitals.sbp))
	c.put("/")
	c.putInt(int(c.vitals.dbp))
}

// putDrug names a drug, with dose, route and frequency if full.
func (c *chart) putDrug(g *drug, full bool, h *habits) {
	name := g.generic
	if g.brand != "" && c.p.r.chance(.2) {
		name = g.brand
	}
	c.put(name)
	if !full {
		return
	}
	c.put(" " + g.strength + " ")
	f, route := &frequencies[g.perDay], &routes[g.route]
	if h.terse || h.column == 2 {
		c.put(route.abbr + " " + f.abbr)
		if g.prn {
			c.put(" PRN")
		}
		return
	}
	c.put(route.words + " " + f.words)
	if g.prn {
		c.put(" as needed")
	}
}
