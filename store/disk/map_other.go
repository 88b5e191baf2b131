//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package disk

import (
	"io"
	"os"
)

// Map gives the bytes of an open file, for reading alone. This platform reads them; others
// give the file itself.
func Map(f *os.File) ([]byte, error) { return io.ReadAll(f) }
