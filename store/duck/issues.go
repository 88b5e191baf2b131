package duck

import (
	"context"
	"strings"
)

// issuesView is the name of the view of what validation found in the current
// resources: a row for each issue.
const issuesView = "ValidationIssue"

// issueColumns are the columns of the view after those that name the resource, and
// what a kept issue calls them. CONSTRAINT is a word of SQL that would need quotes.
var issueColumns = [][2]string{
	{"severity", "severity"},
	{"code", "code"},
	{"expression", "expression"},
	{"diagnostics", "diagnostics"},
	{"constraintKey", "constraint"},
	{"profile", "profile"},
}

// makeIssuesView makes the view of the issues of all types.
func (d *DB) makeIssuesView(ctx context.Context) error {
	dirty := hasGone(d.flawed)
	if dirty {
		path := func(_ int, s *segment) string { return quote(s.issues()) }
		if err := d.loadBitmaps(ctx, issuesView, "VARCHAR", d.flawed, path); err != nil {
			return err
		}
	}
	return d.engine.exec(ctx, "CREATE OR REPLACE VIEW "+issuesView+" AS "+d.issuesText(dirty))
}

// issuesText is the query of the view. The files are NDJSON with a line for each row
// that has issues (docs/formats/annotations.md).
func (d *DB) issuesText(dirty bool) string {
	var b strings.Builder
	b.WriteString(`SELECT "resourceType", id, "versionId"`)
	for _, c := range issueColumns {
		b.WriteString(", issue." + ident(c[1]) + " AS " + ident(c[0]))
	}
	b.WriteString(` FROM (SELECT t."resourceType", t.id, t."versionId", unnest(t.data) AS issue FROM `)
	if len(d.flawed) == 0 {
		b.WriteString(`(SELECT NULL::VARCHAR AS "resourceType", NULL::VARCHAR AS id, NULL::VARCHAR AS "versionId", ` +
			"NULL::" + issuesType() + " AS data WHERE false) AS t)")
		return b.String()
	}
	b.WriteString("read_json([")
	for _, s := range d.flawed {
		b.WriteString(quote(s.issues()) + ",")
	}
	b.WriteString("], format='newline_delimited', compression='zstd', filename=true, hive_partitioning=false, " +
		`columns={row: 'UINTEGER', "resourceType": 'VARCHAR', id: 'VARCHAR', "versionId": 'VARCHAR', data: ` + quote(issuesType()) + "}) AS t")
	if dirty {
		b.WriteString(" LEFT JOIN fhirlake." + issuesView + " AS s ON s.file = t.filename" +
			" WHERE s.file IS NULL OR get_bit(s.bits, t.row::INTEGER) = 0")
	}
	b.WriteByte(')')
	return b.String()
}

// issuesType is the type of the member data of a line.
func issuesType() string {
	var fields []string
	for _, c := range issueColumns {
		fields = append(fields, ident(c[1])+" VARCHAR")
	}
	return "STRUCT(" + strings.Join(fields, ", ") + ")[]"
}
