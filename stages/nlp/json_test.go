package nlp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
)

// printed is the output as a reader of JSON sees it.
type printed struct {
	Entities []struct {
		Text        string  `json:"text"`
		BeginOffset *int    `json:"beginOffset"`
		EndOffset   *int    `json:"endOffset"`
		Category    string  `json:"category"`
		Type        string  `json:"type"`
		Score       float64 `json:"score"`
		Traits      []struct {
			Name  string  `json:"name"`
			Score float64 `json:"score"`
		} `json:"traits"`
		Attributes []struct {
			Text              string  `json:"text"`
			BeginOffset       int     `json:"beginOffset"`
			EndOffset         int     `json:"endOffset"`
			Category          string  `json:"category"`
			Type              string  `json:"type"`
			Score             float64 `json:"score"`
			RelationshipScore float64 `json:"relationshipScore"`
			RelationshipType  string  `json:"relationshipType"`
		} `json:"attributes"`
		ICD10CM  []concept `json:"icd10cm"`
		RxNorm   []concept `json:"rxnorm"`
		SNOMEDCT []concept `json:"snomedct"`
	} `json:"entities"`
}

type concept struct {
	Code        string  `json:"code"`
	Description string  `json:"description"`
	Score       float64 `json:"score"`
}

func decode(t *testing.T, b []byte) printed {
	t.Helper()
	var r printed
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return r
}

func number(n *int) string {
	if n == nil {
		return "null"
	}
	return fmt.Sprint(*n)
}
