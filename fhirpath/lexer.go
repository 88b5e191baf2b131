package fhirpath

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// tokenKind tells the sorts of tokens. A single character that is a token of its
// own, such as '(' or '+', has its own code as its kind.
type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokName
	tokQuotedName // `x`, and "x", which FHIRPath had before N1
	tokDollar     // $this, $index, $total: text is without the sign
	tokString
	tokInteger
	tokLong
	tokDecimal
	tokDate
	tokDateTime
	tokTime
	tokLessEq    // <=
	tokGreaterEq // >=
	tokNotEqual  // !=
	tokNotEquiv  // !~
)

// token is one word of an expression.
type token struct {
	kind     tokenKind
	pos, end int
	text     string // of a name or literal its value, unescaped; aliases the source where it can
}

// lexer cuts an expression into tokens (FHIRPath N1, 8 and 12.1).
type lexer struct {
	source string
	at     int
}

// next reads the token after white space and comments. At the end of the source
// it gives tokEnd, again and again.
func (l *lexer) next() (token, *Error) {
	if err := l.skipBlank(); err != nil {
		return token{}, err
	}
	start := l.at
	if start == len(l.source) {
		return token{kind: tokEnd, pos: start, end: start}, nil
	}
	switch c := l.source[start]; {
	case isLetter(c):
		l.at = start + countWhile(l.source[start:], isNameByte)
		return l.token(tokName, start, l.source[start:l.at]), nil
	case isDigit(c):
		return l.number()
	case c == '\'':
		return l.quoted(tokString)
	case c == '`' || c == '"':
		return l.quoted(tokQuotedName)
	case c == '@':
		return l.temporal()
	case c == '$':
		n := countWhile(l.source[start+1:], isNameByte)
		l.at += 1 + n
		return l.token(tokDollar, start, l.source[start+1:l.at]), nil
	}
	return l.symbol()
}

func (l *lexer) token(kind tokenKind, start int, text string) token {
	return token{kind, start, l.at, text}
}

// skipBlank passes over white space, // and /* */ comments.
func (l *lexer) skipBlank() *Error {
	for l.at < len(l.source) {
		rest := l.source[l.at:]
		switch {
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\n' || rest[0] == '\r':
			l.at++
		case strings.HasPrefix(rest, "//"):
			if i := strings.IndexAny(rest, "\r\n"); i >= 0 {
				l.at += i
			} else {
				l.at = len(l.source)
			}
		case strings.HasPrefix(rest, "/*"):
			i := strings.Index(rest[2:], "*/")
			if i < 0 {
				return errorAt(l.source, l.at, l.at+2, "the comment has no end; expected */")
			}
			l.at += 2 + i + 2
		default:
			return nil
		}
	}
	return nil
}

// symbols are the tokens of one character.
const symbols = "()[]{}.,+-*/&|<>=~%"

// doubled are the tokens of two characters.
var doubled = [...]struct {
	text string
	kind tokenKind
}{{"<=", tokLessEq}, {">=", tokGreaterEq}, {"!=", tokNotEqual}, {"!~", tokNotEquiv}}

// foreign are operators of other languages with what FHIRPath has for them.
var foreign = [...]struct{ text, instead string }{
	{"==", "="}, {"&&", "and"}, {"||", "or, or | for a union"}, {"<>", "!="}, {"!", "not()"}, {"^", "power()"},
}

func (l *lexer) symbol() (token, *Error) {
	start, rest := l.at, l.source[l.at:]
	for _, d := range doubled {
		if strings.HasPrefix(rest, d.text) {
			l.at += 2
			return l.token(d.kind, start, d.text), nil
		}
	}
	for _, f := range foreign {
		if strings.HasPrefix(rest, f.text) {
			return token{}, errorAt(l.source, start, start+len(f.text), "FHIRPath has no %s; expected %s", f.text, f.instead)
		}
	}
	if strings.IndexByte(symbols, rest[0]) >= 0 {
		l.at++
		return l.token(tokenKind(rest[0]), start, rest[:1]), nil
	}
	r, size := utf8.DecodeRuneInString(rest)
	if r == utf8.RuneError && size == 1 {
		return token{}, errorAt(l.source, start, start+1, "the expression is no valid UTF-8")
	}
	return token{}, errorAt(l.source, start, start+size, "unexpected character %s", strconv.QuoteRune(r))
}

// maxDigits bounds numbers, as the parser of resources does.
const maxDigits = 1024

// number reads an integer, long or decimal. The point belongs to it only when a
// digit follows: 1.toString() is a call.
func (l *lexer) number() (token, *Error) {
	start, kind := l.at, tokInteger
	l.at += countWhile(l.source[l.at:], isDigit)
	if l.peek(0) == '.' && isDigit(l.peek(1)) {
		kind = tokDecimal
		l.at++
		l.at += countWhile(l.source[l.at:], isDigit)
	}
	if l.at-start > maxDigits {
		return token{}, errorAt(l.source, start, l.at, "a number of %d digits; expected at most %d", l.at-start, maxDigits)
	}
	text := l.source[start:l.at]
	if kind == tokInteger && l.peek(0) == 'L' && !isNameByte(l.peek(1)) {
		kind = tokLong
		l.at++
	}
	return l.token(kind, start, text), nil
}

// peek gives the byte i after the place, 0 beyond the end.
func (l *lexer) peek(i int) byte {
	if l.at+i < len(l.source) {
		return l.source[l.at+i]
	}
	return 0
}

// quoted reads a string or a delimited identifier.
func (l *lexer) quoted(kind tokenKind) (token, *Error) {
	start, quote := l.at, l.source[l.at]
	l.at++
	text := l.source[l.at:]
	n := 0
	for n < len(text) && text[n] != quote && text[n] != '\\' {
		n++
	}
	if n < len(text) && text[n] == quote {
		l.at += n + 1
		return l.checked(l.token(kind, start, text[:n]))
	}
	value := append(make([]byte, 0, n+32), text[:n]...)
	for l.at += n; l.at < len(l.source); {
		switch c := l.source[l.at]; c {
		case quote:
			l.at++
			return l.checked(l.token(kind, start, string(value)))
		case '\\':
			var err *Error
			if value, err = l.escape(value); err != nil {
				return token{}, err
			}
		default:
			value = append(value, c)
			l.at++
		}
	}
	what := "string"
	if kind == tokQuotedName {
		what = "name"
	}
	return token{}, errorAt(l.source, start, start+1, "the %s has no end; expected %c", what, quote)
}

func (l *lexer) checked(t token) (token, *Error) {
	if !utf8.ValidString(t.text) {
		return token{}, errorAt(l.source, t.pos, t.end, "the text is no valid UTF-8")
	}
	if t.kind == tokQuotedName && t.text == "" {
		return token{}, errorAt(l.source, t.pos, t.end, "an empty name")
	}
	return t, nil
}

// escape appends what the escape sequence at the place stands for (N1, 4.1.2).
func (l *lexer) escape(value []byte) ([]byte, *Error) {
	start := l.at
	l.at += 2
	switch c := l.peek(-1); c {
	case '\'', '"', '`', '\\', '/':
		return append(value, c), nil
	case 'f':
		return append(value, '\f'), nil
	case 'n':
		return append(value, '\n'), nil
	case 'r':
		return append(value, '\r'), nil
	case 't':
		return append(value, '\t'), nil
	case 'u':
		l.at = start
		return l.unicode(value)
	}
	_, size := utf8.DecodeRuneInString(l.source[start+1:])
	end := start + 1 + size
	return nil, errorAt(l.source, start, end, `unknown escape %s; expected \', \", \%s, \\, \/, \f, \n, \r, \t or \uXXXX`,
		quotedText(l.source[start:end]), "`")
}

// unicode appends the character of \uXXXX, or of two that make a surrogate pair.
func (l *lexer) unicode(value []byte) ([]byte, *Error) {
	start := l.at
	r, ok := l.hexRune()
	if !ok {
		return nil, errorAt(l.source, start, l.at, `\u wants four hexadecimal digits`)
	}
	if utf16.IsSurrogate(r) {
		low, _ := l.hexRune()
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			return nil, errorAt(l.source, start, l.at, "half of a surrogate pair is no character")
		}
	}
	return utf8.AppendRune(value, r), nil
}

// hexRune reads \uXXXX. Where there is none it leaves the place at the fault.
func (l *lexer) hexRune() (rune, bool) {
	if l.peek(0) != '\\' || l.peek(1) != 'u' {
		return 0, false
	}
	l.at += 2
	var r rune
	for range 4 {
		d := strings.IndexByte("0123456789abcdef", l.peek(0)|0x20)
		if c := l.peek(0); !isDigit(c) && !isLetter(c) || d < 0 {
			return 0, false
		}
		r = r<<4 | rune(d)
		l.at++
	}
	return r, true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameByte(c byte) bool { return isLetter(c) || isDigit(c) }

// countWhile counts the leading bytes that are as asked.
func countWhile(s string, is func(byte) bool) int {
	n := 0
	for n < len(s) && is(s[n]) {
		n++
	}
	return n
}
