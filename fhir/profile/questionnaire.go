package profile

import "encoding/json"

// Questionnaire is the part of one that says what responses must be (FHIR R4,
// Questionnaire).
type Questionnaire struct {
	URL     string
	Version string
	Item    []QuestionnaireItem
}

// QuestionnaireItem is a group, a question or a text.
type QuestionnaireItem struct {
	LinkID         string
	Type           string // group, display, boolean, decimal, choice ...
	Required       bool
	Repeats        bool
	MaxLength      int
	EnableBehavior string // all, any
	EnableWhen     []EnableWhen
	AnswerValueSet string
	AnswerOption   []map[string]json.RawMessage // valueInteger, valueDate, valueTime, valueString, valueCoding, valueReference
	Item           []QuestionnaireItem
}

// EnableWhen is a condition under which an item is asked.
type EnableWhen struct {
	Question string
	Operator string                     // exists, =, !=, >, <, >=, <=
	Answer   map[string]json.RawMessage // the member answer[x], by its name
}

// UnmarshalJSON keeps answer[x] by its name.
func (w *EnableWhen) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &w.Answer); err != nil {
		return err
	}
	for name, into := range map[string]*string{"question": &w.Question, "operator": &w.Operator} {
		if v, ok := w.Answer[name]; ok {
			if err := json.Unmarshal(v, into); err != nil {
				return err
			}
			delete(w.Answer, name)
		}
	}
	return nil
}
