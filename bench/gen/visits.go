package gen

import "slices"

type visitKind uint8

const (
	vWell visitKind = iota
	vFollow
	vOnset
	vAcute
	vED
	vStay
	vPrenatal
	vBirth
	vPhone
	vDialysis
	vChemo
)

// A visit is one planned encounter.
type visit struct {
	t, until stamp
	kind     visitKind
	problem  int // into person.problems; -1 for none
	nth      int // position in a series
	full     bool
}

// visitKinds: class, SNOMED CT type, minutes, price of the visit.
var visitKinds = [...]struct {
	class, className string
	code, name       string
	minutes          int
	cents            int64
}{
	vWell:     {"AMB", "ambulatory", "162673000", "General examination of patient (procedure)", 30, 13670},
	vFollow:   {"AMB", "ambulatory", "390906007", "Follow-up encounter (procedure)", 20, 9240},
	vOnset:    {"AMB", "ambulatory", "185347001", "Encounter for problem (procedure)", 25, 11310},
	vAcute:    {"AMB", "ambulatory", "185345009", "Encounter for symptom (procedure)", 15, 8555},
	vED:       {"EMER", "emergency", "50849002", "Emergency room admission (procedure)", 170, 84650},
	vStay:     {"IMP", "inpatient encounter", "32485007", "Hospital admission (procedure)", 60, 684000},
	vPrenatal: {"AMB", "ambulatory", "424619006", "Prenatal visit (regime/therapy)", 20, 9950},
	vBirth:    {"IMP", "inpatient encounter", "183460006", "Obstetric emergency hospital admission (procedure)", 60, 512000},
	vPhone:    {"VR", "virtual", "185317003", "Telephone encounter (procedure)", 10, 3120},
	vDialysis: {"AMB", "ambulatory", "308335008", "Patient encounter procedure (procedure)", 230, 18400},
	vChemo:    {"AMB", "ambulatory", "185349003", "Encounter for check up (procedure)", 200, 31500},
}

// childMonths are the ages of the visits of small children.
var childMonths = []int{0, 1, 2, 4, 6, 9, 12, 15, 18, 24, 30, 36}

// planVisits lays out the encounters of a life in order of time. The record is
// dense in its last years and holds but the great events before them.
func (p *person) planVisits() {
	r := &p.r
	dense := max(p.birth, p.end-stamp((7+7*r.f())*year))

	// Well visits.
	if p.birth >= dense-3*year {
		for i, m := range childMonths {
			p.add(vWell, p.birth+stamp(m)*year/12+5*day, -1, i, false)
		}
	}
	for y := 4; ; y++ {
		t := p.birth + stamp(y)*year + stamp(r.between(0, 60))*day
		if t >= p.end {
			break
		}
		skip := .08
		switch {
		case y >= 18 && y < 40:
			skip = .5
		case y >= 40:
			skip = .2
		}
		if t < dense {
			skip = .85
		}
		if !r.chance(skip) {
			p.add(vWell, t, -1, y, y >= 18)
		}
	}

	// Chronic conditions: onset, follow-up, admissions, series.
	follow, stays := 0.0, 0.0
	for i := range p.problems {
		q := &p.problems[i]
		p.add(vOnset, q.onset, i, 0, true)
		from := max(q.onset+40*day, dense)
		span := float64(p.end-from) / year
		if span <= 0 || q.abate != 0 {
			continue
		}
		n := int(span*q.c.follow*.62*(.5+r.f()) + r.f())
		follow += q.c.follow
		for k := range n {
			t := from + stamp((float64(k)+r.f())/float64(n)*float64(p.end-from))
			p.add(vFollow, t, i, k+1, r.chance(.6))
			if r.chance(.13) {
				p.add(vPhone, t+stamp(r.between(2, 20))*day, i, k, false)
			}
		}
		if q.c.stay {
			rate := .07 + min(stays, .1)
			stays += .02
			for k := range int(span*rate*2*r.f() + r.f()*.5) {
				p.stay(from+stamp(r.f()*float64(p.end-from)), i, k)
			}
		}
		if q.c.flag&fDialysis != 0 {
			n := int(min(span, 4) * float64(r.between(12, 70)))
			for k := range n {
				p.add(vDialysis, p.end-stamp(n-k)*stamp(span/float64(n)*.9*year), i, k, k%4 == 0)
			}
		}
		if q.c.flag&fCancer != 0 && len(q.c.drugs) > 1 {
			for k := range r.between(4, 14) {
				p.add(vChemo, from+stamp(21*k)*day, i, k, k%2 == 0)
			}
		}
	}

	p.episodes(dense)
	if p.female {
		p.pregnancies(dense)
	}
	slices.SortStableFunc(p.visits, func(a, b visit) int {
		switch {
		case a.t < b.t:
			return -1
		case a.t > b.t:
			return 1
		}
		return 0
	})
	p.untangle()
}

// untangle moves visits so that no two overlap, and drops what then would lie
// past the end.
func (p *person) untangle() {
	kept := p.visits[:0]
	var free stamp
	for _, v := range p.visits {
		if len(kept) > 0 && v.t < free {
			if v.kind != vOnset && v.kind != vAcute && v.kind != vED && v.kind != vStay && v.kind != vBirth {
				continue
			}
			length := v.until - v.t
			v.t = free + hour
			v.until = v.t + length
		}
		if v.until > p.end {
			continue
		}
		free = v.until + 30*minute
		kept = append(kept, v)
	}
	p.visits = kept
}

func (p *person) add(kind visitKind, t stamp, problem, nth int, full bool) {
	t = p.clinicHour(t)
	if kind == vED {
		t += stamp(p.r.between(-6*hour, 12*hour))
	}
	length := stamp(visitKinds[kind].minutes+p.r.intn(12)) * minute
	if t <= p.birth || t+length >= p.end {
		return
	}
	p.visits = append(p.visits, visit{t, t + length, kind, problem, nth, full})
}

// stay plans an admission; most last some days, a few last weeks.
func (p *person) stay(t stamp, problem, nth int) {
	r := &p.r
	days := 1 + int(-4*fastLog(1-r.f()))
	if r.chance(.06) {
		days += r.between(8, 30)
	}
	t = p.clinicHour(t)
	until := t + stamp(days)*day + stamp(r.between(-3, 4))*hour
	if t <= p.birth || until >= p.end {
		return
	}
	p.visits = append(p.visits, visit{t, until, vStay, problem, nth, true})
}

// episodes draws acute conditions year by year.
func (p *person) episodes(dense stamp) {
	r := &p.r
	for t := dense; t < p.end; t += year {
		age := p.ageF(t)
		rate := .45
		switch {
		case age < 6:
			rate = 1.5
		case age < 18:
			rate = .7
		case age > 70:
			rate = .75
		}
		n := 0
		for n < 6 && r.chance(rate/(1+.4*float64(n))) {
			n++
		}
		for range n {
			at := p.clinicHour(t + stamp(r.f()*year))
			c := p.pickAcute(p.ageF(at))
			if c == nil || at >= p.end {
				continue
			}
			days := stamp(float64(c.days)*(.7+.6*r.f())+1) * day
			q := problem{c: c, id: r.uuid(), onset: at - stamp(r.between(0, 2))*day, acute: true}
			if at+days < p.end {
				q.abate = at + days
			}
			if q.onset <= p.birth {
				continue
			}
			i := len(p.problems)
			p.problems = append(p.problems, q)
			switch {
			case c.sev == careInpatient && r.chance(.75):
				p.stay(at, i, 0)
				p.add(vFollow, at+stamp(r.between(16, 40))*day, i, 1, false)
			case c.sev >= careED || c.sev == careUrgent && r.chance(.25):
				p.add(vED, at, i, 0, true)
			default:
				p.add(vAcute, at, i, 0, false)
			}
			if c.days > 20 && r.chance(.6) {
				p.add(vFollow, at+days*2/3, i, 1, false)
			} else if r.chance(.07) {
				p.add(vPhone, at+3*day, i, 1, false)
			}
		}
	}
}

func (p *person) pickAcute(age float64) *condition {
	total := 0.0
	for pass := range 2 {
		x := p.r.f() * total
		for i := range acute {
			c := &acute[i]
			if age < c.onset || age > c.spread {
				continue
			}
			if c.flag&fInfection != 0 && c.code == "840539006" && p.birth+stamp(age*year) < covidFrom-year {
				continue
			}
			weight := c.men
			if p.female {
				weight = c.women
			}
			if pass == 0 {
				total += weight
			} else if x -= weight; x < 0 {
				return c
			}
		}
	}
	return nil
}

func (p *person) pregnancies(dense stamp) {
	r := &p.r
	want := r.between(0, 3)
	next := p.birth + stamp(r.between(21, 34))*year
	for range want {
		start := p.clinicHour(next)
		due := start + 275*day + stamp(r.between(-14, 9))*day
		next = due + stamp(r.between(16, 44))*30*day
		if due+5*day >= p.end || p.ageF(start) > 43 {
			return
		}
		i := len(p.problems)
		p.problems = append(p.problems, problem{c: &pregnancy, id: r.uuid(), onset: start, abate: due, acute: true})
		if start < dense {
			p.add(vBirth, due-day, i, 0, true)
			continue
		}
		for k, week := range []int{9, 13, 17, 21, 25, 28, 31, 34, 36, 37, 38} {
			p.add(vPrenatal, start+stamp(week)*7*day, i, k, k == 0 || k == 5)
		}
		t := p.clinicHour(due - day)
		p.visits = append(p.visits, visit{t, t + 2*day, vBirth, i, 0, true})
		p.add(vFollow, due+40*day, i, 9, false)
	}
}

// fastLog is a natural logarithm good to some percent, which is enough for
// the length of a stay and the same on every machine.
func fastLog(x float64) float64 {
	k := 0.0
	for x < .5 && k < 8 {
		x *= 2
		k++
	}
	y := x - 1
	return y - y*y/2 + y*y*y/3 - k*.6931
}
