package load

import "fmt"

// pageSize is that of the pages whose latency is measured.
const pageSize = 50

// searchCase is a kind of search. In path and from stand $1, $2 ... for its values.
type searchCase struct {
	name   string
	path   string
	values string // a query of a row v: of the first column there is one for each value
	from   string // FROM and WHERE of the same question in SQL, a row for each match
	order  string // its ORDER BY; "" for none
	counts bool   // only the number is asked for
	rate   bool   // measured with many clients
}

// The values of several kinds. Those that the data has often come as often as others: a
// value is asked for once before it comes again. A value is chosen by its hash.
const (
	valuesOfCodes = `SELECT v FROM (SELECT DISTINCT code.coding[1].system || '|' || code.coding[1].code AS v FROM Observation) WHERE v IS NOT NULL`
	// A month, or a year, that begins at the day of an observation.
	valuesOfDays = `SELECT v, strftime(v::DATE + INTERVAL 1 %s, '%%Y-%%m-%%d') FROM ` +
		`(SELECT DISTINCT strftime(effectiveDateTime__start, '%%Y-%%m-%%d') AS v FROM Observation) WHERE v IS NOT NULL`
)

// Conditions of SQL.
const (
	hasCode = `list_contains(list_transform(code.coding, lambda c: c.system || '|' || c.code), $1)`
	// The times of Observations are dateTimes and Periods.
	between = `coalesce(effectiveDateTime__start, effectivePeriod.start__start) < %s::TIMESTAMP AND ` +
		`coalesce(effectiveDateTime__end, effectivePeriod.end__end, 'infinity') > %s::TIMESTAMP`
)

var searchCases = []searchCase{
	{
		name: "token", path: "Observation?code=$1&_count=50",
		values: valuesOfCodes, from: "FROM Observation WHERE " + hasCode,
	},
	{
		name: "reference", path: "Observation?subject=Patient/$1&_count=50",
		values: `SELECT v FROM (SELECT DISTINCT subject.reference__id AS v FROM Observation WHERE subject.reference__type = 'Patient') WHERE v IS NOT NULL`,
		from:   `FROM Observation WHERE subject.reference__type = 'Patient' AND subject.reference__id = $1`,
	},
	{
		name: "date range", path: "Observation?date=ge$1&date=lt$2&_count=50",
		values: fmt.Sprintf(valuesOfDays, "MONTH"),
		from:   "FROM Observation WHERE " + fmt.Sprintf(between, "$2", "$1"),
	},
	{
		name: "count by code and date range", path: "Observation?code=$1&date=ge$2&date=lt$3&_summary=count", counts: true,
		values: `SELECT v, a, b FROM (SELECT DISTINCT code.coding[1].system || '|' || code.coding[1].code AS v, ` +
			`strftime(effectiveDateTime__start, '%Y-01-01') AS a, strftime(effectiveDateTime__start + INTERVAL 1 YEAR, '%Y-01-01') AS b FROM Observation) ` +
			`WHERE v IS NOT NULL AND a IS NOT NULL`,
		from: "FROM Observation WHERE " + hasCode + " AND " + fmt.Sprintf(between, "$3", "$2"),
	},
	{
		name: "chain of three", path: "DiagnosticReport?result.encounter.service-provider.name=$1&_count=50",
		values: `SELECT v FROM (SELECT DISTINCT o.name AS v FROM Encounter e JOIN Organization o ON o.id = e.serviceProvider.reference__id) ` +
			`WHERE regexp_full_match(v, '[A-Za-z ]+')`,
		from: `FROM DiagnosticReport WHERE id IN (SELECT r.id FROM (SELECT id, unnest(result).reference__id AS result FROM DiagnosticReport) r ` +
			`JOIN Observation o ON o.id = r.result JOIN Encounter e ON e.id = o.encounter.reference__id ` +
			`JOIN Organization g ON g.id = e.serviceProvider.reference__id WHERE starts_with(lower(g.name), lower($1)))`,
	},
	{
		name: "_has", path: "Patient?_has:Observation:subject:code=$1&_count=50",
		values: valuesOfCodes, from: "FROM Patient WHERE id IN (SELECT subject.reference__id FROM Observation WHERE " + hasCode + ")",
	},
	{
		name: "_include", path: "Observation?code=$1&_include=Observation:encounter&_count=50",
		values: valuesOfCodes, from: "FROM Observation WHERE " + hasCode,
	},
	{
		name: "sort of a code by date", path: "Observation?code=$1&_sort=-date&_count=50",
		values: valuesOfCodes, from: "FROM Observation WHERE " + hasCode, order: sortedByDate,
	},
	{
		name: "sort of a type by date", path: "Observation?_sort=-date&_count=50",
		values: "SELECT 'Observation' AS v", from: "FROM Observation", order: sortedByDate,
	},
	{
		name: "string", path: "Patient?family=$1&_count=50",
		values: `SELECT v FROM (SELECT DISTINCT lower(name[1].family[1:3]) AS v FROM Patient) WHERE regexp_full_match(v, '[a-z]{3}')`,
		from:   `FROM Patient WHERE list_contains(list_transform(name, lambda n: starts_with(lower(strip_accents(n.family)), $1)), true)`,
	},
	{
		name: "token, 20 a page", path: "Observation?code=$1&_count=20", rate: true,
		values: valuesOfCodes,
	},
}

const sortedByDate = ` ORDER BY coalesce(effectiveDateTime__end, effectivePeriod.end__end) DESC NULLS LAST`
