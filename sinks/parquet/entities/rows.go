package entities

import (
	"math"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
)

// Version is that of the columns (docs/formats/entities.md).
const Version = 1

// The columns, as fields has them.
const (
	colRow = iota
	colDocumentType
	colDocumentID
	colPatient
	colAttachment
	colEntity
	colOperation
	colCategory
	colType
	colText
	colBegin
	colEnd
	colScore
	colTraits
	colSystem
	colCode
	colDescription
	colConceptScore
	colRank
)

var fields = []columnar.Field{
	colRow:          {Name: "row", Role: columnar.RoleCount, Required: true},
	colDocumentType: {Name: "document_type", Role: columnar.RoleString, Required: true},
	colDocumentID:   {Name: "document_id", Role: columnar.RoleString, Required: true},
	colPatient:      {Name: "patient", Role: columnar.RoleString},
	colAttachment:   {Name: "attachment", Role: columnar.RoleCount},
	colEntity:       {Name: "entity_id", Role: columnar.RoleCount},
	colOperation:    {Name: "operation", Role: columnar.RoleString, Required: true},
	colCategory:     {Name: "category", Role: columnar.RoleString},
	colType:         {Name: "type", Role: columnar.RoleString},
	colText:         {Name: "text", Role: columnar.RoleString},
	colBegin:        {Name: "begin_offset", Role: columnar.RoleCount},
	colEnd:          {Name: "end_offset", Role: columnar.RoleCount},
	colScore:        {Name: "score", Role: columnar.RoleDouble},
	colTraits:       {Name: "traits", Role: columnar.RoleString},
	colSystem:       {Name: "system", Role: columnar.RoleString},
	colCode:         {Name: "code", Role: columnar.RoleString},
	colDescription:  {Name: "description", Role: columnar.RoleString},
	colConceptScore: {Name: "concept_score", Role: columnar.RoleDouble},
	colRank:         {Name: "concept_rank", Role: columnar.RoleCount},
}

var layout = columnar.Flat("entities", "fhirlake.entities", Version, fields...)

// maxConcepts is how many concepts an entity has of one system.
const maxConcepts = 5

// opStatus is the operation of the row that says what became of a document.
const opStatus = "status"

// table makes the rows of one resource type. It belongs to one worker.
type table struct {
	*columnar.FlatBuilder
	typ       r4.TypeID
	name      []byte
	subject   r4.ElementID // 0: the type has none
	reference r4.ElementID

	reader    entity.Reader
	operation [entity.Operations][]byte
	system    [entity.Operations][]byte
	status    []byte
	text      []byte // scratch
}

func newTable(typ r4.TypeID) *table {
	t := &table{
		FlatBuilder: columnar.NewFlatBuilder(layout), typ: typ, name: []byte(typ.String()),
		subject: typ.ElementByName("subject"), reference: r4.TypeReference.ElementByName("reference"),
		status: []byte(opStatus),
	}
	for o := range entity.Operation(entity.Operations) {
		t.operation[o], t.system[o] = []byte(o.String()), []byte(o.System())
	}
	return t
}

// add makes the rows of record i of b, of which NLP said data.
func (t *table) add(b *pipeline.Batch, i int, data []byte) error {
	res, err := t.reader.Read(data)
	if err != nil {
		return err
	}
	n := 1
	t.addStatus(res.Status())
	id := uint32(0)
	for k := range res.Texts {
		from := n
		for j := range res.Texts[k].Entities {
			n += t.addEntity(&res.Texts[k].Entities[j], id)
			id++
		}
		t.Count(colAttachment, uint32(k), n-from)
	}
	t.Count(colRow, uint32(i), n)
	t.Text(colDocumentType, t.name, n)
	t.Text(colDocumentID, b.Records[i].ID, n)
	t.value(colPatient, t.patient(&b.Tree, b.Records[i].Root), n)
	return nil
}

// addStatus makes the row of what became of the document.
func (t *table) addStatus(s entity.Status) {
	t.Text(colOperation, t.status, 1)
	t.text = append(t.text[:0], s.String()...)
	t.Text(colType, t.text, 1)
	for _, col := range []int{colAttachment, colEntity, colCategory, colText, colBegin, colEnd, colScore, colTraits} {
		t.Null(col, 1)
	}
	t.noConcept()
}

func (t *table) noConcept() {
	for _, col := range []int{colSystem, colCode, colDescription, colConceptScore, colRank} {
		t.Null(col, 1)
	}
}

// addEntity makes the rows of an entity and gives their number.
func (t *table) addEntity(e *entity.Entity, id uint32) int {
	t.Text(colOperation, t.operation[entity.DetectEntities], 1)
	t.noConcept()
	n := 1
	for o := entity.InferICD10CM; o < entity.Operations; o++ {
		concepts := e.Concepts[o]
		if len(concepts) == 0 {
			continue
		}
		concepts = concepts[:min(len(concepts), maxConcepts)]
		t.Text(colOperation, t.operation[o], len(concepts))
		t.Text(colSystem, t.system[o], len(concepts))
		for rank := range concepts {
			c := &concepts[rank]
			t.value(colCode, c.Code, 1)
			t.value(colDescription, c.Description, 1)
			t.Text(colConceptScore, c.Score, 1)
			t.Count(colRank, uint32(rank), 1)
		}
		n += len(concepts)
	}
	t.Count(colEntity, id, n)
	t.value(colCategory, e.Category, n)
	t.value(colType, e.Type, n)
	t.value(colText, e.Text, n)
	t.Count(colBegin, offset(e.Begin), n)
	t.Count(colEnd, offset(e.End), n)
	t.Text(colScore, e.Score, n)
	t.value(colTraits, t.traits(e), n)
	return n
}

// value appends n times a text, or nulls when it is empty.
func (t *table) value(col int, v []byte, n int) {
	if len(v) == 0 {
		t.Null(col, n)
		return
	}
	t.Text(col, v, n)
}

// traits gives the names of the traits, valid until the next call.
func (t *table) traits(e *entity.Entity) []byte {
	if len(e.Traits) == 0 {
		return nil
	}
	if len(e.Traits) == 1 {
		return e.Traits[0].Name
	}
	t.text = t.text[:0]
	for i := range e.Traits {
		if i > 0 {
			t.text = append(t.text, ' ')
		}
		t.text = append(t.text, e.Traits[i].Name...)
	}
	return t.text
}

// patient gives the text of subject.reference; empty when there is none.
func (t *table) patient(tree *fhir.Tree, root fhir.NodeID) []byte {
	if t.subject == 0 || root == fhir.NoNode {
		return nil
	}
	s := tree.Child(root, t.subject)
	if s == fhir.NoNode || tree.Nodes[s].Kind != fhir.KindObject {
		return nil
	}
	r := tree.Child(s, t.reference)
	if r == fhir.NoNode || tree.Nodes[r].Kind != fhir.KindString {
		return nil
	}
	return tree.String(r, t.text[:0])
}

// offset is an offset as INT32 holds it; no text is as long.
func offset(n int) uint32 { return uint32(min(n, math.MaxInt32)) }
