#!/bin/sh
# The demo of the README: a synthetic population from nothing to SQL.
set -eu
BIN=${BIN:-bin/fhirlake}
DIR=${DIR:-demo-data}
rm -rf "$DIR"
mkdir -p "$DIR"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() {
	printf '$ fhirlake'
	for arg in "$@"; do
		case $arg in *' '*) printf ' "%s"' "$arg" ;; *) printf ' %s' "$arg" ;; esac
	done
	printf '\n'
	"$BIN" --root "$DIR/lake" "$@"
}

say "1. A synthetic population of 200 patients, as FHIR NDJSON"
run generate --patients 200 --seed 1 --out "$DIR/ndjson"

say "2. Import: parse, validate, write Parquet and the resources, publish"
run import "$DIR/ndjson"

say "3. Who is in it?"
run sql "SELECT gender, count(*) AS patients, round(avg(date_diff('year', birthDate__start, current_date)), 1) AS mean_age
         FROM Patient GROUP BY gender ORDER BY gender"

say "4. The most frequent measurements"
run sql "SELECT code.coding[1].code AS loinc, code.coding[1].display AS name, count(*) AS n,
                round(avg(valueQuantity.value__decimal), 1) AS mean, any_value(valueQuantity.unit) AS unit
         FROM Observation WHERE valueQuantity IS NOT NULL GROUP BY ALL ORDER BY n DESC LIMIT 8"

say "5. Patients with diabetes and their latest HbA1c"
run sql "SELECT p.id, p.name[1].family AS family, max_by(o.valueQuantity.value__decimal, o.effectiveDateTime__start) AS hba1c
         FROM Patient p
         JOIN Condition c ON c.subject.reference__id = p.id AND c.code.coding[1].code = '44054006'
         JOIN Observation o ON o.subject.reference__id = p.id AND o.code.coding[1].code = '4548-4'
         GROUP BY ALL ORDER BY hba1c DESC LIMIT 8"

say "What to try next"
cat <<EOF
  the columns of a type                    $BIN --root $DIR/lake sql "DESCRIBE Observation"
  the same again: nothing changes          $BIN --root $DIR/lake import $DIR/ndjson
  every checksum, count and index          $BIN --root $DIR/lake fsck
  our rate against DuckDB's own            $BIN bench import $DIR/ndjson
  Parquet and zstd NDJSON, for any tool    ls $DIR/lake/datastores/*/files/*
EOF
