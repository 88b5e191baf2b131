package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// Object is something in a bucket, as it was listed.
type Object struct {
	URI      URI
	Name     string // its key below the place that was listed; "" when it is that place
	Size     int64
	Modified time.Time
	ETag     string // "" in a bucket that is a folder
	Path     string // of the file, in a bucket that is a folder
}

// List gives the objects at a place and below it, in the order of their keys. Keys that
// end in a slash, which some programs make to show folders, are left out.
func (c *Client) List(ctx context.Context, u URI) ([]Object, error) {
	if dir, path, ok, err := c.folder(u); ok || err != nil {
		if err != nil {
			return nil, err
		}
		return listFolder(ctx, u, dir, path)
	}
	s3, err := c.s3(u)
	if err != nil {
		return nil, err
	}
	l := listing{c: c, s3: s3, at: u}
	if err := c.again(ctx, u, "list", 0, l.goOn); err != nil {
		return nil, err
	}
	return l.all, nil
}

// listing is a list of objects that is asked for page by page.
type listing struct {
	c    *Client
	s3   *minio.Core
	at   URI
	all  []Object
	last string // key that came last
}

// goOn asks for what comes after the last key that was seen.
func (l *listing) goOn(ctx context.Context) (progress bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the goroutine of the listing
	stalled := time.AfterFunc(l.c.o.Stall, cancel)
	defer stalled.Stop()
	o := minio.ListObjectsOptions{Prefix: l.at.Key, Recursive: true, StartAfter: l.last}
	for o := range l.s3.Client.ListObjects(ctx, l.at.Bucket, o) {
		stalled.Reset(l.c.o.Stall)
		if o.Err != nil {
			return progress, o.Err
		}
		progress, l.last = true, o.Key
		name, ok := l.at.nameOf(o.Key)
		if !ok || strings.HasSuffix(o.Key, "/") {
			continue
		}
		l.all = append(l.all, Object{
			URI: URI{l.at.Bucket, o.Key}, Name: name, Size: o.Size, Modified: o.LastModified, ETag: o.ETag,
		})
	}
	return progress, ctx.Err()
}

func listFolder(ctx context.Context, u URI, dir, path string) ([]Object, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, &Error{URI: u, Found: fmt.Sprintf("the folder of the bucket, %s, cannot be read: %v", dir, err), Err: err}
	}
	var all []Object
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && p == path {
			return fs.SkipAll
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if p != path && strings.HasPrefix(d.Name(), stagedPrefix) && d.IsDir() {
			return fs.SkipDir
		}
		if d.IsDir() {
			return nil
		}
		info, err := os.Stat(p) // follows a link
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		key := filepath.ToSlash(rel)
		name, _ := u.nameOf(key)
		all = append(all, Object{
			URI: URI{u.Bucket, key}, Name: name, Size: info.Size(), Modified: info.ModTime(), Path: p,
		})
		return nil
	})
	if err != nil {
		return nil, &Error{URI: u, Found: "list: " + err.Error(), Err: err}
	}
	return all, nil
}

// ErrChanged says that an object is not the one that was listed.
var ErrChanged = errors.New("the object was written again, or removed, while it was read")

// Reader reads one object that was listed, any part of it by many goroutines at a time.
// What fails on its way or stalls is asked for again from where it stopped.
type Reader struct {
	c   *Client
	ctx context.Context
	o   Object

	at   int64         // of Read
	body io.ReadCloser // that Read is in
}

// Open makes a reader of an object in a bucket that is no folder. It lives until ctx ends or
// Close. Nothing is asked of the service yet.
func (c *Client) Open(ctx context.Context, o Object) *Reader {
	return &Reader{c: c, ctx: ctx, o: o}
}

// ReadAt implements [io.ReaderAt]. The error is [ErrChanged] when the object is not what it was.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off >= r.o.Size {
		return 0, io.EOF
	}
	short := false
	if rest := r.o.Size - off; int64(len(p)) > rest {
		p, short = p[:rest], true
	}
	err = r.again(func() (bool, error) {
		body, err := r.get(off+int64(n), off+int64(len(p)))
		if err != nil {
			return false, err
		}
		m, err := io.ReadFull(body, p[n:])
		n += m
		body.Close()
		return m > 0, err
	})
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// Read implements [io.Reader]: from start to end, by one goroutine.
func (r *Reader) Read(p []byte) (n int, err error) {
	rest := r.o.Size - r.at
	if rest <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), rest)] // the service may give more
	if len(p) == 0 {
		return 0, nil
	}
	err = r.again(func() (bool, error) {
		if r.body == nil {
			var err error
			if r.body, err = r.get(r.at, r.o.Size); err != nil {
				return false, err
			}
		}
		var err error
		n, err = r.body.Read(p)
		if n == 0 && err == nil {
			return true, nil
		}
		if n == 0 {
			r.body.Close()
			r.body = nil
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return false, err
		}
		return true, nil
	})
	r.at += int64(n)
	return n, err
}

// Close ends what Read has begun.
func (r *Reader) Close() error {
	if r.body != nil {
		r.body.Close()
		r.body = nil
	}
	return nil
}

// again is [Client.again] of a request for bytes, which watches over itself.
func (r *Reader) again(f func() (progress bool, err error)) error {
	return r.c.again(r.ctx, r.o.URI, "read", 0, func(context.Context) (bool, error) {
		progress, err := f()
		var s3 minio.ErrorResponse
		if errors.As(err, &s3) && (s3.StatusCode == http.StatusPreconditionFailed || s3.StatusCode == http.StatusNotFound) {
			err = fmt.Errorf("%s: %w", r.o.URI, ErrChanged)
		}
		return progress, err
	})
}

// get asks for the bytes from one on, before another.
func (r *Reader) get(from, to int64) (io.ReadCloser, error) {
	s3, err := r.c.s3(r.o.URI)
	if err != nil {
		return nil, err
	}
	var o minio.GetObjectOptions
	if r.o.ETag != "" {
		err = o.SetMatchETag(r.o.ETag)
	} else {
		// Lists and this header may have whole seconds of a time that has parts of them.
		err = o.SetUnmodified(r.o.Modified.Add(time.Second))
	}
	if err != nil {
		return nil, err
	}
	whole := from == 0 && to == r.o.Size
	if !whole {
		if err := o.SetRange(from, to-1); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(r.ctx)
	b := &body{cancel: cancel, stall: r.c.o.Stall}
	b.timer = time.AfterFunc(b.stall, cancel)
	in, info, header, err := s3.GetObject(ctx, r.o.URI.Bucket, r.o.URI.Key, o)
	if err != nil {
		b.timer.Stop()
		cancel()
		return nil, err
	}
	b.in = in
	switch {
	case !whole && header.Get("Content-Range") == "":
		b.Close()
		return nil, &Error{URI: r.o.URI, Found: "the service gives the whole object when a part is asked for", Hint: "use a service that knows ranges"}
	case !whole && !strings.HasPrefix(header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)):
		b.Close()
		return nil, fmt.Errorf("the service gives another part (%s) than was asked for", header.Get("Content-Range"))
	case r.o.ETag != "" && info.ETag != "" && info.ETag != strings.Trim(r.o.ETag, `"`):
		b.Close()
		return nil, fmt.Errorf("%s: %w", r.o.URI, ErrChanged)
	}
	return b, nil
}

// body is an answer that is given up when nothing comes.
type body struct {
	in     io.ReadCloser
	cancel context.CancelFunc
	timer  *time.Timer
	stall  time.Duration
}

func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.stall)
	return b.in.Read(p)
}

func (b *body) Close() error {
	b.timer.Stop()
	b.cancel()
	return b.in.Close()
}
