// Times the fhirpath package of npm as main.go times ours:
// node npm.cjs EXPRESSIONS.json FOLDER RESOURCES
const fs = require("fs");
const path = require("path");
const zlib = require("zlib");
const fhirpath = require("fhirpath");
const model = require("fhirpath/fhir-context/r4");

const [expressions, folder, limit] = process.argv.slice(2);
for (const x of JSON.parse(fs.readFileSync(expressions, "utf8"))) {
  const text = zlib.gunzipSync(fs.readFileSync(path.join(folder, x.type + ".ndjson.gz"))).toString("utf8");
  const resources = text.split("\n").filter((line) => line).slice(0, Number(limit)).map((line) => JSON.parse(line));
  const evaluate = fhirpath.compile(x.expression, model);
  let items = 0;
  let evaluations = 0;
  const start = process.hrtime.bigint();
  let seconds = 0;
  while (seconds < 3) {
    items = 0;
    for (const r of resources) items += evaluate(r).length;
    evaluations += resources.length;
    seconds = Number(process.hrtime.bigint() - start) / 1e9;
  }
  console.log(JSON.stringify({ expression: x.expression, perSecond: evaluations / seconds, items }));
}
