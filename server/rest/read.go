package rest

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/lake"
)

// read gives the current version (FHIR R4, 3.1.0.2).
func (c *call) read() (*reply, error) {
	if err := c.checkQuery(); err != nil {
		return nil, err
	}
	var dst []byte
	if c.text != nil {
		dst = (*c.text)[:0]
	}
	res, err := c.ds.store.Read(c.typ, c.id, dst)
	if err = c.seen(&res, err); err != nil {
		return nil, c.readFault(err)
	}
	return c.give(&res)
}

// readVersion gives one version (FHIR R4, 3.1.0.3).
func (c *call) readVersion() (*reply, error) {
	if err := c.checkQuery(); err != nil {
		return nil, err
	}
	res, err := c.versionOf()
	if err != nil {
		return nil, err
	}
	return c.give(&res)
}

// versionOf reads the version of the URL.
func (c *call) versionOf() (lake.Resource, error) {
	n, err := strconv.ParseUint(c.version, 10, 32)
	if err != nil || n == 0 || c.version[0] == '0' || c.version[0] == '+' {
		return lake.Resource{}, outcome.Faultf(outcome.NotFound, "%s/%s has no version '%s'", c.typ, c.id, clip(c.version))
	}
	res, err := c.ds.store.ReadVersion(c.typ, c.id, uint32(n), nil)
	err = c.seen(&res, err)
	if errors.Is(err, lake.ErrNotFound) {
		return res, outcome.Faultf(outcome.NotFound, "%s/%s has no version %d", c.typ, c.id, n)
	}
	return res, c.readFault(err)
}

// current reads the current version.
func (c *call) current() (lake.Resource, error) {
	res, err := c.ds.store.Read(c.typ, c.id, nil)
	if err = c.seen(&res, err); err != nil {
		return lake.Resource{}, c.readFault(err)
	}
	return res, nil
}

// readFault says what an error of reading the resource of the call means; nil is none.
func (c *call) readFault(err error) error {
	var gone *lake.GoneError
	switch {
	case errors.Is(err, lake.ErrNotFound):
		return outcome.Faultf(outcome.NotFound, "there is no %s with id '%s'", c.typ, c.id)
	case errors.As(err, &gone):
		return &versioned{outcome.Faultf(outcome.Gone, "%s/%s was deleted in version %d", c.typ, c.id, gone.Version.Number), gone.Version.Number}
	}
	return err
}

// versioned is a fault whose answer has the ETag of a version (FHIR R4, 3.1.0.2).
type versioned struct {
	*outcome.Fault
	number uint32
}

func (e *versioned) Unwrap() error { return e.Fault }

// give makes the reply of a resource that is there, or says that the client has it
// already (FHIR R4, 3.1.0.6).
func (c *call) give(res *lake.Resource) (*reply, error) {
	out := &reply{status: http.StatusOK, version: res.Number, updated: res.Updated, json: res.JSON, resource: true}
	if c.text != nil && cap(res.JSON) > cap(*c.text) {
		*c.text = res.JSON
	}
	if c.unmodified(res) {
		out.status, out.json = http.StatusNotModified, nil
		return out, nil
	}
	var err error
	out.json, err = shown(res.Type, res.JSON, res.Beside)
	out.flawed = flawed(res.Beside)
	out.raw = c.typ == r4.TypeBinary
	return out, err
}

// shown is the text of a stored resource with what is kept beside it: text itself when that
// is nothing.
func shown(t r4.TypeID, text []byte, kept beside.Values) ([]byte, error) {
	if len(kept) == 0 {
		return text, nil
	}
	return beside.AppendShown(nil, t, text, kept)
}

// flawed tells whether a resource was stored with issues.
func flawed(kept beside.Values) bool { return kept.Of(beside.Issues) != nil }

// unmodified evaluates If-None-Match and If-Modified-Since (RFC 9110, 13.2.2: the
// second counts only without the first).
func (c *call) unmodified(res *lake.Resource) bool {
	if text := c.headerOf("If-None-Match"); text != "" {
		if strings.TrimSpace(text) == "*" {
			return true
		}
		for tag := range strings.SplitSeq(text, ",") {
			if n, ok := readETag(tag); ok && n == res.Number {
				return true
			}
		}
		return false
	}
	if text := c.header.Get("If-Modified-Since"); text != "" {
		since, err := http.ParseTime(text)
		if err != nil { // that of an entry is an instant
			since, err = time.Parse(time.RFC3339, text)
		}
		// Last-Modified has whole seconds.
		return err == nil && res.Updated/1e6 <= since.Unix()
	}
	return false
}
