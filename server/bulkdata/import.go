package bulkdata

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/store/blob"
)

// Import is what an import was asked for.
type Import struct {
	Source string   // inputSource; "" when it is not said
	Inputs []string // URLs, in the order of the request
	Report string   // place in a bucket; "" for none
}

// importPart is a parameter of the request, or a part of one.
type importPart struct {
	Name   string       `json:"name"`
	URI    string       `json:"valueUri"`
	URL    string       `json:"valueUrl"`
	Code   string       `json:"valueCode"`
	String string       `json:"valueString"`
	Part   []importPart `json:"part"`
}

func (p *importPart) value() string {
	for _, v := range []string{p.URI, p.URL, p.Code, p.String} {
		if v != "" {
			return v
		}
	}
	return ""
}

// importBody is the request as a JSON object.
type importBody struct {
	ResourceType  string `json:"resourceType"`
	InputFormat   string `json:"inputFormat"`
	InputSource   string `json:"inputSource"`
	StorageDetail *struct {
		Type string `json:"type"`
	} `json:"storageDetail"`
	Input []struct {
		Type string `json:"type"`
		URL  string `json:"url"`
	} `json:"input"`
	Report    string       `json:"report"`
	Parameter []importPart `json:"parameter"`
}

// importFormats are those of inputFormat.
var importFormats = []string{"", "application/fhir+ndjson", "application/ndjson", "ndjson"}

// ReadImport reads the body of $import. Its errors are faults of the request.
func ReadImport(body []byte) (*Import, error) {
	var b importBody
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, fault("the body is neither a Parameters resource nor a JSON object with inputFormat, inputSource and input")
	}
	r := &Import{Source: b.InputSource, Report: b.Report}
	format := b.InputFormat
	switch b.ResourceType {
	case "":
		for _, in := range b.Input {
			r.Inputs = append(r.Inputs, in.URL)
		}
	case "Parameters":
		for i := range b.Parameter {
			p := &b.Parameter[i]
			switch p.Name {
			case "inputFormat":
				format = p.value()
			case "inputSource":
				r.Source = p.value()
			case "report":
				r.Report = p.value()
			case "storageDetail":
			case "input":
				for j := range p.Part {
					if p.Part[j].Name == "url" {
						r.Inputs = append(r.Inputs, p.Part[j].value())
					}
				}
			default:
				return nil, fault("parameter '%s' is not known; there are inputFormat, inputSource, storageDetail, input and report", clip(p.Name))
			}
		}
	default:
		return nil, fault("the body is a %s; expected Parameters", clip(b.ResourceType))
	}
	if !slices.Contains(importFormats, format) {
		return nil, fault("inputFormat '%s' cannot be read; there is application/fhir+ndjson", clip(format))
	}
	if len(r.Inputs) == 0 {
		return nil, fault("there is no input; name one at least, with its url")
	}
	for _, in := range r.Inputs {
		if err := checkPlace("input", in); err != nil {
			return nil, err
		}
	}
	if r.Report != "" {
		return r, checkPlace("report", r.Report)
	}
	return r, nil
}

// checkPlace wants a place in a bucket.
func checkPlace(name, url string) error {
	if !blob.IsURI(url) {
		return fault("the url '%s' of %s is not read here; name a place in a bucket, s3://bucket/key", clip(url), name)
	}
	if _, err := blob.ParseURI(strings.TrimRight(url, "/")); err != nil {
		return fault("%s: %v", name, err)
	}
	return nil
}
