package derive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/stages/identify"
	"github.com/fhirlake/fhirlake/stages/nlp/derive"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/shred"
	"github.com/fhirlake/fhirlake/stages/validate"
)

// reads is a stage that leaves the same result of every document that is pending.
type reads struct{ result string }

func (reads) Name() string                          { return "nlp" }
func (s reads) NewWorker() (pipeline.Worker, error) { return s, nil }

func (s reads) Process(_ context.Context, b *pipeline.Batch) error {
	notes := pipeline.Notes.Of(b)
	notes.Reset()
	for i := range b.Records {
		if r := &b.Records[i]; r.Status == pipeline.Pending && r.Type == r4.TypeDocumentReference {
			if s.result == "" {
				continue
			}
			start := len(notes.Data)
			notes.Data = append(notes.Data, s.result...)
			notes.Of = append(notes.Of, pipeline.NoteResult{Record: i, Start: uint32(start), End: uint32(len(notes.Data))})
		}
	}
	return nil
}

// basics are the stages that resources go through, versions what the store has.
func basics(t testing.TB, versions identify.Versions) []pipeline.Stage {
	t.Helper()
	v, err := validate.New(validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	id, err := identify.New(bytes.Repeat([]byte{7}, identify.KeySize), versions, time.UnixMilli(1000))
	if err != nil {
		t.Fatal(err)
	}
	return []pipeline.Stage{parse.New(), v, id}
}

var asthmaAndFever = found(condition("asthma", "DIAGNOSIS", 0.92, asthma), condition("fever", "SYMPTOM", 0.92, fever))

// batchOf is a batch of the lines.
func batchOf(lines ...string) *pipeline.Batch {
	b := new(pipeline.Batch)
	file := &pipeline.File{Name: "in.ndjson"}
	for i, line := range lines {
		start := len(b.Data)
		b.Data = append(append(b.Data, line...), '\n')
		b.Records = append(b.Records, pipeline.Record{
			File: file, Line: int64(i) + 1, Offset: int64(start), Entry: -1,
			Start: uint32(start), End: uint32(start + len(line)), Root: fhir.NoNode,
		})
	}
	b.Pad()
	return b
}

func process(t *testing.T, b *pipeline.Batch, stages ...pipeline.Stage) error {
	t.Helper()
	c, err := pipeline.NewChain(stages...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Process(context.Background(), b)
}

const patient = `{"resourceType":"Patient","id":"p-1"}`

func TestDerivedResourcesAreRecordsOfTheBatch(t *testing.T) {
	second := strings.Replace(note, "note-1", "note-2", 1)
	faulty := strings.Replace(note, `"status":"current"`, `"status":"x"`, 1)
	b := batchOf(note, patient, faulty, second)
	s := basics(t, nil)
	if err := process(t, b, append(s, reads{asthmaAndFever}, derive.New(derive.Options{Stages: s}), shred.New())...); err != nil {
		t.Fatal(err)
	}
	if n := len(b.Received()); n != 4 || len(b.Records) != 10 {
		t.Fatalf("%d of %d records were in the input", n, len(b.Records))
	}
	var got []string
	for i := range b.Records[4:] {
		r := &b.Records[4+i]
		got = append(got, fmt.Sprintf("%s of %d at %d", r.Type, r.From, r.Line))
		if r.Status != pipeline.Pending || r.Version != 1 || r.Updated != 1_000_000 || r.Key == ([2]uint64{}) || r.Content == 0 {
			t.Errorf("%s is %+v", r.Type, *r)
		}
		text := b.Line(r)
		if string(b.Tree.JSON(r.Root)) != string(text) || !bytes.Contains(text, fmt.Appendf(nil, `"id":"%s"`, r.ID)) {
			t.Errorf("the tree of %s/%s has %s\nthe record %s", r.Type, r.ID, b.Tree.JSON(r.Root), text)
		}
		subject := b.Tree.Child(r.Root, r.Type.ElementByName("subject"))
		if r.Type != r4.TypeLinkage && string(b.Tree.JSON(subject)) != `{"reference":"Patient/p-1","display":"P. One"}` {
			t.Errorf("the tree has subject %s", b.Tree.JSON(subject))
		}
	}
	if diff := cmp.Diff([]string{
		"Linkage of 0 at 1", "Condition of 0 at 1", "Observation of 0 at 1", "Linkage of 3 at 4", "Condition of 3 at 4", "Observation of 3 at 4",
	}, got); diff != "" {
		t.Error(diff)
	}
	// The results name them.
	notes := pipeline.Notes.Of(b)
	for k, first := range []int{4, 7} {
		res, err := new(entity.Reader).Read(notes.Data[notes.Of[k].Start:notes.Of[k].End])
		if err != nil {
			t.Fatal(err)
		}
		refs := []string{string(res.Derived.Linkage)}
		for _, ref := range res.Derived.Resources {
			refs = append(refs, string(ref))
		}
		for i, ref := range refs {
			if r := &b.Records[first+i]; ref != r.Type.String()+"/"+string(r.ID) {
				t.Errorf("result %d names %s, the batch has %s/%s", k, ref, r.Type, r.ID)
			}
		}
		if len(res.Texts) != 1 || len(res.Texts[0].Entities) != 2 {
			t.Errorf("result %d has lost its texts", k)
		}
	}
}

// have says that a data store has version 3 of everything, with some contents.
type have map[[2]uint64]uint64

func (h have) NewLookup() func([][2]uint64, []identify.Version) error {
	return func(keys [][2]uint64, versions []identify.Version) error {
		for i, k := range keys {
			versions[i] = identify.Version{Content: h[k], Number: 3, HasRow: true, Row: 9}
		}
		return nil
	}
}

func TestDerivedResourcesThatAreThereAreUnchanged(t *testing.T) {
	first := batchOf(note)
	s := basics(t, nil)
	if err := process(t, first, append(s, reads{asthmaAndFever}, derive.New(derive.Options{Stages: s}))...); err != nil {
		t.Fatal(err)
	}
	there := have{}
	for i := range first.Records {
		there[first.Records[i].Key] = first.Records[i].Content
	}
	b := batchOf(strings.Replace(note, `"data":"eA=="`, `"data":"eXk="`, 1))
	s = basics(t, there)
	if err := process(t, b, append(s, reads{asthmaAndFever}, derive.New(derive.Options{Stages: s}))...); err != nil {
		t.Fatal(err)
	}
	for i, want := range []pipeline.Status{pipeline.Pending, pipeline.Unchanged, pipeline.Unchanged, pipeline.Unchanged} {
		if got := b.Records[i].Status; got != want {
			t.Errorf("record %d has status %d, want %d", i, got, want)
		}
	}
	// A document that is unchanged is not derived of again.
	there[b.Records[0].Key] = b.Records[0].Content
	b = batchOf(strings.Replace(note, `"data":"eA=="`, `"data":"eXk="`, 1))
	if err := process(t, b, append(s, reads{asthmaAndFever}, derive.New(derive.Options{Stages: s}))...); err != nil || len(b.Records) != 1 {
		t.Errorf("%d records, %v", len(b.Records), err)
	}
}

func TestDocumentsWithErrorsGiveNothing(t *testing.T) {
	b := batchOf(strings.Replace(note, `"status":"current"`, `"status":"x"`, 1), note)
	b.Lenient = true
	s := basics(t, nil)
	if err := process(t, b, append(s, reads{asthmaAndFever}, derive.New(derive.Options{Stages: s}))...); err != nil {
		t.Fatal(err)
	}
	if len(b.Records) != 5 || b.Records[2].From != 1 {
		t.Errorf("%d records", len(b.Records))
	}
}

func TestStageIsAskedWhetherToDerive(t *testing.T) {
	s := basics(t, nil)
	for name, c := range map[string]struct {
		on   func() (bool, error)
		want int
		err  string
	}{
		"on":      {func() (bool, error) { return true, nil }, 4, ""},
		"off":     {func() (bool, error) { return false, nil }, 1, ""},
		"unknown": {func() (bool, error) { return false, errors.New("no catalog") }, 1, "derive: no catalog"},
	} {
		b := batchOf(note)
		err := process(t, b, append(s, reads{asthmaAndFever}, derive.New(derive.Options{On: c.on, Stages: s}))...)
		if len(b.Records) != c.want || fmt.Sprint(err) != fmt.Sprint(c.err) && (err != nil || c.err != "") {
			t.Errorf("%s: %d records, %v", name, len(b.Records), err)
		}
	}
}

// refuses is a stage that finds fault with what is derived.
type refuses struct{}

func (refuses) Name() string                          { return "refuse" }
func (s refuses) NewWorker() (pipeline.Worker, error) { return s, nil }

func (refuses) Process(_ context.Context, b *pipeline.Batch) error {
	b.AddIssue(1, fhir.Issue{Severity: fhir.Error, Code: fhir.CodeValue, Expression: "Condition.code", Diagnostics: "is odd"})
	return nil
}

func TestFaultOfADerivedResourceIsABug(t *testing.T) {
	s := basics(t, nil)
	b := batchOf(patient, note)
	err := process(t, b, append(s, reads{asthmaAndFever}, derive.New(derive.Options{Stages: append(s, refuses{})}))...)
	const want = "in.ndjson:2: derive: a Condition that was derived has a fault, which is a bug: Condition.code: is odd"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestStageKeepsTheContractOfStages(t *testing.T) {
	s := basics(t, nil)
	var text strings.Builder
	for i := range 40 {
		fmt.Fprintln(&text, strings.Replace(note, "note-1", fmt.Sprintf("note-%d", i), 1))
		fmt.Fprintf(&text, `{"resourceType":"Patient","id":"p-%d"}`+"\n", i)
	}
	pipetest.TestStage(t, derive.New(derive.Options{Stages: s}), func(*testing.T) pipeline.Source {
		return pipetest.Lines("in.ndjson", text.String(), 7)
	}, append(s, reads{asthmaAndFever})...)
}

func TestWhatIsDerivedNoLongerIsTold(t *testing.T) {
	plain := basics(t, nil)
	first := batchOf(note)
	if err := process(t, first, append(plain, reads{asthmaAndFever}, derive.New(derive.Options{Stages: plain}))...); err != nil {
		t.Fatal(err)
	}
	var before []string
	for i := range first.Records[1:] {
		r := &first.Records[1+i]
		before = append(before, r.Type.String()+"/"+string(r.ID))
	}
	onlyFever := found(condition("fever", "SYMPTOM", 0.92, fever))
	on, off := func() (bool, error) { return true, nil }, func() (bool, error) { return false, nil }
	for name, c := range map[string]struct {
		document, result string
		on               func() (bool, error)
		want             []string
	}{
		"all is derived again":    {note, asthmaAndFever, on, nil},
		"one is not":              {note, onlyFever, on, before[1:2]},
		"nothing is found":        {note, found(), on, before},
		"there is no text":        {note, "", on, before},
		"nothing is to be":        {note, asthmaAndFever, off, before},
		"of another document":     {strings.Replace(note, "note-1", "note-2", 1), asthmaAndFever, on, nil},
		"the document has errors": {strings.Replace(note, `"status":"current"`, `"status":"x"`, 1), asthmaAndFever, on, before},
	} {
		for _, namesOnly := range []bool{false, true} {
			var stale []string
			s := basics(t, have{})
			b := batchOf(patient, c.document)
			b.Lenient = true
			err := process(t, b, append(s, reads{c.result}, derive.New(derive.Options{
				On: c.on, Stages: s, NamesOnly: namesOnly,
				Before: func(id []byte, version uint32) ([]string, error) {
					if version != 3 {
						t.Errorf("%s: version %d is asked for", name, version)
					}
					if string(id) != "note-1" {
						return nil, nil
					}
					return append([]string(nil), before...), nil
				},
				Stale: func(id []byte, refs []string) { stale = append(stale, refs...) },
			}))...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, stale); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			if namesOnly && len(b.Records) != 2 {
				t.Errorf("%s: %d records, and only names were wanted", name, len(b.Records))
			}
		}
	}
}
