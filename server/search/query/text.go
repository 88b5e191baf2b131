package query

import (
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// words reads _text and _content (Text Search Parameters):
//
//	any    = all *( "OR" all )
//	all    = not *( [ "AND" ] not )
//	not    = [ "NOT" ] ( word | '"' words '"' | "(" any ")" )
//
// Operators are written in either case.
func (s *reader) words(feature Features, modifier string, alternatives []string) (Filter, error) {
	if s.Features&feature == 0 {
		return nil, unsupported("it is not offered")
	}
	if modifier != "" {
		return nil, noSuchModifier(modifier, "none")
	}
	w := Words{Content: feature == Content}
	tokens := 0
	for _, a := range alternatives {
		r := textReader{tokens: textTokens(unescape(a))}
		if tokens += len(r.tokens); tokens > maxTextTokens {
			return nil, costly("the search of a text has more than %d words", maxTextTokens)
		}
		e, err := r.any(0)
		if err == nil && len(r.tokens) > 0 {
			err = malformed("expected a word")
		}
		if err != nil {
			return nil, malformed("'%s' is no search of a text: %v", fhir.Cut(a), err)
		}
		w.Any = append(w.Any, e)
	}
	return w, nil
}

// textTokens parts a text at spaces, parentheses and quotation marks; a phrase has its
// opening mark.
func textTokens(s string) (tokens []string) {
	for s = strings.TrimLeft(s, " \t"); s != ""; s = strings.TrimLeft(s, " \t") {
		n := 1
		switch s[0] {
		case '(', ')':
		case '"':
			if n = strings.IndexByte(s[1:], '"') + 1; n == 0 {
				n = len(s)
			}
			tokens, s = append(tokens, s[:n]), strings.TrimPrefix(s[n:], `"`)
			continue
		default:
			if n = strings.IndexAny(s, " \t()\""); n < 0 {
				n = len(s)
			}
		}
		tokens, s = append(tokens, s[:n]), s[n:]
	}
	return tokens
}

type textReader struct{ tokens []string }

// maxTextTokens bounds the words and operators of a text search: each word is looked for
// in each text.
const maxTextTokens = 200

// maxNesting bounds the parentheses of a text search.
const maxNesting = 16

func (r *textReader) operator(name string) bool {
	if len(r.tokens) == 0 || !strings.EqualFold(r.tokens[0], name) {
		return false
	}
	r.tokens = r.tokens[1:]
	return true
}

func (r *textReader) any(depth int) (Expression, error) {
	var parts Either
	for {
		e, err := r.all(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, e)
		if !r.operator("or") {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return parts, nil
}

func (r *textReader) all(depth int) (Expression, error) {
	var parts Both
	for {
		e, err := r.not(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, e)
		and := r.operator("and")
		if !and && (len(r.tokens) == 0 || r.tokens[0] == ")" || strings.EqualFold(r.tokens[0], "or")) {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return parts, nil
}

func (r *textReader) not(depth int) (Expression, error) {
	if r.operator("not") {
		e, err := r.one(depth)
		return Without{e}, err
	}
	return r.one(depth)
}

func (r *textReader) one(depth int) (Expression, error) {
	if r.operator("(") {
		if depth == maxNesting {
			return nil, malformed("its parentheses are deeper than %d", maxNesting)
		}
		e, err := r.any(depth + 1)
		if err == nil && !r.operator(")") {
			err = malformed("a parenthesis is not closed")
		}
		return e, err
	}
	if len(r.tokens) == 0 || r.tokens[0] == ")" {
		return nil, malformed("expected a word")
	}
	folded, _ := search.AppendFolded(nil, []byte(r.tokens[0]))
	r.tokens = r.tokens[1:]
	if len(folded) == 0 {
		return nil, malformed("a word has no letter or digit")
	}
	return Phrase(strings.Fields(string(folded))), nil
}
