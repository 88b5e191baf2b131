package search

import "context"

// Words are the texts of strings that the present state has in memory, with those that it
// does not see.
func (x *Index) Words(ctx context.Context) (texts []string, err error) {
	m, done, err := x.now(ctx, false)
	if err != nil {
		return nil, err
	}
	defer done()
	added, _ := m.db.Parts("words")
	for _, table := range added {
		rows, err := m.db.Query(ctx, "SELECT folded FROM "+table)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return nil, err
			}
			texts = append(texts, text)
		}
	}
	return texts, nil
}
