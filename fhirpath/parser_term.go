package fhirpath

// term reads what a path can start with.
func (p *parser) term() (*expr, *Error) {
	t := p.token
	switch t.kind {
	case tokName:
		return p.word()
	case tokQuotedName:
		if p.lexer.source[t.pos] == '"' {
			return nil, errorAt(p.lexer.source, t.pos, t.end, "double quotes; expected single quotes around a string, or backticks around a name")
		}
		return p.memberOrCall(nil)
	case tokDollar:
		return p.dollar()
	case '%':
		return p.variable()
	case '(':
		return p.parenthesis()
	case '{':
		if err := p.advance(); err != nil {
			return nil, err
		}
		if err := p.expect('}', "'}': {} is the empty collection"); err != nil {
			return nil, err
		}
		return p.leaf(&expr{Kind: exprNull, Pos: t.pos})
	}
	return p.literal()
}

// word reads a term that begins with a name. The operators that are also names of
// FHIR elements or of functions are names here, where no operator can stand.
func (p *parser) word() (*expr, *Error) {
	switch t := p.token; t.text {
	case "true", "false":
		if err := p.advance(); err != nil {
			return nil, err
		}
		return p.leaf(&expr{Kind: exprLiteral, Lit: litBoolean, Text: t.text, Pos: t.pos})
	case "and", "or", "xor", "implies", "mod":
		return nil, p.unexpected("an expression before the operator")
	}
	return p.memberOrCall(nil)
}

// leaf finishes a node without children that ends with the token read last.
func (p *parser) leaf(e *expr) (*expr, *Error) {
	e.At, e.End = e.Pos, p.last
	return p.grown(e, 0)
}

// dollarKinds are the variables of iteration (N1, 4.3 and 7.1).
var dollarKinds = map[string]exprKind{"this": exprThis, "index": exprIndex, "total": exprTotal}

func (p *parser) dollar() (*expr, *Error) {
	t := p.token
	kind, ok := dollarKinds[t.text]
	if !ok {
		return nil, p.unexpected("$this, $index or $total")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	return p.leaf(&expr{Kind: kind, Pos: t.pos})
}

// variable reads %name, %`name`, %'name', and %"name" as R4 still writes it.
func (p *parser) variable() (*expr, *Error) {
	start := p.token.pos
	if err := p.advance(); err != nil {
		return nil, err
	}
	name := p.token
	if name.kind != tokName && name.kind != tokQuotedName && name.kind != tokString {
		return nil, p.unexpected("the name of a variable")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	return p.leaf(&expr{Kind: exprVariable, Name: name.text, Pos: start})
}

// parenthesis reads an expression in parentheses; they belong to its span.
func (p *parser) parenthesis() (*expr, *Error) {
	start := p.token.pos
	if err := p.advance(); err != nil {
		return nil, err
	}
	e, err := p.inner()
	if err != nil {
		return nil, err
	}
	if err := p.expect(')', "an operator or ')'"); err != nil {
		return nil, err
	}
	e.Pos, e.End = start, p.last
	return e, nil
}

// literals tells which token is which literal; litBoolean stands for none.
var literals = [...]litKind{
	tokString:   litString,
	tokInteger:  litInteger,
	tokLong:     litLong,
	tokDecimal:  litDecimal,
	tokDate:     litDate,
	tokDateTime: litDateTime,
	tokTime:     litTime,
}

func (p *parser) literal() (*expr, *Error) {
	t := p.token
	if int(t.kind) >= len(literals) || literals[t.kind] == litBoolean {
		return nil, p.unexpected("an expression")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	e := &expr{Kind: exprLiteral, Lit: literals[t.kind], Text: t.text, Pos: t.pos}
	if t.kind == tokInteger || t.kind == tokDecimal {
		if err := p.unit(e); err != nil {
			return nil, err
		}
	}
	return p.leaf(e)
}

// calendarUnits are the units of quantities that need no quotes (N1, 4.1.8).
var calendarUnits = map[string]bool{
	"year": true, "years": true, "month": true, "months": true, "week": true, "weeks": true,
	"day": true, "days": true, "hour": true, "hours": true, "minute": true, "minutes": true,
	"second": true, "seconds": true, "millisecond": true, "milliseconds": true,
}

// unit makes a number the quantity that it is when a unit follows.
func (p *parser) unit(e *expr) *Error {
	switch {
	case p.token.kind == tokString:
	case p.token.kind == tokName && calendarUnits[p.token.text]:
		e.Calendar = true
	default:
		return nil
	}
	e.Lit, e.Unit = litQuantity, p.token.text
	return p.advance()
}
