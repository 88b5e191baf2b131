//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package disk

import (
	"errors"
	"os"
)

// ErrLocked says that another holder has a lock that does not go with the one
// wanted.
var ErrLocked = errors.New("locked by another process")

// Lock is not implemented on this platform: without it two processes could
// publish at once, so it always fails.
func Lock(*os.File, bool, bool) error {
	return errors.New("file locks are not supported on this platform")
}

// Alive cannot tell on this platform.
func Alive(int) bool { return false }
