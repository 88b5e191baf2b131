package fhirlake_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/fhirlake/fhirlake/"

// mayImport is the direction of imports: a folder of the top level may import
// itself and the folders named here. Tests may import what they like.
var mayImport = map[string][]string{
	"fhir":     {},
	"fhirpath": {"fhir"},
	"pipeline": {"fhir"},
	"store":    {"fhir"},
	"stages":   {"fhir", "fhirpath", "pipeline"},
	"sources":  {"fhir", "pipeline", "store"},
	"sinks":    {"fhir", "pipeline", "store"},
	"server":   {"fhir", "fhirpath", "pipeline", "store", "stages", "sources", "sinks"},
	"bench":    {"fhir", "fhirpath", "pipeline", "store", "stages", "sources", "sinks", "server"},
	"cmd":      {"fhir", "fhirpath", "pipeline", "store", "stages", "sources", "sinks", "server", "bench"},
}

// otherFolders hold no Go packages of the product.
var otherFolders = []string{"docs"}

// separate are folders whose packages must not import one another: a stage or a
// sink knows its contract, not its neighbours.
var separate = []string{"stages", "sinks"}

// forbidden are imports with what to use instead.
var forbidden = map[string]string{
	"io/ioutil":                           "io and os",
	"log":                                 "log/slog, or an error that the caller reports",
	"math/rand":                           "math/rand/v2",
	"github.com/apache/arrow/go/v17":      "github.com/apache/arrow-go/v18",
	"github.com/marcboeker/go-duckdb":     "github.com/duckdb/duckdb-go/v2",
	"github.com/stretchr/testify/require": "the testing package and go-cmp",
	"github.com/stretchr/testify/assert":  "the testing package and go-cmp",
}

// mayUseCgo is the only folder, with those below it, whose dependencies need a C compiler.
const mayUseCgo = "store/duck"

// badNames are package names that say a kind of code, not a noun of the domain.
var badNames = []string{"util", "utils", "common", "helper", "helpers", "types", "models", "misc", "shared"}

// goFile is one parsed file of the tree.
type goFile struct {
	dir  string // relative, with forward slashes
	name string
	test bool
	ast  *ast.File
}

func goFiles(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && p != ".") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, goFile{path.Dir(filepath.ToSlash(p)), d.Name(), strings.HasSuffix(p, "_test.go"), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func (f goFile) imports() []string {
	var out []string
	for _, i := range f.ast.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		out = append(out, p)
	}
	return out
}

func top(dir string) string {
	t, _, _ := strings.Cut(dir, "/")
	return t
}

func TestTopLevelIsTheSystem(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || slices.Contains(otherFolders, e.Name()) {
			continue
		}
		if _, ok := mayImport[e.Name()]; !ok && holdsGo(t, e.Name()) {
			t.Errorf("folder %s is not in the table of imports", e.Name())
		}
	}
}

func holdsGo(t *testing.T, dir string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		found = found || strings.HasSuffix(p, ".go")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestImportsGoOneWay(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test || f.dir == "." {
			continue
		}
		from := top(f.dir)
		for _, imp := range f.imports() {
			rel, ours := strings.CutPrefix(imp, module)
			if !ours {
				continue
			}
			to := top(rel)
			if to != from && !slices.Contains(mayImport[from], to) {
				t.Errorf("%s/%s imports %s: %s may import %v only", f.dir, f.name, rel, from, mayImport[from])
			}
			if to == from && slices.Contains(separate, from) && neighbour(f.dir, rel) {
				t.Errorf("%s/%s imports %s: packages of %s do not know one another", f.dir, f.name, rel, from)
			}
		}
	}
}

// neighbour tells whether two folders below the same top folder are different
// packages of it, and not parts of one.
func neighbour(a, b string) bool {
	second := func(dir string) string {
		return strings.Join(strings.SplitN(dir, "/", 3)[:min(2, strings.Count(dir, "/")+1)], "/")
	}
	return second(a) != second(b)
}

func TestForbiddenImports(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, imp := range f.imports() {
			if use := forbidden[imp]; use != "" {
				t.Errorf("%s/%s imports %s: use %s", f.dir, f.name, imp, use)
			}
			if imp == "C" || strings.HasPrefix(imp, "github.com/duckdb/") {
				if !f.test && f.dir != mayUseCgo && !strings.HasPrefix(f.dir, mayUseCgo+"/") {
					t.Errorf("%s/%s imports %s: only %s may need cgo", f.dir, f.name, imp, mayUseCgo)
				}
			}
		}
	}
}

func TestOnePackageCommentEach(t *testing.T) {
	comments := map[string][]string{}
	for _, f := range goFiles(t) {
		if f.test || f.dir == "." {
			continue
		}
		if _, ok := comments[f.dir]; !ok {
			comments[f.dir] = nil
		}
		if f.ast.Doc != nil {
			comments[f.dir] = append(comments[f.dir], f.name)
		}
	}
	for dir, files := range comments {
		if len(files) != 1 {
			t.Errorf("%s has %d package comments (%v), want exactly one", dir, len(files), files)
		}
	}
}

func TestPackagesAreNounsOfTheDomain(t *testing.T) {
	for _, f := range goFiles(t) {
		if slices.Contains(badNames, f.ast.Name.Name) {
			t.Errorf("%s: package %s names a kind of code; name what it owns", f.dir, f.ast.Name.Name)
		}
	}
}
