package attachment

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// toUTF8 gives data, which is of charset if that is known, in UTF-8. A byte order
// mark says more than charset (WHATWG Encoding, 6). Bytes that stand for no
// character become U+FFFD.
func (d *Decoder) toUTF8(data []byte, charset string) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, utf8Mark):
		return d.valid(data[len(utf8Mark):]), nil
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return d.transcode(data[2:], littleEndian), nil
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return d.transcode(data[2:], bigEndian), nil
	case charset == "" || strings.EqualFold(charset, "us-ascii") || strings.EqualFold(charset, "ascii"):
		// What calls itself ASCII and is not is no better known than what says nothing.
		return d.guess(data)
	case strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8"):
		return d.valid(data), nil
	case strings.EqualFold(charset, "utf-16"):
		if utf16Order(data) == utf16Big {
			return d.transcode(data, bigEndian), nil
		}
		return d.transcode(data, littleEndian), nil // as WHATWG Encoding has it, 4.2
	}
	e := charsetOf(charset)
	switch {
	case e != nil:
		return d.transcode(data, e), nil
	case bytes.IndexByte(data, 0) < 0 && utf8.Valid(data):
		return data, nil
	}
	return nil, &Unreadable{"charset " + printable(charset) + " is not known"}
}

// guess reads data whose charset nobody tells.
func (d *Decoder) guess(data []byte) ([]byte, error) {
	zero := bytes.IndexByte(data, 0) >= 0
	if zero {
		switch utf16Order(data) {
		case utf16Big:
			return d.transcode(data, bigEndian), nil
		case utf16Little:
			return d.transcode(data, littleEndian), nil
		}
	}
	switch {
	case utf8.Valid(data):
		return data, nil
	case zero:
		return nil, &Unreadable{"the data is not text, which its content type says"}
	}
	return d.transcode(data, charmap.Windows1252), nil
}

// valid gives data with U+FFFD for each byte that is not UTF-8.
func (d *Decoder) valid(data []byte) []byte {
	if utf8.Valid(data) {
		return data
	}
	d.utf8 = appendValid(d.utf8[:0], data)
	return d.utf8
}

func appendValid(dst, data []byte) []byte {
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		dst = utf8.AppendRune(dst, r)
		data = data[n:]
	}
	return dst
}

// transcode gives data, which is encoded by e, in UTF-8.
func (d *Decoder) transcode(data []byte, e encoding.Encoding) []byte {
	d.utf8 = appendDecoded(d.utf8[:0], data, e.NewDecoder())
	return d.utf8
}

// appendDecoded appends what t makes of data. A decoder fails on no data that is
// whole: it replaces.
func appendDecoded(dst, data []byte, t transform.Transformer) []byte {
	n := len(dst)
	dst, _, err := transform.Append(t, dst, data)
	if err != nil || !utf8.Valid(dst[n:]) {
		return appendValid(dst[:n:n], dst[n:])
	}
	return dst
}

var (
	utf8Mark     = []byte("\ufeff")
	littleEndian = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	bigEndian    = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
)

// charsetOf gives the encoding of a name, as browsers read it (WHATWG), or else
// as IANA has it; nil if there is none.
func charsetOf(name string) encoding.Encoding {
	e, err := htmlindex.Get(name)
	if err != nil {
		e, err = ianaindex.IANA.Encoding(name)
	}
	if err != nil || e == encoding.Replacement {
		return nil
	}
	return e
}

// byteOrder is that of UTF-16.
type byteOrder uint8

const (
	noUTF16 byteOrder = iota
	utf16Little
	utf16Big
)

// utf16Sample is how many bytes tell UTF-16.
const utf16Sample = 1024

// utf16Order tells whether data is UTF-16 without a mark, by its zero bytes: they
// are the upper halves of Latin text, and stand on one side only.
func utf16Order(data []byte) byteOrder {
	data = data[:min(len(data), utf16Sample)&^1]
	var zeros [2]int
	for i, b := range data {
		if b != 0 {
			continue
		}
		zeros[i&1]++
		half := data[i^1]
		if half < ' ' && (half < '\t' || half > '\r') || half > '~' && half < 0xa0 {
			return noUTF16 // a control character
		}
	}
	switch enough := max(1, len(data)/4); {
	case zeros[0] == 0 && zeros[1] >= enough:
		return utf16Little
	case zeros[1] == 0 && zeros[0] >= enough:
		return utf16Big
	}
	return noUTF16
}
