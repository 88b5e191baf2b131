package gen

import (
	"crypto/sha1"
	"encoding/base64"
)

// report writes a panel: its Observations, and the DiagnosticReport that
// refers to them.
func (c *chart) report(panel int) {
	k := &panels[panel]
	c.results = c.results[:0]
	if panel == panelUA {
		c.urinalysis()
	} else {
		for _, i := range k.labs {
			c.result(i)
		}
	}
	d := c.openClinical(tDiagnosticReport, c.p.r.uuid())
	profile(d, "us-core-diagnosticreport-lab")
	d.raw(`,"status":"final","category":[`)
	d.concept(sysDiagSvc, "LAB", "Laboratory")
	d.raw(`],"code":`)
	d.concept(sysLOINC, k.code, k.name)
	d.b = append(d.b, c.tail...)
	d.b = append(d.b, c.orderers...)
	d.raw(`,"result":[`)
	for i, id := range c.results {
		if i > 0 {
			d.raw(`,`)
		}
		if panel == panelUA {
			d.ref(tObservation, id)
		} else {
			d.refNamed(tObservation, id, labs[k.labs[i]].name)
		}
	}
	d.raw(`]`)
	c.close(tDiagnosticReport)
	c.items = append(c.items, item{system: sysLOINC, code: k.code, name: k.name, cents: k.cents})
}

// Note kinds with the LOINC code of the document.
type noteKind uint8

const (
	progressNote noteKind = iota
	dischargeSummary
	consultNote
	edNote
	radiologyReport
	telephoneNote
	historyPhysical
)

var noteKinds = [...]struct{ code, name string }{
	progressNote:     {"11506-3", "Progress note"},
	dischargeSummary: {"18842-5", "Discharge summary"},
	consultNote:      {"11488-4", "Consult note"},
	edNote:           {"34111-5", "Emergency department Note"},
	radiologyReport:  {"18748-4", "Diagnostic imaging study"},
	telephoneNote:    {"34748-4", "Telephone encounter Note"},
	historyPhysical:  {"34117-2", "History and physical note"},
}

// study does an imaging: the Procedure, and a report with its text both in a
// DiagnosticReport and in a DocumentReference.
func (c *chart) study(kind int) {
	k, r := &imagings[kind-1], &c.p.r
	c.writeProcedure(k.snomed, k.verb, r.between(10, 35), k.cents)
	doctor := c.doctor
	c.doctor = &c.w.people[c.site.staff[specRadiology]]
	c.writeRadiology(k)
	d := c.openClinical(tDiagnosticReport, r.uuid())
	profile(d, "us-core-diagnosticreport-note")
	d.raw(`,"status":"final","category":[`)
	d.concept(sysLOINC, "LP29684-5", "Radiology")
	d.raw(`],"code":`)
	d.concept(sysLOINC, k.loinc, k.name)
	d.b = append(d.b, c.tail...)
	d.raw(`,"performer":[`)
	d.refNamed(tPractitioner, c.doctor.id, c.doctor.display)
	d.raw(`],"conclusion":`)
	d.str(c.last[0])
	d.raw(`,"presentedForm":[`)
	c.attachment(d, k.name)
	d.raw(`]`)
	c.close(tDiagnosticReport)
	if r.chance(.7) {
		c.writeDocument(radiologyReport)
	}
	c.doctor = doctor
}

// document writes the note of the visit.
func (c *chart) document() {
	r, v := &c.p.r, c.v
	kind := progressNote
	switch v.kind {
	case vStay, vBirth:
		kind = dischargeSummary
		c.setTime(v.until - minute)
	case vED:
		kind = edNote
	case vPhone:
		kind = telephoneNote
	case vWell:
		if r.chance(.5) {
			kind = historyPhysical
		}
	case vDialysis:
		if !v.full {
			return
		}
	default:
		if c.doctor.specialty > 2 {
			kind = consultNote
		}
	}
	c.writeNote(kind)
	c.writeDocument(kind)
	if r.chance(.35) {
		d := c.openClinical(tDiagnosticReport, r.uuid())
		profile(d, "us-core-diagnosticreport-note")
		k := &noteKinds[kind]
		d.raw(`,"status":"final","category":[`)
		d.bare(sysLOINC, k.code, k.name)
		d.raw(`],"code":`)
		d.concept(sysLOINC, k.code, k.name)
		d.b = append(d.b, c.tail...)
		d.b = append(d.b, c.orderers...)
		d.raw(`,"presentedForm":[`)
		c.attachment(d, "")
		d.raw(`]`)
		c.close(tDiagnosticReport)
	}
	if v.kind == vStay && c.flags&fCancer == 0 && r.chance(.3) {
		c.writeNote(consultNote)
		c.writeDocument(consultNote)
	}
}

// attachment appends the text at hand as an Attachment with base64 data.
func (c *chart) attachment(d *doc, title string) {
	d.raw(`{"contentType":"text/plain; charset=utf-8","data":"`)
	d.b = base64.StdEncoding.AppendEncode(d.b, c.text)
	d.raw(`"`)
	if c.p.r.chance(.2) {
		d.raw(`,"size":`)
		d.int(len(c.text))
		d.raw(`,"hash":"`)
		sum := sha1.Sum(c.text) // the algorithm that Attachment.hash prescribes
		d.b = base64.StdEncoding.AppendEncode(d.b, sum[:])
		d.raw(`"`)
	}
	if title != "" {
		d.raw(`,"title":`)
		d.str(title)
	}
	d.raw(`}`)
}

func (c *chart) writeDocument(kind noteKind) {
	r, k := &c.p.r, &noteKinds[kind]
	id := r.uuid()
	d := c.openClinical(tDocumentReference, id)
	profile(d, "us-core-documentreference")
	d.raw(`,"identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:`)
	d.id(id)
	d.raw(`"}],"status":"current","docStatus":"final","type":`)
	d.concept(sysLOINC, k.code, k.name)
	d.raw(`,"category":[`)
	d.concept("http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note", "Clinical Note")
	d.raw(`],"subject":`)
	d.b = append(d.b, c.subject...)
	d.raw(`,"date":`)
	c.instant(d, c.at)
	d.raw(`,"author":[`)
	d.refNamed(tPractitioner, c.doctor.id, c.doctor.display)
	d.raw(`],"custodian":`)
	d.refNamed(tOrganization, c.site.org, c.site.name)
	d.raw(`,"content":[{"attachment":`)
	c.attachment(d, "")
	d.raw(`,"format":`)
	d.coding("http://ihe.net/fhir/ValueSet/IHE.FormatCode.codesystem", "urn:ihe:iti:xds:2017:mimeTypeSufficient", "mimeType Sufficient")
	d.raw(`}],"context":{"encounter":[`)
	d.ref(tEncounter, c.enc)
	d.raw(`],"period":`)
	c.period(d, c.v.t, c.v.until)
	d.raw(`}`)
	c.close(tDocumentReference)
}
