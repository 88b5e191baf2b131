package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
)

// Head is what the text of a stored resource says of itself. It aliases the text.
type Head struct{ ResourceType, ID, VersionID, LastUpdated []byte }

// ErrLine says that a line is not the text of a stored resource.
var ErrLine = errors.New("not the JSON of a resource")

// ReadHead finds type and id of a resource, and with meta also meta.versionId and
// meta.lastUpdated. It stops when it has them: in all but odd input they come first.
func ReadHead(line []byte, meta bool) (h Head, err error) {
	m := members{b: line}
	for missing := 2 + count(meta); missing > 0; missing-- {
		key, value, err := m.find("resourceType", "id", "meta")
		if err != nil {
			return Head{}, err
		}
		switch {
		case key == "resourceType":
			h.ResourceType = stringValue(value)
		case key == "id":
			h.ID = stringValue(value)
		case meta:
			if err := h.readMeta(value); err != nil {
				return Head{}, err
			}
		default:
			missing++ // not asked for
		}
	}
	return h, nil
}

func (h *Head) readMeta(meta []byte) error {
	m := members{b: meta}
	for h.VersionID == nil || h.LastUpdated == nil {
		key, value, err := m.find("versionId", "lastUpdated")
		if err != nil {
			return err
		}
		if key == "versionId" {
			h.VersionID = stringValue(value)
		} else {
			h.LastUpdated = stringValue(value)
		}
	}
	return nil
}

// Version gives meta.versionId.
func (h *Head) Version() (uint32, error) {
	n, err := strconv.ParseUint(string(h.VersionID), 10, 32)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("meta.versionId: %w", ErrLine)
	}
	return uint32(n), nil
}

// Updated gives meta.lastUpdated in UTC microseconds.
func (h *Head) Updated() (int64, error) {
	t, err := time.Parse("2006-01-02T15:04:05.000Z", string(h.LastUpdated))
	if err != nil {
		return 0, fmt.Errorf("meta.lastUpdated: %w", ErrLine)
	}
	return t.UnixMicro(), nil
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// stringValue gives the value of a JSON string, without a copy where it has no escapes.
func stringValue(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	value = value[1 : len(value)-1]
	if bytes.IndexByte(value, '\\') < 0 {
		return value
	}
	return fhir.AppendUnescaped(nil, value)
}

// members goes through the members of a JSON object. The text was validated when it
// was stored; of text that was damaged it says an error, or something wrong, and never
// reads outside.
type members struct {
	b  []byte
	at int
}

// find gives the next member that has one of the names.
func (m *members) find(names ...string) (name string, value []byte, err error) {
	for {
		key, value, ok := m.next()
		if !ok {
			return "", nil, ErrLine
		}
		for _, n := range names {
			if string(key) == n {
				return n, value, nil
			}
		}
	}
}

func (m *members) next() (key, value []byte, ok bool) {
	// From the brace or comma to the key, over it, to the colon, over the value.
	at := bytes.IndexByte(m.b[m.at:], '"')
	if at < 0 {
		return nil, nil, false
	}
	start := m.at + at
	end := skipString(m.b, start)
	colon := bytes.IndexByte(m.b[end:], ':')
	if colon < 0 {
		return nil, nil, false
	}
	from := end + colon + 1
	for from < len(m.b) && (m.b[from] == ' ' || m.b[from] == '\t' || m.b[from] == '\r') {
		from++
	}
	to := skipValue(m.b, from)
	m.at = to
	for to > from && (m.b[to-1] == ' ' || m.b[to-1] == '\t' || m.b[to-1] == '\r') {
		to--
	}
	if end-start < 2 || to == from {
		return nil, nil, false
	}
	return m.b[start+1 : end-1], m.b[from:to], true
}

// skipString gives the place after the string that begins at b[i].
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		i += n
		slashes := 0
		for b[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
	return len(b)
}

// skipValue gives the place after the value that begins at b[i].
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skipString(b, i); depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of the object around a bare value
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}
