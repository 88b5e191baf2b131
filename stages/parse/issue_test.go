package parse_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/stages/parse"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestIssues reads testdata/issues: a file has resources, one a line, then
// `----`, then for each resource its first words and its issues.
func TestIssues(t *testing.T) {
	paths, err := filepath.Glob("testdata/issues/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal(len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			input, want, ok := strings.Cut(string(file), "----\n")
			if !ok {
				t.Fatal("no ----")
			}
			p := parse.NewParser()
			var out strings.Builder
			for line := range strings.Lines(input) {
				line = strings.TrimSuffix(line, "\n")
				if line == "" || line[0] == '#' {
					continue
				}
				fmt.Fprintf(&out, "%s\n", line)
				res := parseText(p, line)
				if len(res.Issues) == 0 {
					out.WriteString("    sound\n")
				}
				if res.Root == fhir.NoNode {
					out.WriteString("    no tree\n")
				}
				for _, is := range res.Issues {
					fmt.Fprintf(&out, "    %d %s %s %s: %s\n", is.Column, is.Severity, is.Code, is.Expression, is.Diagnostics)
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

func parseText(p *parse.Parser, text string) parse.Result {
	tree := fhir.Tree{Data: []byte(text)}
	return p.Parse(&tree, 0, uint32(len(text)))
}
