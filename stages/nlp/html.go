package nlp

import (
	"fmt"
	"html"
	"strings"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// colours of the categories on a page.
var colours = map[terminology.Category]string{
	terminology.MedicalCondition:       "#f8d0c8",
	terminology.Medication:             "#cfe3fb",
	terminology.TestTreatmentProcedure: "#d8efcd",
	terminology.Anatomy:                "#ece0f8",
	terminology.TimeExpression:         "#fbeec2",
	terminology.PHI:                    "#dddddd",
	terminology.Behavior:               "#fbd9ef",
}

// AppendHTML adds a page that shows the text with its entities marked. Of
// entities that overlap, the first one is marked.
func (d *Document) AppendHTML(dst []byte, title string) []byte {
	dst = fmt.Appendf(dst, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>%s</title>\n<style>\n", html.EscapeString(title))
	dst = append(dst, "pre { white-space: pre-wrap; font: 15px/1.7 serif; max-width: 50em }\nmark { padding: 1px 2px; border-radius: 3px }\n"+
		"mark.neg { text-decoration: line-through }\nmark small { font: 10px sans-serif; color: #555 }\n</style>\n</head>\n<body>\n<p>"...)
	for c := terminology.Anatomy; c <= terminology.TimeExpression; c++ {
		dst = fmt.Appendf(dst, "<mark style=\"background:%s\">%s</mark> ", colours[c], c)
	}
	dst = append(dst, "</p>\n<pre>"...)
	at := 0
	for i := range d.Entities {
		e := &d.Entities[i]
		if e.ByteBegin < at {
			continue
		}
		dst = appendEscaped(dst, d.Text[at:e.ByteBegin])
		class := ""
		if e.Traits.Has(Negation) {
			class = ` class="neg"`
		}
		dst = fmt.Appendf(dst, `<mark style="background:%s"%s title="%s">`, colours[e.Category], class, html.EscapeString(d.describe(e)))
		dst = appendEscaped(dst, d.Bytes(e))
		for _, t := range traitNames {
			if e.Traits.Has(t.trait &^ kinds) {
				dst = fmt.Appendf(dst, " <small>%s</small>", t.name)
			}
		}
		dst = append(dst, "</mark>"...)
		at = e.ByteEnd
	}
	dst = appendEscaped(dst, d.Text[at:])
	return append(dst, "</pre>\n</body>\n</html>\n"...)
}

func appendEscaped(dst, text []byte) []byte {
	return append(dst, html.EscapeString(strings.ToValidUTF8(string(text), "\uFFFD"))...)
}

// kinds are the traits that a condition has by itself.
const kinds = TraitDiagnosis | TraitSign | TraitSymptom

// describe is what a reader sees when pointing at an entity.
func (d *Document) describe(e *Entity) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %.2f", e.Type, e.Score)
	for _, a := range d.AttributesOf(e) {
		fmt.Fprintf(&b, "\n%s: %s", a.Type, strings.ToValidUTF8(string(d.Text[a.ByteBegin:a.ByteEnd]), "\uFFFD"))
	}
	for _, s := range []terminology.System{terminology.ICD10CM, terminology.RxNorm, terminology.SNOMEDCT} {
		d.Concepts(e, s, func(c terminology.Concept, score float32) {
			fmt.Fprintf(&b, "\n%s %s %s, %.2f", s, c.Code, c.Description, score)
		})
	}
	return b.String()
}
