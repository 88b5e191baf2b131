package sigv4

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Service is the name that requests are signed for.
const Service = "healthlake"

// Skew is how far the time of a request may be from ours.
const Skew = 5 * time.Minute

// Key is an access key.
type Key struct {
	ID, Secret string
	Token      string // of a session, which requests must have; "" for none
}

// Verifier verifies requests. It is safe for concurrent use.
type Verifier struct {
	// Key gives the key of an id.
	Key     func(id string) (Key, bool)
	Now     func() time.Time // nil: time.Now
	MaxBody int64            // bytes of a body; 0: 6 MiB
	// Memory is how many bytes of bodies are held at once; 0: 256 MiB.
	Memory int64

	held atomic.Int64
}

// Verify tells whether the request was signed by a key that there is, and gives the id
// of the key. It reads the body, which is in memory then, and r.Body reads it from
// there; release gives the memory back. The error is an *Error.
func (v *Verifier) Verify(r *http.Request) (keyID string, release func(), err error) {
	release = func() {}
	query, wrong := readQuery(r.URL.RawQuery)
	if wrong != nil {
		return "", release, wrong
	}
	s, wrong := parse(r, query)
	if wrong != nil {
		return "", release, wrong
	}
	fail := func(f Fault, why string) (string, func(), error) {
		return "", release, &Error{f, why, s.KeyID}
	}
	key, ok := v.Key(s.KeyID)
	switch {
	case !ok:
		return fail(UnknownKey, "the access key is not known here")
	case subtle.ConstantTimeCompare([]byte(s.Token), []byte(key.Token)) != 1:
		return fail(WrongToken, "the session token is not that of the access key")
	case s.Service != Service:
		return fail(WrongService, "the request was signed for another service than "+Service)
	case s.Date != s.text[:8]:
		return fail(Malformed, "the date of the credential is not that of the request")
	}
	if why := v.late(s); why != "" {
		return fail(Expired, why)
	}
	if why := unprotected(r, s); why != "" {
		return fail(Unprotected, why)
	}
	body, fault := v.read(r)
	if fault != nil {
		fault.KeyID = s.KeyID
		return "", release, fault
	}
	release = func() { v.held.Add(-int64(cap(body))) }
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if given := r.Header.Values("X-Amz-Content-Sha256"); len(given) > 1 || len(given) == 1 && given[0] != hash {
		return fail(WrongBody, "X-Amz-Content-Sha256 is not the hash of the body; a body is always signed")
	}
	if !hmac.Equal([]byte(s.Sum), []byte(s.sign(key.Secret, s.canonical(r, query, hash)))) {
		return fail(Mismatch, "the signature is not that of this request; check the secret, the endpoint and what changes requests on their way")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return s.KeyID, release, nil
}

// late says why the time of the request is not now.
func (v *Verifier) late(s *Signature) string {
	now := time.Now()
	if v.Now != nil {
		now = v.Now()
	}
	age := now.Sub(s.Time)
	switch {
	case age < -Skew:
		return "the time of the request is in the future; check the clock"
	case s.Expires == 0 && age > Skew:
		return fmt.Sprintf("the request is older than %s; check the clock", Skew)
	case s.Expires != 0 && age > s.Expires:
		return "the presigned request has expired"
	}
	return ""
}

// unprotected says which header should have been signed.
func unprotected(r *http.Request, s *Signature) string {
	if !slices.Contains(s.Headers, "host") {
		return "the header host is not signed"
	}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !slices.Contains(s.Headers, lower) {
			return "a header X-Amz-* is not signed"
		}
	}
	return ""
}

// read reads the body.
func (v *Verifier) read(r *http.Request) ([]byte, *Error) {
	limit, memory := cmp.Or(v.MaxBody, 6<<20), cmp.Or(v.Memory, 256<<20)
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if r.ContentLength > limit {
		return nil, &Error{Fault: BodyTooLong, Why: fmt.Sprintf("the body has more than %d bytes", limit)}
	}
	var body []byte
	var held int64
	fail := func(f Fault, why string) ([]byte, *Error) {
		v.held.Add(-held)
		return nil, &Error{Fault: f, Why: why}
	}
	for {
		if len(body) == cap(body) {
			body = slices.Grow(body, max(len(body), 4096))
			more := int64(cap(body)) - held
			held += more
			if v.held.Add(more) > memory {
				return fail(Busy, "the server is busy with other bodies; try again soon")
			}
		}
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var long *http.MaxBytesError
		switch {
		case int64(len(body)) > limit, errors.As(err, &long):
			return fail(BodyTooLong, fmt.Sprintf("the body has more than %d bytes", limit))
		case err == io.EOF:
			return body, nil
		case err != nil:
			return fail(BodyCut, "the body ends early")
		}
	}
}

// canonical is the canonical request.
func (s *Signature) canonical(r *http.Request, query []pair, hash string) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") {
		path = r.URL.EscapedPath()
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + escape(cmp.Or(path, "/"), true) + "\n")
	sorted := make([]string, 0, len(query))
	for _, p := range query {
		if s.Expires == 0 || p.name != "X-Amz-Signature" {
			// The equals sign sorts before all that may stand in a name but "-" and ".";
			// a byte before them all keeps "a" before "a-b".
			sorted = append(sorted, escape(p.name, false)+"\x00"+escape(p.value, false))
		}
	}
	slices.Sort(sorted)
	b.WriteString(strings.ReplaceAll(strings.Join(sorted, "&"), "\x00", "=") + "\n")
	for _, name := range s.Headers {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(s.Headers, ";") + "\n" + hash)
	return b.String()
}

// headerValue is the value of a header as it is signed: lines joined, runs of spaces one.
func headerValue(r *http.Request, name string) string {
	lines := r.Header.Values(name)
	switch {
	case name == "host":
		lines = []string{r.Host}
	case name == "content-length" && len(lines) == 0 && r.ContentLength >= 0:
		return strconv.FormatInt(r.ContentLength, 10)
	case name == "transfer-encoding" && len(lines) == 0: // net/http takes it out
		lines = r.TransferEncoding
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = strings.Join(strings.FieldsFunc(l, func(c rune) bool { return c == ' ' }), " ")
	}
	return strings.Join(out, ",")
}

const hexDigits = "0123456789ABCDEF"

// escape percent-encodes all but unreserved characters, and slashes when they divide.
func escape(s string, slashes bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~', c == '/' && slashes:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// sign gives the signature that a canonical request must have.
func (s *Signature) sign(secret, canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	scope := s.Date + "/" + s.Region + "/" + s.Service + "/aws4_request"
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.Date, s.Region, s.Service, "aws4_request"} {
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, Algorithm+"\n"+s.text+"\n"+scope+"\n"+hex.EncodeToString(sum[:])))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
