package search

import "github.com/fhirlake/fhirlake/fhir/r4"

// EntityColumn is a column of the rows of what NLP found (docs/formats/entities.md).
type EntityColumn string

// The columns that are searched.
const (
	EntityCategory           EntityColumn = "category"
	EntityType               EntityColumn = "type"
	EntityText               EntityColumn = "text"
	EntityScore              EntityColumn = "score"
	EntityConceptCode        EntityColumn = "code"
	EntityConceptDescription EntityColumn = "description"
	EntityConceptScore       EntityColumn = "concept_score"
)

// Number tells whether the column has numbers. The others have texts.
func (c EntityColumn) Number() bool { return c == EntityScore || c == EntityConceptScore }

// Entities says which rows of what NLP found in a resource a parameter looks at: those of
// an operation. It compares one column, or, as a composite, one for each of its components,
// in one and the same row.
type Entities struct {
	Operation string
	Columns   []EntityColumn
}

// StatusOperation is the operation of the one row that has, as its type, what became of the
// texts of a resource.
const StatusOperation = "status"

// entityNames are the names that Amazon HealthLake's parameters have for columns.
var entityNames = map[EntityColumn]string{
	EntityCategory: "category", EntityType: "type", EntityText: "text", EntityScore: "score",
	EntityConceptCode: "concept-code", EntityConceptDescription: "concept-description", EntityConceptScore: "concept-score",
}

// entityParameters are those of a DocumentReference, as Amazon HealthLake names them, and
// those of SNOMED CT, which are named alike. A name says infer-icd10cm where the operation is
// infer-icd10.
var entityParameters = func() (all []*Parameter) {
	add := func(prefix, operation string, combinations ...[]EntityColumn) {
		for _, columns := range combinations {
			p := &r4.SearchParameter{Code: prefix, Base: r4.TypeDocumentReference, Type: r4.SearchComposite}
			for _, c := range columns {
				part := r4.SearchComponent{Code: prefix + "-" + entityNames[c], Type: r4.SearchString}
				if c.Number() {
					part.Type = r4.SearchNumber
				}
				p.Components = append(p.Components, part)
				p.Code += "-" + entityNames[c]
			}
			if len(columns) == 1 {
				p.Type, p.Components = p.Components[0].Type, nil
			}
			all = append(all, &Parameter{SearchParameter: p, Origin: OriginEntities, Entities: &Entities{operation, columns}})
		}
	}
	const (
		category, typ, text, score   = EntityCategory, EntityType, EntityText, EntityScore
		code, description, certainty = EntityConceptCode, EntityConceptDescription, EntityConceptScore
	)
	type columns = []EntityColumn
	add("detectEntities-entity", "detect-entities", columns{category}, columns{typ}, columns{text}, columns{score},
		columns{text, category}, columns{typ, score}, columns{text, score}, columns{text, typ}, columns{category, score})
	for _, x := range [...]struct{ prefix, operation string }{
		{"infer-icd10cm-entity", "infer-icd10"}, {"infer-rxnorm-entity", "infer-rxnorm"}, {"infer-snomedct-entity", "infer-snomedct"},
	} {
		add(x.prefix, x.operation, columns{text}, columns{score}, columns{code}, columns{description}, columns{certainty},
			columns{text, code}, columns{text, certainty}, columns{description, certainty})
	}
	return append(all, &Parameter{
		SearchParameter: &r4.SearchParameter{Code: "cm-decoration-status", Base: r4.TypeDocumentReference, Type: r4.SearchToken},
		Origin:          OriginEntities,
		Entities:        &Entities{StatusOperation, columns{EntityType}},
	})
}()
