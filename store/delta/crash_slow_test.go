//go:build slow && unix

package delta

import "testing"

func TestCrashManyTimes(t *testing.T) { crash(t, 150) }
