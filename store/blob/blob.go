// Package blob owns the places outside of a root where files of a job come to lie: local
// folders and buckets. What is in the files is others' business.
//
// Read [Output] first.
package blob

import "io"

// An Output takes the files of one job. Names are relative, with forward slashes. Its
// methods are called from one goroutine; the files may be written by others.
type Output interface {
	// Create makes a file, which must not be there yet. Nobody sees it before Publish.
	Create(name string) (File, error)
	// Publish lets all files be seen, which are closed. Folders of a bucket are seen one
	// file after the other, so what says that a job has ended is written after it.
	Publish() error
	// Discard removes what was not published. After Publish it does nothing.
	Discard() error
}

// A File is written by one goroutine at a time. Close makes what is in it durable, Abort lets
// it go; one of them is called.
type File interface {
	io.Writer
	Close() error
	Abort() error
}
