package gen

import "math"

// person holds the facts of one patient: what is drawn before the first visit
// and what visits change. It is reused from patient to patient.
type person struct {
	r  rng
	n  int
	id uid
	w  *world

	female         bool
	birth, end     stamp // end is death or the horizon
	dead           bool
	birthPrec      int // 0 full date, 1 month, 2 year
	race           int
	hispanic, han  bool
	given, middle  string
	family, maiden string
	display        string
	lang           int
	city           *city
	zip, line      string
	lat, lon       int64
	phone, mobile  string
	ssn, mrn       string
	married        int // 0 single, 1 married, 2 divorced, 3 widowed
	occupation     string
	payer          int
	coverage       uid
	site, pcp      int

	smoker    int // 0 never, 1 former, 2 current
	packYears int
	drinks    int
	heightCM  float64
	bmi, sbp  float64
	bias      [numLabs]float64

	problems  []problem
	meds      []medication
	allergies []allergy
	family_   []kin
	visits    []visit
}

type problem struct {
	c       *condition
	id      uid
	onset   stamp
	abate   stamp // 0 while it lasts
	written bool
	acute   bool
}

type medication struct {
	drug    int
	problem int
	id      uid // of the latest request
	since   stamp
}

type allergy struct {
	id   uid
	kind int
	at   stamp
}

// kin is one statement of the family history.
type kin struct {
	who, what string
	age       int
}

var relatives = []string{"mother", "father", "maternal grandmother", "paternal grandfather", "sister", "brother", "maternal aunt"}

var heritable = []string{"type 2 diabetes", "hypertension", "breast cancer", "colon cancer", "coronary artery disease", "stroke", "Alzheimer disease", "prostate cancer", "depression", "asthma", "lung cancer", "rheumatoid arthritis"}

func (p *person) age(t stamp) int { return yearsBetween(p.birth, t) }

func (p *person) ageF(t stamp) float64 { return float64(t-p.birth) / year }

// flags tells which conditions are present at t.
func (p *person) flags(t stamp) (f flag) {
	for i := range p.problems {
		q := &p.problems[i]
		if q.onset <= t && (q.abate == 0 || q.abate > t) {
			f |= q.c.flag
		}
	}
	return f
}

// draw makes the person with everything that is settled before any visit.
func (p *person) draw(w *world, n int) {
	p.r.seed(w.seed, uint64(n))
	r := &p.r
	p.n, p.w, p.id = n, w, r.uuid()
	p.problems, p.meds, p.allergies = p.problems[:0], p.meds[:0], p.allergies[:0]
	p.family_, p.visits = p.family_[:0], p.visits[:0]

	p.female = r.chance(.51)
	// The pyramid: near even to 60, thinner above.
	age := r.f() * 64
	if r.chance(.27) {
		age = 60 + math.Abs(r.norm())*13
	}
	age = min(age, 99)
	p.birth = horizon - stamp(age*year)
	p.end, p.dead = horizon, false
	p.who(w)
	p.body()
	p.illnesses()
	p.mortality(age)

	for i := 0; i < len(p.problems); {
		if p.problems[i].onset >= p.end-30*day {
			p.problems = append(p.problems[:i], p.problems[i+1:]...)
			continue
		}
		i++
	}
	if r.chance(.24) {
		for range r.between(1, 3) {
			at := p.birth + stamp(float64(p.end-p.birth)*r.f()*.6)
			p.addAllergy(r.intn(len(allergens)), at)
		}
	}
	for range r.between(0, 4) {
		k := kin{pick(r, relatives), pick(r, heritable), r.between(38, 84)}
		if k.what == "prostate cancer" {
			k.who = "father"
		}
		p.family_ = append(p.family_, k)
	}
	p.planVisits()
}

func (p *person) addAllergy(kind int, at stamp) {
	for i := range p.allergies {
		if p.allergies[i].kind == kind {
			return
		}
	}
	p.allergies = append(p.allergies, allergy{p.r.uuid(), kind, at})
}

func (p *person) who(w *world) {
	r := &p.r
	p.race = 0
	for x := r.intn(100); x >= races[p.race].weight; p.race++ {
		x -= races[p.race].weight
	}
	p.hispanic = (p.race == 0 || p.race == 5) && r.chance(.2)
	if p.female {
		p.given, p.middle = pick(r, womenNames), pick(r, womenNames)
	} else {
		p.given, p.middle = pick(r, menNames), pick(r, menNames)
	}
	if r.chance(.3) {
		p.middle = ""
	}
	switch {
	case p.hispanic:
		p.family = pick(r, hispanicFamilies)
	case p.race == 2:
		p.family = pick(r, asianFamilies)
	default:
		p.family = pick(r, families)
	}
	p.han = p.race == 2 && r.chance(.25)
	p.display = p.given + " " + p.family
	p.lang = 0
	switch {
	case p.hispanic && r.chance(.35):
		p.lang = 1
	case p.race == 2 && r.chance(.3):
		p.lang = 2 + 4*r.intn(2)
	case r.chance(.03):
		p.lang = r.between(3, 5)
	}
	p.site = r.intn(len(w.sites))
	s := &w.sites[p.site]
	p.city, p.zip, p.line = s.city, zipOf(r, s.city), streetLine(r)
	p.lat = s.city.lat + int64(r.norm()*40000)
	p.lon = s.city.lon + int64(r.norm()*40000)
	p.phone, p.mobile = phoneOf(r), phoneOf(r)
	p.ssn = digits(r, "999-", 2) + "-" + digits(r, "", 4)
	p.mrn = digits(r, "MR", 8)
	p.occupation = pick(r, occupations)
	p.coverage = r.uuid()
	p.birthPrec = 0
	if r.chance(.008) {
		p.birthPrec = r.between(1, 2)
	}
	age := p.age(p.end)
	p.pcp = s.staff[r.intn(2)]
	if age < 18 {
		p.pcp = s.staff[2]
	}
	p.married, p.maiden = 0, ""
	if age > 24 && r.chance(.72) {
		p.married = 1
		if r.chance(.18) {
			p.married = 2
		} else if age > 68 && r.chance(.35) {
			p.married = 3
		}
		if p.female && r.chance(.6) {
			p.maiden = pick(r, families)
		}
	}
	switch {
	case age >= 65:
		p.payer = payMedicare
	case r.chance(.17):
		p.payer = payMedicaid
	case r.chance(.07):
		p.payer = payNone
	default:
		p.payer = r.between(2, 5)
	}
}

func (p *person) body() {
	r := &p.r
	p.heightCM = 176 + 7*r.norm()
	if p.female {
		p.heightCM = 163 + 6.5*r.norm()
	}
	p.bmi = min(max(27.2+4.8*r.norm(), 18.2), 47)
	p.sbp = 115 + 8*r.norm()
	for i := range p.bias {
		p.bias[i] = r.norm() * .7
	}
	p.smoker, p.packYears = 0, 0
	if p.ageF(p.end) > 17 {
		switch x := r.f(); {
		case x < .15:
			p.smoker = 2
		case x < .38:
			p.smoker = 1
		}
	}
	if p.smoker > 0 {
		p.packYears = r.between(2, 4+int(p.ageF(p.end)*.6))
	}
	p.drinks = 0
	if p.ageF(p.end) > 20 && r.chance(.6) {
		p.drinks = r.between(1, 9)
	}
}

// illnesses draws the chronic conditions, each from its share and age of
// onset; what a person has already raises what follows from it.
func (p *person) illnesses() {
	r := &p.r
	var have flag
	for i := range chronic {
		c := &chronic[i]
		share := c.men
		if p.female {
			share = c.women
		}
		// Three draws whatever comes of them: a change of one row
		// leaves the draws of the others in place.
		u, z, id := r.f(), r.norm(), r.uuid()
		if c.needs != 0 && have&c.needs == 0 {
			continue
		}
		for risk := c.risk & have; risk != 0; risk &= risk - 1 {
			share *= c.riskBy
		}
		if c.smoking > 0 && p.smoker > 0 {
			share *= c.smoking
		}
		if c.flag&fObesity != 0 && p.bmi > 30 {
			share = 1
		} else if c.flag&fObesity != 0 {
			share = 0
		}
		if u >= min(share, .93) {
			continue
		}
		at := max(c.onset+c.spread*z, .5)
		onset := p.birth + stamp(at*year)
		if c.needs != 0 { // not before what it follows from
			for k := range p.problems {
				if q := &p.problems[k]; q.c.flag&c.needs != 0 {
					onset = max(onset, q.onset+stamp(60*day))
				}
			}
		}
		if onset >= p.end {
			continue
		}
		have |= c.flag
		p.problems = append(p.problems, problem{c: c, id: id, onset: p.clinicHour(onset)})
	}
	if have&fDiabetes != 0 { // prediabetes ends where diabetes begins
		var began stamp
		for i := range p.problems {
			if p.problems[i].c.flag&fDiabetes != 0 {
				began = p.problems[i].onset
			}
		}
		for i := range p.problems {
			if q := &p.problems[i]; q.c.flag&fPrediabetes != 0 {
				if q.onset >= began-year {
					q.onset = p.clinicHour(began - 2*year)
				}
				q.abate = began
			}
		}
	}
}

// mortality decides whether the person has died: by age, more with grave
// conditions. The last years are then the years before death.
func (p *person) mortality(age float64) {
	r := &p.r
	risk := .004 + math.Exp((age-88)/9)*.5
	for i := range p.problems {
		switch {
		case p.problems[i].c.flag&(fCancer|fHeartFailure|fDialysis|fDementia|fLiver) != 0:
			risk += .10
		case p.problems[i].c.stay:
			risk += .02
		}
	}
	if !r.chance(min(risk, .8)) || age < 1 {
		return
	}
	p.dead = true
	p.end = horizon - stamp(r.f()*min(12, age*.3)*year)
	for i := range p.problems {
		if q := &p.problems[i]; q.abate > p.end {
			q.abate = 0
		}
	}
}

// clinicHour moves t to a time of day at which a clinic is open.
func (p *person) clinicHour(t stamp) stamp {
	local := floorDay(t)
	return stamp(local*day + int64(p.city.zone.west)*hour + 8*hour + int64(p.r.intn(36))*15*minute)
}
