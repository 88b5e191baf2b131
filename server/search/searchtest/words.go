package searchtest

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// contentOf are the texts of a resource, as they stand and as folded words.
type contentOf struct {
	done  bool
	texts []string
	words [][]string
}

// content gives the texts that _content looks into, or with narrative those of _text.
func (x *Resource) content(narrative bool) *contentOf {
	c := &x.contents[0]
	if narrative {
		c = &x.contents[1]
	}
	if c.done {
		return c
	}
	c.done = true
	if c.texts = x.allTexts(); narrative {
		c.texts = x.narrativeTexts()
	}
	for _, text := range c.texts {
		folded, _ := search.AppendFolded(nil, []byte(text))
		c.words = append(c.words, strings.Fields(string(folded)))
	}
	return c
}

// hasWords tells whether a resource has the words that a filter wants: by its decoded
// JSON, in another way than search.Texts and the index look into it.
func (x *Resource) hasWords(w query.Words) bool {
	texts := x.content(!w.Content).words
	return slices.ContainsFunc(w.Any, func(e query.Expression) bool { return expressed(e, texts) })
}

func expressed(e query.Expression, texts [][]string) bool {
	switch e := e.(type) {
	case query.Phrase:
		return slices.ContainsFunc(texts, func(words []string) bool {
			for i := range words {
				if i+len(e) <= len(words) && slices.Equal(words[i:i+len(e)], e) {
					return true
				}
			}
			return false
		})
	case query.Both:
		return !slices.ContainsFunc(e, func(part query.Expression) bool { return !expressed(part, texts) })
	case query.Either:
		return slices.ContainsFunc(e, func(part query.Expression) bool { return expressed(part, texts) })
	case query.Without:
		return !expressed(e.Part, texts)
	}
	panic(fmt.Sprintf("an expression of type %T", e))
}

func (x *Resource) decoded() map[string]any {
	var m map[string]any
	d := json.NewDecoder(strings.NewReader(string(x.json)))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		panic(err) // it was parsed before
	}
	return m
}

func (x *Resource) narrativeTexts() []string {
	text, _ := x.decoded()["text"].(map[string]any)
	if div, ok := text["div"].(string); ok {
		return []string{rendered(div)}
	}
	return nil
}

func (x *Resource) allTexts() (all []string) {
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, child := range v {
				if k == "resourceType" {
					continue
				}
				if data, ok := child.(string); ok && k == "data" && v["origin"] == nil { // SampledData.data is a text
					if typ, _ := v["contentType"].(string); strings.HasPrefix(strings.ToLower(typ), "text/") && v["resourceType"] != "Binary" {
						text, _ := base64.StdEncoding.DecodeString(data)
						all = append(all, string(text))
					}
					continue
				}
				walk(k, child)
			}
		case []any:
			for _, child := range v {
				walk(key, child)
			}
		case string:
			switch key {
			case "valueBase64Binary", "hash", "carrierAIDC", "query": // base64
			case "div":
				all = append(all, rendered(v))
			default:
				all = append(all, v)
			}
		case json.Number:
			all = append(all, v.String())
		}
	}
	walk("", x.decoded())
	slices.Sort(all) // they come in the order of maps
	return all
}

// rendered is what a reader sees of XHTML.
func rendered(div string) string {
	var b strings.Builder
	d := xml.NewDecoder(strings.NewReader(div))
	d.Strict, d.Entity = false, xml.HTMLEntity
	for {
		token, err := d.Token()
		if err != nil {
			return b.String()
		}
		var name string
		switch token := token.(type) {
		case xml.CharData:
			b.Write(token)
			continue
		case xml.StartElement:
			name = token.Name.Local
		case xml.EndElement:
			name = token.Name.Local
		default:
			continue
		}
		if !strings.Contains(" a abbr acronym b big cite code dfn em i kbd q samp small span strong sub sup tt var ", " "+name+" ") {
			b.WriteByte(' ')
		}
	}
}
