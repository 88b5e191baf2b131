package bulk

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// put writes a resource as REST does.
func (m *model) put(typ r4.TypeID, id, members string) {
	m.t.Helper()
	text := fmt.Sprintf(`{"resourceType":"%s","id":"%s",%s}`, typ, id, members)
	w := lake.Write{Type: typ, ID: id, Method: delta.Update, Content: xxhash.Sum64String(text)}
	w.Stamp = func(dst []byte, number uint32, updated string) []byte {
		at, _ := time.Parse(time.RFC3339, updated)
		return append(dst, withMeta(text, number, at.UnixMicro())...)
	}
	if members == "" {
		w.Method, w.Stamp = delta.Delete, nil
	}
	if _, err := m.lake.Commit(context.Background(), []lake.Write{w}); err != nil {
		m.t.Fatal(err)
	}
}

const observed = `"status":"final","code":{"text":"c"},`

func subject(ref string) string { return observed + `"subject":{"reference":"` + ref + `"}` }

// TestWhatBelongsToAPatient has resources in the snapshot, in the delta and in both.
func TestWhatBelongsToAPatient(t *testing.T) {
	m := newModel(t, 3)
	m.put(r4.TypePatient, "p1", `"gender":"female"`)
	m.put(r4.TypePatient, "p10", `"gender":"female"`)
	m.put(r4.TypeObservation, "of-p1", subject("Patient/p1"))
	m.put(r4.TypeObservation, "of-a-version-of-p1", subject("Patient/p1/_history/2"))
	m.put(r4.TypeObservation, "with-an-escape", subject(`Patient/\u00701`))
	m.put(r4.TypeObservation, "of-p10", subject("Patient/p10"))
	m.put(r4.TypeObservation, "of-a-group", subject("Group/p1"))
	m.put(r4.TypeObservation, "that-says-p1", `"status":"final","code":{"text":"Patient/p1"}`)
	m.put(r4.TypeObservation, "performed-by-p1", observed+`"performer":[{"reference":"Patient/p1"}]`)
	m.put(r4.TypeObservation, "moved-away", subject("Patient/p1"))
	m.put(r4.TypeObservation, "moved-here", subject("Patient/p10"))
	m.put(r4.TypeObservation, "deleted", subject("Patient/p1"))
	m.put(r4.TypeObservation, "deleted-of-another", subject("Patient/p10"))
	m.put(r4.TypePatient, "linked", `"link":[{"other":{"reference":"Patient/p1"},"type":"seealso"}]`)
	m.put(r4.TypeMedication, "in-no-compartment", `"code":{"text":"Patient/p1"}`)
	want := []Resource{
		{r4.TypeAppointment, "in-the-delta"},
		{r4.TypeObservation, "deleted"},
		{r4.TypeObservation, "moved-here"},
		{r4.TypeObservation, "of-a-version-of-p1"},
		{r4.TypeObservation, "of-p1"},
		{r4.TypeObservation, "performed-by-p1"},
		{r4.TypeObservation, "with-an-escape"},
		{r4.TypePatient, "linked"},
		{r4.TypePatient, "p1"},
	}
	check := func(when string) {
		t.Helper()
		got, err := Compartment(context.Background(), m.lake, r4.Compartment("Patient"), "p1")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", when, err, diff)
		}
	}
	m.compactWith(CompactOptions{})
	m.put(r4.TypeObservation, "moved-away", subject("Patient/p10"))
	m.put(r4.TypeObservation, "moved-here", subject("Patient/p1"))
	m.put(r4.TypeObservation, "deleted", "")
	m.put(r4.TypeObservation, "deleted-of-another", "")
	m.put(r4.TypeAppointment, "in-the-delta", `"status":"booked","participant":[{"actor":{"reference":"Patient/p1"},"status":"accepted"}]`)
	check("in the delta, over the snapshot")

	o := m.f.opts
	o.Lake, o.Now = m.lake, m.clock
	o.Stdin = strings.NewReader(`{"resourceType":"Observation","id":"of-p10",` + subject("Patient/p10") + `}` + "\n" +
		`{"resourceType":"Observation","id":"moved-away",` + observed + `"subject":{"reference":"Patient/p10"},"comment":"again"}` + "\n")
	if _, err := m.f.try(o, "-"); err != nil {
		t.Fatal(err)
	}
	check("after an import that overtook the delta")
	m.compactWith(CompactOptions{})
	check("all in the snapshot")
	m.compactWith(CompactOptions{Whole: true, Erase: want})
	want = nil
	check("after it was erased")
}
