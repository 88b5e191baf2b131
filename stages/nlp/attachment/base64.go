package attachment

import "encoding/base64"

// Base64 decodes the raw content of a JSON string that is a base64Binary (R4,
// datatypes: white space is allowed). Escapes are read as JSON has them. The
// result is valid until the next call of Base64; calls of Text leave it alone.
func (d *Decoder) Base64(value []byte) ([]byte, error) {
	if n := base64.StdEncoding.DecodedLen(len(value)); cap(d.raw) < n {
		d.raw = make([]byte, n+n/4)
	}
	// The decoder knows line ends; other white space and escapes are too rare to
	// look for them first.
	n, err := base64.StdEncoding.Decode(d.raw[:cap(d.raw)], value)
	if err == nil {
		return d.raw[:n], nil
	}
	d.utf8 = appendAlphabet(d.utf8[:0], value)
	n, err = base64.StdEncoding.Decode(d.raw[:cap(d.raw)], d.utf8)
	if err != nil {
		return nil, &Unreadable{"the data is not base64"}
	}
	return d.raw[:n], nil
}

// appendAlphabet appends value without white space and JSON escapes.
func appendAlphabet(dst, value []byte) []byte {
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c == '\\' && i+1 < len(value) {
			i++
			switch c = value[i]; c {
			case 'n', 'r', 't', 'f', 'b':
				continue
			case 'u':
				r, ok := hex4(value[i+1:])
				if !ok || r > 0x7f {
					return append(dst, '\\') // which is no base64
				}
				i += 4
				c = byte(r)
			}
		}
		if c != ' ' && (c < '\t' || c > '\r') {
			dst = append(dst, c)
		}
	}
	return dst
}

// hex4 gives the value of four hexadecimal digits.
func hex4(s []byte) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for _, c := range s[:4] {
		v := hexValue(c)
		if v < 0 {
			return 0, false
		}
		r = r<<4 | rune(v)
	}
	return r, true
}

// hexValue gives the value of a hexadecimal digit, or -1.
func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
