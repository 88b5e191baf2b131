package ndjson

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/fhirlake/fhirlake/store/blob"
)

// remoteReaders is how many requests for objects of a bucket are made at a time: what one
// waits for is not a processor.
const remoteReaders = 16

// distant is an object that takes a while to open: as long as reading so many bytes. Small
// ones are then not read one after the other by one reader.
type distant interface{ requestCost() int64 }

// bucket adds what is at a place in a bucket: an object, or the objects below it.
func (l *lister) bucket(in string) error {
	u, err := blob.ParseURI(in)
	if err != nil {
		return &InputError{Input: in, Found: "it is no place in a bucket", Expected: "s3://bucket/prefix", Err: err}
	}
	if l.blobs == nil {
		return &InputError{Input: in, Found: "buckets cannot be read here", Expected: expectInput}
	}
	all, err := l.blobs.List(l.ctx, u)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return &InputError{Input: in, Found: "there is no such object, and none below it", Expected: "the key of an object, or what keys begin with before a slash"}
	}
	s := selection{l: l}
	for i := range all {
		o := &all[i]
		if o.Name == "" { // the object itself, whatever its name is
			if err := l.object(o, o.URI.String()); err != nil {
				return err
			}
			if len(all) == 1 {
				return nil
			}
			continue
		}
		if !hidden(o.Name) {
			s.see(o.Name, func() error { return l.object(o, o.Name) })
		}
	}
	return s.take(in)
}

// hidden tells whether a part of a name begins with a dot.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

func (l *lister) object(o *blob.Object, name string) error {
	if o.Path == "" {
		l.objects = append(l.objects, &remoteObject{name: name, o: *o, c: l.blobs})
		l.remote = true
		return nil
	}
	info, err := os.Stat(o.Path)
	if err != nil {
		return inputError(o.Path, err)
	}
	return l.file(o.Path, name, info)
}

// remoteObject is an object of a bucket that is no folder.
type remoteObject struct {
	name string
	o    blob.Object
	c    *blob.Client
}

func (r *remoteObject) Name() string       { return r.name }
func (r *remoteObject) Size() int64        { return r.o.Size }
func (r *remoteObject) requestCost() int64 { return DefaultBatchSize / 4 }

func (r *remoteObject) Open(ctx context.Context) (Handle, error) {
	return &openRemote{r.c.Open(ctx, r.o), r.o.URI.String()}, nil
}

// openRemote asks for the very object that was listed, by its ETag, each time.
type openRemote struct {
	*blob.Reader
	uri string
}

func (h *openRemote) ReadAt(p []byte, off int64) (int, error) {
	n, err := h.Reader.ReadAt(p, off)
	return n, h.fault(err)
}

func (h *openRemote) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	return n, h.fault(err)
}

func (h *openRemote) fault(err error) error {
	if errors.Is(err, blob.ErrChanged) {
		return &ChangedError{Name: h.uri, What: "the object was written again, or removed"}
	}
	return err
}

func (h *openRemote) Unchanged() error { return nil }
