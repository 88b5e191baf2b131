package gen

func (c *chart) writeEncounter() {
	p, r, v := &c.p, &c.p.r, c.v
	k := &visitKinds[v.kind]
	d := c.openClinical(tEncounter, c.enc)
	profile(d, "us-core-encounter")
	d.raw(`,"identifier":[{"use":"official","system":"http://hospital.example.org/encounter","value":"`)
	d.id(c.enc)
	d.raw(`"}],"status":"finished","class":`)
	d.coding(sysAct, k.class, k.className)
	d.raw(`,"type":[`)
	d.concept(sysSNOMED, k.code, k.name)
	d.raw(`],"subject":{"reference":"Patient/`)
	d.id(p.id)
	d.raw(`","display":"`)
	d.esc(p.display)
	d.raw(`"},"participant":[{"type":[`)
	d.concept(sysPart, "PPRF", "primary performer")
	d.raw(`],"period":`)
	c.period(d, v.t, v.until)
	d.raw(`,"individual":`)
	d.refNamed(tPractitioner, c.doctor.id, c.doctor.display)
	d.raw(`}],"period":`)
	c.period(d, v.t, v.until)
	if r.chance(.2) {
		d.raw(`,"length":`)
		d.quantity(int64(v.until-v.t)/minute, 0, "min", "min")
	}
	if len(c.diag) > 0 {
		q := &p.problems[c.diag[0]]
		d.raw(`,"reasonCode":[`)
		d.concept(sysSNOMED, q.c.code, q.c.name)
		d.raw(`]`)
		if r.chance(.5) || v.kind == vStay {
			d.raw(`,"diagnosis":[{"condition":`)
			d.ref(tCondition, q.id)
			d.raw(`,"use":`)
			d.bare("http://terminology.hl7.org/CodeSystem/diagnosis-role", "AD", "Admission diagnosis")
			d.raw(`,"rank":1}]`)
		}
	}
	if v.kind == vStay || v.kind == vBirth {
		d.raw(`,"hospitalization":{"admitSource":`)
		d.concept("http://terminology.hl7.org/CodeSystem/admit-source", "emd", "From accident/emergency department")
		d.raw(`,"dischargeDisposition":`)
		if p.age(v.t) > 75 && r.chance(.4) {
			d.concept("http://terminology.hl7.org/CodeSystem/discharge-disposition", "snf", "Skilled nursing facility")
		} else {
			d.concept("http://terminology.hl7.org/CodeSystem/discharge-disposition", "home", "Home")
		}
		d.raw(`}`)
	}
	d.raw(`,"location":[{"location":`)
	d.refNamed(tLocation, c.site.loc, c.site.name)
	d.raw(`}],"serviceProvider":`)
	d.refNamed(tOrganization, c.site.org, c.site.name)
	c.close(tEncounter)
}

func (c *chart) writeCondition(q *problem) {
	p, r := &c.p, &c.p.r
	d := c.openClinical(tCondition, q.id)
	profile(d, "us-core-condition")
	d.raw(`,"clinicalStatus":`)
	if q.abate != 0 {
		d.bare("http://terminology.hl7.org/CodeSystem/condition-clinical", "resolved", "Resolved")
	} else {
		d.bare("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active")
	}
	d.raw(`,"verificationStatus":`)
	d.bare("http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed", "Confirmed")
	d.raw(`,"category":[`)
	if q.acute || r.chance(.6) {
		d.bare("http://terminology.hl7.org/CodeSystem/condition-category", "encounter-diagnosis", "Encounter Diagnosis")
	} else {
		d.bare("http://terminology.hl7.org/CodeSystem/condition-category", "problem-list-item", "Problem List Item")
	}
	d.raw(`]`)
	if q.c.sev >= careED {
		d.raw(`,"severity":`)
		d.concept(sysSNOMED, "24484000", "Severe")
	}
	d.raw(`,"code":{"coding":[`)
	d.coding(sysSNOMED, q.c.code, q.c.name)
	d.raw(`,`)
	d.coding(sysICD10, q.c.icd, "")
	d.raw(`],"text":"` + q.c.name + `"},"subject":`)
	d.b = append(d.b, c.subject...)
	d.raw(`,"encounter":`)
	d.ref(tEncounter, c.enc)
	d.raw(`,"onsetDateTime":`)
	if !q.acute && r.chance(.06) { // what the patient remembers: a year, or a month
		d.raw(`"`)
		mark := len(d.b)
		d.b = appendDate(d.b, floorDay(q.onset))
		d.b = d.b[:mark+4+3*r.intn(2)]
		d.raw(`"`)
	} else {
		c.time(d, q.onset)
	}
	if q.abate != 0 {
		d.raw(`,"abatementDateTime":`)
		c.time(d, q.abate)
	}
	d.raw(`,"recordedDate":`)
	c.time(d, c.v.t)
	if r.chance(.05) {
		d.raw(`,"recorder":`)
		d.ref(tPractitioner, c.doctor.id)
	}
	if r.chance(.04) {
		d.raw(`,"note":[{"authorReference":`)
		d.ref(tPractitioner, c.doctor.id)
		d.raw(`,"text":`)
		d.str("Patient says \"it comes and goes\".\nSeen at:\t" + c.site.name + "\nScan kept under C:\\scans\\" + p.mrn + " – 37 °C, SpO₂ 98 %")
		d.raw(`}]`)
	}
	c.close(tCondition)
}

// procedure writes a Procedure and puts it on the bill.
func (c *chart) procedure(kind int) {
	k := &procedures[kind-1]
	c.done = append(c.done, kind)
	c.writeProcedure(k.code, k.name, k.minutes, k.cents)
}

func (c *chart) writeProcedure(code, name string, minutes int, cents int64) {
	p, r := &c.p, &c.p.r
	id := r.uuid()
	d := c.openClinical(tProcedure, id)
	profile(d, "us-core-procedure")
	d.raw(`,"status":"completed","category":`)
	d.bare(sysSNOMED, "103693007", "Diagnostic procedure")
	d.raw(`,"code":`)
	d.concept(sysSNOMED, code, name)
	d.raw(`,"subject":`)
	d.b = append(d.b, c.subject...)
	d.raw(`,"encounter":`)
	d.ref(tEncounter, c.enc)
	if minutes < 6 {
		d.raw(`,"performedDateTime":`)
		c.time(d, c.at)
	} else {
		d.raw(`,"performedPeriod":`)
		c.period(d, c.at, c.at+stamp(minutes+r.intn(9))*minute)
	}
	d.raw(`,"performer":[{"actor":`)
	d.refNamed(tPractitioner, c.doctor.id, c.doctor.display)
	d.raw(`}],"location":`)
	d.refNamed(tLocation, c.site.loc, c.site.name)
	if len(c.diag) > 0 {
		q := &p.problems[c.diag[0]]
		d.raw(`,"reasonReference":[`)
		d.refNamed(tCondition, q.id, q.c.name)
		d.raw(`]`)
	}
	if r.chance(.02) {
		d.raw(`,"note":[{"text":`)
		d.str("Tolerated well; no complications.\r\n\"Time-out\" done before start.")
		d.raw(`}]`)
	}
	c.close(tProcedure)
	c.items = append(c.items, item{system: sysSNOMED, code: code, name: name, cents: cents + int64(r.intn(int(cents/8+1))), procedure: id})
}

func (c *chart) routineProcedures() {
	p, r := &c.p, &c.p.r
	age := p.age(c.v.t)
	switch {
	case age >= 3 && age < 18 && r.chance(.25):
		c.procedure(pHearing)
	case age >= 45 && age < 80 && r.chance(.12):
		c.procedure(pColonoscopy)
	}
	if p.female && age >= 21 && age < 66 && r.chance(.22) {
		c.procedure(pPap)
	}
	if p.female && age >= 45 && age < 78 && r.chance(.4) {
		c.study(iMammogram)
	}
	if age >= 12 && r.chance(.3) {
		c.procedure(pDepressionScreen)
	}
	if len(p.meds) > 0 && r.chance(.5) {
		c.procedure(pMedRec)
	}
}

// studies does the imaging and the procedure that the reason of the visit
// calls for.
func (c *chart) studies() {
	if len(c.diag) == 0 {
		return
	}
	q := c.p.problems[c.diag[0]].c
	if q.imaging > 0 && c.p.r.chance(.75) {
		c.study(q.imaging)
	}
	if q.proc > 0 && (q.sev < careInpatient || c.v.kind == vStay) && c.p.r.chance(.85) {
		c.procedure(q.proc)
	}
	if c.flags&(fHeartFailure|fAfib) != 0 && c.p.r.chance(.15) {
		c.procedure(pEcho)
	}
}
