package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/time/rate"

	"github.com/fhirlake/fhirlake/fhir"
)

const (
	service = "comprehendmedical" // the name that requests are signed for
	target  = "ComprehendMedical_20181030."

	firstWait = 200 * time.Millisecond // before the second attempt; doubled for each other one
	longWait  = 10 * time.Second       // the longest of our own
	// maxRetryAfter is the longest that the service may tell us to wait: a worker waits with it.
	maxRetryAfter = time.Minute

	// maxAnswer is many times what a text of 20,000 bytes is answered with.
	maxAnswer = 32 << 20
)

// Names of errors that say try again, whatever the status of HTTP.
var transient = []string{
	"ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException", "RequestThrottled", "RequestThrottledException",
	"RequestLimitExceeded", "ProvisionedThroughputExceededException", "SlowDown", "LimitExceededException", "RequestTimeout",
	"RequestTimeoutException", "ServiceUnavailable", "ServiceUnavailableException", "InternalServerException", "InternalFailure", "InternalServerError",
}

// Names of errors that say that the time of credentials is over. Those of a role or a file may be
// new by now, so that they are read again.
var expired = []string{"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}

// ask has one part read by one operation, as often as it takes.
func (c *Client) ask(ctx context.Context, op *limited, p part) ([]mention, error) {
	body := fhir.AppendQuoted([]byte(`{"Text":`), string(p.text))
	body = append(body, '}')
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	attempts, renewed := c.o.MaxAttempts, false
	if c.down.Load() {
		// Each text of a job would else wait for a service that is gone.
		attempts = 1
	}
	for n := 1; ; n++ {
		if err := op.turn(ctx, utf8.RuneCount(p.text)); err != nil {
			return nil, err
		}
		answer, after, err := c.send(ctx, op.name, body, hash)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			c.down.Store(false)
			return op.mentions(answer, p)
		}
		err.Attempts = n
		if err.Status != 0 {
			c.down.Store(false)
		}
		switch again := c.again(err); {
		case !renewed && !c.o.Unsigned && slices.Contains(expired, err.Type):
			c.o.Credentials.Expire()
			renewed = true
			continue
		case !again:
			return nil, err
		case n >= attempts:
			if err.Status == 0 || err.Status/100 == 5 {
				c.down.Store(true)
			}
			return nil, err
		}
		if err := c.wait(ctx, max(after, pause(n))); err != nil {
			return nil, err
		}
	}
}

// turn waits until the rates of the operation have room for a text.
func (op *limited) turn(ctx context.Context, characters int) error {
	err := op.requests.Wait(ctx)
	if err == nil {
		err = waitN(ctx, op.characters, characters)
	}
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return &Error{Operation: op.name, Found: "the rate limit has no room for it in the time that is left", Err: err}
}

func waitN(ctx context.Context, l *rate.Limiter, n int) error {
	return l.WaitN(ctx, min(n, l.Burst()))
}

// pause is how long to wait after the nth attempt: half of it is by chance, so that workers
// that were refused together do not come again together.
func pause(n int) time.Duration {
	d := longWait
	if n < 8 {
		d = min(firstWait<<(n-1), longWait)
	}
	return d/2 + rand.N(d/2)
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// again tells whether a request that failed so may succeed when it is sent again.
func (c *Client) again(err *Error) bool {
	switch {
	case slices.Contains(transient, err.Type):
		return true
	case err.Status == 0:
		var certificate *tls.CertificateVerificationError
		return !errors.As(err.Err, &certificate) && !errors.Is(err.Err, errNotSent)
	case err.Status == http.StatusOK: // the answer broke off, or is none
		return err.Err != nil
	}
	return err.Status/100 == 5 && err.Status != http.StatusNotImplemented || err.Status == http.StatusTooManyRequests || err.Status == http.StatusRequestTimeout
}

// errNotSent is the cause of an error that is ours: it comes again.
var errNotSent = errors.New("not sent")

// send sends a request once and reads its answer. after is what the service wants to be waited for.
func (c *Client) send(ctx context.Context, operation string, body []byte, hash string) (answer []byte, after time.Duration, fault *Error) {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-ctx.Done():
		return nil, 0, &Error{Operation: operation, Found: "given up", Err: ctx.Err()}
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, 0, &Error{Operation: operation, Found: "the endpoint is no URL of a service", Err: errNotSent}
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", target+operation)
	r.Header.Set("User-Agent", "fhirlake")
	if err := c.sign(ctx, r, hash); err != nil {
		return nil, 0, &Error{Operation: operation, Found: "there are no credentials to sign the request with", Err: errNotSent}
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, 0, &Error{Operation: operation, Found: noAnswer(err), Err: err}
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if resp.StatusCode != http.StatusOK {
		return nil, retryAfter(resp.Header), refusal(operation, resp, answer)
	}
	switch {
	case err != nil:
		return nil, 0, &Error{Operation: operation, Status: resp.StatusCode, Found: "the answer breaks off", Err: err}
	case len(answer) > maxAnswer:
		return nil, 0, &Error{Operation: operation, Status: resp.StatusCode, Found: "the answer is too long"}
	}
	return answer, 0, nil
}

func (c *Client) sign(ctx context.Context, r *http.Request, hash string) error {
	if c.o.Unsigned {
		return nil
	}
	v, err := c.o.Credentials.GetWithContext(nil)
	if err != nil {
		return err
	}
	if v.AccessKeyID == "" {
		return errNotSent
	}
	key := aws.Credentials{AccessKeyID: v.AccessKeyID, SecretAccessKey: v.SecretAccessKey, SessionToken: v.SessionToken}
	return c.signer.SignHTTP(ctx, key, r, hash, service, c.o.Region, time.Now())
}

// noAnswer says why there is none, without what the system says: it may name what it was sent.
func noAnswer(err error) string {
	var certificate *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &certificate):
		return "the certificate of the service is not trusted"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "the service does not answer in time"
	}
	return "the service cannot be reached, or breaks the connection"
}

// refusal is the error that an answer with another status than 200 says.
func refusal(operation string, resp *http.Response, body []byte) *Error {
	var said struct {
		Type string `json:"__type"`
		Code string `json:"code"`
	}
	e := &Error{Operation: operation, Status: resp.StatusCode, Found: "the service refuses"}
	if e.Type = errorType(resp.Header.Get("X-Amzn-ErrorType")); e.Type == "" && json.Unmarshal(body, &said) == nil {
		if e.Type = errorType(said.Type); e.Type == "" {
			e.Type = errorType(said.Code)
		}
	}
	return e
}

// retryAfter reads the header of that name: seconds, or a time.
func retryAfter(h http.Header) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	var d time.Duration
	if s, err := strconv.ParseFloat(text, 64); err == nil {
		d = time.Duration(min(max(s, 0), maxRetryAfter.Seconds()) * float64(time.Second))
	} else if t, err := http.ParseTime(text); err == nil {
		d = time.Until(t)
	}
	return min(max(d, 0), maxRetryAfter)
}
