// Command fhirpath times the FHIRPath engine on the expressions of
// expressions.json and writes a JSON line for each. compare.sh runs it beside the
// fhirpath package of npm, on the same resources, and shows both.
package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhirpath"
	"github.com/fhirlake/fhirlake/stages/parse"
)

type measurement struct {
	Expression string  `json:"expression"`
	PerSecond  float64 `json:"perSecond"`
	Items      int     `json:"items"` // of one pass, so that two engines can be seen to agree
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: fhirpath EXPRESSIONS.json FOLDER RESOURCES")
		os.Exit(2)
	}
	limit, err := strconv.Atoi(os.Args[3])
	if err == nil {
		err = run(os.Args[1], os.Args[2], limit)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(expressions, folder string, limit int) error {
	text, err := os.ReadFile(expressions)
	if err != nil {
		return err
	}
	var list []struct{ Type, Expression string }
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for _, x := range list {
		foci, err := read(filepath.Join(folder, x.Type+".ndjson.gz"), limit)
		if err != nil {
			return err
		}
		m, err := measure(x.Expression, foci)
		if err != nil {
			return fmt.Errorf("%s: %w", x.Expression, err)
		}
		if err := out.Encode(m); err != nil {
			return err
		}
	}
	return nil
}

// measure runs the expression over all resources, for a second at least.
func measure(expression string, foci []fhirpath.Focus) (measurement, error) {
	m := measurement{Expression: expression}
	p, err := fhirpath.Compile(expression, fhirpath.Options{Type: foci[0].Tree.Nodes[foci[0].Node].Type, Strict: true})
	if err != nil {
		return m, err
	}
	ev := fhirpath.NewEvaluator(fhirpath.Environment{})
	passes := 0
	start := time.Now()
	for time.Since(start) < time.Second {
		m.Items = 0
		for _, f := range foci {
			items, err := p.Eval(ev, f)
			if err != nil {
				return m, err
			}
			m.Items += len(items)
		}
		passes++
	}
	m.PerSecond = float64(passes*len(foci)) / time.Since(start).Seconds()
	return m, nil
}

func read(path string, limit int) ([]fhirpath.Focus, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 64<<20)
	parser := parse.NewParser()
	var foci []fhirpath.Focus
	for lines.Scan() && len(foci) < limit {
		data := append(make([]byte, 0, len(lines.Bytes())+16), lines.Bytes()...)
		tree := &fhir.Tree{}
		tree.Reset(data)
		if res := parser.Parse(tree, 0, uint32(len(data))); res.Root != fhir.NoNode {
			foci = append(foci, fhirpath.Focus{Tree: tree, Node: res.Root, Resource: res.Root, Root: res.Root, Bundle: fhir.NoNode})
		}
	}
	if len(foci) == 0 {
		return nil, fmt.Errorf("%s has no resources", path)
	}
	return foci, lines.Err()
}
