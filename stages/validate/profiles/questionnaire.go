package profiles

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// The elements of a QuestionnaireResponse.
var (
	elResponseOf     = r4.TypeQuestionnaireResponse.ElementByName("questionnaire")
	elResponseStatus = r4.TypeQuestionnaireResponse.ElementByName("status")
	elResponseItem   = r4.TypeQuestionnaireResponse.ElementByName("item")
	elItemItem       = r4.TypeQuestionnaireResponseItem.ElementByName("item")
	elItemLinkID     = r4.TypeQuestionnaireResponseItem.ElementByName("linkId")
	elItemAnswer     = r4.TypeQuestionnaireResponseItem.ElementByName("answer")
	elAnswerItem     = r4.TypeQuestionnaireResponseItemAnswer.ElementByName("item")
)

// answerTypes are the types of answer that each type of question allows (FHIR R4,
// Questionnaire.item.type).
var answerTypes = map[string][]r4.TypeID{
	"boolean": {r4.TypeBoolean}, "decimal": {r4.TypeDecimal}, "integer": {r4.TypeInteger}, "date": {r4.TypeDate},
	"dateTime": {r4.TypeDateTime}, "time": {r4.TypeTime}, "string": {r4.TypeString}, "text": {r4.TypeString}, "url": {r4.TypeUri},
	"choice":      {r4.TypeCoding, r4.TypeDate, r4.TypeTime, r4.TypeInteger, r4.TypeString, r4.TypeReference},
	"open-choice": {r4.TypeCoding, r4.TypeDate, r4.TypeTime, r4.TypeInteger, r4.TypeString, r4.TypeReference},
	"attachment":  {r4.TypeAttachment}, "reference": {r4.TypeReference}, "quantity": {r4.TypeQuantity},
}

// response is a QuestionnaireResponse that is being held against its
// Questionnaire.
type response struct {
	c        *Checker
	all      map[string]*profile.QuestionnaireItem
	answers  map[string][]fhir.NodeID // values by linkId, wherever they stand
	finished bool                     // what is required must be there
}

// questionnaireResponse checks the answers of a response against the
// questionnaire that it names, when that is known here or contained (FHIR R4,
// QuestionnaireResponse, 5 Validating).
func (c *Checker) questionnaireResponse(s scope) {
	n := s.resource
	of := c.tree.Child(n, elResponseOf)
	if of == fhir.NoNode {
		return
	}
	q := c.questionnaireOf(of, s)
	if q == nil {
		c.note(nil, of, fhir.Information, fhir.CodeNotFound, "questionnaire %s is not known here; the answers are not checked", []any{show(c.text(of))})
		return
	}
	r := &response{c: c, all: map[string]*profile.QuestionnaireItem{}, answers: map[string][]fhir.NodeID{}}
	if at := c.tree.Child(n, elResponseStatus); at != fhir.NoNode {
		status := string(c.text(at))
		r.finished = status == "completed" || status == "amended"
	}
	r.index(q.Item)
	r.gather(c.tree.Child(n, elResponseItem))
	r.items(n, elResponseItem, q.Item)
}

func (c *Checker) questionnaireOf(of fhir.NodeID, s scope) *profile.Questionnaire {
	canonical := string(c.text(of))
	id, local := strings.CutPrefix(canonical, "#")
	if !local {
		return c.set.registry.Questionnaire(canonical)
	}
	at := c.containedBy(s.root, []byte(id))
	var q profile.Questionnaire
	if at == fhir.NoNode || c.tree.Nodes[at].Type != r4.TypeQuestionnaire || json.Unmarshal(c.tree.JSON(at), &q) != nil {
		return nil
	}
	return &q
}

func (r *response) index(items []profile.QuestionnaireItem) {
	for i := range items {
		r.all[items[i].LinkID] = &items[i]
		r.index(items[i].Item)
	}
}

// each calls do for the items of an array, which may be NoNode.
func (r *response) each(list fhir.NodeID, do func(n fhir.NodeID)) {
	if list == fhir.NoNode || r.c.tree.Nodes[list].Kind != fhir.KindArray {
		return
	}
	for n := r.c.tree.FirstChild(list); n != fhir.NoNode; n = r.c.tree.NextSibling(list, n) {
		r.c.steps++
		if r.c.tree.Nodes[n].Kind == fhir.KindObject && !r.c.exhausted() {
			do(n)
		}
	}
}

func (r *response) linkID(item fhir.NodeID) string {
	if at := r.c.tree.Child(item, elItemLinkID); at != fhir.NoNode {
		return string(r.c.text(at))
	}
	return ""
}

// gather notes the answers of all items, for enableWhen.
func (r *response) gather(list fhir.NodeID) {
	r.each(list, func(item fhir.NodeID) {
		id := r.linkID(item)
		r.each(r.c.tree.Child(item, elItemAnswer), func(answer fhir.NodeID) {
			if v := r.value(answer); v != fhir.NoNode {
				r.answers[id] = append(r.answers[id], v)
			}
			r.gather(r.c.tree.Child(answer, elAnswerItem))
		})
		r.gather(r.c.tree.Child(item, elItemItem))
	})
}

// value gives the value of an answer, or NoNode.
func (r *response) value(answer fhir.NodeID) fhir.NodeID {
	for m := r.c.tree.FirstChild(answer); m != fhir.NoNode; m = r.c.tree.NextSibling(answer, m) {
		if nd := &r.c.tree.Nodes[m]; nd.Flags&fhir.FlagTwin == 0 && r4.ElementAt(nd.Element).Choice == "value" {
			return m
		}
	}
	return fhir.NoNode
}

// items checks the items below parent, a response, an item or an answer, against
// those of the questionnaire at the same place.
func (r *response) items(parent fhir.NodeID, member r4.ElementID, want []profile.QuestionnaireItem) {
	if r.c.steps += len(want); r.c.exhausted() {
		return
	}
	place := make(map[string]int, len(want))
	for i := range want {
		place[want[i].LinkID] = i
	}
	found := make([]int, len(want))
	last := 0
	r.each(r.c.tree.Child(parent, member), func(item fhir.NodeID) {
		id := r.linkID(item)
		i, ok := place[id]
		switch {
		case !ok && r.all[id] == nil:
			r.c.fault(nil, item, fhir.CodeNotFound, "item '%s' is not in the questionnaire", show([]byte(id)))
			return
		case !ok:
			r.c.fault(nil, item, fhir.CodeStructure, "item '%s' stands elsewhere in the questionnaire", show([]byte(id)))
			return
		case i < last:
			r.c.fault(nil, item, fhir.CodeStructure, "item '%s' stands behind '%s'; expected the order of the questionnaire", show([]byte(id)), show([]byte(want[last].LinkID)))
		}
		last = max(last, i)
		found[i]++
		if found[i] == 2 && !(want[i].Type == "group" && want[i].Repeats) {
			r.c.fault(nil, item, fhir.CodeStructure, "item '%s' is there twice; expected one", show([]byte(id)))
		}
		r.item(item, &want[i])
	})
	for i := range want {
		q := &want[i]
		if found[i] == 0 && q.Required && q.Type != "display" && r.finished && r.enabled(q) {
			r.c.fault(nil, parent, fhir.CodeRequired, "item '%s' is missing; the questionnaire requires it", show([]byte(q.LinkID)))
		}
	}
}

// item checks one item with its answers.
func (r *response) item(n fhir.NodeID, q *profile.QuestionnaireItem) {
	id := show([]byte(q.LinkID))
	count := 0
	r.each(r.c.tree.Child(n, elItemAnswer), func(answer fhir.NodeID) {
		if count++; count == 2 && !q.Repeats {
			r.c.fault(nil, answer, fhir.CodeStructure, "item '%s' has several answers; expected one", id)
		}
		if q.Type == "group" || q.Type == "display" {
			r.c.fault(nil, answer, fhir.CodeStructure, "item '%s' is a %s; expected no answer", id, q.Type)
			return
		}
		if v := r.value(answer); v != fhir.NoNode {
			r.answer(v, q)
		}
		r.items(answer, elAnswerItem, q.Item)
	})
	if count > 0 && !r.enabled(q) {
		r.c.fault(nil, n, fhir.CodeStructure, "item '%s' is answered, but its enableWhen does not hold", id)
	}
	if q.Type == "group" {
		r.items(n, elItemItem, q.Item)
	} else if list := r.c.tree.Child(n, elItemItem); list != fhir.NoNode {
		r.c.fault(nil, list, fhir.CodeStructure, "item '%s' is a question; expected items below its answers", id)
	}
	if count == 0 && q.Required && r.finished && q.Type != "group" && q.Type != "display" && r.enabled(q) {
		r.c.fault(nil, n, fhir.CodeRequired, "item '%s' has no answer; the questionnaire requires one", id)
	}
}

// answer checks one value.
func (r *response) answer(v fhir.NodeID, q *profile.QuestionnaireItem) {
	c := r.c
	id := show([]byte(q.LinkID))
	typ := c.tree.Nodes[v].Type
	if allowed, ok := answerTypes[q.Type]; ok && !c.allowed(v, allowed) {
		c.fault(nil, v, fhir.CodeStructure, "item '%s' is a question of type %s; found an answer of type %s", id, show([]byte(q.Type)), typ)
		return
	}
	if q.MaxLength > 0 && typ == r4.TypeString {
		c.length(nil, v, q.MaxLength)
	}
	if q.Type == "open-choice" && typ == r4.TypeString {
		return
	}
	if q.AnswerValueSet != "" && typ == r4.TypeCoding {
		set := c.set.registry.ValueSet(q.AnswerValueSet)
		if set != nil && c.coding(v, set) == profile.NotIn {
			c.fault(nil, v, fhir.CodeUnknown, "code '%s' is not in the value set %s of item '%s'", c.codeOf(v), show([]byte(q.AnswerValueSet)), id)
		}
	}
	if len(q.AnswerOption) > 0 && q.AnswerValueSet == "" && !r.isOption(v, q) {
		c.fault(nil, v, fhir.CodeUnknown, "the answer is none of the options of item '%s'", id)
	}
}

// isOption tells whether a value is one of the options. A Coding is compared by
// system and code.
func (r *response) isOption(v fhir.NodeID, q *profile.QuestionnaireItem) bool {
	for _, option := range q.AnswerOption {
		if r.c.steps += comparison; r.c.exhausted() {
			return true
		}
		for name, raw := range option {
			if p := answerPattern("value", name, raw); p != nil && r.c.matches(v, p) {
				return true
			}
		}
	}
	return false
}

// comparison is how many steps it costs to read an answer of the questionnaire and
// compare with it.
const comparison = 100

// answerPattern makes the pattern of a member answer[x] or value[x]; nil when it is
// another member, or not understood.
func answerPattern(choice, name string, raw json.RawMessage) *pattern {
	suffix, ok := strings.CutPrefix(name, choice)
	if !ok || suffix == "" {
		return nil
	}
	typ := profile.TypeOfSuffix(suffix)
	if typ == r4.TypeCoding {
		var coding struct {
			System string `json:"system,omitempty"`
			Code   string `json:"code,omitempty"`
		}
		if json.Unmarshal(raw, &coding) != nil {
			return nil
		}
		raw, _ = json.Marshal(coding) // two strings always can be
	}
	p, err := newPattern(&profile.Value{Type: typ, JSON: raw}, false)
	if err != nil {
		return nil
	}
	return p
}

// enabled evaluates enableWhen (FHIR R4, Questionnaire.item.enableWhen). A
// condition that is not understood counts as true.
func (r *response) enabled(q *profile.QuestionnaireItem) bool {
	if len(q.EnableWhen) == 0 {
		return true
	}
	for i := range q.EnableWhen {
		if r.holds(&q.EnableWhen[i]) != (q.EnableBehavior == "all") {
			return q.EnableBehavior != "all"
		}
	}
	return q.EnableBehavior == "all"
}

func (r *response) holds(w *profile.EnableWhen) bool {
	answers := r.answers[w.Question]
	if w.Operator == "exists" {
		return bytes.Equal(w.Answer["answerBoolean"], []byte("true")) == (len(answers) > 0)
	}
	for _, v := range answers {
		if r.c.steps += comparison; r.c.exhausted() {
			return true
		}
		for name, raw := range w.Answer {
			if r.compares(v, w.Operator, name, raw) {
				return true
			}
		}
	}
	return false
}

func (r *response) compares(v fhir.NodeID, operator, name string, raw json.RawMessage) bool {
	p := answerPattern("answer", name, raw)
	if p == nil {
		return false
	}
	switch operator {
	case "=":
		return r.c.matches(v, p)
	case "!=":
		return !r.c.matches(v, p)
	}
	l, err := newLimit(&profile.Value{Type: profile.TypeOfSuffix(strings.TrimPrefix(name, "answer")), JSON: raw}, false)
	if err != nil {
		return false
	}
	order, known := r.c.compare(v, &l)
	switch operator {
	case ">":
		return known && order > 0
	case "<":
		return known && order < 0
	case ">=":
		return known && order >= 0
	case "<=":
		return known && order <= 0
	}
	return false
}
