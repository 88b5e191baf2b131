package httpd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/server/httpd"
)

// writePair writes a certificate that signs itself, and gives the names of its files.
func writePair(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	err = errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// dial gives the serial number of the certificate that a server shows.
func dial(t *testing.T, addr string, c *tls.Config) (int64, error) {
	t.Helper()
	c.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", addr, c)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, err := httpd.LoadCertificate(writePair(t, dir, 1))
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, httpd.Options{TLS: cert}, nil)

	if _, err := dial(t, r.addr, &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	resp, err := client.Get("https://" + r.addr + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("the answer came over %s, want HTTP/2", resp.Proto)
	}

	ctx, cancel := context.WithCancel(t.Context())
	tick, asked, reloaded, ended := make(chan time.Time), make(chan os.Signal), make(chan error), make(chan bool)
	go func() {
		cert.Watch(ctx, tick, asked, func(err error) { reloaded <- err })
		close(ended)
	}()
	defer func() { cancel(); <-ended }()
	shows := func(when string, want int64) {
		t.Helper()
		if got, err := dial(t, r.addr, &tls.Config{}); err != nil || got != want {
			t.Errorf("%s: certificate %d, %v; want %d", when, got, err, want)
		}
	}
	_, key := writePair(t, dir, 2)
	asked <- os.Interrupt
	if err := <-reloaded; err != nil {
		t.Fatal(err)
	}
	shows("after a signal", 2)

	writePair(t, dir, 3)
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(key, later, later); err != nil {
		t.Fatal(err)
	}
	tick <- time.Now()
	if err := <-reloaded; err != nil {
		t.Fatal(err)
	}
	shows("after the files changed", 3)

	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	asked <- os.Interrupt
	if err := <-reloaded; err == nil {
		t.Error("an empty key is no error")
	}
	shows("with files that are broken", 3)
}

func TestLoadCertificateThatIsNotThere(t *testing.T) {
	if _, err := httpd.LoadCertificate("no.pem", "no.key"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
