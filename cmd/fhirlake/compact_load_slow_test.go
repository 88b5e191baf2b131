//go:build slow && unix

package main

import "testing"

// TestCrashOfServersThatCompact kills servers that compact all the time, over several
// roots: each round reads again all that any round before wrote.
func TestCrashOfServersThatCompact(t *testing.T) {
	for range 6 {
		killWhileCompacting(t, 10)
	}
}
