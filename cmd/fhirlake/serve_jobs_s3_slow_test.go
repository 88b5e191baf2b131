//go:build slow && unix

package main

import (
	"testing"
	"time"
)

// TestCrashOfJobsOverS3 kills at more requests, and at more moments after the last one.
func TestCrashOfJobsOverS3(t *testing.T) {
	var after []time.Duration
	for i := range 20 {
		after = append(after, time.Duration(i*i)*50*time.Microsecond)
	}
	crashOverS3(t, 8, []int{1, 2, 3, 5, 8}, after)
}
