package bulkdata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/fhirlake/fhirlake/sources/ndjson"
)

// download is a file of an export. Its size is not known.
type download struct {
	e         *Export
	url, name string
}

var _ ndjson.Object = (*download)(nil)

func (d *download) Name() string { return d.name }
func (d *download) Size() int64  { return -1 }

func (d *download) Open(ctx context.Context) (ndjson.Handle, error) {
	return &reading{d: d, ctx: ctx}, nil
}

// reading reads a file from start to end. After a connection that breaks it asks for the
// rest, or, when the server gives no parts, for all, of which it has read the beginning.
type reading struct {
	d      *download
	ctx    context.Context
	body   io.ReadCloser
	cancel context.CancelFunc
	timer  *time.Timer
	at     int64
	ended  bool
	etag   string // of the first answer
	size   int64  // that it told; -1 when it did not
	failed int    // since the last byte
}

// stall is how long no byte may come.
const stall = 2 * time.Minute

// Read implements [io.Reader].
func (r *reading) Read(p []byte) (int, error) {
	for {
		if r.ended {
			return 0, io.EOF
		}
		err := error(nil)
		if r.body == nil {
			err = r.open()
		}
		if err == nil {
			r.timer.Reset(stall)
			var n int
			n, err = r.body.Read(p)
			r.at += int64(n)
			if n > 0 {
				r.failed = 0
				return n, nil // an error comes again
			}
			if err == io.EOF {
				r.ended = true
				return 0, r.close()
			}
			if err == nil {
				continue
			}
		}
		r.close()
		if r.ctx.Err() != nil {
			return 0, r.ctx.Err()
		}
		var known *Error
		if r.failed++; errors.As(err, &known) || r.failed >= r.d.e.o.Attempts {
			if known != nil {
				return 0, err
			}
			return 0, &Error{URL: r.d.url, Found: fmt.Sprintf("the file breaks off at byte %d: %v", r.at, err), Hint: "start again", Err: err}
		}
		if err := sleep(r.ctx, r.failed); err != nil {
			return 0, err
		}
	}
}

// open asks for the file from where the reading is.
func (r *reading) open() error {
	header := map[string]string{"Accept": "application/fhir+ndjson", "Accept-Encoding": "identity"}
	if r.at > 0 {
		header["Range"] = fmt.Sprintf("bytes=%d-", r.at)
		if r.etag != "" {
			header["If-Range"] = r.etag
		}
	}
	ctx, cancel := context.WithCancel(r.ctx)
	timer := time.AfterFunc(stall, cancel)
	resp, err := r.d.e.once(ctx, http.MethodGet, r.d.url, header, r.d.e.manifest.RequiresAccessToken)
	if err == nil {
		err = r.take(resp)
	}
	if err != nil {
		timer.Stop()
		cancel()
		return err
	}
	r.body, r.cancel, r.timer = resp.Body, cancel, timer
	return nil
}

// take looks at an answer and skips what was read before.
func (r *reading) take(resp *http.Response) error {
	etag := resp.Header.Get("ETag")
	fail := func(err error) error {
		resp.Body.Close()
		return err
	}
	switch {
	case resp.StatusCode/100 == 5, resp.StatusCode == http.StatusTooManyRequests:
		return fail(fmt.Errorf("the server answers %s", resp.Status))
	case resp.StatusCode == http.StatusPartialContent && r.at > 0:
		var from, to, size int64
		_, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &size)
		switch {
		case err != nil || from != r.at:
			return fail(&Error{URL: r.d.url, Found: fmt.Sprintf("the server gives the part %q where that from byte %d was asked for", clip(resp.Header.Get("Content-Range"), 100), r.at), Hint: "start again"})
		case r.size >= 0 && size != r.size:
			return fail(r.changed())
		}
		return nil
	case resp.StatusCode != http.StatusOK:
		return fail(refused(r.d.url, resp))
	case r.at == 0:
		r.etag, r.size = etag, resp.ContentLength
		return nil
	case etag != r.etag || resp.ContentLength != r.size:
		return fail(r.changed())
	}
	if _, err := io.CopyN(io.Discard, resp.Body, r.at); err != nil {
		return fail(err)
	}
	return nil
}

func (r *reading) changed() error {
	return &Error{URL: r.d.url, Found: "the file changed while it was read", Hint: "start again"}
}

func (r *reading) close() error {
	if r.body == nil {
		return nil
	}
	r.timer.Stop()
	err := r.body.Close()
	r.cancel()
	r.body = nil
	return err
}

// ReadAt is never asked for: the size is not known.
func (r *reading) ReadAt([]byte, int64) (int, error) {
	return 0, errors.New("a download cannot be read at an offset")
}

// Close ends the reading.
func (r *reading) Close() error {
	r.close() // what was asked for and not read is of no interest
	return nil
}

// Unchanged tells nothing: an answer is what it is.
func (r *reading) Unchanged() error { return nil }
