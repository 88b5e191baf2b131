package gen

import "slices"

// stop ends the drugs of problems that are over. It comes first in a visit, so
// that the note lists what the patient takes now.
func (p *person) stop(t stamp) {
	kept := p.meds[:0]
	for _, m := range p.meds {
		if q := &p.problems[m.problem]; q.abate == 0 || q.abate > t {
			kept = append(kept, m)
		}
	}
	p.meds = kept
}

// medicate starts drugs for what is new, and renews what goes on.
func (c *chart) medicate() {
	p, r, v := &c.p, &c.p.r, c.v
	for _, i := range c.diag {
		q := &p.problems[i]
		if len(q.c.drugs) == 0 {
			continue
		}
		treated := 0
		for k := range p.meds {
			if p.meds[k].problem == i {
				treated++
			}
		}
		switch {
		case treated == 0:
			first := 0 // the first of a chronic list is the drug of first choice
			if q.acute {
				first = r.intn(len(q.c.drugs))
			}
			if q.acute && !r.chance(.8) {
				continue
			}
			c.start(q.c.drugs[first], i)
			if len(q.c.drugs) > 2 && r.chance(.4) {
				c.start(q.c.drugs[1+r.intn(len(q.c.drugs)-1)], i)
			}
		case !q.acute && treated < 3 && treated < len(q.c.drugs) && v.kind == vFollow && r.chance(.12):
			c.start(q.c.drugs[treated], i)
		case v.kind == vChemo:
			for k := range p.meds {
				if p.meds[k].problem == i {
					c.prescribe(&p.meds[k])
				}
			}
		}
	}
	for k := range p.meds {
		m := &p.meds[k]
		q := &p.problems[m.problem]
		if m.since == v.t || q.acute || !q.written {
			continue
		}
		if v.kind == vPhone && m.problem == v.problem || v.kind == vWell && r.chance(.45) || v.kind == vFollow && r.chance(.26) {
			c.prescribe(m)
		}
	}
}

// alike are drugs of which nobody takes two at once.
var alike = [...][]int{
	{dMetformin, dMetforminXR},
	{dSimvastatin, dAtorvastatin},
	{dLisinopril, dLisinopril20, dLosartan},
	{dFluoxetine, dSertraline},
	{dGabapentin, dPregabalin},
	{dCarvedilol, dMetoprolol},
	{dAmoxicillin, dAmoxClav, dPenicillin, dCefuroxime},
	{dFluticasone, dAdvair},
	{dWarfarin, dClopidogrel},
}

// start begins a drug for a problem, unless an allergy or another drug forbids.
func (c *chart) start(drug, problem int) {
	p := &c.p
	if p.takes(drug) {
		return
	}
	for _, group := range alike {
		if slices.Contains(group, drug) && slices.ContainsFunc(group, p.takes) {
			return
		}
	}
	for i := range p.allergies {
		a := &p.allergies[i]
		if word := allergens[a.kind].word; allergens[a.kind].drug && a.at < c.v.t &&
			(drugs[drug].generic == word || word == "penicillin" && (drug == dAmoxicillin || drug == dAmoxClav || drug == dPenicillin)) {
			return
		}
	}
	p.meds = append(p.meds, medication{drug: drug, problem: problem, since: c.v.t})
	c.started = append(c.started, len(p.meds)-1)
	c.prescribe(&p.meds[len(p.meds)-1])
}

// prescribe writes a MedicationRequest and the pharmacy's Claim for it.
func (c *chart) prescribe(m *medication) {
	p, r, v := &c.p, &c.p.r, c.v
	g := &drugs[m.drug]
	m.id = r.uuid()
	q := &p.problems[m.problem]
	d := c.openClinical(tMedicationRequest, m.id)
	profile(d, "us-core-medicationrequest")
	contained := false
	if r.chance(.01) {
		contained = true
		d.raw(`,"contained":[{"resourceType":"Medication","id":"med","code":`)
		d.concept(sysRxNorm, g.code, g.name)
		d.raw(`}]`)
	}
	status := "completed"
	switch {
	case q.abate == 0 && !q.acute && v.t > p.end-400*day && !p.dead:
		status = "active"
	case r.chance(.04):
		status = "stopped"
	}
	d.raw(`,"status":"` + status + `","intent":"order","category":[`)
	if v.kind == vStay {
		d.concept("http://terminology.hl7.org/CodeSystem/medicationrequest-category", "discharge", "Discharge")
	} else {
		d.concept("http://terminology.hl7.org/CodeSystem/medicationrequest-category", "community", "Community")
	}
	d.raw(`],`)
	switch {
	case contained:
		d.raw(`"medicationReference":{"reference":"#med"}`)
	case r.chance(.1):
		d.raw(`"medicationReference":`)
		d.refNamed(tMedication, c.w.meds[m.drug], g.name)
	default:
		d.raw(`"medicationCodeableConcept":`)
		d.concept(sysRxNorm, g.code, g.name)
	}
	d.raw(`,"subject":`)
	d.b = append(d.b, c.subject...)
	d.raw(`,"encounter":`)
	d.ref(tEncounter, c.enc)
	d.raw(`,"authoredOn":`)
	c.time(d, c.v.t)
	d.raw(`,"requester":`)
	d.refNamed(tPractitioner, c.doctor.id, c.doctor.display)
	if q.written {
		d.raw(`,"reasonReference":[`)
		d.refNamed(tCondition, q.id, q.c.name)
		d.raw(`]`)
	}
	f, route := &frequencies[g.perDay], &routes[g.route]
	d.raw(`,"dosageInstruction":[{"sequence":1,"text":"`)
	d.raw(g.strength + " " + route.words + " " + f.words)
	if g.prn {
		d.raw(" as needed")
	}
	d.raw(`","timing":{"repeat":{"frequency":`)
	d.int(max(1, g.perDay))
	if g.perDay == 0 {
		d.raw(`,"period":1,"periodUnit":"wk"}`)
	} else {
		d.raw(`,"period":1.0,"periodUnit":"d"}`)
	}
	if f.code != "" {
		d.raw(`,"code":`)
		d.concept("http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation", f.code, f.words)
	}
	if g.prn {
		d.raw(`},"asNeededBoolean":true,"route":`)
	} else {
		d.raw(`},"asNeededBoolean":false,"route":`)
	}
	d.concept(sysSNOMED, route.code, route.name)
	d.raw(`,"doseAndRate":[{"type":`)
	d.bare("http://terminology.hl7.org/CodeSystem/dose-rate-type", "ordered", "Ordered")
	d.raw(`,"doseQuantity":`)
	d.quantity(doseOf(m.drug), 1, route.unit, route.ucum)
	d.raw(`}]}],"dispenseRequest":{"numberOfRepeatsAllowed":`)
	d.int(r.intn(6))
	d.raw(`,"quantity":`)
	days := 30
	if q.acute {
		days = 10
	}
	d.quantity(int64(max(1, days*g.perDay))*doseOf(m.drug)/10, 0, route.unit, route.ucum)
	d.raw(`}`)
	c.close(tMedicationRequest)
	c.pharmacyClaim(m, g)
}

// doseOf in tenths of the unit of the route.
func doseOf(drug int) int64 {
	switch {
	case drug == dInsulin:
		return 200
	case drugs[drug].route == inhaled:
		return 20
	case drug == dEpinephrine:
		return 3
	}
	return 10
}

// vaccinate gives what is due at a well visit.
func (c *chart) vaccinate() {
	p, r, v := &c.p, &c.p.r, c.v
	age := int((v.t - p.birth) / (year / 12))
	for i := range vaccines {
		x := &vaccines[i]
		if y, _, _ := civil(floorDay(v.t)); y < x.since {
			continue
		}
		for dose, due := range x.due {
			// Due since the last well visit, with two weeks of grace.
			at := p.birth + stamp(due)*year/12 - 14*day
			if at <= v.t && (at > c.lastVax || c.lastVax == 0 && age < 60 && due >= age-1) && r.chance(.95) {
				c.immunize(x.code, x.name, dose+1)
			}
		}
	}
	years := age / 12
	_, month, _ := civil(floorDay(v.t))
	if age >= 6 && (month >= fluSeasonFirst || r.chance(.45)) && r.chance(.75) {
		c.immunize(cvxFlu, cvxFluName, 0)
	}
	if years >= 21 && r.chance(.11) {
		c.immunize(cvxTd, cvxTdName, 0)
	}
	if years >= 50 && v.t > 17500*day && r.chance(.12) {
		c.immunize(cvxZoster, cvxZosterName, 1)
	}
	if years >= 65 && r.chance(.13) {
		c.immunize(cvxPneumo, cvxPneumoName, 0)
	}
	if years >= 6 && v.t > covidFrom && c.covid < 4 && r.chance(.6) {
		c.covid++
		if v.t > covid2023From {
			c.immunize(cvxCovid2023, cvx2023Name, 0)
		} else {
			c.immunize(cvxCovid, cvxCovidName, c.covid)
		}
	}
	c.lastVax = v.t
}

func (c *chart) immunize(code, name string, dose int) {
	r := &c.p.r
	d := c.openClinical(tImmunization, r.uuid())
	profile(d, "us-core-immunization")
	refused := r.chance(.03)
	if refused {
		d.raw(`,"status":"not-done","statusReason":`)
		d.concept("http://terminology.hl7.org/CodeSystem/v3-ActReason", "PATOBJ", "patient objection")
	} else {
		d.raw(`,"status":"completed"`)
	}
	d.raw(`,"vaccineCode":`)
	d.concept(sysCVX, code, name)
	d.raw(`,"patient":`)
	d.b = append(d.b, c.subject...)
	d.raw(`,"encounter":`)
	d.ref(tEncounter, c.enc)
	d.raw(`,"occurrenceDateTime":`)
	c.time(d, c.v.t)
	d.raw(`,"primarySource":true,"location":`)
	d.refNamed(tLocation, c.site.loc, c.site.name)
	if !refused {
		d.raw(`,"lotNumber":"L`)
		d.int(r.between(10000, 99999))
		d.raw(`","site":`)
		d.concept("http://terminology.hl7.org/CodeSystem/v3-ActSite", "LA", "left arm")
		d.raw(`,"route":`)
		d.concept("http://terminology.hl7.org/CodeSystem/v3-RouteOfAdministration", "IM", "Injection, intramuscular")
		d.raw(`,"doseQuantity":`)
		d.quantity(50, 2, "mL", "mL")
		if dose > 0 {
			d.raw(`,"protocolApplied":[{"doseNumberPositiveInt":`)
			d.int(dose)
			d.raw(`}]`)
		}
		c.items = append(c.items, item{system: sysCVX, code: code, name: name, cents: 14052})
	}
	c.close(tImmunization)
}

// activities of care plans: SNOMED CT code, name.
var activities = [...][2]string{
	{"229065009", "Exercise therapy (regime/therapy)"},
	{"160670007", "Diabetic diet (finding)"},
	{"226234005", "Healthy diet (finding)"},
	{"385763009", "Hospice care (regime/therapy)"},
	{"710081004", "Smoking cessation therapy (regime/therapy)"},
	{"698358001", "Angina self management (regime/therapy)"},
	{"409002", "Food allergy diet (finding)"},
	{"182922004", "Dietary regime (regime/therapy)"},
	{"58332002", "Allergy education (procedure)"},
	{"371605008", "Deep breathing and coughing exercises (regime/therapy)"},
}

func (c *chart) carePlan() {
	p, r, v := &c.p, &c.p.r, c.v
	q := &p.problems[v.problem]
	if !q.written {
		return
	}
	d := c.openClinical(tCarePlan, r.uuid())
	profile(d, "us-core-careplan")
	d.raw(`,"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Plan of care for `)
	d.esc(q.c.name)
	d.raw(`.<ul>`)
	plan := pick(r, q.c.plan)
	d.raw(`<li>`)
	d.esc(plan)
	d.raw(`</li><li>`)
	d.esc(pick(r, wellness.plan))
	d.raw(`</li></ul></div>"},"status":"`)
	active := q.abate == 0 && !p.dead
	status := "completed"
	if active {
		status = "active"
	}
	d.raw(status)
	d.raw(`","intent":"order","category":[`)
	d.bare("http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan", "Assessment and Plan of Treatment")
	d.raw(`],"subject":`)
	d.b = append(d.b, c.subject...)
	d.raw(`,"encounter":`)
	d.ref(tEncounter, c.enc)
	d.raw(`,"period":{"start":`)
	c.time(d, v.t)
	if !active {
		d.raw(`,"end":`)
		c.time(d, max(v.until, min(p.end, max(q.abate, v.t+90*day))))
	}
	d.raw(`},"author":`)
	d.refNamed(tPractitioner, c.doctor.id, c.doctor.display)
	d.raw(`,"addresses":[`)
	d.refNamed(tCondition, q.id, q.c.name)
	d.raw(`],"activity":[`)
	for i := range r.between(2, 4) {
		if i > 0 {
			d.raw(`,`)
		}
		a := pick(r, activities[:])
		state := "completed"
		if active {
			state = "in-progress"
		}
		d.raw(`{"detail":{"kind":"ServiceRequest","code":`)
		d.concept(sysSNOMED, a[0], a[1])
		d.raw(`,"status":"` + state + `","location":`)
		d.refNamed(tLocation, c.site.loc, c.site.name)
		d.raw(`}}`)
	}
	d.raw(`]`)
	c.close(tCarePlan)
}
