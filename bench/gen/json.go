package gen

import "unicode/utf8"

// uid is a resource's logical id, kept as two words and printed as a UUID.
type uid struct{ hi, lo uint64 }

func (u uid) zero() bool { return u.hi == 0 && u.lo == 0 }

const hexDigits = "0123456789abcdef"

// hexPairs holds the two digits of every byte, so that a UUID costs sixteen
// table reads. UUIDs are near a tenth of all bytes written.
var hexPairs = func() (t [256][2]byte) {
	for i := range t {
		t[i] = [2]byte{hexDigits[i>>4], hexDigits[i&15]}
	}
	return t
}()

// A doc is one growing run of NDJSON lines of one resource type. Its methods
// append; none of them allocates once the buffer has grown.
type doc struct {
	b     []byte
	lines int
}

func (d *doc) reset() { d.b, d.lines = d.b[:0], 0 }

// raw appends bytes that are JSON already, or text known to need no escapes.
func (d *doc) raw(s string) { d.b = append(d.b, s...) }

func (d *doc) id(u uid) {
	var a [36]byte
	pos := 0
	for i := range 16 {
		w := u.hi
		if i >= 8 {
			w = u.lo
		}
		p := &hexPairs[byte(w>>(56-8*(i&7)))]
		a[pos], a[pos+1] = p[0], p[1]
		pos += 2
		if i == 3 || i == 5 || i == 7 || i == 9 {
			a[pos] = '-'
			pos++
		}
	}
	d.b = append(d.b, a[:]...)
}

// str appends s as a JSON string with its quotes.
func (d *doc) str(s string) {
	d.b = append(d.b, '"')
	d.esc(s)
	d.b = append(d.b, '"')
}

// esc appends the inside of a JSON string.
func (d *doc) esc(s string) {
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		d.b = append(d.b, s[from:i]...)
		switch c {
		case '"', '\\':
			d.b = append(d.b, '\\', c)
		case '\n':
			d.b = append(d.b, '\\', 'n')
		case '\t':
			d.b = append(d.b, '\\', 't')
		default:
			d.b = append(d.b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		from = i + 1
	}
	d.b = append(d.b, s[from:]...)
}

// ascii appends the inside of a JSON string with every character above ASCII
// written as \u escapes: the other spelling that readers must accept.
func (d *doc) ascii(s string) {
	for _, r := range s {
		if r < utf8.RuneSelf {
			d.esc(string(r))
			continue
		}
		if r > 0xFFFF {
			r -= 0x10000
			d.u16(0xD800 + r>>10)
			r = 0xDC00 + r&0x3FF
		}
		d.u16(r)
	}
}

func (d *doc) u16(r rune) {
	d.b = append(d.b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

func (d *doc) int(v int) { d.b = appendFixed(d.b, int64(v), 0) }

// dec appends v/10^prec with exactly prec decimals: 1.10 stays 1.10.
func (d *doc) dec(v int64, prec int) { d.b = appendFixed(d.b, v, prec) }

func appendFixed(b []byte, v int64, prec int) []byte {
	if v < 0 {
		b = append(b, '-')
		v = -v
	}
	var a [24]byte
	i := len(a)
	for n := 0; v > 0 || n <= prec; n++ {
		if n == prec && prec > 0 {
			i--
			a[i] = '.'
		}
		i--
		a[i] = byte('0' + v%10)
		v /= 10
	}
	return append(b, a[i:]...)
}

// ref appends {"reference":"Type/id"}.
func (d *doc) ref(t resType, u uid) {
	d.raw(`{"reference":"`)
	d.raw(typeNames[t])
	d.b = append(d.b, '/')
	d.id(u)
	d.raw(`"}`)
}

// refNamed appends a reference with its display.
func (d *doc) refNamed(t resType, u uid, display string) {
	d.raw(`{"reference":"`)
	d.raw(typeNames[t])
	d.b = append(d.b, '/')
	d.id(u)
	d.raw(`","display":"`)
	d.esc(display)
	d.raw(`"}`)
}

// coding appends one Coding. Codes and displays come from the tables, which
// hold nothing that needs an escape.
func (d *doc) coding(system, code, display string) {
	d.raw(`{"system":"`)
	d.raw(system)
	d.raw(`","code":"`)
	d.raw(code)
	if display != "" {
		d.raw(`","display":"`)
		d.raw(display)
	}
	d.raw(`"}`)
}

// concept appends a CodeableConcept of one coding with the display as text.
func (d *doc) concept(system, code, display string) {
	d.raw(`{"coding":[`)
	d.coding(system, code, display)
	d.raw(`],"text":"`)
	d.raw(display)
	d.raw(`"}`)
}

// bare appends a CodeableConcept of one coding without a text.
func (d *doc) bare(system, code, display string) {
	d.raw(`{"coding":[`)
	d.coding(system, code, display)
	d.raw(`]}`)
}

// quantity appends a UCUM Quantity.
func (d *doc) quantity(v int64, prec int, unit, ucum string) {
	d.raw(`{"value":`)
	d.dec(v, prec)
	d.raw(`,"unit":"`)
	d.raw(unit)
	d.raw(`","system":"http://unitsofmeasure.org","code":"`)
	d.raw(ucum)
	d.raw(`"}`)
}

// money appends an amount of cents in US dollars.
func (d *doc) money(cents int64) {
	d.raw(`{"value":`)
	d.dec(cents, 2)
	d.raw(`,"currency":"USD"}`)
}

// Code systems by the addresses that R4 and US Core give them.
const (
	sysSNOMED  = "http://snomed.info/sct"
	sysLOINC   = "http://loinc.org"
	sysRxNorm  = "http://www.nlm.nih.gov/research/umls/rxnorm"
	sysICD10   = "http://hl7.org/fhir/sid/icd-10-cm"
	sysCVX     = "http://hl7.org/fhir/sid/cvx"
	sysAct     = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	sysPart    = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	sysObsCat  = "http://terminology.hl7.org/CodeSystem/observation-category"
	sysInterp  = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
	sysIDType  = "http://terminology.hl7.org/CodeSystem/v2-0203"
	sysDiagSvc = "http://terminology.hl7.org/CodeSystem/v2-0074"
	usCore     = "http://hl7.org/fhir/us/core/StructureDefinition/"
)
