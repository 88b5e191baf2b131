package release

import (
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// FuzzRead reads text as each of the files of each format, beside empty ones. Whatever it is,
// there are terms or an error, and no term without words or categories.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"00002 A000    1 Cholera due to Vibrio cholerae 01, biovar cholerae           Cholera due to Vibrio cholerae 01, biovar cholerae\n",
		"<ICD10CM.tabular><diag><name>A02.0</name><desc>x</desc><diag><name>A</name></diag></diag></ICD10CM.tabular>",
		"<ICD10CM.index><head>Neoplasm</head><mainTerm><title>a</title><term><title>b, c</title><cell col=\"2\">C61</cell></term></mainTerm></ICD10CM.index>",
		"format-version: 1.2\n[Term]\nid: DOID:1\nname: a b\nsynonym: \"x\\\"\" EXACT []\nxref: ICD10CM:I10\n",
		"term\tsystem\tcode\tkind\nglorp\tRxNorm\t1\tSIGN\n",
		"10|ENG|P|L1|PF|S1|Y|A1||||RXNORM|IN|10|glorp|0|N||\n",
		"C0000001|ENG|P|L1|PF|S1|Y|A1||||ICD10CM|PT|G99|glorp (x)|0|N||\n",
		"C0000001|T047|B2.2.1|Disease|AT1||\n",
		"10||CUI|RO|20||CUI|tradename_of|R1||RXNORM|RXNORM||||4096|\n",
		strings.Join(rf2Description, "\t") + "\n1\t2\t1\t9\t101\ten\t" + fullySpecified + "\tA b (disorder)\t7\n",
		strings.Join(rf2ExtendedMap, "\t") + "\na\t2\t1\t9\t" + mapToICD10CM + "\t101\t1\t1\tTRUE\tx\tG99\t5\t6\n",
		strings.Join(loincColumns, ",") + "\n1-1,a,CHEM,ACTIVE,b,1,c [d]\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		emit := func(m terminology.Term) {
			if m.Category == terminology.NoCategory || m.Type == terminology.NoType {
				t.Errorf("%q has category %q and type %q", m.Text, m.Category, m.Type)
			}
			if utf8.ValidString(text) && !utf8.ValidString(m.Text) {
				t.Errorf("%q of a valid text", m.Text)
			}
		}
		for _, format := range Formats() {
			_ = format.Read(strings.NewReader(text), emit)
		}
		content := File{Name: "f", open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
		for _, s := range sets {
			for _, p := range s.parts {
				_ = s.read(&reading{parts: map[string][]File{p.name: {content}}}, emit)
			}
			all := map[string][]File{}
			for _, p := range s.parts {
				all[p.name] = []File{content}
			}
			_ = s.read(&reading{parts: all}, emit)
		}
	})
}
