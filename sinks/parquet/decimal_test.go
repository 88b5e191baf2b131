package parquet_test

import (
	"math/big"
	"strings"
)

// decimalText gives a JSON number as DECIMAL(38,6) shows it, by way of big.Rat.
func decimalText(s string) (string, bool) {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return "", false
	}
	scaled := new(big.Rat).Mul(r, new(big.Rat).SetInt64(1e6))
	if !scaled.IsInt() || len(strings.TrimPrefix(scaled.Num().String(), "-")) > 38 {
		return "", false
	}
	return r.FloatString(6), true
}
