package bulk

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
)

// cared is a data store with what is of two patients and of none, in snapshot and delta.
func cared(t *testing.T) *model {
	m := newModel(t, 1)
	for i, id := range []string{"pat-a", "pat-b"} {
		m.put(r4.TypePatient, id, `"active":true`)
		m.put(r4.TypeObservation, "obs-"+id, subject("Patient/"+id))
		m.put(r4.TypeEncounter, "enc-"+id, `"status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/`+id+`/_history/1"}`)
		if i == 0 {
			if _, err := Compact(context.Background(), CompactOptions{Lake: m.lake}); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.put(r4.TypePatient, "pat-c", `"active":true`)
	m.put(r4.TypeObservation, "obs-none", subject("Device/pat-a"))
	m.put(r4.TypePractitioner, "doc", `"active":true`)
	m.put(r4.TypeAppointment, "both", `"status":"booked","participant":[{"status":"accepted","actor":{"reference":"Patient/pat-a"}},{"status":"accepted","actor":{"reference":"Patient/pat-b"}}]`)
	m.put(r4.TypeGroup, "g", `"type":"person","actual":true,"member":[{"entity":{"reference":"Patient/pat-b"}},{"entity":{"reference":"Patient/pat-a"},"inactive":true},{"entity":{"reference":"Device/pat-c"}}]`)
	return m
}

func names(all map[string]string) []string { return slices.Sorted(maps.Keys(all)) }

func TestAnExportOfPatientsHasTheirCompartments(t *testing.T) {
	m := cared(t)
	group, err := GroupPatients(m.lake, "g")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Patients{"pat-b": true}, group); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	ofB := []string{"Appointment/both", "Encounter/enc-pat-b", "Group/g", "Observation/obs-pat-b", "Patient/pat-b"}
	for name, tc := range map[string]struct {
		o    ExportOptions
		want []string
	}{
		"all patients": {ExportOptions{}, []string{
			"Appointment/both", "Encounter/enc-pat-a", "Encounter/enc-pat-b", "Group/g", "Observation/obs-pat-a", "Observation/obs-pat-b",
			"Patient/pat-a", "Patient/pat-b", "Patient/pat-c",
		}},
		"one":               {ExportOptions{Patients: Patients{"pat-b": true}}, ofB},
		"a group":           {ExportOptions{Patients: group}, ofB},
		"none":              {ExportOptions{Patients: Patients{}}, nil},
		"one type":          {ExportOptions{Patients: group, Types: func(t r4.TypeID) bool { return t == r4.TypeObservation }}, []string{"Observation/obs-pat-b"}},
		"compressed":        {ExportOptions{Patients: group, Format: ExportNDJSONZstd}, ofB},
		"with another part": {ExportOptions{Patients: group, Stages: []pipeline.Stage{onlyEncounters{}}}, []string{"Encounter/enc-pat-b"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.o.OfPatients = true
			res, dir := m.export(tc.o)
			if diff := cmp.Diff(tc.want, names(exported(t, dir))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if int(res.Resources) != len(tc.want) {
				t.Errorf("%d resources are told, want %d", res.Resources, len(tc.want))
			}
		})
	}
}

// onlyEncounters is a stage that needs the tree.
type onlyEncounters struct{}

func (onlyEncounters) Name() string                          { return "encounters" }
func (e onlyEncounters) NewWorker() (pipeline.Worker, error) { return e, nil }

func (onlyEncounters) Process(_ context.Context, b *pipeline.Batch) error {
	keep := make([]bool, len(b.Records))
	for i := range b.Records {
		keep[i] = b.Tree.Nodes[b.Records[i].Root].Type == r4.TypeEncounter
	}
	leave(b, keep)
	return nil
}

// TestAnExportOfOnePatientIsTheCompartment compares with what an erasure of the patient finds.
func TestAnExportOfOnePatientIsTheCompartment(t *testing.T) {
	m := newModel(t, 6)
	for i := range 60 {
		ref := func() string { return fmt.Sprintf("Patient/p%d", m.rng.IntN(5)) }
		switch m.rng.IntN(4) {
		case 0:
			m.put(r4.TypePatient, fmt.Sprintf("p%d", m.rng.IntN(5)), `"active":true`)
		case 1:
			m.put(r4.TypeObservation, fmt.Sprintf("o%d", i), subject(ref()))
		case 2:
			m.put(r4.TypeCondition, fmt.Sprintf("c%d", i), `"subject":{"reference":"`+ref()+`"},"asserter":{"reference":"`+ref()+`"}`)
		case 3:
			m.now = m.now.Add(time.Second)
			if _, err := Compact(context.Background(), CompactOptions{Lake: m.lake, Now: m.clock}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 5 {
		id := fmt.Sprintf("p%d", i)
		of, err := Compartment(context.Background(), m.lake, r4.Compartment("Patient"), id)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, r := range of {
			want = append(want, fmt.Sprintf("%s/%s", r.Type, r.ID))
		}
		slices.Sort(want)
		_, dir := m.export(ExportOptions{OfPatients: true, Patients: Patients{id: true}})
		if diff := cmp.Diff(want, names(exported(t, dir))); diff != "" {
			t.Errorf("%s (-compartment +export):\n%s", id, diff)
		}
	}
}
