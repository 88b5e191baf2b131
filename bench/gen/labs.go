package gen

import "math"

// assay draws the values of all analytes for one moment, together, so that
// they fit the conditions of the patient and one another.
func (c *chart) assay() {
	p, r := &c.p, &c.p.r
	f, age := c.flags, p.ageF(c.at)
	var v [numLabs]float64
	for i := range v {
		l := &labs[i]
		v[i] = l.mean + l.sd*(p.bias[i]+.55*r.norm())
	}
	ill := len(c.diag) > 0 && p.problems[c.diag[0]].c.flag&fInfection != 0
	bad := len(c.diag) > 0 && p.problems[c.diag[0]].c.sev == careInpatient

	switch {
	case f&fDiabetes != 0:
		v[lA1c] = 7.7 + .75*p.bias[lA1c] + .3*r.norm()
		if c.v.kind == vOnset {
			v[lA1c] += .8
		}
		v[lA1c] = max(v[lA1c], 6.6)
		v[lACR] = 26 + 12*p.bias[lACR]
	case f&fPrediabetes != 0:
		v[lA1c] = min(max(6.05+.15*p.bias[lA1c]+.1*r.norm(), 5.7), 6.4)
	default:
		v[lA1c] = min(v[lA1c], 5.6)
	}
	v[lGlucose] = 28.7*v[lA1c] - 58 + 6*r.norm()
	if f&fRenalDiabetic != 0 {
		v[lACR] = 210 + 90*p.bias[lACR]
	}

	v[lCreatinine] += .0025 * max(0, age-50)
	if p.female {
		v[lCreatinine] -= .1
	}
	if age < 14 {
		v[lCreatinine] *= .4 + .04*age
	}
	switch {
	case f&fDialysis != 0:
		v[lCreatinine], v[lBUN], v[lPotassium] = 7.4+1.6*p.bias[lCreatinine]+.5*r.norm(), 58+10*r.norm(), v[lPotassium]+.7
	case f&fCKD4 != 0:
		v[lCreatinine], v[lBUN] = 2.55+.3*p.bias[lCreatinine]+.1*r.norm(), 41+5*r.norm()
	case f&fCKD3 != 0:
		v[lCreatinine], v[lBUN] = 1.55+.16*p.bias[lCreatinine]+.05*r.norm(), 26+4*r.norm()
		if p.female {
			v[lCreatinine] -= .3
		}
	}
	v[lCreatinine] = max(v[lCreatinine], .2)
	v[lGFR] = gfr(v[lCreatinine], age, p.female)

	if f&fLipids != 0 {
		v[lLDL] += 44
		v[lTriglycerides] += 55
		if p.takes(dSimvastatin) || p.takes(dAtorvastatin) {
			v[lLDL] *= .62
			v[lTriglycerides] *= .85
		}
	}
	if f&fObesity != 0 {
		v[lTriglycerides] += 30
		v[lHDL] -= 6
	}
	if p.female {
		v[lHDL] += 6
		v[lHgb] -= .9
	}
	v[lCholesterol] = v[lLDL] + v[lHDL] + v[lTriglycerides]/5

	if f&fAnemia != 0 {
		v[lHgb] -= 3.1
		v[lMCV] -= 9
		v[lRDW] += 2.6
		v[lFerritin] = max(4, v[lFerritin]*.12)
	}
	if f&(fCKD4|fDialysis) != 0 {
		v[lHgb] -= 1.8
	}
	if f&fPregnant != 0 {
		v[lHgb] -= 1.2
	}
	if f&fCancer != 0 && c.v.kind == vChemo {
		v[lHgb] -= 1.9
		v[lWBC] = max(1.1, v[lWBC]-2.8)
		v[lPlatelets] = max(38, v[lPlatelets]-80)
	}
	if ill || bad {
		v[lWBC] += 4.6 + 2*r.norm()
		v[lNeutrophils] += 14
		v[lCRP] += 58 + 22*r.norm()
	}
	if bad {
		v[lLactate] += .9 + .6*r.norm()
		v[lAlbumin] -= .6
	}
	v[lWBC] = max(v[lWBC], .9)
	v[lHct] = v[lHgb]*2.98 + .4*r.norm()
	v[lRBC] = v[lHct] / v[lMCV] * 10
	v[lMCH] = v[lHgb] / v[lRBC] * 10
	v[lMCHC] = v[lHgb] / v[lHct] * 100
	v[lLymphocytes] = max(2, 100-v[lNeutrophils]-v[lMonocytes]-v[lEosinophils]-v[lBasophils])

	if f&fHypothyroid != 0 {
		v[lTSH] = 3.1 + 1.4*p.bias[lTSH]
		if c.v.kind == vOnset {
			v[lTSH] += 8.4
		}
	}
	if f&fLiver != 0 {
		v[lBilirubin] += 1.6
		v[lAST] += 52
		v[lALT] += 31
		v[lAlbumin] -= 1
		v[lPlatelets] -= 110
		v[lINR] += .4
	}
	if f&fHeartFailure != 0 {
		v[lBNP] = 900 + 500*math.Abs(p.bias[lBNP]) + 120*r.norm()
		if c.v.kind == vStay {
			v[lBNP] *= 3.4
		}
	}
	if f&fMI != 0 && c.v.kind == vOnset || f&fMI != 0 && c.v.kind == vStay && r.chance(.3) {
		v[lTroponin] = 1.8 + math.Abs(r.norm())
	}
	if p.takes(dWarfarin) {
		v[lINR] = 2.4 + .4*r.norm()
	}
	if f&fProstate != 0 {
		v[lPSA] += 2.9
		if f&fCancer != 0 {
			v[lPSA] += 6
		}
	}
	v[lPSA] += max(0, age-50) * .03
	if f&fGout != 0 {
		v[lUric] += 3
		if p.takes(dAllopurinol) {
			v[lUric] -= 2.2
		}
	}
	if f&fRA != 0 {
		v[lCRP] += 14
	}
	for i := range v {
		c.vals[i] = max(0, scaled(v[i], labs[i].prec))
	}
}

// gfr estimates filtration by the CKD-EPI equation of 2021.
func gfr(creatinine, age float64, female bool) float64 {
	k, a, factor := .9, -.302, 1.0
	if female {
		k, a, factor = .7, -.241, 1.012
	}
	x := creatinine / k
	return min(150, 142*math.Pow(min(x, 1), a)*math.Pow(max(x, 1), -1.2)*math.Pow(.9938, age)*factor)
}

func (p *person) takes(drug int) bool {
	for i := range p.meds {
		if p.meds[i].drug == drug {
			return true
		}
	}
	return false
}

// result writes one analyte as drawn by assay.
func (c *chart) result(i int) {
	l, r := &labs[i], &c.p.r
	id := r.uuid()
	c.results = append(c.results, id)
	c.seen[i] = true
	d := c.open(tObservation, id)
	d.raw(headLab)
	d.raw(`,"code":`)
	d.concept(sysLOINC, l.code, l.name)
	d.b = append(d.b, c.tail...)
	if r.chance(.12) {
		d.b = append(d.b, c.orderers...)
	}
	if r.chance(.002) {
		c.seen[i] = false
		d.raw(`,"dataAbsentReason":`)
		d.concept("http://terminology.hl7.org/CodeSystem/data-absent-reason", "error", "Error")
		d.raw(`,"note":[{"text":"Specimen hemolyzed; please redraw."}]`)
		c.close(tObservation)
		return
	}
	v := c.vals[i]
	d.raw(`,"valueQuantity":`)
	d.quantity(v, l.prec, l.unit, l.ucum)
	lo, hi := scaled(l.low, l.prec), scaled(l.high, l.prec)
	code, name := "N", "Normal"
	switch {
	case hi > 0 && v > 2*hi:
		code, name = "HH", "Critical high"
	case hi > 0 && v > hi:
		code, name = "H", "High"
	case v < lo/2:
		code, name = "LL", "Critical low"
	case v < lo:
		code, name = "L", "Low"
	}
	d.raw(`,"interpretation":[`)
	d.bare(sysInterp, code, name)
	d.raw(`],"referenceRange":[{`)
	if lo > 0 || hi == 0 {
		d.raw(`"low":`)
		d.quantity(lo, l.prec, l.unit, l.ucum)
		if hi > 0 {
			d.raw(`,`)
		}
	}
	if hi > 0 {
		d.raw(`"high":`)
		d.quantity(hi, l.prec, l.unit, l.ucum)
	}
	d.raw(`}]`)
	c.close(tObservation)
}

// single orders one analyte by itself.
func (c *chart) single(i int) {
	c.results = c.results[:0]
	c.result(i)
	c.items = append(c.items, item{system: sysLOINC, code: labs[i].code, name: labs[i].name, cents: 1900 + int64(i)*85})
}

// urinalysis writes the test strip: coded results, and two numbers.
func (c *chart) urinalysis() {
	r := &c.p.r
	for i := range dipstick {
		positive := false
		switch i {
		case 0:
			positive = c.flags&fDiabetes != 0 && r.chance(.4)
		case 4:
			positive = c.flags&(fRenalDiabetic|fCKD4) != 0
		case 5, 6:
			positive = len(c.diag) > 0 && c.p.problems[c.diag[0]].c.code == "301011002"
		default:
			positive = r.chance(.06)
		}
		id := r.uuid()
		c.results = append(c.results, id)
		d := c.open(tObservation, id)
		d.raw(headLab)
		d.raw(`,"code":`)
		d.concept(sysLOINC, dipstick[i].code, dipstick[i].name)
		d.b = append(d.b, c.tail...)
		switch {
		case i == 2 && r.chance(.2):
			d.raw(`,"valueString":"trace"`)
		case positive:
			d.raw(`,"valueCodeableConcept":`)
			d.concept(sysSNOMED, "10828004", "Positive (qualifier value)")
		default:
			d.raw(`,"valueCodeableConcept":`)
			d.concept(sysSNOMED, "260385009", "Negative (qualifier value)")
		}
		c.close(tObservation)
	}
	for i := range 2 {
		id := r.uuid()
		c.results = append(c.results, id)
		d := c.open(tObservation, id)
		d.raw(headLab)
		d.raw(`,"code":`)
		if i == 0 {
			d.concept(sysLOINC, "5811-5", "Specific gravity of Urine by Test strip")
		} else {
			d.concept(sysLOINC, "5803-2", "pH of Urine by Test strip")
		}
		d.b = append(d.b, c.tail...)
		d.raw(`,"valueQuantity":`)
		if i == 0 {
			d.quantity(int64(r.between(1005, 1030)), 3, "{nominal}", "{nominal}")
		} else {
			d.quantity(int64(r.between(10, 16))*5, 1, "[pH]", "[pH]")
		}
		c.close(tObservation)
	}
}

func (c *chart) panelsOfWell() {
	r, age := &c.p.r, c.p.age(c.v.t)
	c.assay()
	if age < 2 || age < 18 && !r.chance(.12) {
		return
	}
	c.results = c.results[:0]
	if r.chance(.07) {
		c.report(panelCMP)
	} else if r.chance(.13) {
		c.report(panelBMP)
	}
	if r.chance(.08) {
		c.report(panelCBC)
	}
	if age >= 35 && r.chance(.2) || c.flags&fLipids != 0 && r.chance(.6) {
		c.report(panelLipid)
	}
	if c.flags&(fDiabetes|fPrediabetes) != 0 || age > 40 && r.chance(.12) {
		c.single(lA1c)
	}
	if age > 50 && !c.p.female && r.chance(.3) {
		c.single(lPSA)
	}
	if age > 45 && r.chance(.15) {
		c.single(lVitD)
	}
	if r.chance(.05) {
		c.report(panelUA)
	}
}

func (c *chart) panelsOfFollow() {
	r, f := &c.p.r, c.flags
	c.assay()
	if len(c.diag) == 0 {
		return
	}
	q := &c.p.problems[c.diag[0]]
	g := q.c.flag
	if q.acute {
		if r.chance(.2) {
			c.report(panelCBC)
		}
		return
	}
	if g&(fDiabetes|fPrediabetes) != 0 {
		c.single(lA1c)
		if r.chance(.3) {
			c.single(lACR)
		}
	}
	if f&(fDiabetes|fHypertension|fHeartFailure|fCKD3|fCKD4) != 0 && r.chance(.25) {
		c.report(panelBMP)
		c.single(lGFR)
	}
	if g&(fAnemia|fRA|fCancer|fCKD4|fDialysis) != 0 && r.chance(.5) || r.chance(.04) {
		c.report(panelCBCDiff)
	}
	if g&(fLipids|fCoronary) != 0 && r.chance(.5) {
		c.report(panelLipid)
	}
	if g&(fRA|fLiver|fCancer) != 0 {
		c.report(panelCMP)
	}
	for _, x := range [...]struct {
		on  flag
		lab int
	}{{fHypothyroid, lTSH}, {fHeartFailure, lBNP}, {fAfib, lINR}, {fProstate, lPSA}, {fGout, lUric}, {fRA, lCRP}, {fAnemia, lFerritin}} {
		if g&x.on != 0 && r.chance(.8) {
			c.single(x.lab)
		}
	}
}

func (c *chart) panelsOfAcute(share float64) {
	r := &c.p.r
	c.assay()
	if r.chance(share) {
		c.report(panelCBCDiff)
		if share > .1 {
			c.report(panelBMP)
		}
	}
	if len(c.diag) == 0 {
		return
	}
	switch c.p.problems[c.diag[0]].c.code {
	case "29857009", "267036007":
		c.single(lTroponin)
		c.single(lBNP)
	case "301011002", "95570007":
		c.report(panelUA)
	}
}

// hospital writes the days of a stay: signs daily, blood on most days.
func (c *chart) hospital() {
	p, r, v := &c.p, &c.p.r, c.v
	birth := v.kind == vBirth
	c.assay()
	c.report(panelCMP)
	if birth {
		c.report(panelCBC)
	} else {
		c.report(panelCBCDiff)
	}
	c.studies()
	if birth {
		if r.chance(.3) {
			c.procedure(pCesarean)
		} else {
			c.procedure(pDelivery)
		}
	} else {
		if c.flags&(fHeartFailure|fCoronary|fMI) != 0 {
			c.single(lTroponin)
			c.single(lBNP)
			c.procedure(pECG)
		}
		if p.problems[v.problem].c.flag&fInfection != 0 {
			c.single(lLactate)
			c.single(lCRP)
		}
		if c.vitals.spo2 < 93 {
			c.procedure(pOxygen)
			if r.chance(.08) {
				c.procedure(pIntubation)
			}
		}
	}
	age := p.ageF(v.t)
	ill := !birth && p.problems[v.problem].c.flag&fInfection != 0
	for t := v.t + 21*hour; t < v.until-hour; t += day {
		c.setTime(t + stamp(r.intn(40))*minute)
		c.setVitals(age, ill && t < v.t+2*day)
		c.signs(age, true)
		if t < v.until-8*hour && r.chance(.6) {
			c.assay()
			c.report(panelBMP)
			if r.chance(.4) {
				c.report(panelCBC)
			}
		}
	}
	c.setTime(v.until - 30*minute)
}
