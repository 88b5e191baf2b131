//go:build !linux

package pipeline

// toBackground does nothing where threads have no priorities of their own.
func toBackground() {}
