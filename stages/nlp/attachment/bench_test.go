package attachment_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/stages/nlp/attachment"
)

// lines are those of a note, with a few letters that are not ASCII.
func lines() []string {
	var out []string
	for i := range 40 {
		out = append(out, fmt.Sprintf("Day %d: the patient reports no fever and takes lisinopril %d mg daily for hypertension.", i, 5+i),
			"Temperature 37.2 °C, heart rate 72, blood pressure 120/80 & stable; no new findings on examination today.")
	}
	return out
}

func BenchmarkText(b *testing.B) {
	note := strings.Join(lines(), "\n")
	var latin, marked, rich strings.Builder
	for _, r := range note {
		latin.WriteByte(byte(r))
	}
	marked.WriteString("<!DOCTYPE html><html><head><meta charset=utf-8><title>Note</title></head><body><h1>Note</h1>")
	rich.WriteString(`{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Arial;}}{\stylesheet{\s0 Normal;}}`)
	for _, l := range lines() {
		fmt.Fprintf(&marked, "<p class=\"n\">%s</p>\n", strings.ReplaceAll(l, "&", "&amp;"))
		fmt.Fprintf(&rich, "\\pard\\plain\\f0\\fs20 %s\\par\r\n", strings.ReplaceAll(l, "°", `\'b0`))
	}
	rich.WriteString("}")
	for _, c := range []struct{ name, contentType, data string }{
		{"plain", "text/plain", note},
		{"latin1", "text/plain; charset=iso-8859-1", latin.String()},
		{"html", "text/html", marked.String()},
		{"rtf", "application/rtf", rich.String()},
	} {
		b.Run(c.name, func(b *testing.B) {
			var d attachment.Decoder
			data := []byte(c.data)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Text(c.contentType, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("base64 of plain", func(b *testing.B) {
		var d attachment.Decoder
		value := []byte(base64.StdEncoding.EncodeToString([]byte(note)))
		b.SetBytes(int64(len(note)))
		b.ReportAllocs()
		for b.Loop() {
			data, err := d.Base64(value)
			if err == nil {
				_, err = d.Text("text/plain", data)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
