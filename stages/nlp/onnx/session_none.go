//go:build !onnx

package onnx

const built = false

func openSession(string, string, int) (session, error) { return nil, ErrNotBuilt }
