//go:build slow && unix

package main

import "testing"

// TestCrashOfServersAgainAndAgain kills servers under load, over the same root.
func TestCrashOfServersAgainAndAgain(t *testing.T) {
	underLoad(t, 40, (*server).kill)
}

// TestCrashOfServersBesideCommands kills servers while commands import and check.
func TestCrashOfServersBesideCommands(t *testing.T) {
	underLoad(t, 40, (*server).kill, newImporter, repeated("fsck"), repeated("compact"))
}

// TestCrashSuiteOfManyClients looks at longer histories than the normal suite does.
func TestCrashSuiteOfManyClients(t *testing.T) {
	for range 5 {
		seenInOrder(t, 16, 1000, 8)
	}
	oneCreateWins(t, 64, 100)
}

// TestCrashSuiteOfDamage damages files at many places.
func TestCrashSuiteOfDamage(t *testing.T) {
	damageFiles(t, 24, true)
}
