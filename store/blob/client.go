package blob

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Options say where buckets are. The zero value is Amazon S3, with credentials from the
// usual places.
type Options struct {
	Endpoint string // URL of another service; "": Amazon S3
	Region   string // "": asked of the service
	// Credentials; nil: the environment, the shared credentials file, the role of the
	// instance, the first that has some.
	Credentials *credentials.Credentials
	Transport   http.RoundTripper // nil: that of the library

	// Folders are buckets that are local folders, by their names.
	Folders map[string]string

	PartBytes int64         // of a part of a big object; 0: 16 MiB
	Parts     int           // that are on their way at a time, of all objects; 0: 4
	Stall     time.Duration // without a byte, after which a request is made again; 0: 30 s
	Attempts  int           // of a request that brings nothing; 0: 10, which takes some 20 s
}

// FromEnvironment gives the options that the variables of AWS clients say:
// AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_REGION or AWS_DEFAULT_REGION.
func FromEnvironment() Options {
	first := func(names ...string) string {
		for _, n := range names {
			if v := os.Getenv(n); v != "" {
				return v
			}
		}
		return ""
	}
	return Options{
		Endpoint: first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
		Region:   first("AWS_REGION", "AWS_DEFAULT_REGION"),
	}
}

// Client reads and writes what is in buckets. It is safe for concurrent use, and makes no
// connection before it is used.
type Client struct {
	o     Options
	creds *credentials.Credentials
	parts chan struct{} // a place for each part on its way
	free  sync.Pool     // of *[]byte of PartBytes

	once sync.Once
	core *minio.Core
	err  error
}

// New makes a client.
func New(o Options) *Client {
	if o.PartBytes <= 0 {
		o.PartBytes = 16 << 20
	}
	if o.Parts <= 0 {
		o.Parts = 4
	}
	if o.Stall <= 0 {
		o.Stall = 30 * time.Second
	}
	if o.Attempts <= 0 {
		o.Attempts = 10
	}
	c := &Client{o: o, creds: o.Credentials, parts: make(chan struct{}, o.Parts)}
	if c.creds == nil {
		c.creds = credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{Client: &http.Client{Timeout: 5 * time.Second}},
		})
	}
	c.free.New = func() any {
		b := make([]byte, 0, o.PartBytes)
		return &b
	}
	return c
}

// folder gives the local path of a place, when its bucket is a folder.
func (c *Client) folder(u URI) (dir, path string, ok bool, err error) {
	dir, ok = c.o.Folders[u.Bucket]
	if !ok {
		return "", "", false, nil
	}
	if u.Key != "" && !filepath.IsLocal(filepath.FromSlash(u.Key)) {
		return "", "", true, &Error{URI: u, Found: "the key leads out of the folder of the bucket", Hint: "use a key without .."}
	}
	return dir, filepath.Join(dir, filepath.FromSlash(u.Key)), true, nil
}

// s3 gives the connection.
func (c *Client) s3(u URI) (*minio.Core, error) {
	c.once.Do(func() { c.core, c.err = c.connect() })
	if c.err != nil {
		return nil, &Error{URI: u, Found: c.err.Error(), Hint: "correct the endpoint: http://host:port or https://host", Err: c.err}
	}
	return c.core, nil
}

func (c *Client) connect() (*minio.Core, error) {
	host, secure := "s3.amazonaws.com", true
	if c.o.Endpoint != "" {
		e, err := url.Parse(c.o.Endpoint)
		if err != nil || e.Host == "" || e.Scheme != "http" && e.Scheme != "https" || strings.Trim(e.Path, "/") != "" {
			return nil, fmt.Errorf("the endpoint %q is no URL of a service", c.o.Endpoint)
		}
		host, secure = e.Host, e.Scheme == "https"
	}
	transport := c.o.Transport
	if transport == nil {
		t, err := minio.DefaultTransport(secure)
		if err != nil {
			return nil, err
		}
		t.MaxIdleConnsPerHost = 64
		transport = t
	}
	return minio.NewCore(host, &minio.Options{
		Creds: c.creds, Secure: secure, Region: c.o.Region, Transport: transport, MaxRetries: 1, // see again
	})
}

// Error says what is wrong with a place in a bucket, and what to do.
type Error struct {
	URI   URI
	Found string
	Hint  string // "" when there is none
	Err   error  // nil, or what the service or the system said
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("%s: %s", e.URI, e.Found)
	}
	return fmt.Sprintf("%s: %s; %s", e.URI, e.Found, e.Hint)
}

func (e *Error) Unwrap() error { return e.Err }

// Place is what the error is about, which its text begins with.
func (e *Error) Place() string { return e.URI.String() }

// fault makes an error of what the service said.
func (c *Client) fault(u URI, doing string, err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) || errors.Is(err, ErrChanged) {
		return err
	}
	e := &Error{URI: u, Err: err}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		// Who asked has not given up: see again.
		e.Found, e.Hint = fmt.Sprintf("%s: the service does not answer, or stops in the middle", doing), "see that the endpoint is right and can be reached, and start again"
		return e
	}
	var r minio.ErrorResponse
	if !errors.As(err, &r) || r.StatusCode == 0 && r.Code == "" {
		e.Found = fmt.Sprintf("%s: %v", doing, err)
		e.Hint = "see that the endpoint is right and can be reached"
		return e
	}
	e.Found = fmt.Sprintf("%s: the service says %s (%d)", doing, r.Code, r.StatusCode)
	switch r.Code {
	case minio.NoSuchBucket:
		e.Found, e.Hint = "there is no such bucket", "see the name, the region and the endpoint"
	case minio.NoSuchKey:
		e.Found = "there is no such object"
	case minio.AccessDenied, "Forbidden", "AllAccessDisabled":
		e.Found, e.Hint = doing+": access is denied", "the credentials need s3:ListBucket, and s3:GetObject to import, or s3:PutObject and s3:DeleteObject to write"
		if v, err := c.creds.GetWithContext(nil); err != nil || v.AccessKeyID == "" {
			e.Found, e.Hint = doing+": access is denied, and there are no credentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials"
		}
	case "InvalidAccessKeyId", "SignatureDoesNotMatch":
		e.Hint = "see the credentials, and the clock of this machine"
	case "ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired":
		e.Hint = "the credentials are no longer valid; get new ones and start again"
	case "RequestTimeTooSkewed":
		e.Hint = "set the clock of this machine"
	case "SlowDown", "ServiceUnavailable", "InternalError", "SlowDownRead", "SlowDownWrite":
		e.Hint = "the service is overloaded; start again later"
	case "PermanentRedirect", "AuthorizationHeaderMalformed":
		e.Hint = "set AWS_REGION to the region of the bucket"
	}
	return e
}

// again makes a request until it has no error, or has failed so often without bringing anything.
// What f is given ends when it may have stalled; f says whether it brought something.
func (c *Client) again(ctx context.Context, at URI, doing string, may time.Duration, f func(ctx context.Context) (progress bool, err error)) error {
	for failed := 0; ; {
		once, cancel := ctx, context.CancelFunc(func() {})
		if may > 0 {
			once, cancel = context.WithTimeout(ctx, may)
		}
		progress, err := f(once)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if progress {
			failed = 0
		}
		failed++
		var s3 minio.ErrorResponse
		if errors.As(err, &s3) && s3.StatusCode != 0 && s3.StatusCode/100 != 5 && s3.StatusCode != http.StatusTooManyRequests {
			if failed > 1 || !c.expired(err) {
				return c.fault(at, doing, err)
			}
			continue
		}
		var known *Error
		if failed >= c.o.Attempts || errors.As(err, &known) || errors.Is(err, ErrChanged) {
			return c.fault(at, doing, err)
		}
		select {
		case <-time.After(min(50*time.Millisecond<<failed, 5*time.Second)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// expired tells whether the service refuses credentials because their time is over. Those
// of a role or a file may be new by now, so that they are read again.
func (c *Client) expired(err error) bool {
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		return false
	}
	switch r.Code {
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		c.creds.Expire()
		return true
	}
	return false
}
