package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/nlp/passage"
)

// Version is that of how answers are made into entities.
const Version = "1"

// Options say which service reads texts, and how fast it may be asked. The zero value is
// Amazon's service in the region of the environment.
type Options struct {
	Endpoint string // URL; "": Amazon's, of Region
	Region   string // "": AWS_REGION or AWS_DEFAULT_REGION

	// Operations that are asked; nil: all of [Operations] but InferSNOMEDCT.
	Operations []string

	Unsigned bool // requests have no signature
	// Credentials; nil: the environment, the shared credentials file, the role of the
	// instance, the first that has some.
	Credentials *credentials.Credentials

	// The rates of each operation. 0: the quota that an account has at first when the
	// service is Amazon's, no limit at another Endpoint; negative: no limit.
	RequestsPerSecond   float64
	CharactersPerSecond float64

	Concurrency int               // requests that are on their way at a time; 0: 16
	Timeout     time.Duration     // of one request; 0: 30 s
	MaxAttempts int               // of a request that may succeed when it is sent again; 0: 6
	Transport   http.RoundTripper // nil: one of its own, which keeps Concurrency connections
}

// FromEnvironment gives the options that the variables of AWS clients say:
// AWS_ENDPOINT_URL_COMPREHENDMEDICAL, AWS_REGION, AWS_DEFAULT_REGION. AWS_ENDPOINT_URL has
// no say: where buckets are, notes need not be read.
func FromEnvironment() Options {
	return Options{Endpoint: os.Getenv("AWS_ENDPOINT_URL_COMPREHENDMEDICAL"), Region: environmentRegion()}
}

func environmentRegion() string {
	if r := os.Getenv("AWS_REGION"); r != "" {
		return r
	}
	return os.Getenv("AWS_DEFAULT_REGION")
}

// operation is one that a service may have.
type operation struct {
	name     string
	bytes    int     // that a text may have
	requests float64 // a second, of an account at Amazon
	runes    float64 // a second, likewise
}

// The limits count characters, and in some places of Amazon's documentation bytes: what is
// short enough in bytes is so in characters.
var operations = []operation{
	{"DetectEntitiesV2", 20_000, 40, 40_000},
	{"InferICD10CM", 10_000, 40, 40_000},
	{"InferRxNorm", 10_000, 40, 40_000},
	{"InferSNOMEDCT", 5_000, 2, 5_000},
}

// Operations are the names of the operations that can be asked, in their order.
func Operations() []string {
	var names []string
	for _, o := range operations {
		names = append(names, o.name)
	}
	return names
}

// limited is an operation of a client, with its rates.
type limited struct {
	operation
	requests, characters *rate.Limiter
}

var _ notes.Provider = (*Client)(nil)

// Client has texts read. It is safe for concurrent use; its readers share its connections,
// rates and limits.
type Client struct {
	o        Options
	endpoint string
	asked    []limited
	places   chan struct{} // one for each request on its way
	http     *http.Client
	signer   *v4.Signer
	version  string
	down     atomic.Bool // the last request that was given up had no answer
	wait     func(ctx context.Context, d time.Duration) error
}

// New makes a client. It looks for credentials, and does not ask the service.
func New(o Options) (*Client, error) {
	c := &Client{o: o, wait: wait}
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("reading notes by a service: %w", err)
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{c.endpoint, c.o.Region}, c.o.Operations...), "\n")))
	c.version = hex.EncodeToString(sum[:4])
	return c, nil
}

// complete checks the options and fills in what they leave out.
func (c *Client) complete() error {
	if err := c.place(); err != nil {
		return err
	}
	if c.o.Concurrency <= 0 {
		c.o.Concurrency = 16
	}
	if c.o.Timeout <= 0 {
		c.o.Timeout = 30 * time.Second
	}
	if c.o.MaxAttempts <= 0 {
		c.o.MaxAttempts = 6
	}
	c.places = make(chan struct{}, c.o.Concurrency)
	if err := c.choose(); err != nil {
		return err
	}
	transport := c.o.Transport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, c.o.Concurrency
		transport = t
	}
	// A redirected request would be a note sent to a place that nobody named.
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if c.o.Unsigned {
		return nil
	}
	c.signer = v4.NewSigner()
	if c.o.Credentials == nil {
		c.o.Credentials = credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{Client: &http.Client{Timeout: 5 * time.Second}},
		})
	}
	if v, err := c.o.Credentials.GetWithContext(nil); err != nil || v.AccessKeyID == "" {
		return fmt.Errorf("there are no credentials to sign requests with; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, write ~/.aws/credentials, or turn signing off")
	}
	return nil
}

// place finds out where the service is.
func (c *Client) place() error {
	if c.o.Region == "" {
		c.o.Region = environmentRegion()
	}
	c.endpoint = c.o.Endpoint
	if c.endpoint == "" {
		if c.o.Region == "" {
			return fmt.Errorf("neither an endpoint nor a region is known; name the endpoint, or set AWS_REGION")
		}
		c.endpoint = "https://comprehendmedical." + c.o.Region + ".amazonaws.com"
	}
	u, err := url.Parse(c.endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		// Not with the URL: one with a password is refused here.
		return fmt.Errorf("the endpoint is no URL of a service; it is http://host:port or https://host, with a path if need be")
	}
	if u.Path == "" {
		u.Path = "/"
	}
	c.endpoint = u.String()
	if c.o.Region == "" {
		c.o.Region = "us-east-1"
	}
	return nil
}

// choose takes the operations that are asked for, in the order of [Operations].
func (c *Client) choose() error {
	if c.o.Operations == nil {
		c.o.Operations = Operations()[:3]
	}
	for _, name := range c.o.Operations {
		if !slices.Contains(Operations(), name) {
			return fmt.Errorf("there is no operation %q; there are %s", name, strings.Join(Operations(), ", "))
		}
	}
	quota := func(wanted, amazon float64) rate.Limit {
		switch {
		case wanted > 0:
			return rate.Limit(wanted)
		case wanted == 0 && c.o.Endpoint == "":
			return rate.Limit(amazon)
		}
		return rate.Inf
	}
	names := c.o.Operations
	c.o.Operations = nil
	for _, op := range operations {
		if !slices.Contains(names, op.name) {
			continue
		}
		perSecond := quota(c.o.RequestsPerSecond, op.requests)
		c.asked = append(c.asked, limited{
			operation: op,
			requests:  rate.NewLimiter(perSecond, max(1, int(min(float64(perSecond), 1000)/10))),
			// The longest text has to fit.
			characters: rate.NewLimiter(quota(c.o.CharactersPerSecond, op.runes), op.bytes),
		})
		c.o.Operations = append(c.o.Operations, op.name)
	}
	if len(c.asked) == 0 {
		return fmt.Errorf("no operation is asked for; there are %s", strings.Join(Operations(), ", "))
	}
	return nil
}

// Version names how answers are read, and which service and operations give them. Which
// model the service has is not known before it is asked: it is no part of it.
func (c *Client) Version() (engine, dictionary string) { return "remote-" + Version, c.version }

// NewReader gives what one worker asks.
func (c *Client) NewReader() (notes.Reader, error) { return &reader{c: c}, nil }

// reader has the texts of one worker read.
type reader struct {
	c     *Client
	parts [][]part // of each operation
}

// Append asks the service. The error is an *[Error], or that of ctx.
func (r *reader) Append(ctx context.Context, dst, text []byte) ([]byte, error) {
	text = passage.Valid(text) // the limits are those of what is sent
	r.parts = r.parts[:0]
	for _, op := range r.c.asked {
		r.parts = append(r.parts, split(text, op.bytes))
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(r.c.o.Concurrency) // more could not be sent anyway
	found := make([][][]mention, len(r.parts))
	for i, parts := range r.parts {
		found[i] = make([][]mention, len(parts))
		for k, p := range parts {
			g.Go(func() (err error) {
				found[i][k], err = r.c.ask(gctx, &r.c.asked[i], p)
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			return dst, ctx.Err()
		}
		return dst, err
	}
	return appendMentions(dst, merge(found)), nil
}
