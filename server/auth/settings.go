package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/fhirlake/fhirlake/server/auth/sigv4"
)

// Settings are the content of the file of authentication.
type Settings struct {
	Keys    []Key    `json:"keys,omitempty"`
	Issuers []Issuer `json:"issuers,omitempty"`
	// OpenMetrics lets everybody see /metrics, which have no data of patients.
	OpenMetrics bool `json:"openMetrics,omitempty"`
}

// Key is an access key.
type Key struct {
	ID           string  `json:"id"`
	Secret       string  `json:"secret"`
	SessionToken string  `json:"sessionToken,omitempty"`
	Grants       []Grant `json:"grants"`
}

// String leaves the secret out.
func (k Key) String() string { return "access key " + k.ID }

// GoString leaves the secret out.
func (k Key) GoString() string { return k.String() }

// Issuer is who makes bearer tokens that are taken here.
type Issuer struct {
	Issuer     string   `json:"issuer"`             // claim iss
	Audience   []string `json:"audience"`           // one of them is in claim aud
	JWKS       string   `json:"jwks,omitempty"`     // URL of its keys
	JWKSFile   string   `json:"jwksFile,omitempty"` // or a file
	DataStores []string `json:"datastores"`         // ids, or "*"
	// Configuration is what /.well-known/smart-configuration of these data stores says.
	Configuration json.RawMessage `json:"smartConfiguration,omitempty"`
}

// ReadSettings reads the file, which must be private to its owner.
func ReadSettings(path string) (*Settings, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("authentication: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("authentication: %s can be read by others than its owner; chmod 600 it", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("authentication: %w", err)
	}
	s := &Settings{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return nil, fmt.Errorf("authentication: %s is not as expected: %w", path, plain(err))
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("authentication: %s: %w", path, err)
	}
	return s, nil
}

// plain leaves of an error of JSON what has no value of the file (invariant 3).
func plain(err error) error {
	var typ *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &typ):
		return fmt.Errorf("%s is no %s", typ.Field, typ.Type)
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON at byte %d", syntax.Offset)
	}
	return err
}

func (s *Settings) check() error {
	ids := map[string]bool{}
	for i, k := range s.Keys {
		switch {
		case k.ID == "" || k.Secret == "":
			return fmt.Errorf("key %d has no id or no secret", i)
		case ids[k.ID]:
			return fmt.Errorf("key %s is there twice", k.ID)
		}
		ids[k.ID] = true
		for _, g := range k.Grants {
			if g.DataStore == "" {
				return fmt.Errorf("key %s: a grant names no data store; \"*\" is all", k.ID)
			}
			for _, p := range g.Permissions {
				if !slices.Contains([]Permission{Read, Write, Admin}, p) {
					return fmt.Errorf("key %s: permission %q is none of read, write, admin", k.ID, p)
				}
			}
		}
	}
	names := map[string]bool{}
	for i, x := range s.Issuers {
		switch {
		case x.Issuer == "" || len(x.Audience) == 0 || slices.Contains(x.Audience, "") || len(x.DataStores) == 0:
			return fmt.Errorf("issuer %d needs issuer, audience and datastores", i)
		case names[x.Issuer]:
			return fmt.Errorf("issuer %s is there twice", x.Issuer)
		case (x.JWKS == "") == (x.JWKSFile == ""):
			return fmt.Errorf("issuer %s needs one of jwks and jwksFile", x.Issuer)
		case x.JWKS != "" && !safeURL(x.JWKS):
			return fmt.Errorf("issuer %s: jwks is no https URL; plain http is taken of the loopback only", x.Issuer)
		}
		names[x.Issuer] = true
	}
	return nil
}

// safeURL tells whether what is read of a URL is what its owner wrote.
func safeURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && ip.IsLoopback())
}

// Write replaces the file, private to its owner.
func (s *Settings) Write(path string) error {
	if err := s.check(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".auth-*") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// OpenSettings reads the file to change it; one that is not there is empty.
func OpenSettings(path string) (*Settings, error) {
	s, err := ReadSettings(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Settings{}, nil
	}
	return s, err
}

// key gives a key to the verifier.
func (s *Settings) key(id string) (sigv4.Key, bool) {
	for _, k := range s.Keys {
		if k.ID == id {
			return sigv4.Key{ID: k.ID, Secret: k.Secret, Token: k.SessionToken}, true
		}
	}
	return sigv4.Key{}, false
}
