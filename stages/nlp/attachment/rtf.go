package attachment

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
)

// rtfReader takes the text out of RTF 1.9.1, in one pass over its control words.
type rtfReader struct {
	out   []byte
	bytes []byte // characters of the code page that are not yet decoded
	group rtfGroup
	outer []rtfGroup // the groups around it
	deep  int        // groups within it that share its state
	skip  int        // characters that stand for the last \u in older readers
	high  rune       // the first half of a surrogate pair, or 0
	page  *encoding.Decoder
}

// rtfGroup is what a group has of its own, and its end restores.
type rtfGroup struct {
	skip   bool // the group is no text
	star   bool // \* came: what is not known is skipped
	hidden bool // \v
	gone   bool // \deleted
	uc     int32
}

// maxGroups is how deep groups have states of their own. What is nested deeper
// is no document that a person wrote.
const maxGroups = 1024

// fromRTF reads RTF.
func (d *Decoder) fromRTF(data []byte) ([]byte, error) {
	r := &d.rtf
	*r = rtfReader{out: d.text[:0], bytes: r.bytes[:0], outer: r.outer[:0], group: rtfGroup{uc: 1}}
	r.page = charmap.Windows1252.NewDecoder()
	r.read(data[bytes.IndexByte(data, '{'):])
	r.endPair()
	d.text = r.out
	return r.out, nil
}

// read reads one group to its end, or that of the data.
func (r *rtfReader) read(data []byte) {
	for i := 0; i < len(data); {
		switch c := data[i]; c {
		case '{':
			i++
			r.open()
		case '}':
			i++
			if !r.close() {
				return
			}
		case '\\':
			i = r.control(data, i+1)
		case '\r', '\n', 0:
			i++
		default:
			i += r.plain(data[i:])
		}
	}
	r.flush()
}

func (r *rtfReader) open() {
	r.flush()
	r.skip = 0
	if len(r.outer) == maxGroups {
		r.deep++
		return
	}
	r.outer = append(r.outer, r.group)
	r.group.star = false
}

// close ends a group and tells whether it was within another.
func (r *rtfReader) close() bool {
	r.flush()
	r.skip = 0
	if r.deep > 0 {
		r.deep--
		return true
	}
	n := len(r.outer) - 1
	if n < 0 {
		return false
	}
	r.group, r.outer = r.outer[n], r.outer[:n]
	return n > 0
}

// plain takes characters that stand for themselves and gives how many bytes they are.
func (r *rtfReader) plain(data []byte) int {
	n := 1
	for n < len(data) && !rtfSyntax[data[n]] {
		n++
	}
	text := data[:n]
	if s := min(r.skip, n); s > 0 {
		r.skip -= s
		text = text[s:]
	}
	if !r.shows() || len(text) == 0 {
		return n
	}
	if len(r.bytes) == 0 && ascii(text) {
		r.endPair()
		r.out = append(r.out, text...)
		return n
	}
	r.bytes = append(r.bytes, text...)
	return n
}

// rtfSyntax are the bytes that are no text.
var rtfSyntax = [256]bool{'{': true, '}': true, '\\': true, '\r': true, '\n': true, 0: true}

func ascii(s []byte) bool {
	for _, c := range s {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (r *rtfReader) shows() bool { return !r.group.skip && !r.group.hidden && !r.group.gone }

// control reads what follows a backslash at data[i-1] and gives where it ends.
func (r *rtfReader) control(data []byte, i int) int {
	if i == len(data) {
		return i
	}
	if c := data[i]; c|0x20 < 'a' || c|0x20 > 'z' {
		return r.symbol(data, i)
	}
	begin := i
	for i < len(data) && data[i]|0x20 >= 'a' && data[i]|0x20 <= 'z' {
		i++
	}
	word := data[begin:i]
	n, given, i := rtfNumber(data, i)
	if i < len(data) && data[i] == ' ' {
		i++
	}
	if string(word) == "bin" { // n bytes that are no RTF
		if r.skip > 0 {
			r.skip--
		}
		return i + min(max(int(n), 0), len(data)-i)
	}
	if r.skip > 0 { // one of the characters of older readers, whatever it is
		r.skip--
		return i
	}
	r.word(word, n, given)
	return i
}

// rtfNumber reads the number of a control word.
func rtfNumber(data []byte, i int) (n int32, given bool, end int) {
	negative := i+1 < len(data) && data[i] == '-' && data[i+1] >= '0' && data[i+1] <= '9'
	if negative {
		i++
	}
	for ; i < len(data) && data[i] >= '0' && data[i] <= '9'; i++ {
		given = true
		if n < 1<<27 { // as far as a number may grow by one more digit
			n = n*10 + int32(data[i]-'0')
		}
	}
	if negative {
		n = -n
	}
	return n, given, i
}

// symbol reads a control symbol: a backslash and one character.
func (r *rtfReader) symbol(data []byte, i int) int {
	c := data[i]
	i++
	if c == '\'' {
		return r.hexByte(data, i)
	}
	if c == '*' {
		r.group.star = true
		return i
	}
	if r.skip > 0 {
		r.skip--
		return i
	}
	switch c {
	case '{', '}', '\\':
		r.text(c)
	case '~': // a no-break space
		r.text(' ')
	case '_': // a no-break hyphen
		r.text('-')
	case '\r', '\n':
		r.text('\n')
	case '\t':
		r.text('\t')
	}
	return i // what is left are hints: where a word may be broken, index entries
}

// hexByte reads the two digits of a byte of the code page.
func (r *rtfReader) hexByte(data []byte, i int) int {
	if i+2 > len(data) {
		return len(data)
	}
	high, low := hexValue(data[i]), hexValue(data[i+1])
	if high < 0 || low < 0 {
		return i
	}
	switch {
	case r.skip > 0:
		r.skip--
	case r.shows():
		r.bytes = append(r.bytes, byte(high<<4|low))
	}
	return i + 2
}

// text appends one character of ASCII.
func (r *rtfReader) text(c byte) {
	if r.shows() {
		r.flush()
		r.endPair()
		r.out = append(r.out, c)
	}
}

// flush decodes the characters of the code page that wait for it.
func (r *rtfReader) flush() {
	if len(r.bytes) > 0 {
		r.endPair()
		r.out = appendDecoded(r.out, r.bytes, r.page)
		r.bytes = r.bytes[:0]
	}
}

// endPair replaces a first half of a pair that has no second.
func (r *rtfReader) endPair() {
	if r.high != 0 {
		r.high = 0
		r.out = utf8.AppendRune(r.out, utf8.RuneError)
	}
}

// unicode appends a character that \u gives as a signed number of 16 bits.
func (r *rtfReader) unicode(n int32) {
	r.skip = int(r.group.uc)
	if !r.shows() || n == 0 {
		return
	}
	r.flush()
	c := rune(n)
	if c < 0 {
		c = rune(uint16(n)) // n is -32768 and more, and what is less is no character
	}
	switch {
	case c >= 0xd800 && c < 0xdc00:
		r.endPair()
		r.high = c
		return
	case r.high != 0 && c >= 0xdc00 && c < 0xe000:
		c = utf16.DecodeRune(r.high, c)
		r.high = 0
	}
	r.endPair()
	r.out = utf8.AppendRune(r.out, c)
}

// word does what a control word says.
func (r *rtfReader) word(word []byte, n int32, given bool) {
	star := r.group.star
	r.group.star = false
	w, known := rtfWords[string(word)]
	switch {
	case w.kind == rtfSkip || star && !known:
		r.flush()
		r.group.skip = true
		return
	case !known:
		return
	}
	on := !given || n != 0
	switch w.kind {
	case rtfChar:
		r.flush()
		if r.shows() {
			r.endPair()
			r.out = append(r.out, w.text...)
		}
	case rtfUnicode:
		if given {
			r.unicode(n)
		}
	case rtfUC:
		r.group.uc = max(0, n)
	case rtfShow:
		r.group.skip = false
	case rtfHidden:
		r.flush()
		r.group.hidden = on
	case rtfDeleted:
		r.flush()
		r.group.gone = on
	case rtfPlain:
		r.flush()
		r.group.hidden, r.group.gone = false, false
	case rtfPage:
		r.flush()
		if !given {
			n = w.page
		}
		if e := codePage(n); e != nil {
			r.page = e.NewDecoder()
		}
	}
}
