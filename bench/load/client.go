package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"
)

// target is a data store's base URL, taken apart.
type target struct {
	url  *url.URL // without a slash at its end
	host string   // host:port to dial
}

func newTarget(base string) (target, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return target{}, fmt.Errorf("%q is no URL of a data store, such as http://127.0.0.1:8080/datastore/<id>/r4", base)
	}
	t := target{url: u, host: u.Host}
	if u.Port() == "" {
		t.host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	return t, nil
}

// get and post render requests; they are sent as they are, so that sending one costs
// the client little beside what it costs the server.
func (t target) get(path string) []byte {
	return fmt.Appendf(nil, "GET %s/%s HTTP/1.1\r\nHost: %s\r\n\r\n", t.url.EscapedPath(), path, t.url.Host)
}

func (t target) post(path string, body []byte) []byte {
	if path != "" {
		path = "/" + path
	}
	head := fmt.Sprintf("POST %s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/fhir+json\r\nPrefer: return=minimal\r\nContent-Length: %d\r\n\r\n",
		t.url.EscapedPath(), path, t.url.Host, len(body))
	return append([]byte(head), body...)
}

// dial opens a connection that is kept for many requests.
func (t target) dial(ctx context.Context) (*conn, error) {
	var d interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{}
	if t.url.Scheme == "https" {
		d = &tls.Dialer{}
	}
	c, err := d.DialContext(ctx, "tcp", t.host)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReaderSize(c, 64<<10)}, nil
}

// conn is one keep-alive connection of HTTP/1.1. It does what a benchmark needs: send
// bytes, read a status, pass over the rest.
type conn struct {
	net.Conn
	r *bufio.Reader
}

// requestTimeout ends a benchmark whose server does not answer.
const requestTimeout = 30 * time.Second

// do sends a request. The body of an answer with another status than want comes with
// the error.
func (c *conn) do(request []byte, want int) error {
	if err := c.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	if _, err := c.Write(request); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	status, length, err := c.head()
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	var body io.Writer = io.Discard
	var fault bytes.Buffer
	if status != want {
		body = &fault
	}
	if err := c.body(body, length); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if status != want {
		return fmt.Errorf("status %d, want %d: %.300s", status, want, fault.Bytes())
	}
	return nil
}

// head reads status line and header; length is -1 for a chunked body.
func (c *conn) head() (status int, length int64, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, fmt.Errorf("%.40q is no status line", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, fmt.Errorf("%.40q is no status line", line)
	}
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return 0, 0, err
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return status, length, nil
		}
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return 0, 0, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			length = -1
		case bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(value, []byte("close")):
			return 0, 0, errors.New("the server ends the connection")
		}
	}
}

func (c *conn) body(to io.Writer, length int64) error {
	if length >= 0 {
		_, err := io.CopyN(to, c.r, length)
		return err
	}
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 64)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(to, c.r, n); err != nil {
			return err
		}
		if _, err := c.r.ReadSlice('\n'); err != nil || n == 0 {
			return err
		}
	}
}
