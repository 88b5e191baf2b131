// Package bulkdata is a client of FHIR Bulk Data Access (v2.0, "Bulk Data Export"): it has
// another server export what it has, waits until that is done, and gives the files as
// inputs of an import, which reads them as they come.
//
// Read [Start] first.
package bulkdata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/sources/ndjson"
)

// Options of a client. The zero value is usable.
type Options struct {
	HTTP *http.Client // nil: http.DefaultClient
	// Token gives the access token that requests carry; "" for none. It is asked for each
	// request, so that it may change. It goes to the host that is asked, and to others where
	// files are only when the server says that they need it.
	Token func() (string, error)
	// Note is told how far the other server is; nil: nobody has to know.
	Note func(string)

	Attempts int           // of a request that fails; 0: 8
	Pause    time.Duration // between two questions, when the server does not say; 0: 2 s
}

// Export is what another server has exported. It is safe for concurrent use.
type Export struct {
	o        Options
	host     string // that the user named
	status   string // where it is asked for, and deleted
	manifest manifest
}

// manifest is the answer of an export that is done.
type manifest struct {
	TransactionTime     string `json:"transactionTime"`
	RequiresAccessToken bool   `json:"requiresAccessToken"`
	Output              []file `json:"output"`
	Deleted             []file `json:"deleted"`
	Error               []file `json:"error"`
}

type file struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

// Error says what is wrong with another server or its answer.
type Error struct {
	URL   string
	Found string
	Hint  string // "" when there is none
	Err   error  // nil, or what the system said
}

func (e *Error) Error() string {
	s := e.URL + ": " + e.Found
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Place is what the error is about, which its text begins with.
func (e *Error) Place() string { return e.URL }

// IsURL tells whether a text means another server, and no local path.
func IsURL(s string) bool {
	s = strings.ToLower(s)
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// kickOff makes the URL of the operation of what the user names: the base of a server, a
// Patient or Group endpoint, or the operation itself with its parameters.
func kickOff(name string) (string, error) {
	u, err := url.Parse(name)
	if err != nil || u.Host == "" {
		return "", &Error{URL: name, Found: "this is no URL of a server", Hint: "name the base of a FHIR server, such as https://host/fhir", Err: err}
	}
	u.Fragment = ""
	u.Path = strings.TrimRight(u.Path, "/")
	if !strings.HasSuffix(u.Path, "/$export") {
		u.Path += "/$export"
	}
	u.RawPath = ""
	return u.String(), nil
}

// Start asks a server for an export and waits until it is done. The server is told to stop when ctx
// ends first.
func Start(ctx context.Context, name string, o Options) (*Export, error) {
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	if o.Attempts <= 0 {
		o.Attempts = 8
	}
	if o.Pause <= 0 {
		o.Pause = 2 * time.Second
	}
	at, err := kickOff(name)
	if err != nil {
		return nil, err
	}
	named, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	e := &Export{o: o, host: named.Host}
	if err := e.begin(ctx, at); err != nil {
		return nil, err
	}
	if err := e.wait(ctx); err != nil {
		return nil, errors.Join(err, e.Delete(context.WithoutCancel(ctx)))
	}
	return e, nil
}

// begin kicks off the export (Bulk Data Access 2.0, "Kick-off Request").
func (e *Export) begin(ctx context.Context, at string) error {
	resp, err := e.ask(ctx, http.MethodGet, at, map[string]string{"Accept": "application/fhir+json", "Prefer": "respond-async"}, true)
	if err != nil {
		return err
	}
	defer drain(resp)
	if resp.StatusCode != http.StatusAccepted {
		return refused(at, resp)
	}
	where := resp.Header.Get("Content-Location")
	base, err := url.Parse(at)
	if err != nil {
		return err
	}
	u, err := base.Parse(where)
	if where == "" || err != nil {
		return &Error{URL: at, Found: "the server began an export and does not say where to ask for it (Content-Location)", Err: err}
	}
	e.status = u.String()
	if u.Scheme != "http" && u.Scheme != "https" {
		return &Error{URL: at, Found: fmt.Sprintf("the server says to ask for the export at %q, which is no URL that can be asked", clip(where, 200))}
	}
	return nil
}

// wait asks for the manifest until it is there ("Bulk Data Status Request").
func (e *Export) wait(ctx context.Context) error {
	failed := 0
	for {
		resp, err := e.ask(ctx, http.MethodGet, e.status, map[string]string{"Accept": "application/json"}, e.ours(e.status))
		if err != nil {
			return err
		}
		pause := e.pause(resp)
		switch resp.StatusCode {
		case http.StatusOK:
			defer drain(resp)
			return e.read(resp)
		case http.StatusAccepted:
			failed = 0
			if p := resp.Header.Get("X-Progress"); p != "" {
				e.o.Note("the other server is exporting: " + clip(p, 100))
			}
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			if failed++; failed > e.o.Attempts {
				defer drain(resp)
				return refused(e.status, resp)
			}
		default:
			defer drain(resp)
			return refused(e.status, resp)
		}
		drain(resp)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// maxPause bounds what a server may ask for.
const maxPause = 2 * time.Minute

// ours tells whether a URL is of the host that the user named.
func (e *Export) ours(at string) bool {
	u, err := url.Parse(at)
	return err == nil && u.Host == e.host
}

// pause is how long to wait before the next question (RFC 9110, 10.2.3).
func (e *Export) pause(resp *http.Response) time.Duration {
	text := resp.Header.Get("Retry-After")
	// Not even a server that allows it is asked without a pause.
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return max(min(time.Duration(n)*time.Second, maxPause), e.o.Pause/10)
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(min(time.Until(t), maxPause), e.o.Pause/10)
	}
	return e.o.Pause
}

// maxManifest bounds a manifest: some hundred thousand files.
const maxManifest = 64 << 20

func (e *Export) read(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
	switch {
	case err != nil:
		return &Error{URL: e.status, Found: "the list of files did not come whole", Hint: "start again", Err: err}
	case len(text) > maxManifest:
		return &Error{URL: e.status, Found: fmt.Sprintf("the list of files has more than %d bytes", maxManifest)}
	}
	if err := json.Unmarshal(text, &e.manifest); err != nil {
		return &Error{URL: e.status, Found: "the list of files is not that of a bulk export", Hint: "see that this is a server of FHIR Bulk Data Access", Err: err}
	}
	base, err := url.Parse(e.status)
	if err != nil {
		return err
	}
	m := &e.manifest
	for i := range m.Output {
		u, err := base.Parse(m.Output[i].URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" {
			return &Error{URL: e.status, Found: fmt.Sprintf("the file %q of the list has no URL that can be read here", clip(m.Output[i].URL, 200)), Err: err}
		}
		m.Output[i].URL = u.String()
	}
	if n := len(m.Error); n > 0 {
		e.o.Note(fmt.Sprintf("the other server could not export everything: it has %d files of errors, the first is %s", n, clip(m.Error[0].URL, 500)))
	}
	if n := len(m.Deleted); n > 0 {
		e.o.Note(fmt.Sprintf("the other server lists what was deleted there in %d files; an import deletes nothing, the first is %s", n, clip(m.Deleted[0].URL, 500)))
	}
	return nil
}

// Objects are the files, as inputs named by their type and number.
func (e *Export) Objects() []ndjson.Object {
	var all []ndjson.Object
	numbers := map[string]int{}
	for _, f := range e.manifest.Output {
		n := numbers[f.Type]
		numbers[f.Type]++
		all = append(all, &download{e: e, url: f.URL, name: fmt.Sprintf("%s-%d.ndjson", clip(f.Type, 64), n)})
	}
	return all
}

// TransactionTime is the moment of the export, as the server wrote it.
func (e *Export) TransactionTime() string { return e.manifest.TransactionTime }

// Delete tells the server that its files are no longer needed, or that it may stop ("Bulk
// Data Delete Request"). A server that does not know this is none the worse for it.
func (e *Export) Delete(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	o := *e
	o.o.Attempts = 1
	resp, err := o.ask(ctx, http.MethodDelete, e.status, nil, e.ours(e.status))
	if err != nil {
		return nil // it is a courtesy
	}
	drain(resp)
	return nil
}

// ask makes a request, again when the connection fails. Every status is an answer.
func (e *Export) ask(ctx context.Context, method, at string, header map[string]string, token bool) (*http.Response, error) {
	for failed := 1; ; failed++ {
		resp, err := e.once(ctx, method, at, header, token)
		if err == nil {
			return resp, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var known *Error
		if errors.As(err, &known) || failed >= e.o.Attempts {
			return nil, &Error{URL: at, Found: fmt.Sprintf("the server cannot be asked: %v", err), Hint: "see the URL, and that the server can be reached", Err: err}
		}
		if err := sleep(ctx, failed); err != nil {
			return nil, err
		}
	}
}

func sleep(ctx context.Context, failed int) error {
	select {
	case <-time.After(min(100*time.Millisecond<<failed, 10*time.Second)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *Export) once(ctx context.Context, method, at string, header map[string]string, token bool) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, at, nil)
	if err != nil {
		return nil, &Error{URL: at, Found: "this is no URL", Err: err}
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	if token && e.o.Token != nil {
		t, err := e.o.Token()
		if err != nil {
			return nil, &Error{URL: at, Found: err.Error(), Hint: "correct the token", Err: err}
		}
		if t != "" {
			r.Header.Set("Authorization", "Bearer "+t)
		}
	}
	return e.o.HTTP.Do(r)
}

// refused makes an error of an answer that says no.
func refused(at string, resp *http.Response) error {
	e := &Error{URL: at, Found: fmt.Sprintf("the server answers %s", resp.Status)}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var o struct {
		Issue []struct {
			Diagnostics string `json:"diagnostics"`
			Details     struct {
				Text string `json:"text"`
			} `json:"details"`
		} `json:"issue"`
	}
	if err == nil && json.Unmarshal(text, &o) == nil && len(o.Issue) > 0 {
		if said := o.Issue[0].Diagnostics + o.Issue[0].Details.Text; said != "" {
			e.Found += ": " + clip(said, 500)
		}
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.Hint = "give an access token that lets you export, with --token-file"
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		e.Hint = "see that this is the base of a server of FHIR Bulk Data Access"
	case http.StatusOK:
		e.Hint = "it did not begin an export: see that this is the base of a server of FHIR Bulk Data Access"
		if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/html" {
			e.Hint = "this is a page for people; name the base of the FHIR server"
		}
	}
	return e
}

// drain lets a connection be used again.
func drain(resp *http.Response) {
	io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "..."
}
