package auth

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/server/auth/sigv4"
)

// Failure is why a request is refused.
type Failure struct {
	Reason Reason
	Why    string // one sentence, lower case, for the sender
}

func (f *Failure) Error() string { return f.Why }

// Reason is the kind of a failure.
type Reason string

// The reasons. All but NotAllowed, Nothing, TooLong and Busy say that nobody knows who asks.
const (
	Missing      Reason = "missing"       // there is neither a signature nor a token
	Incomplete   Reason = "incomplete"    // the signature has not the form of one
	UnknownKey   Reason = "unknown-key"   // the access key or its session token is not known
	BadSignature Reason = "bad-signature" // the signature is not that of the request
	Late         Reason = "late"          // the time of the request is not now
	BadToken     Reason = "bad-token"     // the bearer token is not good
	TooLong      Reason = "too-long"      // the body is too long to be looked at
	Busy         Reason = "busy"          // try again
	NotAllowed   Reason = "denied"        // who asks may not
	Nothing      Reason = "nothing"       // there is nothing at the path
)

var kinds = map[Reason]outcome.Kind{TooLong: outcome.TooLarge, Busy: outcome.Unavailable, NotAllowed: outcome.Forbidden, Nothing: outcome.NotFound}

// Fault is the failure as FHIR tells it.
func (f *Failure) Fault() *outcome.Fault {
	kind, ok := kinds[f.Reason]
	if !ok {
		kind = outcome.Unauthenticated
	}
	return outcome.Faultf(kind, "%s", f.Why)
}

var reasons = map[sigv4.Fault]Reason{
	sigv4.Malformed: Incomplete, sigv4.Unprotected: Incomplete, sigv4.UnknownKey: UnknownKey, sigv4.WrongToken: UnknownKey,
	sigv4.Expired: Late, sigv4.WrongBody: BadSignature, sigv4.WrongService: BadSignature, sigv4.Mismatch: BadSignature,
	sigv4.BodyTooLong: TooLong, sigv4.BodyCut: Incomplete, sigv4.Busy: Busy,
}

// Options of a guard. Path is needed.
type Options struct {
	Path string // of the settings
	// Audit is told of every request that was refused, with AuditAll of every other
	// too; nil: slog.Default().
	Audit    *slog.Logger
	AuditAll bool
	// Describe names a request without data: interaction, data store, resource type.
	Describe func(method, path string) (interaction, datastore, resource string)
	// RefuseControl answers a request of the control plane; nil: as FHIR does.
	RefuseControl func(w http.ResponseWriter, r *http.Request, f *Failure)
	// Configuration gives what a data store has as its identity provider's metadata, as
	// JSON; nil for none. The settings have it otherwise.
	Configuration func(datastore string) []byte

	Client *http.Client     // reads keys of issuers; nil: one that follows no redirect
	Now    func() time.Time // nil: time.Now
}

// Guard authenticates requests. It is safe for concurrent use.
type Guard struct {
	o       Options
	current atomic.Pointer[state]
	seen    time.Time // modification of the file that was read; of Watch
}

// state is what was made of the settings.
type state struct {
	*Settings
	verifier *sigv4.Verifier
	tokens   *tokens
}

// Open makes a guard of the settings at a path.
func Open(o Options) (*Guard, error) {
	if o.Audit == nil {
		o.Audit = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Describe == nil {
		o.Describe = func(string, string) (string, string, string) { return "other", "", "" }
	}
	if o.Client == nil {
		o.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	g := &Guard{o: o}
	return g, g.Reload()
}

// Reload reads the settings again; with an error those before it stay.
func (g *Guard) Reload() error {
	s, err := ReadSettings(g.o.Path)
	if err != nil {
		return err
	}
	next := &state{Settings: s, tokens: newTokens(s.Issuers, g.o.Client, g.o.Now)}
	next.verifier = &sigv4.Verifier{Now: g.o.Now, Key: s.key}
	g.current.Store(next)
	return nil
}

// Watch reads the settings again when the file has changed, which it looks for at every
// tick, and when it is asked to; told gets the result.
func (g *Guard) Watch(ctx context.Context, tick <-chan time.Time, asked <-chan os.Signal, told func(error)) {
	for {
		forced := false
		select {
		case <-ctx.Done():
			return
		case <-tick:
		case <-asked:
			forced = true
		}
		info, err := os.Stat(g.o.Path)
		if err == nil && info.ModTime().Equal(g.seen) && !forced {
			continue
		}
		if first := g.seen.IsZero(); err == nil {
			g.seen = info.ModTime()
			if first && !forced { // as it was opened, or changed since: reading again is harmless
				err = g.Reload()
				if err == nil {
					continue
				}
			}
		}
		if err == nil {
			err = g.Reload()
		}
		told(err)
	}
}

// Wrap lets through to a handler what may come in.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := g.current.Load()
		datastore, face := faceOf(r)
		switch {
		case face == faceOpen, face == faceMetrics && s.OpenMetrics:
			next.ServeHTTP(w, r)
			return
		case face == faceDiscovery:
			g.discover(w, r, s, datastore)
			return
		}
		who, release, f := s.authenticate(r)
		defer release()
		if f == nil {
			f = authorize(r, who, face, datastore)
		}
		x := &watched{ResponseWriter: w}
		a := &asking{who: who}
		if f != nil {
			a.denied = f.Why
			g.refuse(x, r, face, f)
		} else {
			next.ServeHTTP(x, r.WithContext(context.WithValue(r.Context(), askingKey{}, a)))
		}
		g.audit(r, x, a)
	})
}

// authenticate tells who asks.
func (s *state) authenticate(r *http.Request) (*Principal, func(), *Failure) {
	release := func() {}
	if sigv4.Present(r) {
		id, release, err := s.verifier.Verify(r)
		var e *sigv4.Error
		if errors.As(err, &e) {
			return &Principal{Kind: "refused", Name: printable(e.KeyID)}, release, &Failure{reasons[e.Fault], e.Why}
		}
		for _, k := range s.Keys {
			if k.ID == id {
				return &Principal{Kind: "key", Name: id, grants: k.Grants}, release, nil
			}
		}
		return nil, release, &Failure{UnknownKey, "the access key is not known here"}
	}
	lines := r.Header.Values("Authorization")
	if len(lines) == 0 {
		return nil, release, &Failure{Missing, "the request has neither a signature nor a bearer token"}
	}
	kind, text, _ := strings.Cut(lines[0], " ")
	if len(lines) > 1 || !strings.EqualFold(kind, "Bearer") {
		return nil, release, &Failure{Incomplete, "the header Authorization is neither " + sigv4.Algorithm + " nor Bearer"}
	}
	p, err := s.tokens.verify(r.Context(), text)
	var wrong errToken
	switch {
	case err == nil:
		return p, release, nil
	case errors.As(err, &wrong):
		return nil, release, &Failure{BadToken, string(wrong)}
	}
	return nil, release, &Failure{Busy, "the keys of the issuer of the token cannot be read at present"}
}

// printable leaves of a name what may stand in a log.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
}

// refuse answers a request that does not come in.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, face face, f *Failure) {
	if face == faceControl && g.o.RefuseControl != nil {
		g.o.RefuseControl(w, r, f)
		return
	}
	fault := f.Fault()
	h := w.Header()
	switch fault.Kind {
	case outcome.Unauthenticated:
		h.Set("WWW-Authenticate", `Bearer realm="fhirlake"`)
	case outcome.Unavailable:
		h.Set("Retry-After", "1")
	}
	h.Set("Content-Type", "application/fhir+json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(fault.Status())
	w.Write(fault.Append(nil))
}

// audit tells who did what, when, from where, with what result. Neither ids of resources
// nor queries are in it.
func (g *Guard) audit(r *http.Request, x *watched, a *asking) {
	a.mu.Lock()
	denied := a.denied
	a.mu.Unlock()
	status := cmp.Or(x.status, http.StatusOK)
	result, level := "allowed", slog.LevelInfo
	if denied != "" || status == http.StatusUnauthorized || status == http.StatusForbidden {
		result, level = "refused", slog.LevelWarn
	} else if !g.o.AuditAll {
		return
	}
	kind, name := "nobody", ""
	if a.who != nil {
		kind, name = a.who.Kind, a.who.Name
	}
	interaction, datastore, resource := g.o.Describe(r.Method, r.URL.Path)
	g.o.Audit.LogAttrs(r.Context(), level, "audit",
		slog.String("result", result), slog.String("kind", kind), slog.String("who", name), slog.String("from", r.RemoteAddr),
		slog.String("interaction", interaction), slog.String("operation", operationOf(r)), slog.String("datastore", datastore), slog.String("type", resource),
		slog.Int("status", status), slog.String("reason", denied), slog.String("request", r.Header.Get("X-Request-Id")))
}

// watched sees the status of an answer.
type watched struct {
	http.ResponseWriter
	status int
}

// Unwrap serves [http.ResponseController].
func (x *watched) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (x *watched) WriteHeader(status int) {
	if x.status == 0 && status >= 200 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}
