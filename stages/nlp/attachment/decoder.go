package attachment

import (
	"bytes"
	"net/http"
	"strings"
	"unicode/utf8"
)

// A Decoder turns the data of attachments into text. It belongs to one
// goroutine and keeps its buffers. The zero value is ready.
type Decoder struct {
	raw  []byte // what Base64 gave
	utf8 []byte // data in UTF-8, where it was not
	text []byte // the text of a marked-up document
	rtf  rtfReader
	html htmlReader
}

// Unreadable is the error of data that has no text, or none that is read.
type Unreadable struct {
	Reason string // in words for the user; nothing of the data
}

func (e *Unreadable) Error() string { return e.Reason }

// Text gives the text of data, which is of contentType (RFC 9110, 8.3.1); data
// without a type, or of application/octet-stream, is looked at by its content.
// The result is UTF-8, valid until the next call, and may alias data.
//
// What cannot be read is an *Unreadable. Any other error is about the machine.
func (d *Decoder) Text(contentType string, data []byte) ([]byte, error) {
	kind, charset := split(contentType)
	if kind == "" || kind == "application/octet-stream" || kind == "binary/octet-stream" {
		kind = sniff(data)
		if kind == "" {
			return nil, &Unreadable{"the data is of no content type that is read"}
		}
	}
	switch form := formOf(kind); form {
	case formPlain:
		// Systems that send whatever they have as text/plain are many.
		switch {
		case isRTF(data):
			return d.fromRTF(data)
		case isPDF(data):
			return d.fromPDF(data, maxPDFTime)
		}
		return d.toUTF8(data, charset)
	case formHTML, formXML:
		return d.fromHTML(data, charset, form == formXML)
	case formRTF:
		if !isRTF(data) {
			return nil, &Unreadable{"the data is not RTF, which its content type says"}
		}
		return d.fromRTF(data)
	case formPDF:
		if !isPDF(data) {
			return nil, &Unreadable{"the data is not PDF, which its content type says"}
		}
		return d.fromPDF(data, maxPDFTime)
	}
	return nil, &Unreadable{"content type " + printable(kind) + " is not read"}
}

// form is how data is read.
type form uint8

const (
	formNone form = iota
	formPlain
	formHTML
	formXML
	formRTF
	formPDF
)

// formOf gives how a media type, in lower case, is read.
func formOf(kind string) form {
	switch kind {
	case "text/plain":
		return formPlain
	case "text/html", "application/xhtml", "application/xhtml+xml":
		return formHTML
	case "text/xml", "application/xml":
		return formXML
	case "text/rtf", "application/rtf", "application/x-rtf", "text/richtext":
		return formRTF
	case "application/pdf", "application/x-pdf":
		return formPDF
	}
	switch {
	case strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+xml"):
		return formXML
	case strings.HasPrefix(kind, "text/"):
		return formPlain
	}
	return formNone
}

// split gives the media type, in lower case, and the charset of a content type.
// It reads what is no valid content type as far as it goes.
func split(contentType string) (kind, charset string) {
	kind, rest, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	for rest != "" {
		var param string
		param, rest = cutParameter(rest)
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "charset") {
			return kind, strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return kind, ""
}

// cutParameter cuts after the first semicolon outside of quotes.
func cutParameter(s string) (param, rest string) {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// sniff gives the media type of data by its content, "" if it is none that is known.
func sniff(data []byte) string {
	switch {
	case isRTF(data):
		return "application/rtf"
	case isPDF(data):
		return "application/pdf"
	case utf16Order(data) != noUTF16:
		return "text/plain"
	}
	kind, _ := split(http.DetectContentType(data)) // WHATWG MIME Sniffing, of the first 512 bytes
	if kind != "application/octet-stream" {
		return kind
	}
	if bytes.IndexByte(data, 0) < 0 && utf8.Valid(data) {
		return "text/plain" // with a control character that is usual elsewhere
	}
	return ""
}

func isRTF(data []byte) bool { return bytes.HasPrefix(head(data), []byte(`{\rtf`)) }

func isPDF(data []byte) bool { return bytes.HasPrefix(head(data), []byte("%PDF-")) }

// head gives data from its first byte on that is neither white space nor a byte
// order mark of UTF-8, or nothing if that is far.
func head(data []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(data[:min(len(data), 64)], utf8Mark), " \t\r\n\f\x00")
}

// maxShown is how many bytes of a content type or charset an error names.
const maxShown = 60

// printable gives s as an error may name it.
func printable(s string) string {
	cut := s[:min(len(s), maxShown)]
	cut = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, cut)
	if len(s) > maxShown {
		cut += "..."
	}
	return cut
}
