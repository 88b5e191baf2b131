package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/lake"
)

// Patients is a set of patients by their ids; nil is all there are.
type Patients map[string]bool

// has tells whether a patient is in the set.
func (p Patients) has(id []byte) bool { return p == nil || p[string(id)] }

// GroupPatients gives the patients that a Group lists as its members, without those who are
// no longer (FHIR R4, Group.member). The error is [lake.GoneError] or [lake.ErrNotFound] when there is
// no such group.
func GroupPatients(l *lake.Lake, id string) (Patients, error) {
	res, err := l.Read(r4.TypeGroup, id, nil)
	if err != nil {
		return nil, err
	}
	var group struct {
		Member []struct {
			Entity struct {
				Reference string `json:"reference"`
			} `json:"entity"`
			Inactive bool `json:"inactive"`
		} `json:"member"`
	}
	if err := json.Unmarshal(res.JSON, &group); err != nil {
		return nil, fmt.Errorf("read Group/%s: %w", id, err)
	}
	all := Patients{}
	for _, m := range group.Member {
		_, ref, ok := strings.Cut("/"+m.Entity.Reference, "/Patient/")
		if ok && !m.Inactive {
			id, _, _ := strings.Cut(ref, "/") // of a version
			all[id] = true
		}
	}
	return all, nil
}

// ofPatients is the stage that leaves the records of the compartments of some patients
// (FHIR R4, CompartmentDefinition patient). It comes after the index stage.
type ofPatients struct {
	patients Patients
	groups   map[r4.TypeID]map[search.GroupID]bool // of the parameters that lead to a patient
}

var _ pipeline.Stage = (*ofPatients)(nil)

func newOfPatients(p Patients) *ofPatients {
	return &ofPatients{p, newMembers(patientCompartment(), "").groups}
}

func patientCompartment() *r4.CompartmentDefinition { return r4.Compartment("Patient") }

// types tells whether resources of a type can be in a patient's compartment.
func (s *ofPatients) types(t r4.TypeID) bool { return t == r4.TypePatient || s.groups[t] != nil }

// Name is "patients".
func (*ofPatients) Name() string { return "patients" }

// NewWorker makes a worker.
func (s *ofPatients) NewWorker() (pipeline.Worker, error) { return &ofPatientsWorker{s: s}, nil }

type ofPatientsWorker struct {
	s    *ofPatients
	keep []bool // by record
}

// Process leaves the records of the patients.
func (w *ofPatientsWorker) Process(_ context.Context, b *pipeline.Batch) error {
	w.keep = append(w.keep[:0], make([]bool, len(b.Records))...)
	for i := range b.Records {
		r := &b.Records[i]
		if r.Status == pipeline.Rejected {
			b.At = i
			return errors.New("a stored resource cannot be read again")
		}
		w.keep[i] = r.Type == r4.TypePatient && w.s.patients.has(r.ID)
	}
	values := pipeline.SearchValues.Of(b)
	for i := range values.References {
		ref := &values.References[i]
		if ref.Type != r4.TypePatient || w.keep[ref.Record] {
			continue
		}
		if w.s.groups[b.Records[ref.Record].Type][ref.Group] && w.s.patients.has(values.Text(ref.ID)) {
			w.keep[ref.Record] = true
		}
	}
	leave(b, w.keep)
	return nil
}

// leave leaves some records of a batch that is read from a data store.
func leave(b *pipeline.Batch, keep []bool) {
	data, n := b.Data[:0], 0
	for i := range b.Records {
		if !keep[i] {
			continue
		}
		// What is kept only moves towards the start.
		line := b.Line(&b.Records[i])
		r := b.Records[i]
		r.Start = uint32(len(data))
		data = append(append(data, line...), '\n')
		r.End = uint32(len(data) - 1)
		b.Records[n] = r
		n++
	}
	clear(b.Records[n:])
	b.Data, b.Records = data, b.Records[:n]
	b.Tree.Reset(nil) // its texts have moved
	pipeline.StoredOf.Of(b).Resources = int64(n)
	b.Pad()
}
