package ucum

import (
	"cmp"
	"hash/maphash"
	"math/big"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/fhirlake/fhirlake/fhir/decimal"
)

// Unit is what a code means: a factor over base units, which are m, s, g, rad, K,
// C and cd, and over the arbitrary units in it. A special unit has its scale
// besides. It is immutable; the zero Unit is none.
type Unit struct {
	dim    dimension
	factor fraction // base units in one of it; of a special unit, in one of what its scale gives
	scale  fraction // of a special unit: its atoms in one of it, a prefix or number
	fn     function
	base   string        // the code of its base unit
	ratio  decimal.Ratio // factor
}

// dimension is the exponents of the base units and of up to three arbitrary units,
// in the order of the table.
type dimension struct {
	base      [dimensions]int32
	arbitrary [3]power
}

// power is an atom to an exponent; the zero power is none.
type power struct {
	atom, exponent int32
}

// fraction is num/den, both whole and positive.
type fraction struct {
	num, den decimal.Decimal
}

// maxBits bounds the numbers that a code can make.
const maxBits = 4096

// product is what a parser multiplies into.
type product struct {
	factor  *big.Rat
	base    [dimensions]int32
	arb     []power
	special int  // place of the special atom + 1
	bad     bool // no ratio, or beyond the limits
	define  func(at int) *product
}

func newProduct(define func(at int) *product) *product {
	return &product{factor: big.NewRat(1, 1), define: define}
}

func (p *product) number(digits []byte, sign int) {
	if p.bad = p.bad || len(digits) > maxBits/4; p.bad {
		return
	}
	n, _ := new(big.Int).SetString(string(digits), 10)
	p.times(new(big.Rat).SetInt(n), sign)
}

func (p *product) unit(pre, at, exponent int) {
	if pre != without {
		p.times(big.NewRat(int64(prefixes[pre].base), 1), exponent*prefixes[pre].exponent)
	}
	switch a := &atoms[at]; {
	case at < dimensions:
		p.base[at] += int32(exponent)
	case a.special != linear:
		p.bad = p.bad || p.special != 0 || exponent != 1
		p.special = at + 1
	default:
		d := p.define(at)
		p.times(d.factor, exponent)
		for i := range p.base {
			p.base[i] += d.base[i] * int32(exponent)
		}
		for _, x := range d.arb {
			p.timesArbitrary(x.atom, x.exponent*int32(exponent))
		}
	}
}

// times multiplies the factor by r^exponent.
func (p *product) times(r *big.Rat, exponent int) {
	n := max(exponent, -exponent)
	if p.bad = p.bad || size(p.factor)+n*size(r) > maxBits; p.bad {
		return
	}
	e := big.NewInt(int64(n))
	num, den := new(big.Int).Exp(r.Num(), e, nil), new(big.Int).Exp(r.Denom(), e, nil)
	if exponent < 0 {
		num, den = den, num
	}
	p.factor.Mul(p.factor, new(big.Rat).SetFrac(num, den))
}

func size(r *big.Rat) int { return r.Num().BitLen() + r.Denom().BitLen() }

func (p *product) timesArbitrary(atom, exponent int32) {
	for i := range p.arb {
		if p.arb[i].atom == atom {
			p.arb[i].exponent += exponent
			return
		}
	}
	p.arb = append(p.arb, power{atom, exponent})
}

// dimension gives what the product is over; ok is false with too many arbitrary
// units.
func (p *product) dimension() (d dimension, ok bool) {
	d.base = p.base
	p.arb = slices.DeleteFunc(p.arb, func(x power) bool { return x.exponent == 0 })
	slices.SortFunc(p.arb, func(a, b power) int { return cmp.Compare(a.atom, b.atom) })
	return d, copy(d.arbitrary[:], p.arb) == len(p.arb)
}

// definitions gives what each atom is over base units. They refer to one another
// in any order, so they are worked out together, by the first who asks.
var definitions = sync.OnceValue(func() *[len(atoms)]*product {
	var all [len(atoms)]*product
	var define func(at int) *product
	define = func(at int) *product {
		if all[at] != nil {
			return all[at]
		}
		p := newProduct(define)
		a := &atoms[at]
		if a.flags&arbitrary != 0 && a.unit == "1" {
			p.timesArbitrary(int32(at), 1)
		} else {
			value, _ := new(big.Rat).SetString(a.value)
			p.times(value, 1)
			(&parser{code: []byte(a.unit), product: p}).parse()
		}
		all[at] = p
		return p
	}
	for at := dimensions; at < len(atoms); at++ {
		define(at)
	}
	return &all
})

// Parse gives the meaning of a code. ok is false where [Valid] is, for a special
// unit within a product, and for numbers beyond the limits of the package.
func Parse(code []byte) (u Unit, ok bool) {
	if len(code) > maxKept {
		return parse(code)
	}
	at := place(code)
	if k := at.Load(); k != nil && k.code == string(code) {
		return k.unit, true
	}
	if u, ok = parse(code); ok {
		at.Store(&keptUnit{string(code), u})
	}
	return u, ok
}

func parse(code []byte) (u Unit, ok bool) {
	all := definitions()
	p := newProduct(func(at int) *product { return all[at] })
	if !(&parser{code: code, product: p}).parse() || p.bad {
		return Unit{}, false
	}
	if p.special == 0 {
		u, ok = p.ratio()
	} else {
		u, ok = p.scaled(all[p.special-1])
	}
	u.base = u.dim.code()
	if ok {
		u.ratio = decimal.NewRatio(u.factor.num, u.factor.den)
	}
	return u, ok
}

// ratio gives the unit of a product without special units.
func (p *product) ratio() (u Unit, ok bool) {
	if u.dim, ok = p.dimension(); !ok {
		return Unit{}, false
	}
	u.factor, ok = fractionOf(p.factor)
	return u, ok
}

// scaled gives the unit of a special one, times what p has besides it: a number.
func (p *product) scaled(over *product) (u Unit, ok bool) {
	scale, ok := p.ratio()
	if !ok || scale.dim != (dimension{}) {
		return Unit{}, false
	}
	u, ok = over.ratio()
	u.scale, u.fn = scale.factor, atoms[p.special-1].special
	return u, ok
}

func fractionOf(r *big.Rat) (f fraction, ok bool) {
	num, ok1 := decimal.FromBig(r.Num(), 0)
	den, ok2 := decimal.FromBig(r.Denom(), 0)
	return fraction{num, den}, ok1 && ok2
}

// code writes the dimension as a UCUM code.
func (d *dimension) code() string {
	var b []byte
	appendPower := func(at int, exponent int32) {
		if exponent == 0 {
			return
		}
		if len(b) > 0 {
			b = append(b, '.')
		}
		b = append(b, atoms[at].code...)
		if exponent != 1 {
			b = strconv.AppendInt(b, int64(exponent), 10)
		}
	}
	for at, exponent := range d.base {
		appendPower(at, exponent)
	}
	for _, x := range d.arbitrary {
		appendPower(int(x.atom), x.exponent)
	}
	if len(b) == 0 {
		return "1"
	}
	return string(b)
}

// kept has units that were read before, each at the place that the hash of its
// code gives, where the next one replaces it. Data has some hundred codes; hostile
// ones cost what is there and fill no memory.
var (
	kept [1024]atomic.Pointer[keptUnit]
	seed = maphash.MakeSeed()
)

type keptUnit struct {
	code string
	unit Unit
}

const maxKept = 64 // bytes of a code

func place(code []byte) *atomic.Pointer[keptUnit] {
	return &kept[maphash.Bytes(seed, code)%uint64(len(kept))]
}
