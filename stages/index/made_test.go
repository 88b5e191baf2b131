package index_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// maker makes resources that have all elements down to some depth. Where there are
// several choices (the type of a value, a code, the target of a reference) it takes
// the next one each time, from a start that differs by variant.
type maker struct {
	variant int
	count   map[string]int // choices made so far, by what is chosen
}

const (
	madeVariants = 12
	madeDepth    = 5
)

// pick chooses one of n.
func (m *maker) pick(what string, n int) int {
	m.count[what]++
	return (m.variant + m.count[what]) % n
}

func (m *maker) object(t r4.TypeID, depth int) map[string]any {
	out := map[string]any{}
	if t.IsResourceType() {
		out["resourceType"] = t.String()
	}
	chosen := map[string]string{}
	for _, e := range r4.Elements(t) {
		if e.Type == r4.TypeExtension || e.Type == r4.TypeNarrative || e.Name == "contained" || e.Name == "implicitRules" {
			continue
		}
		if e.Choice != "" {
			if chosen[e.Choice] == "" {
				variants := choices(t, e.Choice)
				chosen[e.Choice] = variants[m.pick(e.Path, len(variants))]
			}
			if chosen[e.Choice] != e.Name {
				continue
			}
		}
		v := m.value(&e, depth)
		if v == nil {
			continue
		}
		if e.Repeats() {
			list := []any{v}
			if w := m.value(&e, depth); depth < 3 {
				list = append(list, w)
			}
			v = list
		}
		out[e.Name] = v
	}
	return out
}

func choices(t r4.TypeID, name string) (list []string) {
	for _, e := range r4.Elements(t) {
		if e.Choice == name {
			list = append(list, e.Name)
		}
	}
	return list
}

var (
	madeDates = []string{"2020", "2021-05", "2022-02-03", "2023-04-05T06:07:08Z", "2024-05-06T07:08:09.123+02:00"}
	madeTexts = []string{"Ångström O'Neil", "de la Cruz-Ruiz", "plain", strings.Repeat("of ", 30) + strings.Repeat("ж", 150) + " end"}
	madeUnits = []string{"mg", "mm[Hg]", "Cel", "a", "[pH]", "no unit"}
)

func (m *maker) value(e *r4.Element, depth int) any {
	switch name := e.Type.String(); name {
	case "boolean":
		return m.pick(name, 2) == 0
	case "integer", "unsignedInt", "positiveInt":
		return json.Number(fmt.Sprint(1 + m.pick(name, 9)))
	case "decimal":
		return json.Number([]string{"5.40", "100", "0.001", "37.5"}[m.pick(name, 4)])
	case "date":
		return madeDates[m.pick(name, 3)]
	case "dateTime":
		return madeDates[m.pick(name, 5)]
	case "instant":
		return madeDates[3+m.pick(name, 2)]
	case "time":
		return "12:30:00"
	case "code":
		if codings := r4.CodeSetAt(e.Binding.CodeSet).Codings; len(codings) > 0 {
			return codings[m.pick(e.Path, len(codings))].Code
		}
		if strings.HasSuffix(e.Path, "uantity.code") {
			return madeUnits[m.pick(name, len(madeUnits))]
		}
		return "c" + fmt.Sprint(m.pick(name, 3))
	case "id":
		return fmt.Sprintf("id-%d", m.pick(name, 5))
	case "uri", "url", "canonical", "oid", "uuid":
		if strings.HasSuffix(e.Path, "uantity.system") {
			return "http://unitsofmeasure.org"
		}
		if e.Path == "Reference.type" {
			return "Patient"
		}
		return []string{"http://example.org/a|1", "urn:oid:1.2.3", "http://example.org/fhir/PlanDefinition/9"}[m.pick(name, 3)]
	case "string", "markdown":
		return madeTexts[m.pick(name, len(madeTexts))]
	case "base64Binary":
		return "AAAA"
	case "xhtml":
		return nil
	case "Reference":
		return m.reference(e, depth)
	case "Resource":
		if depth >= 2 {
			return nil
		}
		t := []r4.TypeID{r4.TypeComposition, r4.TypeMessageHeader, r4.TypePatient}[m.pick("Resource", 3)]
		return map[string]any{"resourceType": t.String(), "id": "inner"}
	}
	if depth >= madeDepth {
		return nil
	}
	if o := m.object(e.Type, depth+1); len(o) > 0 {
		return o
	}
	return nil
}

func (m *maker) reference(e *r4.Element, depth int) any {
	targets := e.Targets
	if len(targets) == 0 || targets[0] == r4.TypeResource {
		targets = []r4.TypeID{r4.TypePatient, r4.TypePractitioner, r4.TypeObservation}
	}
	to := targets[m.pick(e.Path, len(targets))].String()
	switch m.pick("form", 8) {
	case 0:
		return map[string]any{"reference": "http://example.org/fhir/" + to + "/2/_history/3", "display": "shown"}
	case 1:
		return map[string]any{"type": to, "identifier": m.object(r4.TypeIdentifier, depth+3)}
	case 2:
		return map[string]any{"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "type": to}
	case 3:
		return map[string]any{"reference": to + "?identifier=a|b"}
	case 4:
		return map[string]any{"display": "nobody"}
	}
	return map[string]any{"reference": to + "/1"}
}

// TestEveryParameterOnMadeResources compares with the twin on resources that have
// every element in many forms, so that each parameter has values.
func TestEveryParameterOnMadeResources(t *testing.T) {
	c := newComparison(t)
	for _, typ := range r4.ResourceTypes() {
		var lines []byte
		for v := range madeVariants {
			m := &maker{v, map[string]int{}}
			o := m.object(typ, 0)
			o["id"] = fmt.Sprintf("made-%d", v)
			b, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(append(lines, b...), '\n')
		}
		c.file(lines)
	}
	t.Logf("%d resources, %d comparisons, %d differ", c.resources, c.compared, c.differ)
	for _, typ := range r4.ResourceTypes() {
		own := r4.SearchParameters(typ)
		for i := range own {
			p := &own[i]
			if _, has := c.found[p]; !has && search.R4().Parameter(typ, p.Code).Origin == search.OriginRows {
				t.Errorf("%s.%s has no value", typ, p.Code)
			}
		}
	}
}
