package owner

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/store/root"
)

// How long a client waits: for a connection, for an owner that said it is alive every
// few seconds, and for the work to end after it was cancelled.
const (
	dialTimeout   = 5 * time.Second
	silentTimeout = 12 * aliveInterval
	cancelTimeout = 30 * time.Second
)

// Client sends the work of one command to the owner of a root.
type Client struct {
	owner   root.Owner
	version string
	http    *http.Client
}

// NewClient makes a client for the owner that a root's lock names, which must have an
// address. The version is this program's.
func NewClient(o root.Owner, version string) *Client {
	t := &http.Transport{
		// Never through a proxy: the token is for the owner alone.
		DialContext:        (&net.Dialer{Timeout: dialTimeout}).DialContext,
		DisableCompression: true,
	}
	if o.Certificate != "" {
		t.TLSClientConfig = pinned(o.Certificate)
	}
	return &Client{owner: o, version: version, http: &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// pinned accepts one certificate, whoever signed it and whatever names it has.
func pinned(certificate string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection is stricter
		VerifyConnection: func(s tls.ConnectionState) error {
			if CertificateSum(s.PeerCertificates[0].Raw) != certificate {
				return errors.New("its certificate is not the one that the lock names")
			}
			return nil
		},
	}
}

// CertificateSum is a certificate (DER) as the lock names it.
func CertificateSum(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// Request is one piece of work for the owner.
type Request struct {
	Operation string
	Params    any       // encoded as JSON
	Stdin     io.Reader // nil for an operation that reads none
	Progress  func(json.RawMessage)
	Note      func(string)
	Output    io.Writer // nil for an operation that writes nothing
}

// Do has the owner do the work and decodes its result into result. When ctx ends, it
// cancels the work and waits until the owner says how it ended.
//
// Errors: [*Failure] is the error that the work ended with; [*UnavailableError] and
// [*VersionError] say that there was no such end.
func (c *Client) Do(ctx context.Context, r Request, result any) error {
	params, err := json.Marshal(r.Params)
	if err != nil {
		return fmt.Errorf("send %s to the owner: %w", r.Operation, err)
	}
	var body io.Reader = bytes.NewReader(append(params, '\n'))
	if r.Stdin != nil {
		body = io.MultiReader(body, r.Stdin)
	}
	run := rand.Text()
	// The work goes on until the owner ends it, or is silent.
	working, abandon := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abandon(nil)
	defer context.AfterFunc(ctx, func() {
		time.AfterFunc(cancelTimeout, func() { abandon(errors.New("it does not stop the work")) })
		c.cancel(working, run)
	})()
	silent := time.AfterFunc(silentTimeout, func() { abandon(errors.New("it is silent")) })
	defer silent.Stop()

	req, err := c.request(working, r.Operation, run, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		begun := !errors.As(err, &op) || op.Op != "dial"
		return c.unavailable(working, err, begun)
	}
	defer resp.Body.Close()
	if err := c.accepted(resp); err != nil {
		return err
	}
	l := listener{r: r, heard: func() { silent.Reset(silentTimeout) }, pause: func() { silent.Stop() }}
	last, err := l.listen(resp.Body)
	if l.failed != nil {
		// The owner sees the connection end, and ends the work.
		return fmt.Errorf("write what %s gives: %w", r.Operation, l.failed)
	}
	if err != nil {
		return c.unavailable(working, err, true)
	}
	if last.Failure != nil {
		return last.Failure
	}
	if err := json.Unmarshal(last.Result, result); err != nil {
		return fmt.Errorf("result of %s from the owner: %w", r.Operation, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, operation, run string, body io.Reader) (*http.Request, error) {
	scheme := "http://"
	if c.owner.Certificate != "" {
		scheme = "https://"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+c.owner.Address+Prefix+Protocol+"/"+operation, body)
	if err != nil {
		return nil, fmt.Errorf("send %s to the owner: %w", operation, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.owner.Token)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set(versionHeader, c.version)
	req.Header.Set(operationHeader, run)
	return req, nil
}

// cancel asks the owner to end a run. That it failed shows when the run does not end.
func (c *Client) cancel(ctx context.Context, run string) {
	req, err := c.request(ctx, cancelName, run, http.NoBody)
	if err != nil {
		return
	}
	if resp, err := c.http.Do(req); err == nil {
		resp.Body.Close()
	}
}

func (c *Client) unavailable(ctx context.Context, err error, begun bool) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &UnavailableError{Owner: c.owner.String(), Err: err, Begun: begun}
}

// accepted gives the error of an owner that refuses to begin.
func (c *Client) accepted(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK && resp.Header.Get("Content-Type") == contentType {
		return nil
	}
	theirs := resp.Header.Get(versionHeader)
	if resp.StatusCode == http.StatusUpgradeRequired {
		return &VersionError{Owner: c.owner.String(), Theirs: theirs, Ours: c.version}
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
	why, _, _ := strings.Cut(string(text), "\n")
	return &UnavailableError{Owner: c.owner.String(), Err: fmt.Errorf("it refuses: %s: %s", resp.Status, why)}
}

// listener takes the events of one run.
type listener struct {
	r      Request
	heard  func()
	pause  func() // the owner may be silent until heard is called
	failed error  // of writing the output
}

// listen reads events to the last one.
func (l *listener) listen(r io.Reader) (event, error) {
	lines := bufio.NewReaderSize(r, 2*outputSize)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return event{}, err
		}
		l.heard()
		var e event
		if err := json.Unmarshal(text, &e); err != nil {
			return event{}, err
		}
		switch {
		case e.Result != nil || e.Failure != nil:
			return e, nil
		case e.Progress != nil && l.r.Progress != nil:
			l.r.Progress(e.Progress)
		case e.Note != "" && l.r.Note != nil:
			l.r.Note(e.Note)
		case e.Output != nil && l.r.Output != nil:
			// Who reads slowly must not make the owner look silent.
			l.pause()
			if _, l.failed = l.r.Output.Write(e.Output); l.failed != nil {
				return event{}, l.failed
			}
			l.heard()
		}
	}
}
