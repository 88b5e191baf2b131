package attachment

import (
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

// rtfKind is what a control word does.
type rtfKind uint8

const (
	rtfSkip    rtfKind = iota + 1 // its group is no text
	rtfShow                       // its group is text, even within one that is not
	rtfChar                       // a character
	rtfUnicode                    // a character by its number
	rtfUC                         // how many characters older readers have for one
	rtfHidden
	rtfDeleted
	rtfPlain
	rtfPage // the code page
)

type rtfWord struct {
	kind rtfKind
	text string // of rtfChar
	page int32  // of rtfPage, where the word has no number
}

// rtfWords are the control words that matter for the text. All others say what
// it looks like, or need \* before them.
var rtfWords = func() map[string]rtfWord {
	m := map[string]rtfWord{
		"u": {kind: rtfUnicode}, "uc": {kind: rtfUC}, "v": {kind: rtfHidden}, "deleted": {kind: rtfDeleted}, "plain": {kind: rtfPlain},
		"ansi": {kind: rtfPage, page: 1252}, "ansicpg": {kind: rtfPage, page: 1252}, "mac": {kind: rtfPage, page: 10000},
		"pc": {kind: rtfPage, page: 437}, "pca": {kind: rtfPage, page: 850},
		"shptxt": {kind: rtfShow},
	}
	for text, words := range map[string][]string{
		"\n":     {"column", "line", "nestrow", "page", "par", "row", "sect", "softcol", "softline", "softpage"},
		"\t":     {"cell", "nestcell", "tab"},
		" ":      {"emspace", "enspace", "qmspace"},
		"\u2013": {"endash"},
		"\u2014": {"emdash"},
		"\u2018": {"lquote"},
		"\u2019": {"rquote"},
		"\u201c": {"ldblquote"},
		"\u201d": {"rdblquote"},
		"\u2022": {"bullet"},
	} {
		for _, w := range words {
			m[w] = rtfWord{kind: rtfChar, text: text}
		}
	}
	for _, w := range []string{
		"aftncn", "aftnsep", "aftnsepc", "annotation", "atnauthor", "atnid", "atnref", "author", "background", "bkmkend", "bkmkstart",
		"buptim", "category", "colortbl", "comment", "company", "creatim", "datafield", "datastore", "doccomm", "factoidname", "filetbl",
		"fldinst", "fonttbl", "footer", "footerf", "footerl", "footerr", "formfield", "ftncn", "ftnsep", "ftnsepc", "generator", "header",
		"headerf", "headerl", "headerr", "info", "keywords", "latentstyles", "listoverridetable", "listtable", "manager", "mmathPr",
		"nonesttables", "nonshppict", "objclass", "objdata", "objname", "operator", "pgdsctbl", "pict", "printim", "private", "revtbl",
		"revtim", "rsidtbl", "rxe", "shprslt", "sn", "stylesheet", "subject", "sv", "tc", "tcn", "template", "themedata", "title", "userprops",
		"xe", "xmlnstbl",
	} {
		m[w] = rtfWord{kind: rtfSkip}
	}
	return m
}()

// codePage gives the encoding of a Windows or DOS code page, nil if it is none that is known.
func codePage(n int32) encoding.Encoding { return codePages[n] }

var codePages = map[int32]encoding.Encoding{
	437: charmap.CodePage437, 850: charmap.CodePage850, 852: charmap.CodePage852, 855: charmap.CodePage855, 858: charmap.CodePage858,
	860: charmap.CodePage860, 862: charmap.CodePage862, 863: charmap.CodePage863, 865: charmap.CodePage865, 866: charmap.CodePage866,
	874: charmap.Windows874, 932: japanese.ShiftJIS, 936: simplifiedchinese.GBK, 949: korean.EUCKR, 950: traditionalchinese.Big5,
	1250: charmap.Windows1250, 1251: charmap.Windows1251, 1252: charmap.Windows1252, 1253: charmap.Windows1253, 1254: charmap.Windows1254,
	1255: charmap.Windows1255, 1256: charmap.Windows1256, 1257: charmap.Windows1257, 1258: charmap.Windows1258, 10000: charmap.Macintosh,
	10007: charmap.MacintoshCyrillic, 28591: charmap.ISO8859_1, 65001: unicode.UTF8,
}
