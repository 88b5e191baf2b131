package fhirpath

import (
	"strings"
	"unicode/utf8"
)

const (
	// maxSource bounds the bytes of an expression.
	maxSource = 64 << 10

	// maxHeight bounds how many nodes lie between the root of a syntax tree and
	// its farthest leaf, so that what walks the tree may recurse. Chains such as
	// a.b.c and 1 + 2 + 3 are as high as they are long.
	maxHeight = 1000
)

// parse reads an expression (FHIRPath N1, 12.1). maxDepth bounds the
// nesting of parentheses, brackets, arguments and signs.
func parse(source string, maxDepth int) (*expr, *Error) {
	if len(source) > maxSource {
		return nil, errorAt(source, 0, 0, "the expression has %d bytes; expected at most %d", len(source), maxSource)
	}
	p := parser{lexer: lexer{source: source}, maxDepth: maxDepth}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.token.kind == tokEnd {
		return nil, errorAt(source, p.token.pos, p.token.end, "the expression is empty")
	}
	e, err := p.expression(lowest)
	if err != nil {
		return nil, err
	}
	if p.token.kind != tokEnd {
		return nil, p.unexpected("an operator or the end")
	}
	return e, nil
}

// parser builds the tree by recursive descent, and by precedence where operators
// are. Its functions leave the height of the tree that they return in height.
type parser struct {
	lexer    lexer
	token    token // the one to be read next
	last     int   // end of the one read last
	depth    int
	maxDepth int
	height   int
}

// advance reads the next token.
func (p *parser) advance() (err *Error) {
	p.last = p.token.end
	p.token, err = p.lexer.next()
	return err
}

// expect reads a token that must be there.
func (p *parser) expect(kind tokenKind, what string) *Error {
	if p.token.kind != kind {
		return p.unexpected(what)
	}
	return p.advance()
}

func (p *parser) unexpected(expected string) *Error {
	return errorAt(p.lexer.source, p.token.pos, p.token.end, "unexpected %s; expected %s", p.describe(p.token), expected)
}

func (p *parser) describe(t token) string {
	text := quotedText(p.lexer.source[t.pos:t.end])
	switch t.kind {
	case tokEnd:
		return "end of the expression"
	case tokName, tokQuotedName:
		return "name " + text
	case tokString:
		return "string " + text
	case tokInteger, tokLong, tokDecimal:
		return "number " + text
	case tokDate, tokDateTime:
		return "date " + text
	case tokTime:
		return "time " + text
	}
	return "'" + text + "'"
}

// quotedText fits a part of the source into a message of one line.
func quotedText(text string) string {
	const most = 40
	cut := len(text) > most
	if cut {
		n := most
		for !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n]
	}
	text = strings.Map(printable, strings.NewReplacer("\n", " ", "\t", " ", "\r", "").Replace(text))
	if cut {
		text += "..."
	}
	return text
}

// nested reads with read one level deeper.
func (p *parser) nested(read func() (*expr, *Error)) (*expr, *Error) {
	if p.depth == p.maxDepth {
		return nil, errorAt(p.lexer.source, p.token.pos, p.token.end, "the expression nests deeper than %d levels", p.maxDepth)
	}
	p.depth++
	e, err := read()
	p.depth--
	return e, err
}

// inner reads an expression inside of parentheses or brackets.
func (p *parser) inner() (*expr, *Error) {
	return p.nested(func() (*expr, *Error) { return p.expression(lowest) })
}

// grown gives a node whose children are at most so high.
func (p *parser) grown(e *expr, children int) (*expr, *Error) {
	if p.height = children + 1; p.height > maxHeight {
		return nil, errorAt(p.lexer.source, e.At, e.At, "the expression chains more than %d operations", maxHeight)
	}
	return e, nil
}

// precedence orders the operators, the loosest first (N1, 6.8).
type precedence int8

const (
	lowest precedence = iota
	impliesPrecedence
	orPrecedence
	andPrecedence
	membershipPrecedence
	equalityPrecedence
	inequalityPrecedence
	unionPrecedence
	typePrecedence
	additivePrecedence
	multiplicativePrecedence
)

// binary is an operator between two operands.
type binary struct {
	op         opKind
	precedence precedence
}

// wordOperators are the operators that are words. All operators are left
// associative.
var wordOperators = map[string]binary{
	"div":      {opDiv, multiplicativePrecedence},
	"mod":      {opMod, multiplicativePrecedence},
	"is":       {opIs, typePrecedence},
	"as":       {opAs, typePrecedence},
	"in":       {opIn, membershipPrecedence},
	"contains": {opContains, membershipPrecedence},
	"and":      {opAnd, andPrecedence},
	"or":       {opOr, orPrecedence},
	"xor":      {opXor, orPrecedence},
	"implies":  {opImplies, impliesPrecedence},
}

var signOperators = [...]binary{
	'*':          {opTimes, multiplicativePrecedence},
	'/':          {opDivide, multiplicativePrecedence},
	'+':          {opPlus, additivePrecedence},
	'-':          {opMinus, additivePrecedence},
	'&':          {opConcat, additivePrecedence},
	'|':          {opUnion, unionPrecedence},
	'<':          {opLess, inequalityPrecedence},
	'>':          {opGreater, inequalityPrecedence},
	tokLessEq:    {opLessEq, inequalityPrecedence},
	tokGreaterEq: {opGreaterEq, inequalityPrecedence},
	'=':          {opEqual, equalityPrecedence},
	'~':          {opEquivalent, equalityPrecedence},
	tokNotEqual:  {opNotEqual, equalityPrecedence},
	tokNotEquiv:  {opNotEquiv, equalityPrecedence},
}

// operator tells what the next token is as a binary operator; opNone for none.
func (p *parser) operator() binary {
	if p.token.kind == tokName {
		return wordOperators[p.token.text]
	}
	if int(p.token.kind) < len(signOperators) {
		return signOperators[p.token.kind]
	}
	return binary{}
}

// expression reads operators that bind tighter than above, and their operands.
// Right operands recurse no deeper than there are precedences.
func (p *parser) expression(above precedence) (*expr, *Error) {
	left, err := p.unary()
	if err != nil {
		return nil, err
	}
	for {
		o := p.operator()
		if o.precedence <= above {
			return left, nil
		}
		height, at := p.height, p.token.pos
		if err := p.advance(); err != nil {
			return nil, err
		}
		e := &expr{Kind: exprBinary, Op: o.op, At: at, Pos: left.Pos}
		if o.precedence == typePrecedence {
			e.Kind, e.Args = exprTypeTest, []*expr{left}
			p.height = 0
			if e.Name, err = p.typeSpecifier(); err != nil {
				return nil, err
			}
		} else {
			right, err := p.expression(o.precedence)
			if err != nil {
				return nil, err
			}
			e.Args = []*expr{left, right}
		}
		e.End = p.last
		if left, err = p.grown(e, max(height, p.height)); err != nil {
			return nil, err
		}
	}
}

// typeSpecifier reads a type's name with the dots of its namespace.
func (p *parser) typeSpecifier() (string, *Error) {
	name := ""
	for {
		if p.token.kind != tokName && p.token.kind != tokQuotedName {
			return "", p.unexpected("the name of a type")
		}
		name += p.token.text
		if err := p.advance(); err != nil || p.token.kind != '.' {
			return name, err
		}
		name += "."
		if err := p.advance(); err != nil {
			return "", err
		}
	}
}

// unary reads signs and what they stand before. They bind looser than the dot:
// -1.abs() is -(1.abs()).
func (p *parser) unary() (*expr, *Error) {
	if p.token.kind != '+' && p.token.kind != '-' {
		return p.path()
	}
	e := &expr{Kind: exprUnary, Op: signOperators[p.token.kind].op, Pos: p.token.pos, At: p.token.pos}
	if err := p.advance(); err != nil {
		return nil, err
	}
	operand, err := p.nested(p.unary)
	if err != nil {
		return nil, err
	}
	e.Args, e.End = []*expr{operand}, operand.End
	return p.grown(e, p.height)
}

// path reads a term and what follows it after dots and in brackets.
func (p *parser) path() (*expr, *Error) {
	e, err := p.term()
	if err != nil {
		return nil, err
	}
	for {
		switch p.token.kind {
		case '.':
			if err := p.advance(); err != nil {
				return nil, err
			}
			if e, err = p.invocation(e); err != nil {
				return nil, err
			}
		case '[':
			if e, err = p.indexer(e); err != nil {
				return nil, err
			}
		default:
			return e, nil
		}
	}
}

func (p *parser) indexer(input *expr) (*expr, *Error) {
	e := &expr{Kind: exprIndexer, Pos: input.Pos, At: p.token.pos, Input: input}
	height := p.height
	if err := p.advance(); err != nil {
		return nil, err
	}
	index, err := p.inner()
	if err != nil {
		return nil, err
	}
	if err := p.expect(']', "']'"); err != nil {
		return nil, err
	}
	e.Args, e.End = []*expr{index}, p.last
	return p.grown(e, max(height, p.height))
}

// invocation reads what may follow a dot: a member, a call, $this and its like.
func (p *parser) invocation(input *expr) (*expr, *Error) {
	switch p.token.kind {
	case tokName, tokQuotedName:
		return p.memberOrCall(input)
	case tokDollar:
		return nil, errorAt(p.lexer.source, p.token.pos, p.token.end, "%s stands at the start of a path, not after a dot", p.describe(p.token))
	}
	return nil, p.unexpected("the name of an element or function")
}

// memberOrCall reads a name, and arguments when a parenthesis follows.
func (p *parser) memberOrCall(input *expr) (*expr, *Error) {
	e := &expr{Kind: exprMember, Name: p.token.text, Pos: p.token.pos, At: p.token.pos, Input: input}
	height := 0
	if input != nil {
		e.Pos, height = input.Pos, p.height
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.token.kind == '(' {
		e.Kind = exprCall
		p.height = 0
		if err := p.arguments(e); err != nil {
			return nil, err
		}
		height = max(height, p.height)
	}
	e.End = p.last
	return p.grown(e, height)
}

// arguments reads the parenthesis of a call. The height that it leaves is that of
// the highest argument.
func (p *parser) arguments(call *expr) *Error {
	if err := p.advance(); err != nil || p.token.kind == ')' {
		if err != nil {
			return err
		}
		return p.advance()
	}
	highest := 0
	for {
		arg, err := p.inner()
		if err != nil {
			return err
		}
		call.Args = append(call.Args, arg)
		highest = max(highest, p.height)
		if p.token.kind != ',' {
			p.height = highest
			return p.expect(')', "',' or ')'")
		}
		if err := p.advance(); err != nil {
			return err
		}
	}
}
