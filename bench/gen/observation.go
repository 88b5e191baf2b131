package gen

import "math"

// Heads of an Observation: profile and category, by what it measures.
const (
	headVital  = `,"meta":{"profile":["http://hl7.org/fhir/StructureDefinition/vitalsigns","` + usCore + `us-core-`
	headLab    = `,"meta":{"profile":["` + usCore + `us-core-observation-lab"]},"status":"final","category":[{"coding":[{"system":"` + sysObsCat + `","code":"laboratory","display":"Laboratory"}],"text":"Laboratory"}]`
	headSurvey = `,"meta":{"profile":["` + usCore + `us-core-observation-screening-assessment"]},"status":"final","category":[{"coding":[{"system":"` + sysObsCat + `","code":"survey","display":"Survey"}]}]`
	headSocial = `,"meta":{"profile":["` + usCore + `us-core-smokingstatus"]},"status":"final","category":[{"coding":[{"system":"` + sysObsCat + `","code":"social-history","display":"Social History"}]}]`
	vitalCat   = `"]},"status":"final","category":[{"coding":[{"system":"` + sysObsCat + `","code":"vital-signs","display":"Vital Signs"}]}]`
)

// vitals of a visit, scaled as printed; zero where not taken.
type vitals struct {
	height, weight, bmi, sbp, dbp, pulse, breaths, temp, spo2, pain int64
}

// observe opens an Observation up to and with its code, subject and time.
func (c *chart) observe(head, head2, code, name string) *doc {
	d := c.open(tObservation, c.p.r.uuid())
	d.raw(head)
	if head2 != "" {
		d.raw(head2)
		d.raw(vitalCat)
	}
	d.raw(`,"code":`)
	d.concept(sysLOINC, code, name)
	d.b = append(d.b, c.tail...)
	return d
}

func (c *chart) vital(prof, code, name string, v int64, prec int, unit, ucum string) {
	d := c.observe(headVital, prof, code, name)
	d.raw(`,"valueQuantity":`)
	d.quantity(v, prec, unit, ucum)
	c.close(tObservation)
}

// growth holds mean height in cm and BMI by age, for boys and girls.
var growth = [...]struct{ age, boy, girl, bmi float64 }{
	{0, 50, 49.5, 13.4},
	{.5, 67.5, 66, 17.2},
	{1, 76, 74.5, 17},
	{2, 87.5, 86, 16.4},
	{4, 103, 102, 15.5},
	{6, 116, 115, 15.3},
	{8, 128, 127.5, 15.9},
	{10, 138.5, 138.5, 16.8},
	{12, 149.5, 151.5, 18.1},
	{14, 164, 160, 19.6},
	{16, 173.5, 162.5, 21},
	{18, 176, 163, 22},
}

// size gives height in cm and BMI at an age.
func (p *person) size(age float64) (height, bmi float64) {
	adult, mean := p.heightCM, 176.0
	if p.female {
		mean = 163
	}
	if age >= 18 {
		shrink := max(0, age-60) * .08
		return adult - shrink, 22 + (p.bmi-22)*min(1, .35+(age-18)/30) - max(0, age-78)*.12
	}
	i := 1
	for age > growth[i].age {
		i++
	}
	a, b := &growth[i-1], &growth[i]
	f := (age - a.age) / (b.age - a.age)
	height = a.boy + f*(b.boy-a.boy)
	if p.female {
		height = a.girl + f*(b.girl-a.girl)
	}
	bmi = (a.bmi + f*(b.bmi-a.bmi)) * (1 + (p.bmi-27)*.012)
	return height * adult / mean, bmi
}

func scaled(v float64, prec int) int64 {
	for range prec {
		v *= 10
	}
	return int64(math.Floor(v + .5))
}

// measure takes the vital signs of the visit and writes them.
func (c *chart) measure() {
	p, r, v := &c.p, &c.p.r, c.v
	age := p.ageF(v.t)
	h, bmi := p.size(age)
	bmi += r.norm() * .35
	if c.flags&fPregnant != 0 {
		bmi += .12 * float64(max(0, v.nth))
	}
	if c.flags&fCancer != 0 {
		bmi -= 1.4
	}
	bmi = max(bmi, 11.5)
	weight := bmi * h * h / 10000
	c.vitals = vitals{height: scaled(h, 1), weight: scaled(weight, 1)}
	c.vitals.bmi = scaled(weight/(h*h/10000), 2)
	ill := len(c.diag) > 0 && p.problems[c.diag[0]].c.flag&fInfection != 0
	c.setVitals(age, ill)

	// Most short visits keep their vital signs in the note alone.
	if (v.kind == vFollow || v.kind == vAcute || v.kind == vChemo) && r.chance(.7) {
		return
	}
	routine := v.kind == vWell || v.kind == vOnset
	if routine || v.kind == vFollow && r.chance(.35) || v.kind == vPrenatal && v.nth == 0 || v.kind == vStay {
		c.vital("body-height", "8302-2", "Body height", c.vitals.height, 1, "cm", "cm")
	}
	if v.kind != vED || r.chance(.4) {
		c.vital("body-weight", "29463-7", "Body weight", c.vitals.weight, 1, "kg", "kg")
		if routine && age >= 2 {
			c.vital("bmi", "39156-5", "Body mass index (BMI) [Ratio]", c.vitals.bmi, 2, "kg/m2", "kg/m2")
		}
	}
	if age < 2 {
		c.vital("head-circumference", "9843-4", "Head Occipital-frontal circumference", scaled(34.5+11*min(1, age/1.3)+r.norm()*.6, 1), 1, "cm", "cm")
	}
	c.signs(age, ill || v.kind == vED || v.kind == vStay)
	if routine && age > 12 && r.chance(.35) || r.chance(.12) {
		c.vitals.pain = int64(max(0, min(10, 1.5+2.2*r.norm())))
		if ill || v.kind == vED {
			c.vitals.pain = min(10, c.vitals.pain+3)
		}
		d := c.observe(headSurvey, "", "72514-3", "Pain severity - 0-10 verbal numeric rating [Score] - Reported")
		d.raw(`,"valueQuantity":`)
		d.quantity(c.vitals.pain, 0, "{score}", "{score}")
		c.close(tObservation)
	}
}

func (c *chart) setVitals(age float64, ill bool) {
	p, r := &c.p, &c.p.r
	s := p.sbp + .3*max(0, age-40) + 4.5*r.norm()
	if age < 18 {
		s = 82 + 1.9*age + (p.sbp-115)*.6 + 4*r.norm()
	}
	if c.flags&fHypertension != 0 {
		s += 13
		if c.v.kind == vOnset {
			s += 14
		}
	}
	s += max(0, p.bmi-27) * .5 * min(1, age/30)
	low := s*.52 + 15 + 3.5*r.norm() - max(0, age-60)*.25
	pulse := 72 + 7*r.norm()
	if age < 12 {
		pulse += (12 - age) * 4.6
	}
	breaths := 15 + 1.5*r.norm()
	if age < 10 {
		breaths += (10 - age) * 1.7
	}
	temp := 36.8 + .22*r.norm()
	spo2 := 97.6 + r.norm()
	if ill {
		temp += 1.1 + .5*r.norm()
		pulse += 14
		breaths += 3
		if c.v.kind == vStay {
			s -= 9
			spo2 -= 4
		}
	}
	if c.flags&fCOPD != 0 {
		spo2 -= 3.5
	}
	if c.flags&fAfib != 0 {
		pulse += 9
	}
	c.vitals.sbp, c.vitals.dbp = int64(max(s, 62)), int64(max(min(low, s-18), 34))
	c.vitals.pulse, c.vitals.breaths = int64(pulse), int64(max(breaths, 10))
	c.vitals.temp = scaled(min(temp, 40.6), 1)
	c.vitals.spo2 = int64(min(max(spo2, 78), 100))
}

// signs writes blood pressure, pulse and what else a nurse takes.
func (c *chart) signs(age float64, all bool) {
	r, s := &c.p.r, &c.vitals
	if age >= 2 {
		c.bloodPressure()
	}
	c.vital("heart-rate", "8867-4", "Heart rate", s.pulse, 0, "/min", "/min")
	if !all && r.chance(.4) {
		return
	}
	c.vital("respiratory-rate", "9279-1", "Respiratory rate", s.breaths, 0, "/min", "/min")
	if all || r.chance(.3) {
		c.vital("body-temperature", "8310-5", "Body temperature", s.temp, 1, "Cel", "Cel")
	}
	if all || c.flags&(fCOPD|fHeartFailure|fAsthma) != 0 || r.chance(.15) {
		c.vital("pulse-oximetry", "2708-6", "Oxygen saturation in Arterial blood", s.spo2, 0, "%", "%")
	}
}

func (c *chart) bloodPressure() {
	r := &c.p.r
	d := c.observe(`,"meta":{"profile":["http://hl7.org/fhir/StructureDefinition/bp","`+usCore+`us-core-`, "blood-pressure", "85354-9", "Blood pressure panel with all children optional")
	d.b = append(d.b, c.orderers...)
	if r.chance(.25) {
		d.raw(`,"bodySite":`)
		d.concept(sysSNOMED, "368208006", "Left upper arm structure")
	}
	d.raw(`,"component":[{"code":`)
	d.concept(sysLOINC, "8480-6", "Systolic blood pressure")
	d.raw(`,"valueQuantity":`)
	d.quantity(c.vitals.sbp, 0, "mmHg", "mm[Hg]")
	d.raw(`},{"code":`)
	d.concept(sysLOINC, "8462-4", "Diastolic blood pressure")
	if r.chance(.003) {
		d.raw(`,"dataAbsentReason":`)
		d.concept("http://terminology.hl7.org/CodeSystem/data-absent-reason", "unknown", "Unknown")
		d.raw(`}]`)
	} else {
		d.raw(`,"valueQuantity":`)
		d.quantity(c.vitals.dbp, 0, "mmHg", "mm[Hg]")
		d.raw(`}]`)
	}
	c.close(tObservation)
}

func (c *chart) smoking() {
	p := &c.p
	age := p.age(c.v.t)
	if age < 14 {
		return
	}
	code, name := "266919005", "Never smoked tobacco (finding)"
	switch {
	case p.smoker == 2 && age >= 18:
		code, name = "449868002", "Smokes tobacco daily (finding)"
	case p.smoker == 1 && age >= 30:
		code, name = "8517006", "Ex-smoker (finding)"
	}
	d := c.observe(headSocial, "", "72166-2", "Tobacco smoking status")
	d.raw(`,"valueCodeableConcept":`)
	d.concept(sysSNOMED, code, name)
	c.close(tObservation)
	if p.smoker > 0 && age >= 35 && p.r.chance(.3) {
		d := c.observe(headSocial, "", "8664-5", "Cigarettes smoked total (pack per year) - Reported")
		d.raw(`,"valueQuantity":`)
		d.quantity(int64(p.packYears), 0, "{PackYears}", "{PackYears}")
		c.close(tObservation)
	}
}

// screens asks the questionnaires that fit age and conditions.
func (c *chart) screens() {
	r, age := &c.p.r, c.p.age(c.v.t)
	if age >= 12 && r.chance(.5) {
		c.survey(0)
		if c.flags&fDepression != 0 {
			c.survey(1)
		}
	}
	if age >= 14 && (c.flags&fAnxiety != 0 || r.chance(.15)) {
		c.survey(2)
	}
	if age >= 18 && r.chance(.25) {
		c.survey(3)
	}
	if age >= 18 && r.chance(.08) {
		c.survey(4)
	}
	if c.p.female && age >= 18 && r.chance(.12) {
		c.survey(5)
	}
	if age >= 65 && r.chance(.5) {
		c.survey(6)
	}
	if c.flags&fDementia != 0 {
		c.survey(7)
	}
}

func (c *chart) survey(i int) {
	r, s := &c.p.r, &surveys[i]
	usual := float64(s.usual)
	if i == 0 && c.flags&fDepression != 0 {
		usual = 3
	}
	v := int64(min(float64(s.max), max(0, usual+(usual*.4+.5)*r.norm())))
	d := c.observe(headSurvey, "", s.code, s.name)
	if r.chance(.02) {
		d.raw(`,"dataAbsentReason":`)
		d.concept("http://terminology.hl7.org/CodeSystem/data-absent-reason", "asked-declined", "Asked But Declined")
	} else {
		d.raw(`,"valueQuantity":`)
		d.quantity(v, 0, "{score}", "{score}")
	}
	c.close(tObservation)
}
