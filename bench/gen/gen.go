// Package gen makes populations of FHIR R4 records that are believable enough
// to develop, demonstrate and measure with: people with an age, conditions
// that follow from one another, laboratory values that follow from the
// conditions, treatment, bills, and clinical notes in varied prose that state
// the same facts. Shapes and sizes resemble those of Synthea.
//
// Nothing here is real. The package owns the content and the writing of the
// NDJSON files; reading, validating and loading them is left to others. It
// imports nothing of the rest of the tree, so that every benchmark can use it.
//
// Read Generate first; Lines and Records give the same bytes in memory.
//
// Invariants:
//  1. The same seed and number of patients give the same bytes, whatever the
//     number of workers.
//  2. Patient n depends on the seed and on n alone.
//  3. Every reference resolves within the population.
//  4. No record goes past 2025-06-30, so output does not depend on the day.
package gen

import "bytes"

// Records makes the records of single patients, without files. It is not safe
// for concurrent use; make one per goroutine.
type Records struct{ c chart }

// NewRecords prepares the world of a seed.
func NewRecords(seed uint64) *Records {
	r := &Records{}
	r.c.w = newWorld(seed)
	return r
}

// Shared hands out the resources that patients have in common: Organization,
// Location, Practitioner, Medication. Lines end with a newline and are valid
// until the next call.
func (r *Records) Shared(emit func(resourceType string, line []byte)) {
	r.c.reset()
	r.c.w.write(&r.c)
	r.c.each(emit)
}

// Patient hands out the resources of patient n, counted from 0, by type in
// alphabetical order. Lines end with a newline and are valid until the next call.
func (r *Records) Patient(n int, emit func(resourceType string, line []byte)) {
	r.c.reset()
	r.c.patient(n)
	r.c.each(emit)
}

func (c *chart) each(emit func(resourceType string, line []byte)) {
	for t := range c.docs {
		b := c.docs[t].b
		for len(b) > 0 {
			i := bytes.IndexByte(b, '\n')
			emit(typeNames[t], b[:i+1])
			b = b[i+1:]
		}
	}
}

// Lines is the population of a seed in memory: for each resource type the
// bytes that Generate would write to its file.
func Lines(seed uint64, patients int) map[string][]byte {
	r := NewRecords(seed)
	out := make(map[string][]byte, numTypes)
	take := func() {
		for t := range r.c.docs {
			if b := r.c.docs[t].b; len(b) > 0 {
				out[typeNames[t]] = append(out[typeNames[t]], b...)
			}
		}
		r.c.reset()
	}
	r.c.w.write(&r.c)
	take()
	for n := range patients {
		r.c.patient(n)
		take()
	}
	return out
}

// Types are the resource types that a population may hold, in order.
func Types() []string { return append([]string(nil), typeNames[:]...) }
