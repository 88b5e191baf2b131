//go:build slow && linux

package main

import "testing"

// TestCrashSuiteOfFullDisks fills the disk again and again.
func TestCrashSuiteOfFullDisks(t *testing.T) { fillDisk(t, 20) }
