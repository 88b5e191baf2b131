package fhirpath_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhirpath"
)

// stateful are expressions whose evaluation keeps state in the Evaluator; some fail
// half way, some stop early.
var stateful = []string{
	"name.given.where($index > 0 and $this.length() > 2).first()",
	"contact.select(name.given.select($index) | $index)",
	"contact.select(name.given.where($this = %nope.given))", // refused
	"name.select(given + 'x')",
	"name.select(use.iif($index = 0, given.single(), 'b'))",
	"name.given.aggregate($total & $this.single() & $index.toString(), '')",
	"name.aggregate($total + given, 0)",
	"(1 | 2).defineVariable('v', $this.sum()).select(%v + $this)",
	"(1 | 2).defineVariable('v', $this + 'x').select(%v)",
	"name.defineVariable('v', given).select(%v.where($index = 1) | given).exists($this.single() = 'James')",
	"name.repeat(given | use).select($this & $index.toString())",
	"name.repeat(given.single())",
	"name.sort(given.single()).use",
	"name.sort(-use).select(given.first())",
	"contact.name.given.skip('x')",
	"name.given.skip(1).take(2).last()",
	"name.given[name.given.count() - 2]",
	"name[given.count()]",
	"name.exists(given.first() = 'Jim') and contact.all(name.given.exists($index = 0))",
	"name.where(given.count() > 1).given.combine(contact.name.given.single())",
	"(name.given | contact.name.given).distinct().count() = name.given.count() + contact.name.given.count()",
	"'Carl' in contact.select(name.given.where($this != 'Bob'))",
	"name.family in (name.family | name.given)",
	"descendants().where($this is string).select($this.length()).sum()",
	"managingOrganization.resolve().name & generalPractitioner.resolve().name.single()",
	"name.given.matches('^J')",
	"name.given.select(matches('^' & $this & '$'))",
	"name.given.select($this.replaceMatches('(e)', '<$1>'))",
	"today() - 1 year < now()",
	"(1 'mg' + 2 'g').toString() & (3 'm' * 2 's').toString()",
	"iif(name.given.allTrue(), 1, 2)",
	"name.trace('n', given.single()).use",
	"name.family & name.family = 'Ch\u00e4lmersCh\u00e4lmers'",
	"coalesce(photo, name.given.tail(), name)",
}

// outcome is what an evaluation gives, as a text.
func outcome(p *fhirpath.Program, ev *fhirpath.Evaluator, f fhirpath.Focus) string {
	items, err := p.Eval(ev, f)
	if err != nil {
		return "error " + err.Error()
	}
	return fmt.Sprint(texts(items))
}

// programsOf compiles the stateful expressions, with what a new evaluator gives.
func programsOf(t *testing.T, env fhirpath.Environment, f fhirpath.Focus) (programs []*fhirpath.Program, want []string) {
	t.Helper()
	for _, x := range stateful {
		p, err := fhirpath.Compile(x, fhirpath.Options{})
		if err != nil {
			continue
		}
		programs = append(programs, p)
		want = append(want, outcome(p, fhirpath.NewEvaluator(env), f))
	}
	if len(programs) < len(stateful)-1 {
		t.Fatalf("%d of %d expressions compile", len(programs), len(stateful))
	}
	return programs, want
}

// TestEvaluatorForgetsTheLastRun runs programs one after the other in many orders,
// failing ones among them.
func TestEvaluatorForgetsTheLastRun(t *testing.T) {
	env := fhirpath.Environment{
		Now:   func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) },
		Trace: func(string, []fhirpath.Value) {},
	}
	f := parsed(t, twinPatient)
	programs, want := programsOf(t, env, f)
	ev := fhirpath.NewEvaluator(env)
	random := rand.New(rand.NewPCG(1, 2))
	before := "nothing"
	for range 5000 {
		i := random.IntN(len(programs))
		if diff := cmp.Diff(want[i], outcome(programs[i], ev, f)); diff != "" {
			t.Fatalf("%s after %s: %s", programs[i], before, diff)
		}
		before = programs[i].String()
	}
}

// TestProgramsAreShared runs programs and sets in eight goroutines at once; the race
// detector tells whether they share what they change.
func TestProgramsAreShared(t *testing.T) {
	env := fhirpath.Environment{Now: func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }}
	f := parsed(t, twinPatient)
	programs, want := programsOf(t, env, f)
	set, err := fhirpath.CompileSet([]string{"name.given", "name.family", "contact.where(gender = 'male').name.given", "name.given.first()"}, fhirpath.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			f := parsed(t, twinPatient)
			ev := fhirpath.NewEvaluator(env)
			for round := range 20 {
				for i := range programs {
					i = (i + g*7) % len(programs)
					if got := outcome(programs[i], ev, f); got != want[i] {
						t.Errorf("%s: %s, want %s", programs[i], got, want[i])
					}
				}
				n := 0
				if err := set.Eval(ev, f, func(int, fhirpath.Value) { n++ }); err != nil || n != 8 {
					t.Errorf("round %d: %d items of the set, error %v", round, n, err)
				}
			}
		})
	}
	all.Wait()
}

// TestSetNamesTheExpressionThatFails: the others go on, and the error shows its
// place.
func TestSetNamesTheExpressionThatFails(t *testing.T) {
	f := parsed(t, twinPatient)
	expressions := []string{"name.given", "contact.where(name.given.single() = 'Ann').gender", "contact.where(name.given.single() = 'Ann').name", "name.family"}
	set, err := fhirpath.CompileSet(expressions, fhirpath.Options{Type: f.Tree.Nodes[f.Node].Type})
	if err != nil {
		t.Fatal(err)
	}
	var items [4]int
	err = set.Eval(fhirpath.NewEvaluator(fhirpath.Environment{}), f, func(i int, _ fhirpath.Value) { items[i]++ })
	if want := "1:15: found several items; expected one at most"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if want := [4]int{4, 0, 1, 1}; items != want {
		t.Errorf("items %v, want %v", items, want)
	}
}

// TestSetStopsAtItsLimit: the steps are for all programs together.
func TestSetStopsAtItsLimit(t *testing.T) {
	f := parsed(t, twinPatient)
	set, err := fhirpath.CompileSet([]string{"descendants().where($this is string)", "name.select(given)", "contact.select(name)"}, fhirpath.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = set.Eval(fhirpath.NewEvaluator(fhirpath.Environment{MaxSteps: 20}), f, func(int, fhirpath.Value) {})
	if err == nil || !strings.Contains(err.Error(), "more than 20 steps") {
		t.Errorf("error %v", err)
	}
}

// TestWorkIsBounded has expressions that would run for hours or fill the memory.
func TestWorkIsBounded(t *testing.T) {
	ten := "(1|2|3|4|5|6|7|8|9|10)"
	nested := ten
	for range 12 {
		nested = ten + ".select(" + nested + ")"
	}
	repeats := "item"
	for range 40 {
		repeats = "repeat(item.where(" + repeats + ".exists()) | extension)"
	}
	tests := []struct{ name, expression, want string }{
		{"nested lambdas", nested + ".count()", "more than 3000000 steps"},
		{"paths within lambdas", strings.Repeat("descendants().select(%resource.", 6) + "name.given" + strings.Repeat(")", 6), "more than 3000000 steps"},
		{"variables that double", "(1|2)" + strings.Repeat(".combine(3)", 3) + ".defineVariable('a', $this.combine($this)).select(%a.combine(%a)).select(%a.combine(%a)).select(%a.combine(%a)).select(%a.combine(%a)).select(%a.combine(%a)).count() > 0 and " + nested + ".exists($this > 10)", "more than 3000000 steps"},
		{"text that doubles", ten + ".combine(" + ten + ").combine(" + ten + ").aggregate($total & $total, 'abc')", "bytes of text"},
		{"a text for each character", "'" + strings.Repeat("x", 30000) + "'.replace('', '" + strings.Repeat("y", 30000) + "')", "bytes of text"},
		{"a text for each match", "'" + strings.Repeat("x", 30000) + "'.replaceMatches('x|y', '" + strings.Repeat("y", 30000) + "')", "bytes of text"},
		{"a large regular expression", "'a'.matches('(a?){1000}(b?){1000}(c?){1000}(d?){1000}')", "states; expected at most"},
		{"a large one that is computed", "'a'.matches('(a?){1000}(b?){1000}' & '(c?){1000}(d?){1000}')", "states; expected at most"},
		{"nested repeat", "%resource.ofType(Questionnaire)." + repeats, "too many calls of repeat()"},
		{"a chain of averages", "1" + strings.Repeat(".avg()", 900), ""},
		{"a chain of type tests", "name.first()" + strings.Repeat(".resolve().is(Patient)", 400), ""},
		{"numbers that grow", ten + ".combine(" + ten + ").aggregate($total * $total, 9.999999)", ""},
	}
	f := parsed(t, twinPatient)
	env := fhirpath.Environment{MaxSteps: 3_000_000, MaxText: 10 << 20}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := fhirpath.Compile(tt.expression, fhirpath.Options{Type: f.Tree.Nodes[f.Node].Type})
			if err == nil {
				_, err = p.Eval(fhirpath.NewEvaluator(env), f)
			}
			switch {
			case tt.want == "":
				if err != nil {
					t.Error(err)
				}
			case err == nil || !strings.Contains(err.Error(), tt.want):
				t.Errorf("error %.200v, want one with %q", err, tt.want)
			}
		})
	}
}
