package pipeline_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
)

func TestWhatAnIssueDoesToItsRecord(t *testing.T) {
	add := (*pipeline.Batch).AddIssue
	reject := (*pipeline.Batch).Reject
	for name, tc := range map[string]struct {
		call     func(*pipeline.Batch, int, fhir.Issue)
		severity fhir.Severity
		lenient  bool
		want     pipeline.Record
	}{
		"an error rejects":                         {add, fhir.Error, false, pipeline.Record{Status: pipeline.Rejected, Flawed: true}},
		"an error is kept where that is asked for": {add, fhir.Error, true, pipeline.Record{Flawed: true}},
		"a fatal one rejects in any case":          {add, fhir.Fatal, true, pipeline.Record{Status: pipeline.Rejected}},
		"what cannot be stored is rejected":        {reject, fhir.Error, true, pipeline.Record{Status: pipeline.Rejected, Flawed: true}},
		"a warning does not reject":                {add, fhir.Warning, false, pipeline.Record{Warned: true}},
		"information says nothing of the record":   {add, fhir.Information, false, pipeline.Record{}},
	} {
		b := &pipeline.Batch{Lenient: tc.lenient, Records: make([]pipeline.Record, 1)}
		tc.call(b, 0, fhir.Issue{Severity: tc.severity})
		if diff := cmp.Diff(tc.want, b.Records[0]); diff != "" || len(b.Issues) != 1 {
			t.Errorf("%s: %d issues (-want +got):\n%s", name, len(b.Issues), diff)
		}
	}
}

func TestIssueWalkGivesTheIssuesOfEachRecordAsTheyWereFound(t *testing.T) {
	b := &pipeline.Batch{Records: make([]pipeline.Record, 5)}
	for _, is := range []struct {
		record int
		text   string
	}{{0, "a"}, {3, "b"}, {0, "c"}, {2, "d"}, {3, "e"}} {
		b.AddIssue(is.record, fhir.Issue{Severity: fhir.Warning, Diagnostics: is.text})
	}
	var w pipeline.IssueWalk
	w.Start(b)
	var got []string
	for _, i := range []int{0, 1, 3, 4} {
		text := ""
		for _, is := range w.Of(i) {
			text += is.Diagnostics
		}
		got = append(got, text)
	}
	if diff := cmp.Diff([]string{"ac", "", "be", ""}, got); diff != "" {
		t.Errorf("issues of records 0, 1, 3 and 4 (-want +got):\n%s", diff)
	}
}

func TestRunCountsFlawedAndWarnedRecords(t *testing.T) {
	add := step{"add", func(_ context.Context, b *pipeline.Batch) error {
		switch b.Records[0].Line {
		case 1:
			b.AddIssue(0, fhir.Issue{Severity: fhir.Error})
			b.AddIssue(0, fhir.Issue{Severity: fhir.Warning})
		case 2:
			b.AddIssue(0, fhir.Issue{Severity: fhir.Warning})
		case 3:
			b.AddIssue(0, fhir.Issue{Severity: fhir.Fatal})
		case 4:
			b.AddIssue(0, fhir.Issue{Severity: fhir.Error})
			if b.Lenient {
				b.Records[0].Status = pipeline.Unchanged
			}
		}
		return nil
	}}
	type counts struct{ Rejected, Unchanged, Flawed, Warned int64 }
	for lenient, want := range map[bool]counts{true: {1, 1, 2, 1}, false: {3, 0, 0, 1}} {
		f, err := pipeline.Run(context.Background(), pipeline.Config{
			Source: &counter{n: 6, size: 16}, Stages: []pipeline.Stage{add}, Lenient: lenient,
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, counts{f.Rejected, f.Unchanged, f.Flawed, f.Warned}); diff != "" {
			t.Errorf("lenient %v (-want +got):\n%s", lenient, diff)
		}
	}
}

func TestDerivedRecordsAreNoneOfTheInput(t *testing.T) {
	derive := step{"derive", func(_ context.Context, b *pipeline.Batch) error {
		b.Records = append(b.Records, pipeline.Record{Derived: true}, pipeline.Record{Derived: true, Status: pipeline.Unchanged})
		return nil
	}}
	f, err := pipeline.Run(context.Background(), pipeline.Config{Source: &counter{n: 3, size: 16}, Stages: []pipeline.Stage{derive}})
	if err != nil {
		t.Fatal(err)
	}
	if f.Records != 3 || f.Unchanged != 0 {
		t.Errorf("%d records, %d unchanged", f.Records, f.Unchanged)
	}
}

// issues is a stage that gives every record many issues.
func issues(n int) step {
	return step{"issues", func(_ context.Context, b *pipeline.Batch) error {
		for range n {
			b.AddIssue(0, fhir.Issue{Severity: fhir.Error, Diagnostics: strings.Repeat("x", 1000)})
		}
		return nil
	}}
}

func TestIssuesCountAsMemoryOfTheirBatch(t *testing.T) {
	var peak [2]int64
	for i, n := range []int{0, 500} {
		f, err := pipeline.Run(context.Background(), pipeline.Config{
			Source: &counter{n: 3, size: 16}, Stages: []pipeline.Stage{issues(n)}, Workers: 1, Lenient: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		peak[i] = f.PeakInFlight
	}
	if more := peak[1] - peak[0]; more < 500*1000 {
		t.Errorf("500 issues of 1000 bytes count as %d bytes", more)
	}
}
