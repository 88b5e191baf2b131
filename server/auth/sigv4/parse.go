package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Algorithm is the only one there is.
const Algorithm = "AWS4-HMAC-SHA256"

const timeLayout = "20060102T150405Z"

// maxExpires is how long a presigned request may be valid.
const maxExpires = 7 * 24 * time.Hour

// Fault is why a signature is not accepted.
type Fault uint8

// The faults.
const (
	Malformed    Fault = iota // the signature has not the form of one
	UnknownKey                // there is no key of that id
	WrongToken                // the session token is not the key's
	Expired                   // the time is not now
	WrongBody                 // the body is not the one that was signed
	BodyTooLong               // the body is longer than the limit
	BodyCut                   // the body could not be read
	Busy                      // too many bodies are being read
	Unprotected               // a header that must be signed is not
	WrongService              // it was signed for another service
	Mismatch                  // the signature is not that of this request by this key
)

// Error is the error of [Verify]. Its text has no secret, and no part of a signature.
type Error struct {
	Fault Fault
	Why   string // one sentence, lower case
	KeyID string // that was named; "" when none could be read
}

func (e *Error) Error() string { return e.Why }

// Signature is what a request says of its signature.
type Signature struct {
	KeyID, Date, Region, Service string // the credential
	Headers                      []string
	Sum                          string // hexadecimal
	Time                         time.Time
	Expires                      time.Duration // of a presigned request; 0: it is in the header
	Token                        string        // of the session
	text                         string        // of Time
}

// Present tells whether a request has a signature, of whatever form.
func Present(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-") || strings.Contains(r.URL.RawQuery, "X-Amz-Algorithm=")
}

func malformed(why string) *Error { return &Error{Fault: Malformed, Why: why} }

// parse reads the signature of a request.
func parse(r *http.Request, query []pair) (*Signature, *Error) {
	lines := r.Header.Values("Authorization")
	presigned := valuesOf(query, "X-Amz-Algorithm")
	switch {
	case len(lines) > 1, len(lines) == 1 && len(presigned) > 0:
		return nil, malformed("the request is signed more than once")
	case len(lines) == 1:
		s, err := parseHeader(lines[0])
		if err != nil {
			return nil, err
		}
		return s, s.readHeaders(r.Header)
	case len(presigned) == 1:
		return parseQuery(query)
	}
	return nil, malformed("the request has no signature, or several")
}

// parseHeader reads a header Authorization.
func parseHeader(text string) (*Signature, *Error) {
	algorithm, rest, _ := strings.Cut(text, " ")
	if algorithm != Algorithm {
		return nil, malformed("the algorithm is not " + Algorithm)
	}
	s := &Signature{}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || seen[name] {
			return nil, malformed("the header Authorization has a part that is none, or one twice")
		}
		seen[name] = true
		var err *Error
		switch name {
		case "Credential":
			err = s.readCredential(value)
		case "SignedHeaders":
			err = s.readNames(value)
		case "Signature":
			err = s.readSum(value)
		default:
			err = malformed("the header Authorization has a part that is not known")
		}
		if err != nil {
			return nil, err
		}
	}
	if len(seen) != 3 {
		return nil, malformed("the header Authorization needs Credential, SignedHeaders and Signature")
	}
	return s, nil
}

// readHeaders reads what stands in headers beside Authorization.
func (s *Signature) readHeaders(h http.Header) *Error {
	var err *Error
	var times, tokens []string
	if times = h.Values("X-Amz-Date"); len(times) != 1 {
		return malformed("one header X-Amz-Date is needed")
	}
	if err = s.readTime(times[0]); err != nil {
		return err
	}
	if tokens = h.Values("X-Amz-Security-Token"); len(tokens) > 1 {
		return malformed("there are several session tokens")
	}
	s.Token = h.Get("X-Amz-Security-Token")
	return nil
}

// parseQuery reads the signature of a presigned request.
func parseQuery(query []pair) (*Signature, *Error) {
	s := &Signature{}
	read := map[string]func(string) *Error{
		"X-Amz-Algorithm": func(v string) *Error {
			if v != Algorithm {
				return malformed("the algorithm is not " + Algorithm)
			}
			return nil
		},
		"X-Amz-Credential":    s.readCredential,
		"X-Amz-Date":          s.readTime,
		"X-Amz-Expires":       s.readExpires,
		"X-Amz-SignedHeaders": s.readNames,
		"X-Amz-Signature":     s.readSum,
	}
	for name, f := range read {
		v := valuesOf(query, name)
		if len(v) != 1 {
			return nil, malformed("a presigned request has each X-Amz parameter once")
		}
		if err := f(v[0]); err != nil {
			return nil, err
		}
	}
	if v := valuesOf(query, "X-Amz-Security-Token"); len(v) > 1 {
		return nil, malformed("there are several session tokens")
	} else if len(v) == 1 {
		s.Token = v[0]
	}
	return s, nil
}

func (s *Signature) readCredential(text string) *Error {
	parts := strings.Split(text, "/")
	if len(parts) != 5 || parts[4] != "aws4_request" || slices.Contains(parts, "") || len(parts[0]) > 128 {
		return malformed("the credential is not KEY/DATE/REGION/SERVICE/aws4_request")
	}
	s.KeyID, s.Date, s.Region, s.Service = parts[0], parts[1], parts[2], parts[3]
	return nil
}

func (s *Signature) readNames(text string) *Error {
	s.Headers = strings.Split(text, ";")
	if strings.ToLower(text) != text || !slices.IsSorted(s.Headers) || len(slices.Compact(slices.Clone(s.Headers))) != len(s.Headers) || slices.Contains(s.Headers, "") {
		return malformed("the signed headers are not a sorted list in lower case")
	}
	return nil
}

func (s *Signature) readSum(text string) *Error {
	if len(text) != 64 || strings.Trim(text, "0123456789abcdef") != "" {
		return malformed("the signature is not 64 hexadecimal digits")
	}
	s.Sum = text
	return nil
}

func (s *Signature) readTime(text string) *Error {
	t, err := time.Parse(timeLayout, text)
	if err != nil {
		return malformed("the time is not of the form " + timeLayout)
	}
	s.Time, s.text = t, text
	return nil
}

func (s *Signature) readExpires(text string) *Error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > int(maxExpires/time.Second) {
		return malformed("a presigned request expires after 1 to 604800 seconds")
	}
	s.Expires = time.Duration(n) * time.Second
	return nil
}

// pair is a parameter of the query, decoded.
type pair struct{ name, value string }

func readQuery(raw string) (pairs []pair, err *Error) {
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, malformed("the query of the URL cannot be read: check its percent signs")
		}
		pairs = append(pairs, pair{n, v})
	}
	return pairs, nil
}

func valuesOf(pairs []pair, name string) (all []string) {
	for _, p := range pairs {
		if p.name == name {
			all = append(all, p.value)
		}
	}
	return all
}
