package gen

type resType uint8

const (
	tAllergyIntolerance resType = iota
	tCarePlan
	tClaim
	tCondition
	tCoverage
	tDiagnosticReport
	tDocumentReference
	tEncounter
	tExplanationOfBenefit
	tImmunization
	tLocation
	tMedication
	tMedicationRequest
	tObservation
	tOrganization
	tPatient
	tPractitioner
	tProcedure
	tProvenance
	numTypes
)

var typeNames = [numTypes]string{
	"AllergyIntolerance", "CarePlan", "Claim", "Condition", "Coverage", "DiagnosticReport", "DocumentReference",
	"Encounter", "ExplanationOfBenefit", "Immunization", "Location", "Medication", "MedicationRequest", "Observation",
	"Organization", "Patient", "Practitioner", "Procedure", "Provenance",
}

// A chart turns one person after another into lines: a document per resource
// type, and what the visit at hand has gathered so far. It belongs to one
// goroutine and keeps its memory from patient to patient.
type chart struct {
	w    *world
	p    person
	docs [numTypes]doc

	provenance doc // targets of the Provenance, comma-separated

	// The visit at hand.
	v        *visit
	enc      uid
	flags    flag
	site     *site
	doctor   *clinician
	at       stamp // of the results being written
	subject  []byte
	tail     []byte // subject, encounter, effective time and performer of results
	orderers []byte
	diag     []int // problems that the visit treats, by index
	items    []item
	vals     [numLabs]int64 // scaled by each lab's prec
	seen     [numLabs]bool  // measured at this visit
	vitals   vitals
	results  []uid
	done     []int // procedures of this visit
	started  []int // indexes into p.meds, begun at this visit
	lastVax  stamp
	covid    int
	text     []byte
	last     [3]string // [0]: the finding of the imaging report just written
	picks    []int
}

// An item is one line of a bill.
type item struct {
	system, code, name string
	cents              int64
	procedure          uid
	diagnosis          bool
}

// open begins a resource and gives the document to go on with.
func (c *chart) open(t resType, id uid) *doc {
	d := &c.docs[t]
	d.raw(`{"resourceType":"`)
	d.raw(typeNames[t])
	d.raw(`","id":"`)
	d.id(id)
	d.raw(`"`)
	return d
}

// openClinical also makes the resource a target of the patient's Provenance.
// Observations are left out: they follow from the reports and encounters that
// are in, and would be half of all targets.
func (c *chart) openClinical(t resType, id uid) *doc {
	if len(c.provenance.b) > 0 {
		c.provenance.raw(",")
	}
	c.provenance.ref(t, id)
	return c.open(t, id)
}

func (c *chart) close(t resType) {
	d := &c.docs[t]
	d.raw("}\n")
	d.lines++
}

func profile(d *doc, name string) {
	d.raw(`,"meta":{"profile":["` + usCore)
	d.raw(name)
	d.raw(`"]}`)
}

func (c *chart) time(d *doc, t stamp) {
	d.raw(`"`)
	d.b = c.p.city.zone.append(d.b, t, -1)
	d.raw(`"`)
}

func (c *chart) instant(d *doc, t stamp) {
	d.raw(`"`)
	d.b = c.p.city.zone.append(d.b, t, int(uint64(t)*7919%1000))
	d.raw(`"`)
}

func (c *chart) period(d *doc, from, to stamp) {
	d.raw(`{"start":`)
	c.time(d, from)
	d.raw(`,"end":`)
	c.time(d, to)
	d.raw(`}`)
}

func (c *chart) reset() {
	for i := range c.docs {
		c.docs[i].reset()
	}
}

// patient writes the whole record of patient n.
func (c *chart) patient(n int) {
	p := &c.p
	p.draw(c.w, n)
	c.provenance.reset()
	c.lastVax, c.covid = 0, 0
	c.vals, c.seen = [numLabs]int64{}, [numLabs]bool{}
	var s doc
	s.b = c.subject[:0]
	s.ref(tPatient, p.id)
	c.subject = s.b

	c.writePatient()
	c.writeCoverage()
	for i := range p.visits {
		c.visit(&p.visits[i])
	}
	c.writeAllergies()
	c.writeProvenance()
}

// visit writes one encounter with all that happened at it.
func (c *chart) visit(v *visit) {
	p, r := &c.p, &c.p.r
	c.v, c.enc, c.at = v, r.uuid(), v.t
	p.stop(v.t)
	c.flags = p.flags(v.t)
	c.site = &c.w.sites[p.site]
	c.doctor = &c.w.people[p.pcp]
	switch {
	case v.kind == vED || v.kind == vStay || v.kind == vBirth:
		c.site = &c.w.sites[p.site-p.site%3] // the first site of a city takes emergencies
		c.doctor = &c.w.people[c.site.staff[4]]
		if v.kind != vED {
			c.doctor = &c.w.people[c.site.staff[1]]
		}
	case v.kind == vFollow && r.chance(.2):
		c.doctor = &c.w.people[c.site.staff[3]]
	case p.age(v.t) < 18:
		c.doctor = &c.w.people[c.site.staff[2]]
	}
	c.diag, c.items, c.done, c.started = c.diag[:0], c.items[:0], c.done[:0], c.started[:0]
	c.seen = [numLabs]bool{}
	c.last = [3]string{}
	c.setTime(v.t + 5*minute)

	if v.problem >= 0 {
		c.diagnose(v.problem)
	}
	c.writeEncounter()
	kind := &visitKinds[v.kind]
	cents := kind.cents + int64(r.intn(2000))
	if v.kind == vStay {
		cents += int64(v.until-v.t) / day * 214000
	}
	c.items = append(c.items, item{system: sysSNOMED, code: kind.code, name: kind.name, cents: cents})
	for _, i := range c.diag {
		c.items = append(c.items, item{system: sysSNOMED, code: p.problems[i].c.code, name: p.problems[i].c.name, diagnosis: true})
	}

	if v.kind != vPhone {
		c.measure()
	}
	switch v.kind {
	case vWell:
		c.smoking()
		c.screens()
		c.panelsOfWell()
		c.vaccinate()
		c.routineProcedures()
	case vFollow, vOnset:
		c.panelsOfFollow()
		if v.kind == vOnset || v.nth%6 == 5 {
			c.studies()
		}
		if r.chance(.4) {
			c.procedure(pMedRec)
		}
	case vAcute:
		c.panelsOfAcute(.06)
		c.studies()
	case vED:
		c.panelsOfAcute(.32)
		c.studies()
	case vStay, vBirth:
		c.hospital()
	case vPrenatal:
		c.procedure(pFundal)
		c.procedure(pFetalHeart)
		if v.full {
			c.report(panelCBC)
			c.report(panelUA)
		}
	case vDialysis:
		c.procedure(pDialysis)
		if v.full {
			c.report(panelCMP)
			c.report(panelCBC)
		}
	case vChemo:
		c.procedure(pChemo)
		c.report(panelCBCDiff)
		if v.full {
			c.report(panelCMP)
		}
	}
	c.medicate()
	if v.kind == vOnset && r.chance(.55) || v.kind == vStay && r.chance(.3) {
		c.carePlan()
	}
	c.document()
	c.bill()
}

// diagnose makes a problem one that the visit treats, and writes its Condition
// at the first such visit.
func (c *chart) diagnose(i int) {
	c.diag = append(c.diag, i)
	if q := &c.p.problems[i]; !q.written {
		q.written = true
		c.writeCondition(q)
	}
}

// setTime fixes the time that results carry, and renders the elements that all
// results of that time share: they are two thirds of the bytes of an
// Observation, so they are built once.
func (c *chart) setTime(t stamp) {
	c.at = t
	var d doc
	d.b = append(c.tail[:0], `,"subject":`...)
	d.b = append(d.b, c.subject...)
	d.raw(`,"encounter":`)
	d.ref(tEncounter, c.enc)
	d.raw(`,"effectiveDateTime":`)
	c.time(&d, t)
	d.raw(`,"issued":`)
	c.instant(&d, t+7*minute)
	c.tail = d.b

	d.b = append(c.orderers[:0], `,"performer":[`...)
	d.refNamed(tPractitioner, c.doctor.id, c.doctor.display)
	d.raw(`]`)
	c.orderers = d.b
}
