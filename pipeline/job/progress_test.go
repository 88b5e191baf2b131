package job

import (
	"context"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fhirlake/fhirlake/pipeline"
)

// source gives some batches.
type source struct{ batches [][]pipeline.Record }

func (s *source) Next(_ context.Context, b *pipeline.Batch) error {
	if len(s.batches) == 0 {
		return io.EOF
	}
	b.Records, s.batches = s.batches[0], s.batches[1:]
	b.Input = 1e6
	return nil
}

func (*source) Close() error { return nil }

func TestProgress(t *testing.T) {
	one, two, three := &pipeline.File{Name: "one"}, &pipeline.File{Name: "two"}, &pipeline.File{Name: "three"}
	bad := pipeline.Rejected
	var p Progress
	if d := cmp.Diff(Report{}, p.Report()); d != "" {
		t.Errorf("before the job (-want +got):\n%s", d)
	}
	_, err := pipeline.Run(t.Context(), pipeline.Config{
		Source: &source{[][]pipeline.Record{
			{{File: one}, {File: one, Status: bad}},
			{{File: one}, {File: two}, {File: three, Status: bad}, {File: one, Derived: true}},
		}},
		Sinks: []pipeline.Sink{p.Sink()}, Monitor: &p.Monitor,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []File{{"one", 2, 1}, {"two", 1, 0}, {"three", 0, 1}}
	if d := cmp.Diff(want, p.Files()); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
	report := Report{
		ScannedFiles: 3, ScannedMB: 2, ImportedFiles: 2, ScannedResources: 5, ImportedResources: 3, RejectedResources: 2, FilesWithRejects: 2,
	}
	if d := cmp.Diff(report, p.Report(), cmpopts.IgnoreFields(Report{}, "MegabytesPerSecond")); d != "" {
		t.Errorf("report (-want +got):\n%s", d)
	}
	if p.Report().MegabytesPerSecond <= 0 {
		t.Error("no throughput")
	}
}
