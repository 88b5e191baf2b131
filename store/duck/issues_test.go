package duck_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// flawed adds a segment of rows patients, of which some have issues, a line to a
// frame, and publishes it with what it supersedes.
func (l *lake) flawed(rows int64, issues map[uint32][]fhir.Issue, superseded map[uint32]*roaring.Bitmap) {
	l.t.Helper()
	m, release, err := l.store.Current()
	if err != nil {
		l.t.Fatal(err)
	}
	release()
	b := snapshot.NewBuilder(l.store.Dir(), m, func() string { l.n++; return fmt.Sprintf("u-%d", l.n) })
	s := b.Open("Patient")
	s.Rows = rows
	kept := snapshot.Annotation{Kind: snapshot.Issues, Rows: int64(len(issues))}
	for kind, text := range map[snapshot.FileKind]string{snapshot.ColumnsFile: "columns", snapshot.ResourcesFile: "lines"} {
		w, err := s.Create(kind)
		if err != nil {
			l.t.Fatal(err)
		}
		fmt.Fprint(w, text)
		if err := w.Close(); err != nil {
			l.t.Fatal(err)
		}
	}
	w, err := s.CreateAnnotations(snapshot.Issues, m.Number+1, &kept.File)
	if err != nil {
		l.t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		l.t.Fatal(err)
	}
	var frames []snapshot.AnnotationFrame
	for row := range uint32(rows) {
		list, ok := issues[row]
		if !ok {
			continue
		}
		line := snapshot.AppendAnnotationRow(nil, row)
		line = snapshot.AppendAnnotation(line, r4.TypePatient, fmt.Appendf(nil, "pat-%d", row), uint32(m.Number+1), outcome.AppendIssues(nil, list))
		c := z.EncodeAll(line, nil)
		w.Write(c)
		frames = append(frames, snapshot.AnnotationFrame{First: row, Frame: snapshot.Frame{Compressed: uint32(len(c)), Uncompressed: uint32(len(line)), Rows: 1}})
	}
	w.Write(snapshot.AppendAnnotationTables(nil, frames))
	if err := w.Close(); err != nil {
		l.t.Fatal(err)
	}
	s.Annotations = append(s.Annotations, kept)
	if _, err := l.store.Publish(b, snapshot.PublishOptions{Now: time.Unix(0, 0), KeepVersions: true, Superseded: superseded}); err != nil {
		l.t.Fatal(err)
	}
}

func TestIssuesOfCurrentRowsAreAView(t *testing.T) {
	l := newLake(t)
	all := `SELECT * FROM ValidationIssue ORDER BY id, code`
	const header = "resourceType,id,versionId,severity,code,expression,diagnostics,constraintKey,profile\n"
	if got := csv(t, l.open(nil), all); got != header {
		t.Errorf("of an empty store: %q", got)
	}
	l.flawed(4, map[uint32][]fhir.Issue{
		0: {{Severity: fhir.Error, Code: fhir.CodeValue, Expression: "Patient.birthDate", Diagnostics: "'x' is \"no\" date, is it?\n"}},
		2: {
			{Severity: fhir.Error, Code: fhir.CodeInvariant, Expression: "Patient.contact[0]", Constraint: "pat-1", Diagnostics: "no name"},
			{Severity: fhir.Warning, Code: fhir.CodeNotFound, Profile: "http://p|1"},
		},
	}, nil)
	want := header + `Patient,pat-0,1,error,value,Patient.birthDate,"'x' is ""no"" date, is it?
",,
Patient,pat-2,1,error,invariant,Patient.contact[0],no name,pat-1,
Patient,pat-2,1,warning,not-found,,,,http://p|1
`
	if diff := cmp.Diff(want, csv(t, l.open(nil), all)); diff != "" {
		t.Errorf("one segment (-want +got):\n%s", diff)
	}
	l.flawed(3, map[uint32][]fhir.Issue{2: {{Severity: fhir.Error, Code: fhir.CodeRequired}}}, map[uint32]*roaring.Bitmap{0: roaring.BitmapOf(1, 2)})
	d := l.open(nil)
	if got, want := csv(t, d, `SELECT id, versionId AS v, code FROM validationissue ORDER BY id`), "id,v,code\npat-0,1,value\npat-2,2,required\n"; got != want {
		t.Errorf("the superseded version's issues are not current: %s, want %s", got, want)
	}
	l.flawed(1, map[uint32][]fhir.Issue{0: {{}}}, map[uint32]*roaring.Bitmap{0: roaring.BitmapOf(0, 3), 1: roaring.BitmapOf(0, 1, 2), 2: roaring.BitmapOf(0)})
	if got := csv(t, l.open(nil), `SELECT count(*) AS n FROM ValidationIssue`); got != "n\n0\n" {
		t.Errorf("nothing is current: %s", got)
	}
}
