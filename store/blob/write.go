package blob

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
	"golang.org/x/sync/errgroup"
)

// OutputOptions say how objects are stored.
type OutputOptions struct {
	KMSKeyID string // encrypts with this key (SSE-KMS); "": as the bucket does
	// Replace says that the place belongs to the job alone: what is there is of an earlier
	// run of it, and goes.
	Replace bool
}

// Output makes an output of a place in a bucket, below which nothing is yet: else, unless it is
// replaced, the error is a [*NotEmptyError]. Objects are sent in parts while they are written, and are seen when
// Publish has named them whole, one after the other. The output is used until ctx ends.
func (c *Client) Output(ctx context.Context, u URI, o OutputOptions) (Output, error) {
	if _, path, ok, err := c.folder(u); ok || err != nil {
		if err != nil {
			return nil, err
		}
		if o.Replace {
			if err := empty(path); err != nil {
				return nil, err
			}
		}
		return NewFolder(path)
	}
	s3, err := c.s3(u)
	if err != nil {
		return nil, err
	}
	there, err := c.List(ctx, u)
	if err != nil {
		return nil, err
	}
	if len(there) > 0 && !o.Replace {
		return nil, &NotEmptyError{u.String(), there[0].Name}
	}
	b := &bucket{c: c, ctx: ctx, s3: s3, at: u}
	if o.KMSKeyID != "" {
		if b.sse, err = encrypt.NewSSEKMS(o.KMSKeyID, nil); err != nil {
			return nil, &Error{URI: u, Found: fmt.Sprintf("the key %q cannot be used: %v", o.KMSKeyID, err), Err: err}
		}
	}
	if o.Replace {
		if err := b.empty(there); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// empty removes what an earlier run of the job has left: objects, those that are in no
// folder first, since such a one may say that the rest is there, and what was sent for others.
func (b *bucket) empty(there []Object) error {
	for _, folders := range []bool{false, true} {
		some := slices.DeleteFunc(slices.Clone(there), func(o Object) bool { return strings.Contains(o.Name, "/") != folders })
		if err := b.c.remove(b.ctx, b.s3, b.at, some); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(b.ctx, b.c.o.Stall)
	defer cancel()
	for u := range b.s3.Client.ListIncompleteUploads(ctx, b.at.Bucket, b.at.Below("").Key, true) {
		if u.Err != nil {
			break // nobody sees them, and not every service or user may list them
		}
		// The same for taking them back.
		_ = b.s3.AbortMultipartUpload(ctx, b.at.Bucket, u.Key, u.UploadID)
	}
	return b.ctx.Err()
}

// remove removes objects of one bucket, below a place.
func (c *Client) remove(ctx context.Context, s3 *minio.Core, at URI, all []Object) error {
	if len(all) == 0 {
		return nil
	}
	const atOnce = 1000 // a request has no more
	for part := range slices.Chunk(all, atOnce) {
		err := c.again(ctx, at, "remove", c.o.Stall+completeTime, func(ctx context.Context) (bool, error) {
			names := make(chan minio.ObjectInfo, len(part))
			for _, o := range part {
				names <- minio.ObjectInfo{Key: o.URI.Key}
			}
			close(names)
			var err error
			for fault := range s3.Client.RemoveObjects(ctx, at.Bucket, names, minio.RemoveObjectsOptions{}) {
				err = cmp.Or(err, fault.Err)
			}
			return false, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket is an output of objects.
type bucket struct {
	c   *Client
	ctx context.Context
	s3  *minio.Core
	at  URI
	sse encrypt.ServerSide

	mu    sync.Mutex
	files []*upload // that are not published
	shown []Object  // that are, while others are not
}

func (b *bucket) options() minio.PutObjectOptions {
	return minio.PutObjectOptions{
		ServerSideEncryption: b.sse, ContentType: "application/octet-stream",
		UserMetadata: map[string]string{"X-Amz-Checksum-Algorithm": "CRC32C"},
	}
}

// requestsAtOnce is how many requests without data are made at a time for the objects of an
// output: of small ones there may be thousands, and each request waits for the service.
const requestsAtOnce = 16

// Create makes an object, of which the service is told when the first part is sent.
func (b *bucket) Create(name string) (File, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil, fmt.Errorf("create %s: the name leads out of the place", name)
	}
	u := &upload{of: b, at: b.at.Below(name), folder: strings.Contains(name, "/"), parts: map[int]minio.CompletePart{}}
	b.mu.Lock()
	b.files = append(b.files, u)
	b.mu.Unlock()
	return u, nil
}

// completeTime is how long a service may think before it has made an object of its parts.
const completeTime = 2 * time.Minute

// Publish names the objects whole.
func (b *bucket) Publish() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, folder := range []bool{true, false} {
		atOnce := 1
		if folder {
			atOnce = requestsAtOnce
		}
		if err := b.complete(folder, atOnce); err != nil {
			return err
		}
	}
	b.shown = nil
	return nil
}

// complete names those objects whole that are in a folder, or those that are in none. After
// an error no other is begun, but those that were are waited for: they may be seen.
func (b *bucket) complete(folder bool, atOnce int) error {
	var (
		g      errgroup.Group
		mu     sync.Mutex
		failed bool
	)
	g.SetLimit(atOnce)
	for _, u := range b.files {
		if u.folder != folder {
			continue
		}
		g.Go(func() error {
			mu.Lock()
			stop := failed
			mu.Unlock()
			if stop {
				return nil
			}
			err := b.c.again(b.ctx, u.at, "write", completeTime+b.c.o.Stall, u.complete)
			mu.Lock()
			defer mu.Unlock()
			if failed = failed || err != nil; err == nil {
				u.done = true
				b.shown = append(b.shown, Object{URI: u.at})
			}
			return err
		})
	}
	err := g.Wait()
	b.files = slices.DeleteFunc(b.files, func(u *upload) bool { return u.done })
	return err
}

// Discard takes back what was sent. It works after the end of ctx too.
func (b *bucket) Discard() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := context.WithoutCancel(b.ctx)
	ctx, cancel := context.WithTimeout(all, b.c.o.Stall)
	defer cancel()
	slices.Reverse(b.shown)
	err := b.c.remove(ctx, b.s3, b.at, b.shown)
	err = cmp.Or(err, b.takeBack(all))
	b.shown, b.files = nil, nil
	if err != nil {
		return &leftError{err}
	}
	return nil
}

// leftError says that Discard could not. It stands beside the error that was the reason for
// it, which names the place.
type leftError struct{ err error }

func (e *leftError) Error() string {
	found := e.err.Error()
	var known *Error
	if errors.As(e.err, &known) {
		found = known.Found
	}
	return "some of what was sent may be left: " + found
}

func (e *leftError) Unwrap() error { return e.err }

// takeBack removes the parts of all uploads. When one request stalls, it does not wait for
// the others.
func (b *bucket) takeBack(ctx context.Context) error {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	var g errgroup.Group
	g.SetLimit(requestsAtOnce)
	for _, u := range b.files {
		u.wait.Wait()
		u.drop()
		if u.id == "" {
			continue
		}
		g.Go(func() error {
			once, cancel := context.WithTimeout(ctx, b.c.o.Stall)
			defer cancel()
			err := b.s3.AbortMultipartUpload(once, u.at.Bucket, u.at.Key, u.id)
			if err != nil && once.Err() != nil {
				giveUp()
			}
			return b.c.fault(u.at, "take back", err)
		})
	}
	return g.Wait()
}

// upload is an object that is being written.
type upload struct {
	of     *bucket
	at     URI
	folder bool    // it is in a folder of the output
	done   bool    // it is named whole
	id     string  // "" before the first part
	buf    *[]byte // of the part that is being filled
	next   int     // number of the next part, from 0
	wait   sync.WaitGroup

	mu    sync.Mutex
	parts map[int]minio.CompletePart
	err   error
	size  int64
}

// Write implements [File]. It waits while too many parts are on their way.
func (u *upload) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if u.buf == nil {
			u.buf = u.of.c.free.Get().(*[]byte)
		}
		m := min(len(p), cap(*u.buf)-len(*u.buf))
		*u.buf = append(*u.buf, p[:m]...)
		n, p = n+m, p[m:]
		u.size += int64(m)
		if len(*u.buf) == cap(*u.buf) {
			if err := u.send(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// begin tells the service of the object.
func (u *upload) begin() error {
	return u.of.c.again(u.of.ctx, u.at, "write", u.of.c.o.Stall, func(ctx context.Context) (_ bool, err error) {
		u.id, err = u.of.s3.NewMultipartUpload(ctx, u.at.Bucket, u.at.Key, u.of.options())
		return false, err
	})
}

// send sends the part that is filled.
func (u *upload) send() error {
	if u.id == "" {
		if err := u.begin(); err != nil {
			return err
		}
	}
	select {
	case u.of.c.parts <- struct{}{}:
	case <-u.of.ctx.Done():
		return u.of.ctx.Err()
	}
	buf := u.buf
	u.buf = nil
	u.next++
	number := u.next
	u.wait.Go(func() {
		part, err := u.put(number, *buf)
		*buf = (*buf)[:0]
		u.of.c.free.Put(buf)
		<-u.of.c.parts
		u.mu.Lock()
		defer u.mu.Unlock()
		u.parts[number] = part
		if u.err == nil {
			u.err = err
		}
	})
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (u *upload) put(number int, data []byte) (part minio.CompletePart, err error) {
	sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(data, castagnoli)))
	c := u.of.c
	may := c.o.Stall + time.Duration(len(data))*time.Microsecond // at 1 MB/s
	err = c.again(u.of.ctx, u.at, "write", may, func(ctx context.Context) (bool, error) {
		// The checksum stands for a hash of the part, which costs more than all else.
		done, err := u.of.s3.PutObjectPart(ctx, u.at.Bucket, u.at.Key, u.id, number, bytes.NewReader(data), int64(len(data)), minio.PutObjectPartOptions{
			SSE: u.of.sse, DisableContentSha256: true,
			CustomHeader: map[string][]string{"X-Amz-Checksum-Crc32c": {sum}},
		})
		part = minio.CompletePart{PartNumber: number, ETag: done.ETag, ChecksumCRC32C: done.ChecksumCRC32C}
		return false, err
	})
	return part, err
}

// Close sends the rest. An object without a byte has one part.
func (u *upload) Close() error {
	if u.buf == nil && u.next == 0 {
		u.buf = u.of.c.free.Get().(*[]byte)
	}
	var err error
	if u.buf != nil {
		err = u.send()
	}
	u.wait.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	return errors.Join(err, u.err)
}

// Abort leaves the object to Discard.
func (u *upload) Abort() error {
	u.wait.Wait()
	u.drop()
	return nil
}

// drop gives the memory of a part back that will not be sent.
func (u *upload) drop() {
	if u.buf != nil {
		*u.buf = (*u.buf)[:0]
		u.of.c.free.Put(u.buf)
		u.buf = nil
	}
}

// complete names the object whole. When the answer to that was lost, asking again finds no
// upload, but the object.
func (u *upload) complete(ctx context.Context) (bool, error) {
	parts := make([]minio.CompletePart, u.next)
	for i := range parts {
		parts[i] = u.parts[i+1]
	}
	_, err := u.of.s3.CompleteMultipartUpload(ctx, u.at.Bucket, u.at.Key, u.id, parts, minio.PutObjectOptions{ServerSideEncryption: u.of.sse})
	var s3 minio.ErrorResponse
	if errors.As(err, &s3) && s3.Code == minio.NoSuchUpload {
		info, serr := u.of.s3.StatObject(ctx, u.at.Bucket, u.at.Key, minio.StatObjectOptions{})
		if serr == nil && info.Size == u.size {
			return false, nil
		}
	}
	return false, err
}
