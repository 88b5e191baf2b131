package bundle

import (
	"bytes"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Links tell under which Type/id the entries of a transaction are stored, by their
// fullUrl.
//
// What refers to an entry is rewritten (FHIR R4, 3.1.0.11.2): References, elements of
// the types uri, url, oid and uuid, href and src in narratives; a canonical is not. A
// relative Reference of an entry whose fullUrl is that of a RESTful server is relative
// to the base of that one (2.36.4.1). A fragment is kept. What refers to one version of
// an entry, or to nothing in the Bundle, stays as it is.
type Links struct{ targets map[string]string }

// Add says where the resource of a fullUrl will be. It tells whether that is the only
// entry of it.
func (l *Links) Add(fullURL, target string) bool {
	if fullURL == "" {
		return true
	}
	if _, twice := l.targets[fullURL]; twice {
		return false
	}
	if l.targets == nil {
		l.targets = map[string]string{}
	}
	l.targets[fullURL] = target
	return true
}

var elReference = r4.TypeReference.ElementByName("reference")

// AppendResource appends the resource of an entry with its links rewritten, else as it
// is written.
func (l *Links) AppendResource(dst []byte, t *fhir.Tree, e *Entry) []byte {
	root := &t.Nodes[e.Resource]
	at := root.Start
	if len(l.targets) > 0 {
		base := serverOf(e.FullURL)
		var buf, value []byte
		for n := uint32(e.Resource) + 1; n < root.Next; n++ {
			nd := &t.Nodes[n]
			if nd.Kind != fhir.KindString || nd.Flags&fhir.FlagTwin != 0 {
				continue
			}
			switch {
			case nd.Element == elReference:
				value = l.reference(buf[:0], t.String(fhir.NodeID(n), nil), base)
			case nd.Type == r4.TypeUri || nd.Type == r4.TypeUrl || nd.Type == r4.TypeOid || nd.Type == r4.TypeUuid:
				value = l.reference(buf[:0], t.String(fhir.NodeID(n), nil), "")
			case nd.Type == r4.TypeXhtml:
				value = l.narrative(buf[:0], t.Raw(fhir.NodeID(n)))
			default:
				continue
			}
			if value != nil {
				dst = append(append(dst, t.Data[at:nd.Start]...), value...)
				at, buf = nd.End, value
			}
		}
	}
	return append(dst, t.Data[at:root.End]...)
}

// reference appends what text becomes, as JSON without quotes; nil when it stays as it
// is. Targets are of characters that need no escape, a fragment may not be.
func (l *Links) reference(dst, text []byte, base string) []byte {
	url, fragment, _ := bytes.Cut(text, []byte("#"))
	target, ok := l.targets[string(url)]
	if !ok && base != "" && len(url) > 0 && bytes.IndexByte(url, ':') < 0 {
		target, ok = l.targets[base+string(url)]
	}
	if !ok {
		return nil
	}
	dst = append(dst, target...)
	if len(fragment) > 0 {
		quoted := fhir.AppendQuoted(nil, string(fragment))
		dst = append(append(dst, '#'), quoted[1:len(quoted)-1]...)
	}
	return dst
}

// serverOf gives the base of the server that a fullUrl Base/Type/id is of, with its
// slash, "" for another one.
func serverOf(fullURL string) string {
	if !strings.HasPrefix(fullURL, "http://") && !strings.HasPrefix(fullURL, "https://") {
		return ""
	}
	id := strings.LastIndexByte(fullURL, '/')
	typ := strings.LastIndexByte(fullURL[:id], '/')
	if typ < 0 || r4.ResourceTypeByName([]byte(fullURL[typ+1:id])) == 0 {
		return ""
	}
	return fullURL[:typ+1]
}

// narrative appends raw, the text of a JSON string, with the links of its XHTML
// rewritten; nil when it has none.
func (l *Links) narrative(dst, raw []byte) []byte {
	at := 0
	for i := 0; i < len(raw); {
		start, end := attribute(raw, i)
		if start < 0 {
			break
		}
		if value := l.reference(nil, raw[start:end], ""); value != nil {
			dst = append(append(dst, raw[at:start]...), value...)
			at = end
		}
		i = end
	}
	if at == 0 {
		return nil
	}
	return append(dst, raw[at:]...)
}

// attribute finds the value of the next href or src attribute at i or after it, in the
// text of a JSON string, where a quote is escaped. start is -1 when there is none.
func attribute(raw []byte, i int) (start, end int) {
	for ; i < len(raw); i++ {
		var name string
		switch raw[i] {
		case 'h':
			name = "href"
		case 's':
			name = "src"
		default:
			continue
		}
		if i == 0 || !endsAttribute(raw[i-1]) || !bytes.HasPrefix(raw[i:], []byte(name)) {
			continue
		}
		v := skipBlank(raw, i+len(name))
		if v >= len(raw) || raw[v] != '=' {
			continue
		}
		v = skipBlank(raw, v+1)
		switch {
		case bytes.HasPrefix(raw[v:], []byte(`\"`)):
			if n := bytes.Index(raw[v+2:], []byte(`\"`)); n >= 0 {
				return v + 2, v + 2 + n
			}
		case v < len(raw) && raw[v] == '\'':
			if n := bytes.IndexByte(raw[v+1:], '\''); n >= 0 {
				return v + 1, v + 1 + n
			}
		}
	}
	return -1, -1
}

// endsAttribute tells whether c, the byte before a name, may end what is before an
// attribute: a blank, or the last letter of the escapes \n, \r and \t.
func endsAttribute(c byte) bool { return c == ' ' || c == 'n' || c == 'r' || c == 't' }

// skipBlank passes over blanks, those that are escaped as \n, \r and \t too.
func skipBlank(raw []byte, i int) int {
	for i < len(raw) {
		switch {
		case raw[i] == ' ':
			i++
		case raw[i] == '\\' && i+1 < len(raw) && bytes.IndexByte([]byte("nrt"), raw[i+1]) >= 0:
			i += 2
		default:
			return i
		}
	}
	return i
}
