package release

import (
	"fmt"
	"strings"
)

// Files of the Rich Release Format have fields that end with a bar, in the order of these
// columns. RxNorm's have the same as UMLS's, with names that begin with RX.
const (
	consoCUI      = 0
	consoLAT      = 1
	consoTTY      = 12
	consoSAB      = 11
	consoCODE     = 13
	consoSTR      = 14
	consoSUPPRESS = 16
	consoColumns  = 18

	relCUI1     = 0
	relCUI2     = 4
	relRELA     = 7
	relSUPPRESS = 14
	relColumns  = 16

	styCUI     = 0
	styTUI     = 1
	styColumns = 6
)

// rrf splits a line into fields, which must be as many as there are columns.
func rrf(dst []string, line string, columns int) ([]string, error) {
	dst = dst[:0]
	for rest, more := line, true; more; {
		var field string
		field, rest, more = strings.Cut(rest, "|")
		if !more && field == "" {
			break // after the bar that ends the last field
		}
		dst = append(dst, field)
	}
	if len(dst) != columns {
		return nil, fmt.Errorf("%d fields; expected %d, separated by bars", len(dst), columns)
	}
	return dst, nil
}

// number reads an identifier of digits.
func number(column, s string) (uint32, error) {
	n := uint64(0)
	for _, b := range []byte(s) {
		if b < '0' || b > '9' {
			n = 1 << 32
			break
		}
		n = n*10 + uint64(b-'0')
		if n >= 1<<32 {
			break
		}
	}
	if s == "" || n >= 1<<32 {
		return 0, fmt.Errorf("%s %q; expected a number", column, s)
	}
	return uint32(n), nil
}
