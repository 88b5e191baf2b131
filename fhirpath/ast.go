package fhirpath

// exprKind tells the sorts of nodes of the syntax tree.
type exprKind uint8

const (
	exprNull     exprKind = iota // {}
	exprLiteral                  // Lit and Text
	exprThis                     // $this
	exprIndex                    // $index
	exprTotal                    // $total
	exprVariable                 // %Name, %`Name`, %"Name", %'Name'
	exprMember                   // Name after Input, or at the start of a path when Input is nil
	exprCall                     // Name(Args) after Input, or at the start when Input is nil
	exprIndexer                  // Input[Args[0]]
	exprUnary                    // Op Args[0]; Op is opPlus or opMinus
	exprBinary                   // Args[0] Op Args[1]
	exprTypeTest                 // Args[0] is Name, Args[0] as Name: Op is opIs or opAs
)

// litKind tells the sorts of literals.
type litKind uint8

const (
	litBoolean  litKind = iota // Text is true or false
	litString                  // Text is the value, unescaped
	litInteger                 // Text is the digits
	litLong                    // Text is the digits, without the L
	litDecimal                 // Text is the digits and the point
	litDate                    // Text is without the @: 2014-01
	litDateTime                // Text is without the @, with the T: 2014T, 2014-01-25T14:30:14.559Z
	litTime                    // Text is without the @T: 14:30
	litQuantity                // Text is the number, Unit the unit
)

// opKind names the operators.
type opKind uint8

const (
	opNone opKind = iota
	opPlus
	opMinus
	opTimes
	opDivide     // /
	opDiv        // div
	opMod        // mod
	opConcat     // &
	opUnion      // |
	opLess       // <
	opLessEq     // <=
	opGreater    // >
	opGreaterEq  // >=
	opEqual      // =
	opEquivalent // ~
	opNotEqual   // !=
	opNotEquiv   // !~
	opIn         // in
	opContains   // contains
	opAnd        // and
	opOr         // or
	opXor        // xor
	opImplies    // implies
	opIs         // is
	opAs         // as
)

// expr is a node of the syntax tree. The tree is immutable after parsing.
type expr struct {
	Kind     exprKind
	Lit      litKind
	Op       opKind
	Calendar bool    // the unit of a quantity is a keyword (4 days), not a string (4 'd')
	Pos, End int     // bytes of the source that it spans
	At       int     // byte of what names it: the operator, the member's or function's name
	Name     string  // member, function, variable; of a type the qualified name: System.String
	Text     string  // value of a literal
	Unit     string  // of a quantity: the keyword as written, or the UCUM code
	Input    *expr   // what stands before the dot; nil for none
	Args     []*expr // arguments, operands
}

// size counts the nodes of the tree below e and e itself.
func (e *expr) size() int {
	n := 1
	for _, a := range e.Args {
		n += a.size()
	}
	if e.Input != nil {
		n += e.Input.size()
	}
	return n
}
