package ucum

// Limits of what is read, for the sake of hostile codes.
const (
	maxDepth    = 32  // of parentheses
	maxExponent = 999 // of a unit, either sign
)

// Valid tells whether code is a unit by the grammar of UCUM (2.3) with its atoms
// and prefixes: "mg/dL", "10*3/uL", "m[IU]/mL", "{beats}/min", "/[HPF]". The empty
// code is none, nor is a number 0, an exponent of more than three digits or
// parentheses more than 32 deep. Valid allocates nothing.
func Valid(code []byte) bool {
	p := parser{code: code}
	return p.parse()
}

// parser reads a code from left to right. Where product is set it multiplies
// there what it reads.
type parser struct {
	code    []byte
	i       int
	depth   int
	product *product
}

// parse reads all of the code: main-term = ["/"] term.
func (p *parser) parse() bool {
	return len(p.code) > 0 && p.term(1) && p.i == len(p.code)
}

// term reads components with "." and "/" between them. A term may begin with "/"
// where the whole code does. sign is -1 where the term as a whole divides.
func (p *parser) term(sign int) bool {
	s := sign
	if p.i == 0 && p.code[0] == '/' {
		p.i++
		s = -sign
	}
	for {
		if !p.component(s) {
			return false
		}
		switch p.peek() {
		case '.':
			s = sign
		case '/':
			s = -sign
		default:
			return true
		}
		p.i++
	}
}

// peek gives the next byte, 0 at the end.
func (p *parser) peek() byte {
	if p.i < len(p.code) {
		return p.code[p.i]
	}
	return 0
}

// component reads a unit, a number, a term in parentheses or an annotation alone.
func (p *parser) component(sign int) bool {
	switch c := p.peek(); {
	case c == '{':
		return p.annotation()
	case c == '(':
		if p.depth++; p.depth > maxDepth {
			return false
		}
		p.i++
		if !p.term(sign) || p.peek() != ')' {
			return false
		}
		p.i++
		p.depth--
		return p.annotation()
	case c-'0' <= 9 && !p.isTen():
		return p.factor(sign) && p.annotation()
	}
	return p.simpleUnit(sign) && p.annotation()
}

// annotation reads text in braces, which means nothing, if there is any: printable
// ASCII without braces. UCUM leaves out blanks too, which codes of FHIR's value set
// ucum-common have.
func (p *parser) annotation() bool {
	if p.peek() != '{' {
		return true
	}
	for p.i++; p.i < len(p.code); p.i++ {
		switch c := p.code[p.i]; {
		case c == '}':
			p.i++
			return true
		case c < ' ' || c > '~' || c == '{':
			return false
		}
	}
	return false
}

// isTen tells whether the atom 10* or 10^ comes next.
func (p *parser) isTen() bool {
	s := p.code[p.i:]
	return len(s) >= 3 && s[0] == '1' && s[1] == '0' && (s[2] == '*' || s[2] == '^')
}

// factor reads a positive whole number.
func (p *parser) factor(sign int) bool {
	start, positive := p.i, false
	for p.peek()-'0' <= 9 {
		positive = positive || p.code[p.i] != '0'
		p.i++
	}
	if !positive {
		return false
	}
	if p.product != nil {
		p.product.number(p.code[start:p.i], sign)
	}
	return true
}

// simpleUnit reads an atom, maybe with a prefix, and its exponent.
func (p *parser) simpleUnit(sign int) bool {
	symbol := p.symbol()
	pre, at, ok := lookUp(symbol)
	if !ok {
		return false
	}
	exponent, ok := p.exponent()
	if !ok {
		return false
	}
	if p.product != nil {
		p.product.unit(pre, at, sign*exponent)
	}
	return true
}

// symbol reads up to an exponent, an operator or an annotation; within brackets
// anything goes but another bracket.
func (p *parser) symbol() []byte {
	start := p.i
	if p.isTen() {
		p.i += 3
	}
	for p.i < len(p.code) && !ends[p.code[p.i]] {
		if p.code[p.i] == '[' {
			for p.i < len(p.code) && p.code[p.i] != ']' {
				p.i++
			}
			if p.i == len(p.code) {
				break
			}
		}
		p.i++
	}
	return p.code[start:p.i]
}

// ends marks the bytes that end a symbol.
var ends = func() (t [256]bool) {
	for _, c := range "0123456789+-./(){}" {
		t[c] = true
	}
	return t
}()

// exponent reads digits with a sign, or nothing, which is 1.
func (p *parser) exponent() (n int, ok bool) {
	sign := 1
	signed := true
	switch p.peek() {
	case '-':
		sign = -1
		p.i++
	case '+':
		p.i++
	default:
		signed = false
	}
	start := p.i
	for p.peek()-'0' <= 9 {
		if n = n*10 + int(p.code[p.i]-'0'); n > maxExponent {
			return 0, false
		}
		p.i++
	}
	if p.i == start {
		return 1, !signed
	}
	return sign * n, true
}

// byCode has the places of the atoms.
var byCode = func() map[string]int {
	m := make(map[string]int, len(atoms))
	for i := range atoms {
		m[atoms[i].code] = i
	}
	return m
}()

// prefixAt has the place + 1 of the prefix of one letter, and of the two whose
// first letter it is.
var prefixAt = func() (t [2][256]uint8) {
	for i, p := range prefixes {
		t[len(p.code)-1][p.code[0]] = uint8(i + 1)
	}
	return t
}()

// lookUp finds the symbol of an atom, else that of a prefix and a metric atom.
// without is the prefix for none.
func lookUp(symbol []byte) (pre, at int, ok bool) {
	if at, ok = byCode[string(symbol)]; ok {
		return without, at, true
	}
	for n := 2; n >= 1; n-- {
		if len(symbol) <= n {
			continue
		}
		pre = int(prefixAt[n-1][symbol[0]]) - 1
		if pre < 0 || prefixes[pre].code != string(symbol[:n]) {
			continue
		}
		if at, ok = byCode[string(symbol[n:])]; ok && atoms[at].flags&metric != 0 {
			return pre, at, true
		}
	}
	return without, 0, false
}

const without = -1
