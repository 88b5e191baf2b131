package nlp

import "github.com/fhirlake/fhirlake/stages/nlp/token"

// maxSentence is how many tokens a sentence has at most. Longer ones are lists
// and tables, which lose little by a cut.
const maxSentence = 256

// shortLine is the length of a line, in bytes, from which on a line end may be
// the wrapping of running text.
const shortLine = 56

// sentenceEnd gives the end of the sentence that begins at a token.
func (d *Detector) sentenceEnd(begin int) int {
	t := d.tokens
	limit := min(len(t), begin+maxSentence)
	line := begin // first token of the line
	for i := begin + 1; i < limit; i++ {
		k := &t[i]
		if k.Flags.Has(token.Blank) {
			return i
		}
		if k.Flags.Has(token.Newline) {
			if d.lineBreaks(line, i) {
				return i
			}
			line = i
		}
		p := &t[i-1]
		if p.Kind == token.Punct && k.Flags.Has(token.Spaced) && d.stops(i-1, begin) {
			return i
		}
	}
	if limit < len(t) {
		for limit > begin+1 && t[limit].Flags.Has(token.Glued) {
			limit--
		}
	}
	return limit
}

// lineBreaks tells whether the line that begins at token i begins a new sentence.
func (d *Detector) lineBreaks(line, i int) bool {
	t := d.tokens
	k := &t[i]
	switch {
	case k.Char == '-' || k.Char == '*' || k.Char == '#' || t[i-1].Char == ':':
		return true
	case k.Kind == token.Number && i+1 < len(t) && (t[i+1].Char == '.' || t[i+1].Char == ')'):
		return true
	case k.Flags.Has(token.Upper|token.Title) || k.Kind == token.Number:
		return t[i-1].End-t[line].Begin < shortLine || d.isHeading(i, len(t))
	}
	return false
}

// stops tells whether the punctuation at token i, with white space after it, ends a sentence.
func (d *Detector) stops(i, begin int) bool {
	t := d.tokens
	switch t[i].Char {
	case '!':
		return true
	case '?':
		return i > begin && !t[i].Flags.Has(token.Spaced)
	case '.':
	default:
		return false
	}
	if i == begin || t[i-1].Kind == token.Punct && t[i-1].Char != ')' {
		return i > begin
	}
	next, last := &t[i+1], &t[i-1]
	if last.Kind != token.Word {
		return true
	}
	n := last.End - last.Begin
	lower := next.Kind == token.Word && !next.Flags.Has(token.Upper|token.Title)
	switch {
	case n == 1: // an initial, or "p.o."
		return !last.Flags.Has(token.Upper) && !lower && !(i > 1 && t[i-2].Char == '.')
	case n <= 4 && abbreviated[last.Hash]:
		return false
	case lower:
		return n > 3
	}
	return true
}

// abbreviated are words that have a full stop within a sentence.
var abbreviated = func() map[uint64]bool {
	m := map[uint64]bool{}
	for _, w := range []string{"dr", "mr", "mrs", "ms", "prof", "st", "vs", "pt", "no", "fig", "approx", "eg", "ie", "etc", "al", "jr", "sr"} {
		h, _ := token.HashOf(w)
		if w != "no" { // "no." is a number only before one, and a denial otherwise
			m[h] = true
		}
	}
	return m
}()

// isHeading tells whether a heading begins at token i: a phrase that is known
// as one, or words in capitals, with a colon after it.
func (d *Detector) isHeading(i, end int) bool {
	v, n := language.set.Longest(d.tokens[i:end])
	if v != 0 && language.rules[v].kind&section != 0 && i+n < end && d.tokens[i+n].Char == ':' {
		return true
	}
	return d.capitals(i, end) > 0
}

// maxHeading is how many words an unknown heading has at most.
const maxHeading = 5

// capitals gives the number of tokens of an unknown heading with its colon, or 0.
func (d *Detector) capitals(i, end int) int {
	for n := 0; i+n < end && n <= maxHeading; n++ {
		k := &d.tokens[i+n]
		if k.Char == ':' && n > 0 {
			return n + 1
		}
		if k.Kind != token.Word || !k.Flags.Has(token.Upper) || n > 0 && k.Flags.Has(token.Newline) {
			return 0
		}
	}
	return 0
}

// heading looks for a heading at the beginning of a sentence, which sets the
// section, and gives the token after it.
func (d *Detector) heading(begin, end int) int {
	t := d.tokens
	f := d.found[0]
	if f.rule.kind&section != 0 {
		next := begin + int(f.n)
		switch {
		case next < end && t[next].Char == ':':
			d.section = f.rule.argument
			if next+1 == end {
				return next
			}
			d.dropMarks(next + 1)
			return next + 1
		case next == end && t[begin].Flags.Has(token.Newline) && t[begin].Flags.Has(token.Upper|token.Title):
			d.section = f.rule.argument
			return begin
		}
	}
	if n := d.capitals(begin, end); n > 0 && t[begin].Flags.Has(token.Newline) && f.rule.kind&substance == 0 { // "ALCOHOL:" is a line of a social history
		d.section = noArgument
	}
	return begin
}

// dropMarks forgets the context phrases before a token: a heading governs no one sentence.
func (d *Detector) dropMarks(begin int) {
	kept := d.marks[:0]
	for _, m := range d.marks {
		if int(m.begin) >= begin {
			kept = append(kept, m)
		}
	}
	d.marks = kept
}
