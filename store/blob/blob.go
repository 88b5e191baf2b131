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
	// Publish lets all files be seen, which are closed: first those in folders, in no order,
	// then the others, one after the other, in the order of Create, so that a file which says
	// that all are there is in no folder, and is created last.
	Publish() error
	// Discard removes what was created. After a Publish without an error it does nothing.
	Discard() error
}

// A File is written by one goroutine at a time. Close makes what is in it durable, Abort lets
// it go; one of them is called.
type File interface {
	io.Writer
	Close() error
	Abort() error
}
