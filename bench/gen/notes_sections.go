package gen

import "strings"

// section writes one heading with what belongs under it.
func (c *chart) section(s section, kind noteKind, h *habits) {
	p, r := &c.p, &c.p.r
	if s == sLabs && !c.anyLab() {
		return
	}
	c.heading(s, h)
	switch s {
	case sCC:
		c.say(pick(r, complaints), h)
	case sHPI:
		if h.child {
			c.say(pick(r, openingsChild), h)
		} else {
			c.say(pick(r, openings), h)
		}
		n := r.between(4, 10)
		if h.terse {
			n = r.between(2, 4)
		}
		if h.child {
			c.sentences(storiesChild, n, h)
		} else {
			c.sentences(stories, n, h)
		}
	case sPMH:
		c.pastHistory(h)
	case sMeds:
		c.medicationList(h)
	case sAllergies:
		c.allergyList(h)
	case sFH:
		if len(p.family_) == 0 {
			c.say(pick(r, noFamily), h)
		}
		for i, k := range p.family_ {
			c.bullet(i, h)
			one := *h
			c.kin(pick(r, familyLines), k, &one)
		}
		if len(p.family_) > 0 && r.chance(.3) {
			c.put(" ")
			c.say("No known family history of $k.", h)
		}
	case sSH:
		if h.child {
			c.say(pick(r, socialKid), h)
			break
		}
		c.counted(pick(r, smokes[p.smoker]), p.packYears, h)
		c.put(" ")
		if p.drinks == 0 {
			c.say(pick(r, drinksNone), h)
		} else {
			c.counted(pick(r, drinksSome), p.drinks, h)
		}
		c.sentences(social, r.between(1, 3), h)
	case sROS:
		c.list(reviews, r.between(4, 9), h)
	case sVitals:
		c.vitalLine(h)
	case sExam:
		n := r.between(5, 10)
		if h.terse {
			n = r.between(2, 4)
		}
		c.list(findings, n, h)
		c.put(" ")
		c.say("$E.", h)
		if r.chance(.4) {
			c.put(" ")
			c.say("$E.", h)
		}
	case sLabs:
		c.labLine(h)
	case sAssessment:
		c.say(pick(r, assessments), h)
		if r.chance(.5) {
			c.gap(h)
			c.say(pick(r, assessments), h)
		}
	case sPlan:
		c.list(plans, r.between(3, 7), h)
		c.newDrugs(h)
	case sCourse:
		c.say(courses[0], h)
		c.sentences(courses[1:], r.between(5, 13), h)
		// A long stay is told day by day; the limit of writeNote ends it.
		for n := 2; n <= min(12, int(int64(c.v.until-c.v.t)/day)) && !h.terse; n++ {
			c.put(pick(r, []string{"\nHospital day ", "\nHD #", "\nDay "}))
			c.putInt(n)
			c.put(":")
			c.sentences(dailies, r.between(2, 5), h)
		}
		c.procedureLine(h)
	case sDisposition:
		c.say(pick(r, dispositions), h)
		c.newDrugs(h)
	case sInstructions:
		c.list(returnFor, r.between(1, 3), h)
		c.gap(h)
		c.say("Follow up with Dr. $D in $V.", h)
	case sED:
		c.put(pick(r, arrivals))
		c.sentences(edCourse, r.between(4, 9), h)
		c.procedureLine(h)
	}
	c.put("\n\n")
}

// sentences says n patterns of a list one after the other.
func (c *chart) sentences(list []string, n int, h *habits) {
	for _, i := range c.order(len(list), n) {
		c.gap(h)
		c.say(list[i], h)
	}
}

func (c *chart) list(list []string, n int, h *habits) {
	for k, i := range c.order(len(list), n) {
		c.bullet(k, h)
		c.say(list[i], h)
	}
}

// kin says one line of the family history: here the letters stand for that
// relative, not for any.
func (c *chart) kin(pattern string, k kin, h *habits) {
	begin := len(c.text)
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '$' {
			c.text = append(c.text, pattern[i])
			continue
		}
		i++
		switch pattern[i] {
		case 'R':
			c.put(k.who)
		case 'F':
			c.put(k.what)
		case 'J':
			c.putInt(k.age)
		default:
			c.fact(pattern[i], h)
		}
	}
	c.upper(begin)
}

func (c *chart) pastHistory(h *habits) {
	p, r := &c.p, &c.p.r
	n := 0
	for i := range p.problems {
		q := &p.problems[i]
		if q.onset >= c.v.t || q.acute && (q.c.days < 60 || q.abate == 0 || q.c.flag&fPregnant != 0) {
			continue
		}
		if n++; n > 9 {
			break
		}
		c.bullet(n-1, h)
		begin := len(c.text)
		pattern := pick(r, history)
		y, _, _ := civil(floorDay(q.onset))
		for k := 0; k < len(pattern); k++ {
			switch {
			case pattern[k] != '$':
				c.text = append(c.text, pattern[k])
			case pattern[k+1] == 'c':
				c.put(pick(r, q.c.says))
				k++
			default:
				c.putInt(int(y))
				k++
			}
		}
		c.put(".")
		c.upper(begin)
	}
	if n == 0 {
		c.put(pick(r, noHistory))
	}
	if r.chance(.3) {
		c.gap(h)
		c.say("No history of $k.", h)
	}
}

func (c *chart) medicationList(h *habits) {
	p, r := &c.p, &c.p.r
	if len(p.meds) == 0 {
		c.put(pick(r, []string{"None.", "No regular medications.", "Takes no medications.", "Multivitamin only."}))
		return
	}
	for i := range p.meds {
		c.bullet(i, h)
		c.putDrug(&drugs[p.meds[i].drug], true, h)
		if !h.bullets {
			c.put(";")
		}
	}
}

func (c *chart) newDrugs(h *habits) {
	for _, k := range c.started {
		if k >= len(c.p.meds) {
			continue
		}
		c.gap(h)
		c.put(pick(&c.p.r, []string{"Start ", "Begin ", "New prescription: ", "Rx "}))
		c.putDrug(&drugs[c.p.meds[k].drug], true, h)
		c.put(".")
	}
}

func (c *chart) allergyList(h *habits) {
	p, r := &c.p, &c.p.r
	n := 0
	for i := range p.allergies {
		a := &p.allergies[i]
		if a.at > c.v.t {
			continue
		}
		k := &allergens[a.kind]
		c.bullet(n, h)
		n++
		begin := len(c.text)
		c.put(k.word)
		switch r.intn(3) {
		case 0:
			c.put(" (" + k.reactionName + ")")
		case 1:
			c.put(" - " + k.reactionName)
		}
		c.put(".")
		c.upper(begin)
	}
	if n == 0 {
		c.put(pick(r, []string{"NKDA.", "No known drug allergies.", "None known.", "No known allergies to medications or foods."}))
	}
}

func (c *chart) vitalLine(h *habits) {
	s := &c.vitals
	if s.sbp == 0 {
		c.put("Not taken.")
		return
	}
	sep := ", "
	if h.bullets {
		sep = "\n"
	}
	names := [...]string{"BP ", "HR ", "RR ", "Temp ", "SpO2 ", "Wt "}
	if h.column == 1 {
		names = [...]string{"Blood pressure ", "Pulse ", "Respirations ", "Temperature ", "Oxygen saturation ", "Weight "}
	}
	c.put(names[0])
	c.putPressure()
	c.put(sep + names[1])
	c.putInt(int(s.pulse))
	c.put(sep + names[2])
	c.putInt(int(s.breaths))
	c.put(sep + names[3])
	if h.terse {
		c.text = appendFixed(c.text, s.temp*9/5+320, 1)
		c.put(" F")
	} else {
		c.text = appendFixed(c.text, s.temp, 1)
		c.put(" C")
	}
	c.put(sep + names[4])
	c.putInt(int(s.spo2))
	c.put("% on room air" + sep + names[5])
	c.text = appendFixed(c.text, s.weight, 1)
	c.put(" kg")
}

func (c *chart) anyLab() bool {
	for _, s := range c.seen {
		if s {
			return true
		}
	}
	return false
}

func (c *chart) labLine(h *habits) {
	n := 0
	start := c.p.r.intn(numLabs)
	for k := range numLabs {
		i := (start + k) % numLabs
		if !c.seen[i] || n >= 12 {
			continue
		}
		l := &labs[i]
		if n > 0 {
			if h.bullets {
				c.put("\n")
			} else {
				c.put(", ")
			}
		}
		n++
		c.put(l.short + " ")
		c.text = appendFixed(c.text, c.vals[i], l.prec)
		v := c.vals[i]
		if h.column != 2 {
			c.put(" " + l.unit)
		}
		switch {
		case l.high > 0 && v > scaled(l.high, l.prec):
			c.put(" (H)")
		case v < scaled(l.low, l.prec):
			c.put(" (L)")
		}
	}
	c.put(".")
}

func (c *chart) procedureLine(h *habits) {
	for _, k := range c.done {
		c.gap(h)
		c.put(pick(&c.p.r, []string{"Underwent ", "Status post ", "Had "}))
		c.put(procedures[k-1].note + ".")
	}
}

// contradicts tells whether a normal finding speaks of what was found: whether
// they share a word of some length.
func contradicts(normal, found string) bool {
	begin := 0
	for i := 0; i <= len(found); i++ {
		if i < len(found) && found[i] != ' ' && found[i] != ',' {
			continue
		}
		if i-begin >= 6 && strings.Contains(normal, found[begin:i]) {
			return true
		}
		begin = i + 1
	}
	return false
}

// writeRadiology composes the text of an imaging report.
func (c *chart) writeRadiology(k *imaging) {
	p, r := &c.p, &c.p.r
	h := habits{column: r.intn(2), mark: r.intn(3), wrap: r.chance(.3), main: &wellness, child: p.age(c.v.t) < 16}
	if len(c.diag) > 0 {
		h.main = p.problems[c.diag[0]].c
	}
	c.text = c.text[:0]
	c.put(pick(r, []string{"EXAM: ", "Examination: ", "STUDY: "}) + k.name + "\n")
	c.put(pick(r, []string{"INDICATION: ", "Clinical history: ", "REASON: "}))
	c.say(pick(r, []string{"$S.", "$C.", "$A $G with $S.", "$C, evaluate for $k.", "R/o $k."}), &h)
	c.put("\n" + pick(r, []string{"TECHNIQUE: ", "Technique: "}))
	begin := len(c.text)
	c.put(k.views + ".")
	c.upper(begin)
	c.put("\n" + pick(r, []string{"COMPARISON: ", "Prior: "}))
	c.say(pick(r, []string{"None.", "None available.", "Study of $Z.", "Outside film from $Z."}), &h)
	c.put("\n\n" + pick(r, []string{"FINDINGS:\n", "Findings: "}))
	positive := ""
	share := .3
	if len(c.diag) > 0 {
		share = .75
	}
	if r.chance(share) {
		positive = pick(r, k.finds)
		c.put(positive + ".")
	}
	for _, i := range c.order(len(k.normal), r.between(2, 5)) {
		if positive != "" && (i == 0 || contradicts(k.normal[i], positive)) {
			continue
		}
		if len(c.text) > 0 && c.text[len(c.text)-1] == '.' {
			c.gap(&h)
		}
		c.put(k.normal[i] + ".")
	}
	if r.chance(.3) {
		c.put(" ")
		c.say("No findings to suggest $k.", &h)
	}
	c.put("\n\n" + pick(r, []string{"IMPRESSION:\n", "Impression: "}))
	if positive == "" {
		positive = pick(r, k.normal)
	}
	c.put("1. " + positive + ".\n2. ")
	c.say(pick(r, impressions), &h)
	c.last[0] = positive + "."
	c.put("\n")
	c.sign(&h)
}
