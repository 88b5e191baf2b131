package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// Certificate is a certificate with its key, in two PEM files that may change while
// the server runs. It is safe for concurrent use.
type Certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	seen              [2]time.Time // when the files were written; for Watch alone
}

// LoadCertificate reads a certificate and its key.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	var err error
	if c.seen, err = c.written(); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return c, c.Reload()
}

// Reload reads the files again. With an error the earlier certificate stays in use.
func (c *Certificate) Reload() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	c.current.Store(&pair)
	return nil
}

// DER is the certificate itself, without those that signed it.
func (c *Certificate) DER() []byte { return c.current.Load().Certificate[0] }

func (c *Certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// Watch reads the files again when they have changed, looking at each tick, and when
// asked is sent something, until ctx ends. Reloaded is told how it went.
func (c *Certificate) Watch(ctx context.Context, tick <-chan time.Time, asked <-chan os.Signal, reloaded func(error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
		case <-tick:
			written, err := c.written()
			if err != nil || written == c.seen {
				continue // a file that is being replaced is there at the next tick
			}
			c.seen = written
		}
		reloaded(c.Reload())
	}
}

func (c *Certificate) written() (at [2]time.Time, err error) {
	cert, err1 := os.Stat(c.certFile)
	key, err2 := os.Stat(c.keyFile)
	if err := errors.Join(err1, err2); err != nil {
		return at, err
	}
	return [2]time.Time{cert.ModTime(), key.ModTime()}, nil
}
