package page_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/server/search/page"
)

var (
	secret = []byte("a secret of 32 bytes, for a test")
	start  = time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)
)

func signer(t testing.TB, secret []byte) *page.Signer {
	t.Helper()
	s, err := page.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokenGivesItsContentBack(t *testing.T) {
	s := signer(t, secret)
	for _, content := range [][]byte{{}, {0}, []byte("smith\x00|42"), bytes.Repeat([]byte{0xff, 0xfe}, 1000)} {
		token := s.Sign("store/search", content, start.Add(time.Hour))
		if url.QueryEscape(token) != token || url.PathEscape(token) != token {
			t.Errorf("the token %s needs escapes in a URL", token)
		}
		got, err := signer(t, secret).Open("store/search", token, start)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%x: %x, %v", content, got, err)
		}
	}
}

func TestTokenExpires(t *testing.T) {
	s := signer(t, secret)
	token := s.Sign("", []byte("x"), start)
	if _, err := s.Open("", token, start.Add(-time.Second)); err != nil {
		t.Errorf("before: %v", err)
	}
	for _, late := range []time.Duration{0, time.Second, 24 * time.Hour} {
		if _, err := s.Open("", token, start.Add(late)); !errors.Is(err, page.ErrExpired) {
			t.Errorf("%v late: %v", late, err)
		}
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	s := signer(t, secret)
	token := s.Sign("a", []byte("content"), start.Add(time.Hour))
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	forged := map[string]string{
		"nothing":             "",
		"text":                "page=2",
		"padding":             token + "==",
		"a line end":          token + "\n",
		"standard alphabet":   "+/+/" + token,
		"of another scope":    s.Sign("b", []byte("content"), start.Add(time.Hour)),
		"scope in content":    s.Sign("", []byte("contenta"), start.Add(time.Hour)),
		"of another secret":   signer(t, []byte("another secret of 32 bytes, here")).Sign("a", []byte("content"), start.Add(time.Hour)),
		"a long text":         string(bytes.Repeat([]byte("A"), 1<<20)),
		"cut":                 token[:len(token)-4],
		"grown":               token + "AAAA",
		"signature alone":     base64.RawURLEncoding.EncodeToString(raw[len(raw)-16:]),
		"expired, and forged": s.Sign("b", nil, start.Add(-time.Hour)),
	}
	for name, x := range forged {
		if got, err := s.Open("a", x, start); !errors.Is(err, page.ErrForged) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for i := range raw {
		for bit := range 8 {
			x := bytes.Clone(raw)
			x[i] ^= 1 << bit
			if _, err := s.Open("a", base64.RawURLEncoding.EncodeToString(x), start); !errors.Is(err, page.ErrForged) {
				t.Errorf("bit %d of byte %d changed: %v", bit, i, err)
			}
		}
	}
}

// The bits that base64 has left over at the end have to be zero, so that no two texts
// are the same token.
func TestATokenHasOneText(t *testing.T) {
	s := signer(t, secret)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for n := range 3 {
		token := s.Sign("", make([]byte, n), start.Add(time.Hour))
		for _, c := range alphabet {
			x := token[:len(token)-1] + string(c)
			if _, err := s.Open("", x, start); (err == nil) != (x == token) {
				t.Errorf("%s for %s: %v", x, token, err)
			}
		}
	}
}

func TestSecretIsLongEnough(t *testing.T) {
	if _, err := page.NewSigner(secret[:15]); err == nil {
		t.Error("a secret of 15 bytes is taken")
	}
}

func FuzzOpen(f *testing.F) {
	s := signer(f, secret)
	f.Add("scope", s.Sign("scope", []byte("content"), start.Add(time.Hour)))
	f.Add("", "")
	f.Fuzz(func(t *testing.T, scope, token string) {
		content, err := s.Open(scope, token, start)
		if err != nil {
			return
		}
		b, _ := base64.RawURLEncoding.DecodeString(token)
		expiry := int64(0)
		for _, c := range b[1:9] {
			expiry = expiry<<8 | int64(c)
		}
		if again := s.Sign(scope, content, time.Unix(expiry, 0)); again != token {
			t.Errorf("%s is taken, %s is what it says", token, again)
		}
	})
}
