package pipetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Files gives a SinkSetup.Result that prints all files below dir.
func Files(dir string) func() (string, error) {
	return func() (string, error) {
		var s strings.Builder
		err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			rel, _ := filepath.Rel(dir, p)
			fmt.Fprintf(&s, "%s %x\n", rel, b)
			return err
		})
		return s.String(), err
	}
}
