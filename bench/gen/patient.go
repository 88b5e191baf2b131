package gen

var maritalStatus = [...]struct{ code, name string }{{"S", "Never Married"}, {"M", "Married"}, {"D", "Divorced"}, {"W", "Widowed"}}

func (c *chart) writePatient() {
	p, r := &c.p, &c.p.r
	d := c.openClinical(tPatient, p.id)
	profile(d, "us-core-patient")
	d.raw(`,"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>`)
	d.raw(p.given + " <b>" + p.family + `</b>, record `)
	d.raw(p.mrn)
	d.raw(`. Synthetic person, no relation to anyone living or dead.</p></div>"},"extension":[{"url":"` + usCore + `us-core-race","extension":[{"url":"`)
	race := &races[p.race]
	if race.code == "2131-1" {
		d.raw(`detailed`) // Other Race is no OMB category
	} else {
		d.raw(`ombCategory`)
	}
	d.raw(`","valueCoding":`)
	d.coding("urn:oid:2.16.840.1.113883.6.238", race.code, race.name)
	d.raw(`},{"url":"text","valueString":"` + race.name + `"}]},{"url":"` + usCore + `us-core-ethnicity","extension":[{"url":"ombCategory","valueCoding":`)
	ethCode, ethName := "2186-5", "Not Hispanic or Latino"
	if p.hispanic {
		ethCode, ethName = "2135-2", "Hispanic or Latino"
	}
	d.coding("urn:oid:2.16.840.1.113883.6.238", ethCode, ethName)
	d.raw(`},{"url":"text","valueString":"` + ethName + `"}]},{"url":"` + usCore + `us-core-birthsex","valueCode":"`)
	if p.female {
		d.raw(`F"}`)
	} else {
		d.raw(`M"}`)
	}
	if p.maiden != "" || r.chance(.5) {
		d.raw(`,{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":`)
		d.str(pick(r, families))
		d.raw(`}`)
	}
	d.raw(`,{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"`)
	born := &cities[r.intn(len(cities))]
	d.raw(born.name + `","state":"` + born.state + `","country":"US"}}]`)

	d.raw(`,"identifier":[{"use":"usual","type":`)
	d.concept(sysIDType, "MR", "Medical Record Number")
	d.raw(`,"system":"http://hospital.example.org/mrn","value":"` + p.mrn + `","assigner":`)
	s := &c.w.sites[p.site]
	d.refNamed(tOrganization, s.org, s.name)
	d.raw(`},{"use":"official","type":`)
	d.concept(sysIDType, "SS", "Social Security Number")
	d.raw(`,"system":"http://hl7.org/fhir/sid/us-ssn","value":"` + p.ssn + `"}`)
	if p.age(p.end) > 16 && r.chance(.8) {
		d.raw(`,{"type":`)
		d.concept(sysIDType, "DL", "Driver's license number")
		d.raw(`,"system":"urn:oid:2.16.840.1.113883.4.3.25","value":"S999`)
		d.int(r.between(10000, 99999))
		d.raw(`"}`)
	}
	d.raw(`]`)
	if !p.dead && r.chance(.9) {
		d.raw(`,"active":true`)
	}
	c.names(d)
	d.raw(`,"telecom":[{"system":"phone","value":"` + p.phone + `","use":"home"}`)
	if r.chance(.7) {
		d.raw(`,{"system":"phone","value":"` + p.mobile + `","use":"mobile","rank":1}`)
	}
	if r.chance(.5) {
		d.raw(`,{"system":"email","value":"` + p.mrn + `@example.com"}`)
	}
	d.raw(`],"gender":"` + genderOf(p.female) + `","birthDate":"`)
	mark := len(d.b)
	d.b = appendDate(d.b, p.city.zone.localDay(p.birth))
	if p.birthPrec > 0 {
		d.b = d.b[:mark+10-3*p.birthPrec]
	}
	d.raw(`"`)
	if p.birthPrec == 0 && r.chance(.06) {
		d.raw(`,"_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":`)
		c.time(d, p.birth)
		d.raw(`}]}`)
	}
	switch {
	case p.dead && r.chance(.97):
		d.raw(`,"deceasedDateTime":`)
		c.time(d, p.end)
	case p.dead:
		d.raw(`,"deceasedBoolean":true`)
	}
	d.raw(`,"address":[`)
	if r.chance(.97) {
		d.raw(`{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/geolocation","extension":[{"url":"latitude","valueDecimal":`)
		d.dec(p.lat, 6)
		d.raw(`},{"url":"longitude","valueDecimal":`)
		d.dec(p.lon, 6)
		d.raw(`}]}],"use":"home","line":["` + p.line)
		if r.chance(.25) {
			d.raw(`","Apt `)
			d.int(r.between(1, 48))
		}
		d.raw(`"],"city":"` + p.city.name + `","state":"` + p.city.state + `","postalCode":"` + p.zip + `","country":"US"}`)
	} else {
		d.raw(`{"use":"temp","text":"no fixed address, care of `)
		d.esc(s.name)
		d.raw(`","city":"` + p.city.name + `","state":"` + p.city.state + `"}`)
	}
	m := &maritalStatus[p.married]
	d.raw(`],"maritalStatus":`)
	d.concept("http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", m.code, m.name)
	if r.chance(.03) {
		d.raw(`,"multipleBirthInteger":`)
		d.int(r.between(1, 2))
	} else {
		d.raw(`,"multipleBirthBoolean":false`)
	}
	if p.age(p.end) < 18 || r.chance(.2) {
		d.raw(`,"contact":[{"relationship":[`)
		d.concept("http://terminology.hl7.org/CodeSystem/v2-0131", "N", "Next-of-Kin")
		d.raw(`],"name":{"family":`)
		d.str(p.family)
		d.raw(`,"given":[`)
		d.str(pick(r, womenNames))
		d.raw(`]},"telecom":[{"system":"phone","value":"` + phoneOf(r) + `"}]}]`)
	}
	d.raw(`,"communication":[{"language":`)
	l := &languages[p.lang]
	d.concept("urn:ietf:bcp:47", l.code, l.name)
	if p.lang > 0 {
		d.raw(`,"preferred":true`)
	}
	d.raw(`}],"generalPractitioner":[`)
	gp := &c.w.people[p.pcp]
	d.refNamed(tPractitioner, gp.id, gp.display)
	d.raw(`],"managingOrganization":`)
	d.ref(tOrganization, s.org)
	c.close(tPatient)
}

func (c *chart) names(d *doc) {
	p, r := &c.p, &c.p.r
	d.raw(`,"name":[{"use":"official","family":"`)
	if r.chance(.25) {
		d.ascii(p.family)
	} else {
		d.esc(p.family)
	}
	d.raw(`","given":[`)
	d.str(p.given)
	if p.middle != "" {
		d.raw(`,`)
		d.str(p.middle)
	}
	d.raw(`]`)
	if p.age(p.end) > 17 {
		switch {
		case !p.female:
			d.raw(`,"prefix":["Mr."]`)
		case p.married == 1:
			d.raw(`,"prefix":["Mrs."]`)
		default:
			d.raw(`,"prefix":["Ms."]`)
		}
	}
	if !p.female && r.chance(.03) {
		d.raw(`,"suffix":["Jr."]`)
	}
	d.raw(`}`)
	if p.maiden != "" {
		d.raw(`,{"use":"maiden","family":`)
		d.str(p.maiden)
		d.raw(`,"given":[`)
		d.str(p.given)
		d.raw(`]}`)
	}
	if p.han {
		h := pick(r, hanNames)
		d.raw(`,{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation","valueCode":"IDE"}],"use":"usual","text":"` + h[0] + h[1] + `","family":"` + h[0] + `","given":["` + h[1] + `"]}`)
	}
	if r.chance(.02) {
		d.raw(`,{"use":"nickname","text":`)
		d.str(`"` + p.given + `"`)
		d.raw(`}`)
	}
	d.raw(`]`)
}

func (c *chart) writeCoverage() {
	p := &c.p
	pay := &payers[p.payer]
	d := c.openClinical(tCoverage, p.coverage)
	profile(d, "us-core-coverage")
	d.raw(`,"status":"active","type":`)
	system := sysAct
	if p.payer == payNone {
		system = "http://terminology.hl7.org/CodeSystem/coverage-selfpay"
	}
	d.bare(system, pay.code, pay.display)
	d.raw(`,"subscriberId":"`)
	d.raw(p.mrn[2:])
	d.raw(`","beneficiary":`)
	d.b = append(d.b, c.subject...)
	d.raw(`,"relationship":`)
	d.bare("http://terminology.hl7.org/CodeSystem/subscriber-relationship", "self", "Self")
	d.raw(`,"period":{"start":"`)
	d.b = appendDate(d.b, floorDay(max(p.birth, p.end-12*year)))
	d.raw(`"},"payor":[`)
	if p.payer == payNone {
		d.b = append(d.b, c.subject...)
	} else {
		d.refNamed(tOrganization, c.w.payers[p.payer], pay.name)
	}
	d.raw(`]`)
	c.close(tCoverage)
}

func (c *chart) writeAllergies() {
	p, r := &c.p, &c.p.r
	for i := range p.allergies {
		a := &p.allergies[i]
		k := &allergens[a.kind]
		d := c.openClinical(tAllergyIntolerance, a.id)
		profile(d, "us-core-allergyintolerance")
		d.raw(`,"clinicalStatus":`)
		d.bare("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active", "Active")
		d.raw(`,"verificationStatus":`)
		d.bare("http://terminology.hl7.org/CodeSystem/allergyintolerance-verification", "confirmed", "Confirmed")
		d.raw(`,"type":"allergy","category":["` + k.category + `"],"criticality":"`)
		severity := "mild"
		if k.reaction == "39579001" {
			severity = "severe"
			d.raw(`high`)
		} else {
			d.raw(`low`)
		}
		d.raw(`","code":`)
		d.concept(k.system, k.code, k.name)
		d.raw(`,"patient":`)
		d.b = append(d.b, c.subject...)
		if r.chance(.5) {
			d.raw(`,"onsetDateTime":"`)
			mark := len(d.b)
			d.b = appendDate(d.b, floorDay(a.at))
			d.b = d.b[:mark+4+3*r.intn(3)]
			d.raw(`"`)
		}
		d.raw(`,"recordedDate":`)
		c.time(d, min(a.at+10*day, p.end))
		d.raw(`,"reaction":[{"manifestation":[`)
		d.concept(sysSNOMED, k.reaction, k.reactionName)
		d.raw(`],"severity":"` + severity + `"}]`)
		c.close(tAllergyIntolerance)
	}
}

func (c *chart) writeProvenance() {
	p := &c.p
	d := c.open(tProvenance, p.r.uuid())
	profile(d, "us-core-provenance")
	d.raw(`,"target":[`)
	d.b = append(d.b, c.provenance.b...)
	d.raw(`],"recorded":`)
	c.instant(d, p.end)
	s := &c.w.sites[p.site]
	for i, role := range [...][2]string{{"author", "Author"}, {"transmitter", "Transmitter"}} {
		if i == 0 {
			d.raw(`,"agent":[{"type":`)
			d.concept("http://terminology.hl7.org/CodeSystem/provenance-participant-type", role[0], role[1])
		} else {
			d.raw(`,{"type":`)
			d.concept("http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type", role[0], role[1])
		}
		d.raw(`,"who":`)
		gp := &c.w.people[p.pcp]
		d.refNamed(tPractitioner, gp.id, gp.display)
		d.raw(`,"onBehalfOf":`)
		d.refNamed(tOrganization, s.org, s.name)
		d.raw(`}`)
	}
	d.raw(`]`)
	c.close(tProvenance)
}
