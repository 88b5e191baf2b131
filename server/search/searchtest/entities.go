package searchtest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// found is a row of what NLP found: a text or a number of each column that has a value.
type found struct {
	operation string
	texts     map[search.EntityColumn]string
	numbers   map[search.EntityColumn]float64
}

// Annotate says what NLP found in the current version of a resource that is there: the
// data of an annotation of kind nlp (docs/formats/annotations.md). A later version has none
// until it is told.
func (s *Store) Annotate(k Key, data []byte) error {
	x := s.byKey[k]
	if x == nil {
		return fmt.Errorf("%s is not there", k)
	}
	type concept struct {
		Code, Description string
		Score             float64
	}
	var result struct {
		Texts []struct {
			Status   string
			Entities []struct {
				Text, Category, Type      string
				Score                     float64
				ICD10CM, RxNorm, SNOMEDCT []concept
			}
		}
	}
	if err := json.Unmarshal(data, &result); err != nil {
		return err
	}
	x.found = nil
	status := "UNSUPPORTED"
	for _, t := range result.Texts {
		if t.Status == "VALIDATION_ERROR" || t.Status == "SUCCESS" && status == "UNSUPPORTED" {
			status = t.Status
		}
		for _, e := range t.Entities {
			texts := map[search.EntityColumn]string{search.EntityCategory: e.Category, search.EntityType: e.Type, search.EntityText: e.Text}
			x.found = append(x.found, found{"detect-entities", texts, map[search.EntityColumn]float64{search.EntityScore: e.Score}})
			for operation, concepts := range map[string][]concept{"infer-icd10": e.ICD10CM, "infer-rxnorm": e.RxNorm, "infer-snomedct": e.SNOMEDCT} {
				for _, c := range concepts {
					x.found = append(x.found, found{
						operation,
						map[search.EntityColumn]string{search.EntityText: e.Text, search.EntityConceptCode: c.Code, search.EntityConceptDescription: c.Description},
						map[search.EntityColumn]float64{search.EntityScore: e.Score, search.EntityConceptScore: c.Score},
					})
				}
			}
		}
	}
	x.found = append(x.found, found{search.StatusOperation, map[search.EntityColumn]string{search.EntityType: status}, nil})
	// Concepts come from a map, and generated searches are to be the same each time.
	slices.SortStableFunc(x.found, func(a, b found) int { return strings.Compare(a.operation, b.operation) })
	return nil
}

// rows gives what was found that a parameter looks at.
func (x *Resource) rows(p *search.Parameter) (all []found) {
	for _, r := range x.found {
		if r.operation == p.Entities.Operation && !slices.ContainsFunc(p.Entities.Columns, func(c search.EntityColumn) bool {
			_, number := r.numbers[c]
			return !number && r.texts[c] == ""
		}) {
			all = append(all, r)
		}
	}
	return all
}

// finds tells whether a row of what was found is what a parameter asks for.
func (x *Resource) finds(p *search.Parameter, v query.Value) bool {
	values := []query.Value{v}
	if c, ok := v.(query.Composite); ok {
		values = c.Parts
	}
	return slices.ContainsFunc(x.rows(p), func(r found) bool {
		for i, c := range p.Entities.Columns {
			if !r.matches(c, values[i]) {
				return false
			}
		}
		return true
	})
}

func (r found) matches(c search.EntityColumn, v query.Value) bool {
	text := r.texts[c]
	switch v := v.(type) {
	case query.Number:
		n := r.numbers[c]
		return v.Prefix.MatchesNumber(v.Amount, search.Interval{Low: n, High: n})
	case query.Token:
		return v.Test != query.OneSystem && strings.EqualFold(v.Code, text)
	case query.String:
		folded, _ := search.AppendFolded(nil, []byte(text))
		switch v.Test {
		case query.StartsWith:
			return strings.HasPrefix(string(folded), v.Folded)
		case query.Contains:
			return strings.Contains(string(folded), v.Folded)
		}
		return text == v.Exact
	}
	return false
}

// entity makes a value of a row of what was found in x.
func (g *Generator) entity(x *Resource, p *search.Parameter) (modifier, value string, ok bool) {
	rows := x.rows(p)
	if len(rows) == 0 {
		return "", "", false
	}
	r := pick(g.rand, rows)
	columns := p.Entities.Columns
	var parts []string
	for _, c := range columns {
		if c.Number() {
			parts = append(parts, g.prefix()+g.scoreText(r.numbers[c]))
			continue
		}
		text := r.texts[c]
		switch {
		case p.Entities.Operation == search.StatusOperation:
			if g.oneIn(3) {
				modifier = "not"
			}
		case len(columns) == 1:
			if modifier = pick(g.rand, []string{"", "exact", "contains"}); modifier != "exact" {
				text = g.partOf(text, modifier)
			}
		default:
			text = g.partOf(text, "")
		}
		if folded, _ := search.AppendFolded(nil, []byte(text)); len(folded) == 0 {
			return "", "", false
		}
		parts = append(parts, escape(text))
	}
	return modifier, strings.Join(parts, pick(g.rand, []string{"|", "$"})), true
}

// scoreText makes a score, or one near it.
func (g *Generator) scoreText(score float64) string {
	if g.oneIn(3) {
		score = math.Round(score*100+float64(g.rand.IntN(21)-10)) / 100
	}
	return strconv.FormatFloat(score, 'f', -1, 64)
}
