package validate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/validate"
)

// TestIssues reads testdata/issues: a file has resources, one a line, then
// `----`, then for each resource its text and the issues of parse and validate.
func TestIssues(t *testing.T) {
	paths, err := filepath.Glob("testdata/issues/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal(len(paths), err)
	}
	b := newBoth(t, validate.Options{})
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			input, want, ok := strings.Cut(string(file), "----\n")
			if !ok && !*update {
				t.Fatal("no ----")
			}
			var out strings.Builder
			for text := range strings.Lines(input) {
				text = strings.TrimSuffix(text, "\n")
				if text == "" || text[0] == '#' {
					continue
				}
				fmt.Fprintf(&out, "%s\n", text)
				issues := b.text(text)
				if len(issues) == 0 {
					out.WriteString("    sound\n")
				}
				for _, is := range issues {
					fmt.Fprintf(&out, "    %d %s\n", is.Column, line(is))
				}
			}
			if *update {
				if err := os.WriteFile(path, []byte(input+"----\n"+out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
