package gen

import "strings"

// The world is what patients share: sites with their clinicians, and payers.
// It depends on the seed alone, not on how many patients there are, so that a
// patient is the same in a small and in a large population.
type world struct {
	seed   uint64
	sites  []site
	people []clinician
	payers [len(payers)]uid
	meds   [len(drugs)]uid // Medication resources, for references
}

type site struct {
	org, loc uid
	name     string
	city     *city
	zip      string
	line     string
	phone    string
	staff    []int // into world.people
}

type clinician struct {
	id            uid
	given, family string
	display       string
	npi           string
	female        bool
	site          int
	specialty     int
}

// specialties by NUCC code; the first three are primary care.
var specialties = [...]struct{ code, name string }{
	{"207Q00000X", "Family Medicine Physician"},
	{"207R00000X", "Internal Medicine Physician"},
	{"208000000X", "Pediatrics Physician"},
	{"207RC0000X", "Cardiovascular Disease Physician"},
	{"207P00000X", "Emergency Medicine Physician"},
	{"2085R0202X", "Diagnostic Radiology Physician"},
}

const specRadiology = 5

func newWorld(seed uint64) *world {
	w := &world{seed: seed}
	var r rng
	r.seed(seed, 1<<63)
	for i := range cities {
		for range 3 {
			c := &cities[i]
			s := site{org: r.uuid(), loc: r.uuid(), city: c, zip: zipOf(&r, c), line: streetLine(&r), phone: phoneOf(&r)}
			s.name = c.name + " " + pick(&r, hospitals)
			for sp := range specialties {
				female := r.chance(.5)
				p := clinician{id: r.uuid(), female: female, site: len(w.sites), specialty: sp, family: pick(&r, families)}
				if female {
					p.given = pick(&r, womenNames)
				} else {
					p.given = pick(&r, menNames)
				}
				p.display = "Dr. " + p.given + " " + p.family
				p.npi = digits(&r, "99999", 5)
				s.staff = append(s.staff, len(w.people))
				w.people = append(w.people, p)
			}
			w.sites = append(w.sites, s)
		}
	}
	for i := range w.payers {
		w.payers[i] = r.uuid()
	}
	for i := range w.meds {
		w.meds[i] = r.uuid()
	}
	return w
}

func digits(r *rng, prefix string, n int) string {
	b := make([]byte, 0, 16)
	b = append(b, prefix...)
	for range n {
		b = append(b, byte('0'+r.intn(10)))
	}
	return string(b)
}

func zipOf(r *rng, c *city) string { return digits(r, c.zip, 2) }

// phoneOf stays in the 555-01xx range, which is kept for fiction.
func phoneOf(r *rng) string { return digits(r, "", 3) + "-555-" + digits(r, "01", 2) }

func streetLine(r *rng) string {
	return strings.TrimLeft(digits(r, "", 3), "0") + "1 " + pick(r, streets)
}

// write appends the shared resources.
func (w *world) write(c *chart) {
	for i := range w.payers {
		d := c.open(tOrganization, w.payers[i])
		profile(d, "us-core-organization")
		d.raw(`,"active":true,"type":[`)
		d.concept("http://terminology.hl7.org/CodeSystem/organization-type", "pay", "Payer")
		d.raw(`],"name":`)
		d.str(payers[i].name)
		d.raw(`,"telecom":[{"system":"phone","value":"800-555-01`)
		d.int(10 + i)
		d.raw(`"}]`)
		c.close(tOrganization)
	}
	for i := range w.meds {
		d := c.open(tMedication, w.meds[i])
		profile(d, "us-core-medication")
		d.raw(`,"code":`)
		d.concept(sysRxNorm, drugs[i].code, drugs[i].name)
		d.raw(`,"status":"active"`)
		c.close(tMedication)
	}
	for i := range w.sites {
		w.sites[i].write(c)
	}
	for i := range w.people {
		p := &w.people[i]
		s := &w.sites[p.site]
		d := c.open(tPractitioner, p.id)
		profile(d, "us-core-practitioner")
		d.raw(`,"identifier":[{"use":"official","system":"http://hl7.org/fhir/sid/us-npi","value":"`)
		d.raw(p.npi)
		d.raw(`"}],"active":true,"name":[{"use":"official","family":`)
		d.str(p.family)
		d.raw(`,"given":[`)
		d.str(p.given)
		d.raw(`],"prefix":["Dr."]}],"telecom":[{"system":"phone","value":"`)
		d.raw(s.phone)
		d.raw(`","use":"work"},{"system":"email","value":"npi`)
		d.raw(p.npi)
		d.raw(`@example.com","use":"work"}],"address":[`)
		s.address(d)
		d.raw(`],"gender":"`)
		d.raw(genderOf(p.female))
		d.raw(`","qualification":[{"code":`)
		d.concept("http://nucc.org/provider-taxonomy", specialties[p.specialty].code, specialties[p.specialty].name)
		d.raw(`}]`)
		c.close(tPractitioner)
	}
}

func (s *site) address(d *doc) {
	d.raw(`{"line":["`)
	d.raw(s.line)
	d.raw(`"],"city":"`)
	d.raw(s.city.name)
	d.raw(`","state":"`)
	d.raw(s.city.state)
	d.raw(`","postalCode":"`)
	d.raw(s.zip)
	d.raw(`","country":"US"}`)
}

func (s *site) write(c *chart) {
	d := c.open(tOrganization, s.org)
	profile(d, "us-core-organization")
	d.raw(`,"identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:`)
	d.id(s.org)
	d.raw(`"}],"active":true,"type":[`)
	d.concept("http://terminology.hl7.org/CodeSystem/organization-type", "prov", "Healthcare Provider")
	d.raw(`],"name":`)
	d.str(s.name)
	d.raw(`,"telecom":[{"system":"phone","value":"`)
	d.raw(s.phone)
	d.raw(`","use":"work"}],"address":[`)
	s.address(d)
	d.raw(`]`)
	c.close(tOrganization)

	d = c.open(tLocation, s.loc)
	profile(d, "us-core-location")
	d.raw(`,"status":"active","name":`)
	d.str(s.name)
	d.raw(`,"mode":"instance","telecom":[{"system":"phone","value":"`)
	d.raw(s.phone)
	d.raw(`"}],"address":`)
	s.address(d)
	d.raw(`,"physicalType":`)
	d.concept("http://terminology.hl7.org/CodeSystem/location-physical-type", "bu", "Building")
	d.raw(`,"position":{"longitude":`)
	d.dec(s.city.lon, 6)
	d.raw(`,"latitude":`)
	d.dec(s.city.lat, 6)
	d.raw(`},"managingOrganization":`)
	d.refNamed(tOrganization, s.org, s.name)
	c.close(tLocation)
}

func genderOf(female bool) string {
	if female {
		return "female"
	}
	return "male"
}
