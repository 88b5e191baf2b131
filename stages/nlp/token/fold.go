package token

import "strings"

// accents lists letters with the plain ones that they are compared as.
const accents = "à a á a â a ã a ä a å a æ ae ç c è e é e ê e ë e ì i í i î i ï i ð d ñ n ò o ó o ô o õ o ö o ø o ù u ú u û u ü u ý y þ th ÿ y " +
	"ß ss ā a ă a ą a ć c č c ď d đ d ē e ė e ę e ě e ğ g ī i į i ı i ł l ń n ň n ő o œ oe ř r ś s ş s š s ţ t ť t ū u ů u ű u ź z ż z ž z " +
	"µ u μ u α alpha β beta γ gamma δ delta ε epsilon κ kappa λ lambda ω omega"

var plainLetters = func() map[rune]string {
	m := map[rune]string{}
	f := strings.Fields(accents)
	for i := 0; i+1 < len(f); i += 2 {
		r := []rune(f[i])[0]
		m[r] = f[i+1]
		for _, u := range strings.ToUpper(f[i]) {
			if _, ok := m[u]; !ok && u > 0x7f {
				m[u] = f[i+1]
			}
		}
	}
	return m
}()

// plain gives the ASCII letters that an accented or Greek letter is compared as.
func plain(r rune) (string, bool) {
	s, ok := plainLetters[r]
	return s, ok
}

// HashOf is the hash that a text of one token has, as a dictionary asks for it.
func HashOf(s string) (uint64, bool) {
	t := Append(nil, []byte(s))
	if len(t) != 1 {
		return 0, false
	}
	return t[0].Hash, true
}
