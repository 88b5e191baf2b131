//go:build slow && unix

package main

import "testing"

// TestCrashOfServersThatCompact kills servers that compact all the time.
func TestCrashOfServersThatCompact(t *testing.T) { killWhileCompacting(t, 60) }
