//go:build slow && unix

package main

import "testing"

// TestCrashAtManyMoments spreads kills over the whole run of a larger import.
func TestCrashAtManyMoments(t *testing.T) {
	var shares []float64
	for i := range 40 {
		shares = append(shares, (float64(i)+0.5)/40)
	}
	crash(t, 70, shares, 1)
}

// TestCrashAgainAndAgain kills the repetition of a killed import, too.
func TestCrashAgainAndAgain(t *testing.T) {
	crash(t, 70, []float64{0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98}, 4)
}
