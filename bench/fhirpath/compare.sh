#!/bin/sh
# Compares the FHIRPath engine with the fhirpath package of npm on the same
# expressions and resources, one thread each, one after the other. Needs node and
# npm. Usage: bench/fhirpath/compare.sh FOLDER [RESOURCES]
# FOLDER has Observation.ndjson.gz, Patient.ndjson.gz and Encounter.ndjson.gz.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$(cd "${1:?usage: compare.sh FOLDER [RESOURCES]}" && pwd)
resources=${2:-2000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/npm.cjs" "$work"
(cd "$work" && npm install --silent --no-audit --no-fund)
(cd "$here/../.." && GOMAXPROCS=1 go run ./bench/fhirpath "$here/expressions.json" "$folder" "$resources") > "$work/ours"
node "$work/npm.cjs" "$here/expressions.json" "$folder" "$resources" > "$work/npm"
node -e '
const fs = require("fs");
const read = (f) => fs.readFileSync(f, "utf8").trim().split("\n").map((l) => JSON.parse(l));
const ours = read(process.argv[1]), npm = read(process.argv[2]);
let failed = false;
console.log("| expression | fhirlake, evaluations/s | npm fhirpath, evaluations/s | times |\n| --- | --- | --- | --- |");
ours.forEach((o, i) => {
  const n = npm[i];
  if (o.items !== n.items) { failed = true; console.error(`${o.expression}: ${o.items} items here, ${n.items} there`); }
  console.log(`| \`${o.expression.replaceAll("|", "\\|")}\` | ${Math.round(o.perSecond).toLocaleString("en")} | ${Math.round(n.perSecond).toLocaleString("en")} | ${(o.perSecond / n.perSecond).toFixed(0)} |`);
});
process.exit(failed ? 1 : 0);
' "$work/ours" "$work/npm"
