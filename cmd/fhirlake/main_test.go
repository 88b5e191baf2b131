package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary play fhirlake: under that name it is on the PATH
// of scripts and of the tests that start processes.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"fhirlake": main})
}
