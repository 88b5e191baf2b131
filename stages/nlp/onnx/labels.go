package onnx

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// label is one that the model gives to a piece of a word.
type label struct {
	begins   bool   // B- or S-
	name     string // without prefix; "": outside
	category terminology.Category
	kind     terminology.Type
}

// meaning is what a label's name says of a mention.
type meaning struct {
	category terminology.Category
	kind     terminology.Type
}

// meanings are those of names that models usually have, in small letters, words joined by "_".
var meanings = func() map[string]meaning {
	m := map[string]meaning{}
	for _, x := range []struct {
		names string
		meaning
	}{
		{"disease disease_disorder disorder problem dx_name condition diagnosis medical_condition sign_symptom symptom sign finding", meaning{terminology.MedicalCondition, terminology.DXName}},
		{"chemical chem drug medication medicine generic_name", meaning{terminology.Medication, terminology.GenericName}},
		{"brand_name", meaning{terminology.Medication, terminology.BrandName}},
		{"treatment treatment_name therapy", meaning{terminology.TestTreatmentProcedure, terminology.TreatmentName}},
		{"procedure procedure_name therapeutic_procedure", meaning{terminology.TestTreatmentProcedure, terminology.ProcedureName}},
		{"test test_name lab lab_test diagnostic_procedure", meaning{terminology.TestTreatmentProcedure, terminology.TestName}},
		{"anatomy biological_structure body_part organ system_organ_site", meaning{terminology.Anatomy, terminology.SystemOrganSite}},
		{"name patient doctor person", meaning{terminology.PHI, terminology.Name}},
		{"age", meaning{terminology.PHI, terminology.Age}},
		{"date", meaning{terminology.PHI, terminology.Date}},
		{"id", meaning{terminology.PHI, terminology.ID}},
		{"phone phone_or_fax", meaning{terminology.PHI, terminology.Phone}},
		{"email", meaning{terminology.PHI, terminology.Email}},
		{"url", meaning{terminology.PHI, terminology.URL}},
		{"address", meaning{terminology.PHI, terminology.Address}},
	} {
		for name := range strings.FieldsSeq(x.names) {
			m[name] = x.meaning
		}
	}
	return m
}()

// readLabels reads the labels of a config.json, by their numbers, with what a labels.json says of their names
// (nil: there is none): an object with category and type for each, or null to leave it out. No name is left
// without a meaning, so that no mention of the model is lost unseen.
func readLabels(config, own []byte) ([]label, error) {
	var c struct {
		Labels map[string]string `json:"id2label"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	said := map[string]*struct{ Category, Type string }{}
	if own != nil {
		if err := json.Unmarshal(own, &said); err != nil {
			return nil, fmt.Errorf("labels.json: %w", err)
		}
	}
	labels := make([]label, len(c.Labels))
	used := map[string]bool{}
	for id, text := range c.Labels {
		i, err := strconv.Atoi(id)
		if err != nil || i < 0 || i >= len(labels) {
			return nil, fmt.Errorf("config.json: id2label has %d labels, but one has the number %q", len(labels), id)
		}
		l := &labels[i]
		if text == "O" {
			continue
		}
		l.name = text
		if prefix, name, ok := strings.Cut(text, "-"); ok && len(prefix) == 1 && strings.Contains("BISELU", prefix) {
			l.begins, l.name = strings.Contains("BSU", prefix), name
		}
		used[l.name] = true
		if s, ok := said[l.name]; ok {
			if s == nil {
				l.name = ""
				continue
			}
			var okC, okT bool
			l.category, okC = terminology.ParseCategory(s.Category)
			l.kind, okT = terminology.ParseType(s.Type)
			if !okC || !okT || s.Category == "" || s.Type == "" {
				return nil, fmt.Errorf("labels.json: %q: there is no category %q with a type %q", l.name, s.Category, s.Type)
			}
			continue
		}
		m, ok := meanings[strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(l.name))]
		if !ok {
			return nil, fmt.Errorf(`what the label %q means is not known; say it in labels.json: {%q: {"category": "...", "type": "..."}}, or null to leave it out`, l.name, l.name)
		}
		l.category, l.kind = m.category, m.kind
	}
	if len(used) == 0 {
		return nil, fmt.Errorf("config.json: id2label names nothing that a model could find")
	}
	for name := range said {
		if !used[name] {
			return nil, fmt.Errorf("labels.json: the model has no label %q", name)
		}
	}
	return slices.Clip(labels), nil
}
