package gen_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/fhirlake/fhirlake/bench/gen"
)

var update = flag.Bool("update", false, "rewrite golden files")

func eachLine(b []byte, f func(line []byte)) {
	for line := range bytes.Lines(b) {
		f(line)
	}
}

// TestFacts checks that what the resources of a patient say fits together.
func TestFacts(t *testing.T) {
	records := gen.NewRecords(3)
	diabetics, a1cs := 0, 0
	for n := range 40 {
		var birth, death string
		var diabetes, metformin bool
		var a1c []float64
		bad := 0
		records.Patient(n, func(rt string, line []byte) {
			if rt != "Patient" {
				return
			}
			var p struct{ BirthDate, DeceasedDateTime string }
			if err := json.Unmarshal(line, &p); err != nil {
				t.Fatal(err)
			}
			birth, death = p.BirthDate, p.DeceasedDateTime
		})
		if death == "" {
			death = "2025-07-01"
		}
		records.Patient(n, func(rt string, line []byte) {
			var r struct {
				Period                                            struct{ Start, End string }
				OnsetDateTime, AbatementDateTime, RecordedDate    string
				EffectiveDateTime, OccurrenceDateTime, AuthoredOn string
				Code, MedicationCodeableConcept                   struct{ Text string }
				ValueQuantity                                     struct{ Value float64 }
			}
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatal(err)
			}
			for _, at := range []string{r.OnsetDateTime, r.RecordedDate, r.EffectiveDateTime, r.OccurrenceDateTime, r.AuthoredOn, r.Period.Start, r.Period.End} {
				if rt == "Coverage" || rt == "Claim" || rt == "ExplanationOfBenefit" || at == "" {
					continue
				}
				k := min(len(at), len(birth), 10)
				if m := min(len(at), 10); at[:k] < birth[:k] || at[:m] > death[:min(m, len(death))] {
					bad++
					t.Errorf("patient %d: %s at %s is outside of %s to %s", n, rt, at, birth, death)
				}
			}
			if rt == "Condition" {
				if a := r.AbatementDateTime; a != "" && a[:min(len(a), len(r.OnsetDateTime))] < r.OnsetDateTime[:min(len(a), len(r.OnsetDateTime))] {
					t.Errorf("patient %d: %s ends before it begins", n, r.Code.Text)
				}
				if r.OnsetDateTime[:4] > r.RecordedDate[:4] {
					t.Errorf("patient %d: %s recorded before its onset", n, r.Code.Text)
				}
				diabetes = diabetes || strings.HasPrefix(r.Code.Text, "Diabetes mellitus type 2")
			}
			metformin = metformin || strings.Contains(string(line), "metformin")
			if strings.HasPrefix(r.Code.Text, "Hemoglobin A1c") && r.ValueQuantity.Value > 0 {
				a1c = append(a1c, r.ValueQuantity.Value)
			}
		})
		if !diabetes {
			for _, x := range a1c {
				if x > 6.4 {
					t.Errorf("patient %d: HbA1c %v without diabetes", n, x)
				}
			}
			continue
		}
		diabetics++
		if !metformin {
			t.Errorf("patient %d: diabetic without metformin", n)
		}
		for _, x := range a1c {
			if x > 6.5 {
				a1cs++
			}
		}
	}
	if diabetics < 2 || a1cs < 4 {
		t.Errorf("%d diabetics with %d high HbA1c values among 40", diabetics, a1cs)
	}
}

// TestMix holds sizes and shares near those of Synthea's records.
func TestMix(t *testing.T) {
	const patients = 80
	all := gen.Lines(5, patients)
	count := map[string]int{}
	resources, size := 0, 0
	for rt, b := range all {
		count[rt] = bytes.Count(b, []byte("\n"))
		resources += count[rt]
		size += len(b)
	}
	within := func(what string, got, low, high float64) {
		t.Helper()
		if got < low || got > high {
			t.Errorf("%s: %.3g, want %v to %v", what, got, low, high)
		}
	}
	within("resources per patient", float64(resources)/patients, 500, 800)
	within("bytes per resource", float64(size)/float64(resources), 1200, 1850)
	within("share of Observation", float64(count["Observation"])/float64(resources), .42, .56)
	within("bytes of ExplanationOfBenefit", float64(len(all["ExplanationOfBenefit"]))/float64(count["ExplanationOfBenefit"]), 4000, 9000)
	for _, odd := range []string{`"_birthDate"`, `\u00`, `\"it comes`, `"value":0.50`, `"contained":[{"resourceType":"Medication"`, `ñ`, `"dataAbsentReason"`, `"medicationReference"`, `"deceasedDateTime"`, `"status":"not-done"`, `"valueString"`} {
		found := false
		for _, b := range all {
			found = found || bytes.Contains(b, []byte(odd))
		}
		if !found {
			t.Errorf("no %s in %d patients", odd, patients)
		}
	}
}

func TestNotesVary(t *testing.T) {
	all := gen.Lines(7, 16)
	sentences, notes, total := map[string]bool{}, 0, 0
	kinds := map[string]bool{}
	eachLine(all["DocumentReference"], func(line []byte) {
		var d struct {
			Type    struct{ Text string }
			Content []struct{ Attachment struct{ Data string } }
		}
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatal(err)
		}
		text, err := base64.StdEncoding.DecodeString(d.Content[0].Attachment.Data)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 6100 || len(text) < 200 {
			t.Errorf("note of %d bytes", len(text))
		}
		if i := strings.IndexAny(string(text), "$"); i >= 0 {
			t.Errorf("pattern not expanded: %q", text[max(0, i-30):min(len(text), i+30)])
		}
		kinds[d.Type.Text] = true
		notes++
		for s := range strings.FieldsFuncSeq(string(text), func(r rune) bool { return r == '.' || r == '\n' }) {
			sentences[strings.TrimSpace(s)] = true
			total++
		}
	})
	if len(kinds) < 6 {
		t.Errorf("kinds of notes: %v", kinds)
	}
	if notes < 300 || float64(len(sentences)) < .25*float64(total) {
		t.Errorf("%d notes, %d sentences, %d distinct", notes, total, len(sentences))
	}
}

func TestGenerate(t *testing.T) {
	const patients = 18
	want := gen.Lines(42, patients)
	for _, tc := range []struct {
		name    string
		workers int
		gzip    bool
	}{{"one worker", 1, false}, {"four workers", 4, false}, {"gzip", 3, true}} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new", "folder")
			var last [3]int64
			stats, err := gen.Generate(t.Context(), gen.Options{
				Patients: patients, Seed: 42, Out: dir, Workers: tc.workers, Gzip: tc.gzip,
				Progress: func(p, r, b int64) { last = [3]int64{p, r, b} },
			})
			if err != nil {
				t.Fatal(err)
			}
			if last != [3]int64{stats.Patients, stats.Resources, stats.Bytes} || len(stats.Files) != len(want) {
				t.Errorf("progress ends at %v, stats are %+v", last, stats)
			}
			for _, path := range stats.Files {
				b := read(t, path)
				rt, _, _ := strings.Cut(filepath.Base(path), ".")
				if !bytes.Equal(b, want[rt]) {
					t.Errorf("%s differs from Lines", rt)
				}
				if n := int64(bytes.Count(b, []byte("\n"))); n != stats.ByType[rt] {
					t.Errorf("%s: %d lines, stats say %d", rt, n, stats.ByType[rt])
				}
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != len(stats.Files) {
				t.Errorf("%d entries beside %d files, %v", len(entries), len(stats.Files), err)
			}
			if _, err := gen.Generate(t.Context(), gen.Options{Patients: 1, Out: dir}); !errors.Is(err, gen.ErrExists) {
				t.Errorf("second run: %v, want ErrExists", err)
			}
		})
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(path) != ".gz" {
		return b
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGenerateStops(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := gen.Generate(ctx, gen.Options{Patients: 100000, Out: dir, Progress: func(p, _, _ int64) {
		if p > 0 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := gen.Generate(t.Context(), gen.Options{Out: dir}); err == nil {
		t.Error("no patients: no error")
	}
}

// TestPrefix: patient n is the same in a small and in a large population.
func TestPrefix(t *testing.T) {
	small, large := gen.Lines(9, 5), gen.Lines(9, 8)
	for rt, b := range small {
		if !bytes.HasPrefix(large[rt], b) {
			t.Errorf("%s of 5 patients is no prefix of that of 8", rt)
		}
	}
	if bytes.Equal(small["Patient"], gen.Lines(10, 5)["Patient"]) {
		t.Error("the seed changes nothing")
	}
}

// TestGolden pins the bytes of a seed. Benchmarks name seeds, so a change of
// this file makes their figures of before and after incomparable.
func TestGolden(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("other machines may fuse multiply and add, which moves a last digit")
	}
	all := gen.Lines(1, 20)
	var got strings.Builder
	got.WriteString("seed 1, 20 patients\n----\n")
	for _, rt := range gen.Types() {
		sum := sha256.Sum256(all[rt])
		fmt.Fprintf(&got, "%s %d %s\n", rt, bytes.Count(all[rt], []byte("\n")), hex.EncodeToString(sum[:8]))
	}
	const path = "testdata/golden.txt"
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}
