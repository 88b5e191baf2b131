//go:build slow && unix

package main

import "testing"

// TestCrashOfServersAgainAndAgain kills servers under load, over the same root.
func TestCrashOfServersAgainAndAgain(t *testing.T) {
	underLoad(t, 40, (*server).kill)
}
