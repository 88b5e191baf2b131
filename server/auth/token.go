package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fhirlake/fhirlake/server/auth/scope"
)

// algorithms are those of signatures that are taken. None is symmetric, so that a public
// key cannot pass for a secret, and "none" is not among them.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.ES256, jose.ES384}

const (
	maxToken  = 16 << 10 // bytes
	maxKeySet = 1 << 20
	leeway    = time.Minute      // of the times of a token
	keysAge   = time.Hour        // after which keys are read again
	keysPause = 30 * time.Second // between two reads for keys that are not known
	keysLast  = 24 * time.Hour   // for which keys are good that could not be read again
)

// errToken says what is wrong with a token, without any of it.
type errToken string

func (e errToken) Error() string { return string(e) }

// claims are those that are read.
type claims struct {
	jwt.Claims
	Scope   any    `json:"scope"` // a text, or a list
	Scp     any    `json:"scp"`
	Patient string `json:"patient"`
	User    string `json:"fhirUser"`
}

// tokens verifies the tokens of issuers. It is safe for concurrent use.
type tokens struct {
	issuers []*issuer
	now     func() time.Time
}

func newTokens(list []Issuer, client *http.Client, now func() time.Time) *tokens {
	t := &tokens{now: now}
	for _, x := range list {
		t.issuers = append(t.issuers, &issuer{Issuer: x, client: client, now: now})
	}
	return t
}

// verify gives the principal of a token.
func (t *tokens) verify(ctx context.Context, text string) (*Principal, error) {
	if len(text) > maxToken {
		return nil, errToken("the token is too long")
	}
	token, err := jwt.ParseSigned(text, algorithms)
	if err != nil || len(token.Headers) != 1 {
		return nil, errToken("the token is no JWT with a signature of RS256, RS384, ES256 or ES384")
	}
	var said claims
	if err := token.UnsafeClaimsWithoutVerification(&said); err != nil {
		return nil, errToken("the claims of the token cannot be read")
	}
	at := slices.IndexFunc(t.issuers, func(x *issuer) bool { return x.Issuer.Issuer == said.Issuer })
	if at < 0 {
		return nil, errToken("the issuer of the token is not known here")
	}
	from := t.issuers[at]
	keys, err := from.keysFor(ctx, token.Headers[0].KeyID)
	if err != nil {
		return nil, err
	}
	var c claims
	if !slices.ContainsFunc(keys, func(k jose.JSONWebKey) bool {
		if !fits(&k, token.Headers[0].Algorithm) {
			return false
		}
		c = claims{}
		return token.Claims(k.Key, &c) == nil
	}) {
		return nil, errToken("the signature of the token is not that of a key of its issuer")
	}
	if err := from.check(&c, t.now()); err != nil {
		return nil, err
	}
	g := &scope.Grants{Scopes: scope.Parse(scopeText(c.Scope) + " " + scopeText(c.Scp)), Patient: strings.TrimPrefix(c.Patient, "Patient/")}
	kind, id := path.Split(c.User)
	switch path.Base(kind) {
	case "Patient":
		if id == "" {
			return nil, errToken("claim fhirUser names a Patient without an id")
		}
		g.User = id
	case "Practitioner", "PractitionerRole":
		g.Staff = id != ""
	}
	return &Principal{Kind: "token", Name: c.Issuer + " " + c.Subject, scopes: g, datastores: from.DataStores}, nil
}

// check looks at the claims.
func (x *issuer) check(c *claims, now time.Time) error {
	switch {
	case c.Issuer != x.Issuer.Issuer:
		return errToken("the issuer of the token is not the one whose key it is")
	case !slices.ContainsFunc(x.Audience, func(a string) bool { return c.Audience.Contains(a) }):
		return errToken("the token is for another audience")
	case c.Expiry == nil:
		return errToken("the token has no time at which it expires")
	case !now.Before(c.Expiry.Time().Add(leeway)):
		return errToken("the token has expired")
	case c.NotBefore != nil && now.Before(c.NotBefore.Time().Add(-leeway)):
		return errToken("the token is not valid yet")
	}
	return nil
}

// scopeText is a claim of scopes as one text.
func scopeText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var all []string
		for _, s := range v {
			if s, ok := s.(string); ok {
				all = append(all, s)
			}
		}
		return strings.Join(all, " ")
	}
	return ""
}

// fits tells whether a key is one for signatures of an algorithm.
func fits(k *jose.JSONWebKey, algorithm string) bool {
	if k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != algorithm {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") && key.N.BitLen() >= 2048
	case *ecdsa.PublicKey:
		return algorithm == string(jose.ES256) && key.Curve == elliptic.P256() || algorithm == string(jose.ES384) && key.Curve == elliptic.P384()
	}
	return false
}

// issuer has the keys of an issuer. It is safe for concurrent use.
type issuer struct {
	Issuer
	client *http.Client
	now    func() time.Time

	mu    sync.Mutex
	keys  []jose.JSONWebKey
	read  time.Time // when keys were read
	tried time.Time // when that was tried
}

// keysFor gives the keys of an id, all when a token names none. Keys that are old, or do
// not have the id, are read again, but not for every token that claims to need it.
func (x *issuer) keysFor(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := x.now()
	known := x.withID(id)
	old := now.Sub(x.read) >= keysAge
	if (old || len(known) == 0) && (x.tried.IsZero() || now.Sub(x.tried) >= keysPause) {
		x.tried = now
		keys, err := x.load(ctx)
		if err == nil {
			x.keys, x.read = keys, now
			known = x.withID(id)
		} else if x.read.IsZero() {
			return nil, err
		}
	}
	switch {
	case x.read.IsZero() || now.Sub(x.read) >= keysLast:
		return nil, errors.New("the keys of the issuer could not be read")
	case len(known) == 0:
		return nil, errToken("the key of the token is not one of its issuer")
	}
	return known, nil
}

func (x *issuer) withID(id string) (keys []jose.JSONWebKey) {
	for _, k := range x.keys {
		if id == "" || k.KeyID == id {
			keys = append(keys, k)
		}
	}
	return keys
}

// load reads the keys.
func (x *issuer) load(ctx context.Context) ([]jose.JSONWebKey, error) {
	var text []byte
	var err error
	if x.JWKSFile != "" {
		text, err = os.ReadFile(x.JWKSFile)
	} else {
		text, err = x.fetch(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("keys of issuer %s: %w", x.Issuer.Issuer, err)
	}
	// Each key by itself: one of a kind that is not known does not spoil the others.
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("keys of issuer %s: no key set", x.Issuer.Issuer)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) == nil && k.Valid() && k.IsPublic() {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func (x *issuer) fetch(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, x.JWKS, nil)
	if err != nil {
		return nil, err
	}
	res, err := x.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxKeySet+1))
	if err == nil && len(text) > maxKeySet {
		err = fmt.Errorf("more than %d bytes", maxKeySet)
	}
	return text, err
}
