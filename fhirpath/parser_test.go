package fhirpath

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

var update = flag.Bool("update", false, "rewrite golden files")

// defaultDepth is what an Options of zero allows.
const defaultDepth = 100

var opSigns = map[opKind]string{
	opPlus: "+", opMinus: "-", opTimes: "*", opDivide: "/", opDiv: "div", opMod: "mod", opConcat: "&", opUnion: "|",
	opLess: "<", opLessEq: "<=", opGreater: ">", opGreaterEq: ">=", opEqual: "=", opEquivalent: "~", opNotEqual: "!=",
	opNotEquiv: "!~", opIn: "in", opContains: "contains", opAnd: "and", opOr: "or", opXor: "xor", opImplies: "implies",
	opIs: "is", opAs: "as",
}

var litNames = map[litKind]string{
	litBoolean: "boolean", litString: "string", litInteger: "integer", litLong: "long", litDecimal: "decimal",
	litDate: "date", litDateTime: "dateTime", litTime: "time", litQuantity: "quantity",
}

// dump writes a tree as a list: (op operand...), (. input name), (call input name argument...).
func dump(e *expr) string {
	var parts []string
	switch e.Kind {
	case exprNull:
		return "{}"
	case exprLiteral:
		return dumpLiteral(e)
	case exprThis:
		return "$this"
	case exprIndex:
		return "$index"
	case exprTotal:
		return "$total"
	case exprVariable:
		return "%" + e.Name
	case exprMember:
		if e.Input == nil {
			return e.Name
		}
		return fmt.Sprintf("(. %s %s)", dump(e.Input), e.Name)
	case exprCall:
		input := "_"
		if e.Input != nil {
			input = dump(e.Input)
		}
		parts = []string{"call", input, e.Name}
	case exprIndexer:
		parts = []string{"[]", dump(e.Input)}
	case exprTypeTest:
		return fmt.Sprintf("(%s %s %s)", opSigns[e.Op], dump(e.Args[0]), e.Name)
	default:
		parts = []string{opSigns[e.Op]}
	}
	for _, a := range e.Args {
		parts = append(parts, dump(a))
	}
	return "(" + strings.Join(parts, " ") + ")"
}

func dumpLiteral(e *expr) string {
	switch e.Lit {
	case litBoolean, litInteger, litDecimal:
		return e.Text
	case litString:
		return fmt.Sprintf("%q", e.Text)
	case litQuantity:
		if e.Calendar {
			return fmt.Sprintf("(quantity %s calendar %s)", e.Text, e.Unit)
		}
		return fmt.Sprintf("(quantity %s %q)", e.Text, e.Unit)
	}
	return fmt.Sprintf("(%s %s)", litNames[e.Lit], e.Text)
}

// goldenCases reads a file of cases: a heading line that starts with #, an
// expression, ----, what it comes to, and an empty line.
func goldenCases(t *testing.T, name string, run func(expression string) string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, block := range strings.Split(strings.TrimSpace(string(b)), "\n\n") {
		title, rest, ok := strings.Cut(block, "\n")
		expression, want, separated := strings.Cut(rest, "\n----")
		if !ok || !separated || !strings.HasPrefix(title, "# ") {
			t.Fatalf("%s: no case: %q", path, block)
		}
		got := run(expression)
		fmt.Fprintf(&out, "%s\n%s\n----\n%s\n\n", title, expression, got)
		if *update {
			continue
		}
		t.Run(strings.TrimPrefix(title, "# "), func(t *testing.T) {
			if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", expression, diff)
			}
		})
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.TrimSuffix(out.String(), "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestParseBuildsTree(t *testing.T) {
	goldenCases(t, "parse.txt", func(expression string) string {
		e, err := parse(expression, defaultDepth)
		if err != nil {
			return err.Error()
		}
		if err := checkSpans(expression, e); err != nil {
			return err.Error()
		}
		return dump(e)
	})
}

func TestParseRefusesWithPlace(t *testing.T) {
	goldenCases(t, "errors.txt", func(expression string) string {
		e, err := parse(expression, defaultDepth)
		if err == nil {
			return "no error: " + dump(e)
		}
		return err.Error() + "\n" + err.Detail()
	})
}

// TestParseControlCharacters holds what a text file cannot show well.
func TestParseControlCharacters(t *testing.T) {
	for name, tc := range map[string]struct{ expression, want string }{
		"null byte":                {"a\x00b", `1:2: unexpected character '\x00'`},
		"no UTF-8":                 {"a + \xff", "1:5: the expression is no valid UTF-8"},
		"no UTF-8 in a string":     {"'\xff'", "1:1: the text is no valid UTF-8"},
		"no UTF-8 after a slash":   {"'\\\xff'", "1:2: unknown escape \\\ufffd; expected \\', \\\", \\`, \\\\, \\/, \\f, \\n, \\r, \\t or \\uXXXX"},
		"a slash at the end":       {`'\`, "1:2: unknown escape \\; expected \\', \\\", \\`, \\\\, \\/, \\f, \\n, \\r, \\t or \\uXXXX"},
		"blank":                    {" \t\r\n", "2:1: the expression is empty"},
		"nothing":                  {"", "1:1: the expression is empty"},
		"columns count characters": {"'äöü' 'b'", "1:7: unexpected string 'b'; expected an operator or the end"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(tc.expression, defaultDepth)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Error(diff)
			}
			_ = err.Detail()
		})
	}
}

func TestParseLimits(t *testing.T) {
	repeat := strings.Repeat
	for name, tc := range map[string]struct{ expression, want string }{
		"parentheses":      {repeat("(", 50_000), "1:102: the expression nests deeper than 100 levels"},
		"calls":            {repeat("a(", 30_000), "1:203: the expression nests deeper than 100 levels"},
		"indexers":         {repeat("a[", 30_000), "1:203: the expression nests deeper than 100 levels"},
		"signs":            {repeat("-", 60_000), "1:102: the expression nests deeper than 100 levels"},
		"members":          {"a" + repeat(".a", 10_000), "1:2001: the expression chains more than 1000 operations"},
		"sum":              {"1" + repeat("+1", 10_000), "1:2000: the expression chains more than 1000 operations"},
		"types":            {"a" + repeat(" is b", 10_000), "1:4998: the expression chains more than 1000 operations"},
		"chains of levels": {repeat("("+"a"+repeat(".a", 20)+"=", 90) + "1" + repeat(")", 90), ""},
		"length":           {"'" + repeat("x", maxSource) + "'", "1:1: the expression has 65538 bytes; expected at most 65536"},
		"digits":           {repeat("1", 1025), "1:1: a number of 1025 digits; expected at most 1024"},
		"long but flat":    {"a in (" + repeat("'x' | ", 900) + "'x')", ""},
		"many arguments":   {"f(" + repeat("1,", 20_000) + "1)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(tc.expression, defaultDepth)
			got := ""
			if err != nil {
				got = err.Error()
				if n := len(err.Detail()); n > 1000 {
					t.Errorf("the detail has %d bytes", n)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDetailCutsLongLines(t *testing.T) {
	source := strings.Repeat("a", 500) + "\n" + strings.Repeat("b", 300) + " ä ? " + strings.Repeat("c", 300) + "\nd"
	at := strings.IndexByte(source, '?')
	e := &Error{source, at, at + 1, "what"}
	want := "..." + strings.Repeat("b", 57) + " ä ? " + strings.Repeat("c", 118) + "...\n" +
		strings.Repeat(" ", 63) + "^"
	if diff := cmp.Diff(want, e.Detail()); diff != "" {
		t.Error(diff)
	}
	if got, want := e.Error(), "2:304: what"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestParsesWhatR4Has holds the parser against the expressions of the base
// definitions.
func TestParsesWhatR4Has(t *testing.T) {
	for _, expression := range r4Expressions() {
		e, err := parse(expression, defaultDepth)
		if err != nil {
			t.Errorf("%v\n%s", err, err.Detail())
			continue
		}
		if err := checkSpans(expression, e); err != nil {
			t.Error(err)
		}
	}
}

func r4Expressions() []string {
	var all []string
	for i := range r4.NumConstraints() {
		if c := r4.ConstraintAt(uint16(i)); c.Expression != "" {
			all = append(all, c.Expression)
		}
	}
	for i := range r4.NumTypes() {
		for _, p := range r4.SearchParameters(r4.TypeID(i)) {
			if p.Expression != "" {
				all = append(all, p.Expression)
			}
		}
	}
	return all
}

// checkSpans checks that every node lies in the source and in its parent.
func checkSpans(source string, e *expr) error {
	if e.Pos < 0 || e.End > len(source) || e.Pos >= e.End || e.At < e.Pos || e.At >= e.End {
		return fmt.Errorf("%q: %s: span %d..%d at %d", source, dump(e), e.Pos, e.End, e.At)
	}
	children := e.Args
	if e.Input != nil {
		children = append([]*expr{e.Input}, children...)
	}
	for _, c := range children {
		if c.Pos < e.Pos || c.End > e.End {
			return fmt.Errorf("%q: %s lies outside of %s", source, dump(c), dump(e))
		}
		if err := checkSpans(source, c); err != nil {
			return err
		}
	}
	return nil
}

func FuzzParse(f *testing.F) {
	for _, s := range r4Expressions() {
		f.Add(s)
	}
	for _, s := range []string{
		`'\ud83d\ude00\u0041'`, "@2014-01-25T14:30:14.559+10:00", "@T14:30", "4 days + 4.0 'mg' - 1L", "a /* b */ // c",
		"%`x` | %'y' | %\"z\"", "-a[0].b(c, {}) is System.`X` implies $this ~ $total", "\xff'\\u",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		e, err := parse(source, defaultDepth)
		if err != nil {
			if err.Pos < 0 || err.Pos > err.End || err.End > len(source) || err.Message == "" {
				t.Fatalf("%q: bad error %+v", source, err)
			}
			if lines := strings.Count(err.Detail(), "\n"); lines != 1 || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q: %d lines\n%v\n%s", source, lines, err, err.Detail())
			}
			return
		}
		if err := checkSpans(source, e); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, expression := range map[string]string{
		"path":      "Patient.name.where(use = 'official').given.first()",
		"invariant": "contained.where(((id.exists() and ('#'+id in (%resource.descendants().reference | %resource.descendants().as(canonical)))) or descendants().where(reference = '#').exists()).not()).empty()",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(expression)))
			for b.Loop() {
				if _, err := parse(expression, defaultDepth); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
