package duck

import (
	"context"
	"strconv"
	"strings"

	"github.com/fhirlake/fhirlake/store/snapshot"
)

// entitiesView is the name of the view of what NLP found in the current resources: a row
// for each entity and for each concept of one.
const entitiesView = "nlp_entity"

// entityColumns are the columns of the view, as the files have them
// (docs/formats/entities.md).
var entityColumns = [][2]string{
	{"document_type", "VARCHAR"},
	{"document_id", "VARCHAR"},
	{"patient", "VARCHAR"},
	{"attachment", "INTEGER"},
	{"entity_id", "INTEGER"},
	{"operation", "VARCHAR"},
	{"category", "VARCHAR"},
	{"type", "VARCHAR"},
	{"text", "VARCHAR"},
	{"begin_offset", "INTEGER"},
	{"end_offset", "INTEGER"},
	{"score", "DOUBLE"},
	{"traits", "VARCHAR[]"},
	{"system", "VARCHAR"},
	{"code", "VARCHAR"},
	{"description", "VARCHAR"},
	{"concept_score", "DOUBLE"},
	{"concept_rank", "INTEGER"},
}

// traitsOf makes the list of the names in a file. None are an empty list: of NULL a query
// for what is not negated would get no row.
const traitsOf = "coalesce(string_split(t.traits, ' '), []) AS traits"

// entities is where the entity rows of a segment lie.
func (s *segment) entities() string { return s.path(&s.Annotation(snapshot.Entities).File) }

// makeEntitiesView makes the view of the entities of all types.
func (d *DB) makeEntitiesView(ctx context.Context) error {
	dirty := hasGone(d.noted)
	if dirty {
		index := func(i int, _ *segment) string { return strconv.Itoa(i) }
		if err := d.loadBitmaps(ctx, entitiesView, "UBIGINT", d.noted, index); err != nil {
			return err
		}
	}
	return d.engine.exec(ctx, "CREATE OR REPLACE VIEW "+entitiesView+" AS "+d.entitiesText(dirty))
}

// entitiesText is the query of the view. Files have rows of what became of a document,
// too, which are no entities.
func (d *DB) entitiesText(dirty bool) string {
	var b strings.Builder
	b.WriteString("SELECT ")
	for i, c := range entityColumns {
		if i > 0 {
			b.WriteString(", ")
		}
		switch {
		case len(d.noted) == 0:
			b.WriteString("NULL::" + c[1] + " AS " + ident(c[0]))
		case c[0] == "traits":
			b.WriteString(traitsOf)
		default:
			b.WriteString("t." + ident(c[0]))
		}
	}
	if len(d.noted) == 0 {
		return b.String() + " WHERE false"
	}
	b.WriteString(" FROM read_parquet([")
	for _, s := range d.noted {
		b.WriteString(quote(s.entities()) + ",")
	}
	b.WriteString("], union_by_name=true, hive_partitioning=false) AS t")
	if dirty {
		b.WriteString(" LEFT JOIN fhirlake." + entitiesView + " AS s ON s.file = t.file_index")
	}
	b.WriteString(" WHERE t.operation <> 'status'")
	if dirty {
		b.WriteString(` AND (s.file IS NULL OR get_bit(s.bits, t."row") = 0)`)
	}
	return b.String()
}
