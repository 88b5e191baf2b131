package attachment

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestPDFTime cuts a document off that takes seconds, and reads the next one.
func TestPDFTime(t *testing.T) {
	if testing.Short() {
		t.Skip("starting the reader of PDF takes seconds, and longer with -race")
	}
	file := func(content string) []byte {
		var b bytes.Buffer
		// Without a cross-reference table: it is made anew.
		fmt.Fprintf(&b, "%%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "+
			"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>endobj "+
			"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj "+
			"4 0 obj<</Length %d>>stream\n%s\nendstream endobj trailer<</Root 1 0 R>>", len(content), content)
		return b.Bytes()
	}
	var d Decoder
	if text, err := d.fromPDF(file("BT /F 1 Tf (fever) Tj ET"), time.Hour); err != nil || string(text) != "fever\n" {
		t.Fatalf("got %q, %v", text, err) // the reader runs
	}
	slow := file("BT /F 1 Tf " + strings.Repeat("1 0 0 1 5 5 Tm (many words) Tj ", 500_000) + "ET")
	for _, limit := range []time.Duration{1, 100 * time.Millisecond} {
		if text, err := d.fromPDF(slow, limit); err != errNoTime {
			t.Errorf("after %v got %.20q, %v", limit, text, err)
		}
		if text, err := d.fromPDF(file("BT /F 1 Tf (cough) Tj ET"), time.Hour); err != nil || string(text) != "cough\n" {
			t.Errorf("then got %q, %v", text, err)
		}
	}
}
