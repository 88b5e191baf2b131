package fhirpath

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
)

// pattern is a compiled regular expression. It is immutable and safe for many
// goroutines. Its syntax is RE2's, so that no text takes more than linear time.
type pattern struct {
	re   *regexp.Regexp
	size int // about as many states as it may be in at once
}

// maxPattern bounds the size of a regular expression.
const maxPattern = 5000

// compilePattern compiles a regular expression, to be found anywhere in a text or to
// be the full text. A dot matches line ends too (FHIRPath 2.0 ballot, matches:
// single line mode). Of flags, i and m are known.
func compilePattern(text string, flags []byte, full bool) (*pattern, error) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	p := &pattern{size: patternSize(tree)}
	if p.size > maxPattern {
		return nil, fmt.Errorf("the regular expression has %d states; expected at most %d", p.size, maxPattern)
	}
	mode := "s"
	for _, f := range flags {
		if f == 'i' || f == 'm' {
			mode += string(f)
		}
	}
	text = "(?" + mode + ":" + text + ")"
	if full {
		text = `\A` + text + `\z`
	}
	p.re, err = regexp.Compile(text)
	return p, err
}

// patternSize counts the states of a regular expression, repetitions written out.
func patternSize(r *syntax.Regexp) int {
	n := max(1, len(r.Rune)/8)
	for _, s := range r.Sub {
		n = min(n+patternSize(s), 1<<30)
	}
	if r.Op == syntax.OpRepeat {
		n *= max(r.Min+1, r.Max)
	}
	return min(n, 1<<30)
}

// match tells whether a text matches, and counts the work.
func (ev *Evaluator) match(p *pattern, s []byte) bool {
	return ev.spend(p.cost(s)) && p.re.Match(s)
}

// cost is how many steps it takes to find p in s.
func (p *pattern) cost(s []byte) int { return 1 + len(s)>>3 + len(s)*p.size>>5 }

// patternCache keeps the regular expressions that are not known at compile time.
type patternCache map[patternKey]*pattern

type patternKey struct {
	text, flags string
	full        bool
}

const maxPatterns = 100

// pattern compiles the regular expression that is given at evaluation.
func (ev *Evaluator) pattern(e *expr, text, flags Value, full bool) (*pattern, bool) {
	t, ok := ev.needText(e, text)
	if !ok {
		return nil, false
	}
	var f []byte
	if flags.kind != KindNone {
		if f, ok = ev.needText(e, flags); !ok {
			return nil, false
		}
	}
	key := patternKey{string(t), string(f), full}
	if p, known := ev.patterns[key]; known {
		return p, true
	}
	p, err := compilePattern(key.text, f, full)
	if err != nil {
		ev.fail(e, "%v", err)
	}
	if err != nil || !ev.spend(costSeries+16*len(t)+8*p.size) {
		return nil, false
	}
	if ev.patterns == nil || len(ev.patterns) >= maxPatterns {
		ev.patterns = patternCache{}
	}
	ev.patterns[key] = p
	return p, true
}

// buildMatches makes matches, which finds the expression anywhere, and matchesFull.
func buildMatches(full bool) func(c *compiler, e *expr, input *plan) *plan {
	return func(c *compiler, e *expr, input *plan) *plan {
		known := func(ev *Evaluator, e *expr, args [3]Value) (*pattern, bool) {
			return ev.pattern(e, args[0], args[1], full)
		}
		if p := c.knownPattern(e, full); p != nil {
			known = func(*Evaluator, *expr, [3]Value) (*pattern, bool) { return p, true }
		}
		return textFunction(1, 2, booleanResult, func(ev *Evaluator, e *expr, s []byte, args [3]Value) (Value, bool) {
			p, ok := known(ev, e, args)
			return Boolean(ok && ev.match(p, s)), ok
		}).build(c, e, input)
	}
}

// knownPattern compiles a regular expression that is a literal; nil for any other.
func (c *compiler) knownPattern(e *expr, full bool) *pattern {
	var texts [2][]byte
	for i, a := range e.Args {
		if a.Kind != exprLiteral || a.Lit != litString {
			return nil
		}
		texts[i] = []byte(a.Text)
	}
	p, err := compilePattern(string(texts[0]), texts[1], full)
	if err != nil {
		c.refuse(e.Args[0], "%v", err)
	}
	return p
}

// replaceMatches replaces each match; $1 and ${name} stand for groups. An empty
// expression matches nothing here.
func replaceMatches(ev *Evaluator, e *expr, s []byte, args [3]Value) (Value, bool) {
	with, ok := ev.needText(e, args[1])
	if !ok {
		return Value{}, false
	}
	if t, isText := ev.stringOf(args[0]); isText && len(t) == 0 {
		return ev.newString(s), true
	}
	p, ok := ev.pattern(e, args[0], args[2], false)
	if !ok || !ev.spend(2*p.cost(s)) {
		return Value{}, false
	}
	groups, most := bytes.Count(with, []byte{'$'}), len(s)
	p.re.ReplaceAllFunc(s, func(found []byte) []byte {
		most += len(with) + groups*len(found)
		return nil
	})
	if !ev.claim(most) {
		return Value{}, false
	}
	return ev.newString(p.re.ReplaceAll(s, with)), true
}
