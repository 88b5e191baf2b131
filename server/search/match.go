package search

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/duck/searchdb"
)

// either gathers the conditions of which one must hold: hashes that a column may have,
// and others.
type either struct {
	column string
	folds  bool // codes may be stored folded
	hashes []uint64
	others []string
	// sorted are all hashes that the column can have in a row that matches, when that
	// is known: loose tells that it is not.
	sorted []uint64
	loose  bool
}

// pinned tells whether all rows that match have the same hash in the column by which a
// group is sorted, so that they lie in the order of their addresses.
func (e *either) pinned() bool {
	return !e.loose && len(e.sorted) > 0 && slices.Max(e.sorted) == slices.Min(e.sorted)
}

func (e *either) condition() string {
	if len(e.hashes) > 0 {
		return or(append(e.others, inHashes(e.column, e.hashes)))
	}
	return or(e.others)
}

// anyOf is the condition that a row of a term matches one of some values, all of one kind;
// pinned is explained at [either].
func (p *planner) anyOf(values []query.Value, t search.Term, facet search.Facet) (where string, pinned bool, err error) {
	e := either{folds: facet != search.Main || t.Folds()}
	var texts []string // conditions on texts of the dictionary
	dictionary := "value"
	for _, v := range values {
		switch v := v.(type) {
		case query.Token:
			e.column = "code"
			texts = append(texts, p.token(&e, v)...)
		case query.String:
			e.column, dictionary = "words", "words"
			texts = append(texts, p.string(&e, v)...)
		case query.URI:
			e.column = "uri"
			more, err := p.uri(&e, v)
			if err != nil {
				return "", false, err
			}
			texts = append(texts, more...)
		case query.Date:
			e.others, e.loose = append(e.others, p.time(v, "low", "high")), true
		case query.Number:
			e.others, e.loose = append(e.others, number(v.Prefix, v.Amount, "low", "high")), true
		case query.Quantity:
			e.others, e.loose = append(e.others, p.quantity(v)), true
		case query.Reference:
			e.column = "target"
			p.reference(&e, v)
		case query.ValueSet, query.Concept:
			if err := p.coded(&e, v); err != nil {
				return "", false, err
			}
		default:
			return "", false, notIndexed("a value of this kind")
		}
	}
	if len(texts) > 0 {
		hashes, c, err := p.texts(e.column, dictionary, texts)
		if err != nil {
			return "", false, err
		}
		e.others, e.sorted = append(e.others, c), append(e.sorted, hashes...)
		e.loose = e.loose || len(hashes) == 0
	}
	return e.condition(), e.pinned(), nil
}

// texts is the condition that a column has the hash of a text of a dictionary, and those
// hashes when they are few.
func (p *planner) texts(column, dictionary string, conditions []string) (hashes []uint64, where string, err error) {
	set := "SELECT hash" + p.from(dictionary) + "WHERE " + or(conditions)
	hashes, ok, err := p.lookup(set)
	switch {
	case err != nil:
		return nil, "", err
	case ok:
		return hashes, inHashes(column, hashes), nil
	}
	return nil, column + " IN (" + set + ")", nil
}

// token adds what matches a token; texts are conditions on the texts of its code.
func (p *planner) token(e *either, v query.Token) (texts []string) {
	var codes []uint64
	for _, folded := range []bool{false, true} {
		text := v.Code
		if folded {
			text = v.Lower
		}
		if h := p.hash.Code([]byte(text), folded); h != 0 && (e.folds || !folded) {
			codes = append(codes, h)
		}
	}
	e.sorted = append(e.sorted, codes...)
	system := ""
	switch v.Test {
	case query.NoSystem:
		system = "(system = 0 OR implied)"
	case query.OneSystem:
		system = "system = " + strconv.FormatUint(p.hash.Text([]byte(v.System)), 10)
	}
	switch {
	case len(codes) == 0 && system == "":
		e.others, e.loose = append(e.others, "true"), true
	case len(codes) == 0:
		e.others, e.loose = append(e.others, system), true
	case system == "":
		e.hashes = append(e.hashes, codes...)
	default:
		e.others = append(e.others, "("+inHashes("code", codes)+" AND "+system+")")
	}
	if v.Media {
		texts = append(texts, begins("text", v.Code+";"))
	}
	return texts
}

// last follows every other rune.
const last = "\U0010FFFF"

// begins is the condition that a text begins with another, as a range that DuckDB prunes
// by.
func begins(column, text string) string {
	return "(" + column + " >= " + searchdb.Quote(text) + " AND " + column + " < " + searchdb.Quote(text+last) + ")"
}

func (p *planner) string(e *either, v query.String) (texts []string) {
	switch v.Test {
	case query.StartsWith:
		return []string{begins("folded", v.Folded)}
	case query.Contains:
		return []string{"(NOT later AND contains(folded, " + searchdb.Quote(v.Folded) + "))"}
	}
	folded, _ := search.AppendFolded(nil, []byte(v.Exact))
	h := p.hash.Words(folded, []byte(v.Exact), false)
	e.hashes, e.sorted = append(e.hashes, h), append(e.sorted, h)
	return nil
}

func (p *planner) uri(e *either, v query.URI) (texts []string, err error) {
	var hashes []uint64
	switch v.Test {
	case query.Below:
		below := []string{begins("text", v.URL)}
		if v.Version == "" {
			return below, nil
		}
		_, c, err := p.texts("uri", "value", below)
		e.loose = true
		e.others = append(e.others, fmt.Sprintf("(%s AND version = %d)", c, p.hash.Text([]byte(v.Version))))
		return nil, err
	case query.Above:
		for i := 1; i < len(v.URL); i++ {
			hashes = append(hashes, p.hash.Text([]byte(v.URL[:i])))
		}
	}
	hashes = append(hashes, p.hash.Text([]byte(v.URL)))
	e.sorted = append(e.sorted, hashes...)
	if v.Version == "" {
		e.hashes = append(e.hashes, hashes...)
		return nil, nil
	}
	e.others = append(e.others, fmt.Sprintf("(%s AND version = %d)", inHashes("uri", hashes), p.hash.Text([]byte(v.Version))))
	return nil, nil
}

func (p *planner) reference(e *either, v query.Reference) {
	version := ""
	if v.Version != "" {
		version = fmt.Sprintf(" AND version = %d", p.hash.Text([]byte(v.Version)))
	}
	var targets []uint64
	bases := p.bases
	if v.URL != "" {
		target, base := p.hash.Target(search.ReferenceOf([]byte(v.URL)))
		targets, bases = []uint64{target}, []uint64{base}
	}
	for _, t := range v.Types {
		if v.URL == "" {
			targets = append(targets, p.hash.Resource(t, []byte(v.ID)))
		}
	}
	e.sorted = append(e.sorted, targets...)
	e.others = append(e.others, "("+inHashes("target", targets)+" AND "+inHashes("base", bases)+version+")")
}

// time is search.Prefix.MatchesTime in SQL.
func (p *planner) time(v query.Date, low, high string) string {
	switch v.Prefix {
	case search.Equal:
		return fmt.Sprintf("(%s >= %d AND %s < %d AND %s <= %d)", low, v.Start, low, v.End, high, v.End)
	case search.NotEqual:
		return fmt.Sprintf("(%s < %d OR %s > %d)", low, v.Start, high, v.End)
	case search.Greater:
		return fmt.Sprintf("%s > %d", high, v.End)
	case search.Less:
		return fmt.Sprintf("%s < %d", low, v.Start)
	case search.GreaterOrEqual:
		return fmt.Sprintf("%s > %d", high, v.Start)
	case search.LessOrEqual:
		return fmt.Sprintf("%s < %d", low, v.End)
	case search.StartsAfter:
		return fmt.Sprintf("%s >= %d", low, v.End)
	case search.EndsBefore:
		return fmt.Sprintf("%s <= %d", high, v.Start)
	}
	near := v.Near(p.q.Now)
	return fmt.Sprintf("(%s < %d AND %s > %d)", low, near.End, high, near.Start)
}

// number is search.Prefix.MatchesNumber in SQL.
func number(prefix search.Prefix, a search.Amount, low, high string) string {
	switch prefix {
	case search.Equal:
		return fmt.Sprintf("(%s >= %s AND %s < %s AND %s < %s)", low, float(a.Low), low, float(a.High), high, float(a.High))
	case search.NotEqual:
		return fmt.Sprintf("(%s < %s OR %s >= %s)", low, float(a.Low), high, float(a.High))
	case search.Greater:
		return high + " > " + float(a.Exact)
	case search.Less:
		return low + " < " + float(a.Exact)
	case search.GreaterOrEqual:
		return high + " >= " + float(a.Exact)
	case search.LessOrEqual:
		return low + " <= " + float(a.Exact)
	case search.StartsAfter:
		return low + " > " + float(a.Exact)
	case search.EndsBefore:
		return high + " < " + float(a.Exact)
	}
	from, to := a.Near()
	return fmt.Sprintf("(%s <= %s AND %s >= %s)", low, float(to), high, float(from))
}

// quantity compares numbers and units as query.Quantity says.
func (p *planner) quantity(v query.Quantity) string {
	plain := number(v.Prefix, v.Amount, "low", "high")
	hash := func(s string) string { return strconv.FormatUint(p.hash.Text([]byte(s)), 10) }
	switch {
	case v.Base != "":
		return "(base = " + hash(v.Base) + " AND " + number(v.Prefix, v.In, "base_low", "base_high") + ")"
	case v.System != "" && v.Code != "":
		return "(system = " + hash(v.System) + " AND code = " + hash(v.Code) + " AND " + plain + ")"
	case v.System != "":
		return "(system = " + hash(v.System) + " AND " + plain + ")"
	case v.Code != "":
		return "((code = " + hash(v.Code) + " OR unit = " + hash(v.Code) + ") AND " + plain + ")"
	}
	return plain
}

// near is the set of the places that are near one of some positions: on a sphere of the
// earth's mean radius.
func (p *planner) near(values []query.Value, t search.Term, window string) (string, error) {
	var list []string
	for _, v := range values {
		v, ok := v.(query.Position)
		if !ok {
			return "", fmt.Errorf("search: %T as value of a position", v)
		}
		list = append(list, fmt.Sprintf("2*6371008.8*asin(sqrt(least(1, pow(sin(radians(y.low - %[1]s)/2), 2) + cos(radians(y.low))*cos(radians(%[1]s))*pow(sin(radians(x.low - %[2]s)/2), 2)))) <= %[3]s",
			float(v.Latitude), float(v.Longitude), float(v.Meters)))
	}
	numbers := func(f search.Facet) string {
		return "(SELECT addr, low" + p.from("number") + "WHERE " + p.group(t, f) + window + ")"
	}
	return "SELECT y.addr FROM " + numbers(search.FacetLatitude) + " y JOIN " + numbers(search.FacetLongitude) + " x ON x.addr = y.addr WHERE " + or(list), nil
}
