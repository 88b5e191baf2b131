package profiles_test

import "testing"

const questionnaire = `{"resourceType":"Questionnaire","url":"http://example.org/q","status":"draft","item":[
	{"linkId":"name","type":"string","required":true,"maxLength":5},
	{"linkId":"smokes","type":"boolean"},
	{"linkId":"packs","type":"decimal","required":true,"enableWhen":[{"question":"smokes","operator":"=","answerBoolean":true}]},
	{"linkId":"many","type":"integer","enableWhen":[{"question":"packs","operator":">=","answerDecimal":2}]},
	{"linkId":"colour","type":"choice","repeats":true,"answerValueSet":"http://example.org/colours"},
	{"linkId":"shape","type":"open-choice","answerOption":[{"valueCoding":{"system":"s","code":"round","display":"Round"}}]},
	{"linkId":"group","type":"group","item":[{"linkId":"inner","type":"date","item":[{"linkId":"why","type":"text"}]},{"linkId":"note","type":"display"}]}]}`

func TestQuestionnaireResponses(t *testing.T) {
	response := func(status, items string) string {
		return `{"resourceType":"QuestionnaireResponse","questionnaire":"http://example.org/q","status":"` + status + `","item":[` + items + `]}`
	}
	item := func(id, answer string) string { return `{"linkId":"` + id + `","answer":[` + answer + `]}` }
	name := item("name", `{"valueString":"Ada"}`)
	at := "QuestionnaireResponse.item"
	for _, c := range []struct {
		name, response string
		want           []string
	}{
		{"all is well", response("completed", name+","+item("smokes", `{"valueBoolean":false}`)+","+item("shape", `{"valueString":"odd"}`)+
			`,{"linkId":"group","item":[`+item("inner", `{"valueDate":"2000-01-01","item":[`+item("why", `{"valueString":"x"}`)+`]}`)+`]}`), nil},
		{"required", response("completed", item("smokes", `{"valueBoolean":false}`)), []string{"error QuestionnaireResponse: item 'name' is missing; the questionnaire requires it"}},
		{"required, but not finished", response("in-progress", item("smokes", `{"valueBoolean":true}`)), nil},
		{"required because of another answer", response("completed", name+","+item("smokes", `{"valueBoolean":true}`)), []string{"error QuestionnaireResponse: item 'packs' is missing; the questionnaire requires it"}},
		{"without an answer", response("completed", `{"linkId":"name"}`), []string{"error " + at + "[0]: item 'name' has no answer; the questionnaire requires one"}},
		{"answered and not enabled", response("completed", name+","+item("many", `{"valueInteger":1}`)), []string{"error " + at + "[1]: item 'many' is answered, but its enableWhen does not hold"}},
		{"enabled by an order", response("completed", name+","+item("smokes", `{"valueBoolean":true}`)+","+item("packs", `{"valueDecimal":2.0}`)+","+item("many", `{"valueInteger":1}`)), nil},
		{"no such item", response("completed", name+","+item("age", `{"valueInteger":1}`)), []string{"error " + at + "[1]: item 'age' is not in the questionnaire"}},
		{"an item elsewhere", response("completed", name+","+item("inner", `{"valueDate":"2000"}`)), []string{"error " + at + "[1]: item 'inner' stands elsewhere in the questionnaire"}},
		{"order", response("completed", item("smokes", `{"valueBoolean":false}`)+","+name), []string{"error " + at + "[1]: item 'name' stands behind 'smokes'; expected the order of the questionnaire"}},
		{"twice", response("completed", name+","+name), []string{"error " + at + "[1]: item 'name' is there twice; expected one"}},
		{"several answers", response("completed", item("name", `{"valueString":"A"},{"valueString":"B"}`)), []string{"error " + at + "[0].answer[1]: item 'name' has several answers; expected one"}},
		{"type", response("completed", item("name", `{"valueInteger":1}`)), []string{"error " + at + "[0].answer[0].value.ofType(integer): item 'name' is a question of type string; found an answer of type integer"}},
		{"length", response("completed", item("name", `{"valueString":"Augusta"}`)), []string{"error " + at + "[0].answer[0].value.ofType(string): text has 7 characters; expected at most 5"}},
		{"value set", response("completed", name+","+item("colour", `{"valueCoding":{"system":"http://example.org/c","code":"red"}},{"valueCoding":{"system":"http://example.org/c","code":"green"}}`)), []string{"error " + at + "[1].answer[1].value.ofType(Coding): code 'green' is not in the value set http://example.org/colours of item 'colour'"}},
		{"option", response("completed", name+","+item("shape", `{"valueCoding":{"system":"s","code":"flat"}}`)), []string{"error " + at + "[1].answer[0].value.ofType(Coding): the answer is none of the options of item 'shape'"}},
		{"answer of a group", response("completed", name+","+item("group", `{"valueString":"x"}`)), []string{"error " + at + "[1].answer[0]: item 'group' is a group; expected no answer"}},
		{"items of a question", response("completed", `{"linkId":"name","answer":[{"valueString":"A"}],"item":[{"linkId":"why"}]}`), []string{"error " + at + "[0].item: item 'name' is a question; expected items below its answers"}},
		{
			"a questionnaire that is not known", `{"resourceType":"QuestionnaireResponse","questionnaire":"http://example.org/none","status":"completed"}`,
			[]string{"information QuestionnaireResponse.questionnaire: questionnaire http://example.org/none is not known here; the answers are not checked"},
		},
		{
			"a questionnaire that is contained",
			`{"resourceType":"QuestionnaireResponse","contained":[{"resourceType":"Questionnaire","id":"q","status":"draft","item":[{"linkId":"a","type":"string"}]}],"questionnaire":"#q","status":"completed","item":[{"linkId":"b"}]}`,
			[]string{"error " + at + "[0]: item 'b' is not in the questionnaire"},
		},
	} {
		checkCase{c.name, []string{questionnaire, colourSet}, c.response, c.want}.runClaimed(t)
	}
}

func TestDefinitionsAsInstances(t *testing.T) {
	base := structure("http://example.org/p", "Patient", `{"path":"Patient.name","min":1}`)
	derived := func(element string) string {
		return `{"resourceType":"StructureDefinition","url":"http://example.org/d","name":"D","status":"draft","abstract":false,"kind":"resource","type":"Patient",
			"derivation":"constraint","baseDefinition":"http://example.org/p","differential":{"element":[` + element + `]}}`
	}
	for _, c := range []struct {
		name, resource string
		want           []string
	}{
		{"a profile that narrows its base", derived(`{"id":"Patient.name","path":"Patient.name","min":2}`), nil},
		{"a profile that widens its base", derived(`{"id":"Patient.name","path":"Patient.name","min":0}`), []string{"error StructureDefinition: the profile cannot be used: element Patient.name: min 0 is less than the 1 of its base"}},
		{
			"an invariant that is no FHIRPath", derived(`{"id":"Patient","path":"Patient","constraint":[{"key":"x","severity":"error","human":"h","expression":"a b"}]}`),
			[]string{"warning StructureDefinition: element Patient: constraint x is not checked: 1:3: unexpected name b; expected an operator or the end"},
		},
		{
			"an operation and the profile of its parameters",
			`{"resourceType":"OperationDefinition","name":"O","status":"draft","kind":"operation","code":"o","system":true,"type":false,"instance":false,
				"inputProfile":"http://example.org/in","parameter":[{"name":"a","use":"in","min":1,"max":"1","type":"string"},{"name":"b","use":"in","min":0,"max":"*","type":"code"}]}`,
			[]string{
				"error OperationDefinition.inputProfile: parameter b: max is 1 in the profile and * in the operation",
				"error OperationDefinition.inputProfile: parameter b: type is string in the profile and code in the operation",
			},
		},
	} {
		in := structure("http://example.org/in", "Parameters", `{"path":"Parameters.parameter","slicing":{"discriminator":[{"type":"value","path":"name"}],"rules":"open"}},
			{"path":"Parameters.parameter","sliceName":"a","min":1,"max":"1"},{"path":"Parameters.parameter.name","fixedString":"a"},
			{"path":"Parameters.parameter","sliceName":"b","max":"1"},{"path":"Parameters.parameter.name","fixedString":"b"},{"path":"Parameters.parameter.value[x]","type":[{"code":"string"}]}`)
		checkCase{c.name, []string{base, in}, c.resource, c.want}.runClaimed(t)
	}
}
