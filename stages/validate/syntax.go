package validate

import (
	"bytes"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
)

// syntax checks a code of a standard outside of FHIR that has too many codes for
// a list: what it is written like, and for currencies what it is.
func (v *Validator) syntax(n fhir.NodeID, kind checkKind) {
	text := v.text(n)
	switch kind {
	case checkLanguage:
		if !v.verdicts.of(text, kind, isLanguage) {
			v.value(n, "is no language tag; expected such as 'de' or 'en-US' (BCP 47)")
		}
	case checkMIME:
		if !v.verdicts.of(text, kind, isMIME) {
			v.value(n, "is no MIME type; expected such as 'text/plain' or 'application/fhir+json'")
		}
	case checkFormat:
		if !v.verdicts.of(text, kind, isFormat) {
			v.value(n, "is no format; expected a MIME type, or xml, json or ttl")
		}
	case checkCurrency:
		if !currencies()[string(text)] {
			v.value(n, "is no currency; expected a code of ISO 4217 such as 'EUR'")
		}
	}
}

// isLanguage tells whether text is a well-formed language tag (BCP 47, RFC 5646
// 2.1): subtags of at most eight letters and digits, of which the first is of
// letters, and `i-` or `x-` before others.
func isLanguage(text []byte) bool {
	first := true
	for tag := range bytes.SplitSeq(text, []byte{'-'}) {
		switch {
		case len(tag) == 0 || len(tag) > 8 || !only(tag, typeNameByte):
			return false
		case first && !only(tag, letter):
			return false
		case first && len(tag) == 1 && (len(text) < 3 || tag[0]|0x20 != 'x' && tag[0]|0x20 != 'i'):
			return false
		}
		first = false
	}
	return true
}

// mimeByte has the bytes of a token (RFC 2045, 5.1).
var mimeByte = bytesOf(letters + digits + "!#$%&'*+-.^_`{|}~")

// isMIME tells whether text is a media type (RFC 2045, 5.1; RFC 6838, 4.2):
// type/subtype, then parameters of which only the sign before them is looked at.
func isMIME(text []byte) bool {
	text, _, _ = bytes.Cut(text, []byte{';'})
	text = bytes.TrimRight(text, " ")
	kind, sub, ok := bytes.Cut(text, []byte{'/'})
	return ok && only(kind, mimeByte) && only(sub, mimeByte)
}

// isFormat tells whether text is a format that servers and clients agree on: those
// of FHIR have short names (FHIR R4 3.1.0.1.11), which CapabilityStatement and
// TestScript use.
func isFormat(text []byte) bool {
	switch string(text) {
	case "xml", "json", "ttl":
		return true
	}
	return isMIME(text)
}

// currencies has the codes of [currencyCodes], made at first use.
var currencies = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for code := range bytes.FieldsSeq([]byte(currencyCodes)) {
		m[string(code)] = true
	}
	return m
})
