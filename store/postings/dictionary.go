package postings

// Use is a column of a table that has hashes of a dictionary's rows, or 0.
type Use struct{ Table, Column string }

// Uses gives the columns whose texts a table of texts has: a row of it that none of them
// names is of no use.
func (t *Table) Uses() []Use { return uses[t.Name] }

var uses = map[string][]Use{
	"value": {{"token", "code"}, {"uri", "uri"}},
	"words": {{"string", "words"}},
}
