package gen

const (
	sysClaimType    = "http://terminology.hl7.org/CodeSystem/claim-type"
	sysAdjudication = "http://terminology.hl7.org/CodeSystem/adjudication"
	// An admission may bill hundreds of lines; more than this are summed up
	// elsewhere in real claims too.
	maxItems = 40
)

// claimHead writes what both kinds of Claim begin with.
func (c *chart) claimHead(id uid, claimType string) *doc {
	p := &c.p
	d := c.openClinical(tClaim, id)
	d.raw(`,"status":"active","type":`)
	d.bare(sysClaimType, claimType, "")
	d.raw(`,"use":"claim","patient":{"reference":"Patient/`)
	d.id(p.id)
	d.raw(`","display":"`)
	d.esc(p.display)
	d.raw(`"},"billablePeriod":`)
	c.period(d, c.v.t, c.v.until)
	d.raw(`,"created":`)
	c.time(d, c.v.until)
	d.raw(`,"provider":`)
	d.refNamed(tOrganization, c.site.org, c.site.name)
	d.raw(`,"priority":`)
	d.bare("http://terminology.hl7.org/CodeSystem/processpriority", "normal", "Normal")
	d.raw(`,"facility":`)
	d.ref(tLocation, c.site.loc)
	return d
}

func (c *chart) claimInsurance(d *doc) {
	d.raw(`,"insurance":[{"sequence":1,"focal":true,"coverage":`)
	d.refNamed(tCoverage, c.p.coverage, payers[c.p.payer].name)
	d.raw(`}]`)
}

// pharmacyClaim bills one fill of a prescription.
func (c *chart) pharmacyClaim(m *medication, g *drug) {
	r := &c.p.r
	d := c.claimHead(r.uuid(), "pharmacy")
	d.raw(`,"prescription":`)
	d.ref(tMedicationRequest, m.id)
	if q := &c.p.problems[m.problem]; q.written {
		d.raw(`,"diagnosis":[{"sequence":1,"diagnosisReference":`)
		d.ref(tCondition, q.id)
		d.raw(`}]`)
	}
	c.claimInsurance(d)
	cents := g.cents + int64(r.intn(300))
	d.raw(`,"item":[{"sequence":1,"productOrService":`)
	d.concept(sysRxNorm, g.code, g.name)
	d.raw(`,"servicedDate":"`)
	d.b = appendDate(d.b, c.p.city.zone.localDay(c.v.t))
	d.raw(`","quantity":{"value":1},"net":`)
	d.money(cents)
	d.raw(`,"encounter":[`)
	d.ref(tEncounter, c.enc)
	d.raw(`]}],"total":`)
	d.money(cents)
	c.close(tClaim)
}

// bill writes the Claim of the visit and what the payer made of it.
func (c *chart) bill() {
	p, r, v := &c.p, &c.p.r, c.v
	claim := r.uuid()
	claimType := "professional"
	if v.kind == vED || v.kind == vStay || v.kind == vBirth || v.kind == vDialysis {
		claimType = "institutional"
	}
	if len(c.items) > maxItems {
		c.items = c.items[:maxItems]
	}
	var total int64
	for i := range c.items {
		total += c.items[i].cents
	}

	d := c.claimHead(claim, claimType)
	c.diagnoses(d, false)
	n := 0
	for i := range c.items {
		if x := &c.items[i]; !x.procedure.zero() {
			if n++; n == 1 {
				d.raw(`,"procedure":[`)
			} else {
				d.raw(`,`)
			}
			d.raw(`{"sequence":`)
			d.int(n)
			d.raw(`,"procedureReference":`)
			d.ref(tProcedure, x.procedure)
			d.raw(`}`)
		}
	}
	if n > 0 {
		d.raw(`]`)
	}
	c.claimInsurance(d)
	d.raw(`,"item":[`)
	n = 0
	for i := range c.items {
		x := &c.items[i]
		if i > 0 {
			d.raw(`,`)
		}
		d.raw(`{"sequence":`)
		d.int(i + 1)
		if x.diagnosis {
			d.raw(`,"diagnosisSequence":[1]`)
		}
		if !x.procedure.zero() {
			n++
			d.raw(`,"procedureSequence":[`)
			d.int(n)
			d.raw(`]`)
		}
		d.raw(`,"productOrService":`)
		d.concept(x.system, x.code, x.name)
		if x.cents > 0 {
			d.raw(`,"net":`)
			d.money(x.cents)
		}
		if i == 0 {
			d.raw(`,"encounter":[`)
			d.ref(tEncounter, c.enc)
			d.raw(`]`)
		}
		d.raw(`}`)
	}
	d.raw(`],"total":`)
	d.money(total)
	c.close(tClaim)
	if p.payer != payNone || r.chance(.3) {
		c.explain(claim, claimType, total)
	}
}

func (c *chart) diagnoses(d *doc, explained bool) {
	n := 0
	for _, i := range c.diag {
		q := &c.p.problems[i]
		if n++; n == 1 {
			d.raw(`,"diagnosis":[`)
		} else {
			d.raw(`,`)
		}
		d.raw(`{"sequence":`)
		d.int(n)
		d.raw(`,"diagnosisReference":`)
		d.ref(tCondition, q.id)
		if explained {
			d.raw(`,"type":[`)
			d.bare("http://terminology.hl7.org/CodeSystem/ex-diagnosistype", "principal", "Principal Diagnosis")
			d.raw(`]`)
		}
		d.raw(`}`)
	}
	if n > 0 {
		d.raw(`]`)
	}
}

// explain writes the ExplanationOfBenefit, with its referral and coverage
// contained as Synthea and the Blue Button export have them.
func (c *chart) explain(claim uid, claimType string, total int64) {
	p, r, v := &c.p, &c.p.r, c.v
	pay := &payers[p.payer]
	d := c.openClinical(tExplanationOfBenefit, r.uuid())
	d.raw(`,"contained":[{"resourceType":"ServiceRequest","id":"referral","status":"completed","intent":"order","subject":`)
	d.b = append(d.b, c.subject...)
	d.raw(`,"requester":`)
	d.ref(tPractitioner, c.doctor.id)
	d.raw(`,"performer":[`)
	d.ref(tPractitioner, c.doctor.id)
	d.raw(`]},{"resourceType":"Coverage","id":"coverage","status":"active","type":{"text":"` + pay.name + `"},"beneficiary":`)
	d.b = append(d.b, c.subject...)
	d.raw(`,"payor":[{"display":"` + pay.name + `"}]}],"identifier":[{"system":"http://payer.example.org/claim","value":"`)
	d.id(claim)
	d.raw(`"},{"system":"http://payer.example.org/claim-group","value":"`)
	d.int(r.between(10000000, 99999999))
	d.raw(`"}],"status":"active","type":`)
	d.bare(sysClaimType, claimType, "")
	d.raw(`,"use":"claim","patient":`)
	d.b = append(d.b, c.subject...)
	d.raw(`,"billablePeriod":`)
	c.period(d, v.until, v.until+year)
	d.raw(`,"created":`)
	c.time(d, v.until+stamp(r.between(1, 20))*day)
	d.raw(`,"insurer":`)
	d.refNamed(tOrganization, c.w.payers[p.payer], pay.name)
	d.raw(`,"provider":`)
	d.ref(tPractitioner, c.doctor.id)
	d.raw(`,"referral":{"reference":"#referral"},"facility":`)
	d.refNamed(tLocation, c.site.loc, c.site.name)
	d.raw(`,"claim":`)
	d.ref(tClaim, claim)
	d.raw(`,"outcome":"complete","careTeam":[{"sequence":1,"provider":`)
	d.ref(tPractitioner, c.doctor.id)
	d.raw(`,"role":`)
	d.bare("http://terminology.hl7.org/CodeSystem/claimcareteamrole", "primary", "Primary provider")
	d.raw(`}]`)
	c.diagnoses(d, true)
	d.raw(`,"insurance":[{"focal":true,"coverage":{"reference":"#coverage","display":"` + pay.name + `"}}],"item":[`)
	place, placeName := "19", "Off Campus-Outpatient Hospital"
	switch v.kind {
	case vStay, vBirth:
		place, placeName = "21", "Inpatient Hospital"
	case vED:
		place, placeName = "20", "Urgent Care Facility"
	}
	var paid int64
	for i := range c.items {
		x := &c.items[i]
		if i > 0 {
			d.raw(`,`)
		}
		d.raw(`{"sequence":`)
		d.int(i + 1)
		if x.diagnosis {
			d.raw(`,"diagnosisSequence":[1]`)
		}
		d.raw(`,"category":`)
		d.bare("http://terminology.hl7.org/CodeSystem/ex-benefitcategory", "1", "Medical Care")
		d.raw(`,"productOrService":`)
		d.concept(x.system, x.code, x.name)
		d.raw(`,"servicedPeriod":`)
		c.period(d, v.t, v.until)
		if i == 0 {
			d.raw(`,"locationCodeableConcept":`)
			d.bare("http://terminology.hl7.org/CodeSystem/ex-serviceplace", place, placeName)
		}
		if x.cents > 0 {
			share := x.cents * pay.copay / 100
			paid += x.cents - share
			d.raw(`,"net":`)
			d.money(x.cents)
			if i == 0 {
				d.raw(`,"encounter":[`)
				d.ref(tEncounter, c.enc)
				d.raw(`]`)
			}
			d.raw(`,"adjudication":[`)
			c.adjudicate(d, "submitted", "Submitted Amount", x.cents)
			d.raw(`,`)
			if i == 0 { // only the visit itself has the long form
				c.adjudicate(d, "eligible", "Eligible Amount", x.cents)
				d.raw(`,`)
				c.adjudicate(d, "deductible", "Deductible", 0)
				d.raw(`,`)
				c.adjudicate(d, "copay", "CoPay", share)
				d.raw(`,`)
			}
			c.adjudicate(d, "benefit", "Benefit Amount", x.cents-share)
			d.raw(`]`)
		}
		d.raw(`}`)
	}
	d.raw(`],"total":[`)
	c.adjudicate(d, "submitted", "Submitted Amount", total)
	d.raw(`,`)
	c.adjudicate(d, "benefit", "Benefit Amount", paid)
	d.raw(`],"payment":{"amount":`)
	d.money(paid)
	d.raw(`}`)
	c.close(tExplanationOfBenefit)
}

func (c *chart) adjudicate(d *doc, code, name string, cents int64) {
	d.raw(`{"category":`)
	d.bare(sysAdjudication, code, name)
	d.raw(`,"amount":`)
	d.money(cents)
	d.raw(`}`)
}
