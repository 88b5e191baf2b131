package capability

import (
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// headers are those that the interface knows, with what they do.
var headers = [][2]string{
	{"Accept, _format", "JSON (`application/fhir+json`, `application/json`) of fhirVersion 4.0; anything else alone is 406. A Binary goes as what it is unless FHIR's JSON is named"},
	{"Content-Type", "JSON in UTF-8; for PATCH the format of the patch; for a Binary anything; else 415"},
	{"Content-Encoding, Accept-Encoding", "gzip"},
	{"ETag, If-Match, If-None-Match", "`W/\"versionId\"`, also as `\"versionId\"`. On a write one tag is taken, and If-None-Match: * lets it create only: 412 also when the resource was deleted. On a read, If-None-Match is a list"},
	{"Last-Modified, If-Modified-Since", "304 when nothing is newer"},
	{"Location", "the version that a create or an update made first, absolute; of a conditional create or update also the one that was there"},
	{"Prefer", "`return=minimal`, `return=representation` (the default; of a Bundle, minimal is), `return=OperationOutcome`; `handling=strict` refuses parameters that are not known, `handling=lenient` (the default) leaves them out and says so; `respond-async`: see below"},
	{"x-amzn-healthlake-fhir-validation-level", "`strict` (default), `structure-only`, `minimal`"},
	{"x-amzn-healthlake-validation-issues", "`true`: the resource was stored with issues, at level minimal"},
	{"x-amz-fhir-idempotency-key", "a UUID, on create: the same again within 24 hours is 409, and Location names the original"},
	{"If-None-Exist", "criteria of a conditional create"},
	{"x-amz-fhir-history-consistency-level", "`eventual`: a search does not wait until what was written just before can be found; else it does"},
	{"X-Request-Id", "comes back in the answer, and is in the log"},
}

// notes are what a reader of the specification would want to know.
var notes = []string{
	"The base answers with and without a slash at its end, never by a redirect.",
	"An update of what does not exist creates it. The same content again makes no version: the answer is the current one.",
	"What is deleted is 410, and comes back by an update. Deleting what is not there is 204.",
	"A resource at fault is 400, one that breaks only profiles 422; the OperationOutcome names every element at fault. A patch that does not go with the resource, or makes it invalid, is 422.",
	"Histories take `_count`, `_since`, `_at`; the link `next` leads on. `total` is there for the history of one resource.",
	"`_summary` is true, text, data or false (count: for the history of one resource), `_elements` takes top-level elements; the result is tagged SUBSETTED. `_pretty=true` indents.",
	"The entries of a batch succeed or fail one by one, DELETE first, then POST, PUT and PATCH, then GET. Its references are stored as they are.",
	"A transaction is written as a whole or not at all. Its writes are of different resources, or it is refused. References, uris and links of narratives that are the fullUrl of an entry become its Type/id, also relative ones where the fullUrl has a server; those that name a version stay as they are. A conditional reference (`Practitioner?identifier=...`) becomes what it finds, before the writes of the transaction, or the resource of an entry that is conditional by the same criteria; one that finds several is 412, one that finds nothing stays as it is, since references that resolve to nothing are accepted. A GET that finds nothing says so in its entry and undoes nothing.",
	"In a Bundle, a JSON Patch comes as the data of a Binary, a FHIRPath Patch as Parameters.",
	"A reference that resolves to nothing is accepted.",
	fmt.Sprintf("A batch or transaction with `Prefer: respond-async` is answered with 202, and Content-Location is where its answer will be (`Transaction/id`): GET gives 202 with SUBMITTED or IN_PROGRESS, then the answer, for %d minutes; DELETE cancels what has not begun, and forgets the answer. "+
		"Such a transaction has at most %d entries, and a data store %d such requests that are not done (429). They are kept in memory: 202 says that a request was taken, not that it was done. When the server ends, it finishes them first; after a crash the place answers 404, and a transaction was written as a whole or not at all.", int(KeepAnswers.Minutes()), MaxAsyncTransaction, MaxPending),
	"OPTIONS says what a URL takes. An escaped slash divides nothing.",
}

// searching is what there is to know of searches.
var searching = []string{
	"The parameters below, with the prefixes eq, ne, gt, lt, ge, le, sa, eb and ap, the modifiers that R4 gives their types, several values with commas, and escapes; chains of up to 16 hops (`subject:Patient.name=x`), `_has` in any depth, composites with `$`.",
	"A text is found by its beginning without `:contains`; a family name also by the beginning of its first 16 later words, each with what follows it to 256 bytes.",
	"`_text` looks for whole words in the narrative, `_content` in every text and number of the resource, what it contains and what its attachments of text hold; case and accents do not count. Words side by side must all be there, `\"words in quotes\"` follow one another; AND, OR, NOT and parentheses. They are in no index: resources that the other criteria leave are read, so give such.",
	"A DocumentReference is found by what NLP found in its texts, with Amazon HealthLake's parameters (`detectEntities-entity-...`, `infer-icd10cm-entity-...`, `infer-rxnorm-entity-...`, `cm-decoration-status`): texts and codes are strings, scores numbers. A composite is about one entity or one of its codes; its parts are separated by `|` or `$`, and its score is a minimum unless it has a prefix. Results are not sorted by them.",
	"Active SearchParameter resources of the data store add parameters: at once where nothing is stored of their types, else once `POST $reindex` or `fhirlake reindex` has indexed what is there; until then a search by one is 400 and says so. `SearchParameter/$status` tells where each stands. One that cannot be had (no expression, one that does not compile, a code of R4) is refused with 422 at its element, unless validation is minimal; drafts, and those with the URL of one of R4's, are stored and do nothing.",
	"`:in` and `:not-in` take a value set by its canonical URL or as `ValueSet/id`, `:below` and `:above` a code with its system: of the data store, else of the profiles that were added, else of R4. What cannot be expanded here (a filter on a code system that is not known with all of its codes) is 400, and says which.",
	"A POST to `_search` takes a form, with the parameters of the URL.",
	fmt.Sprintf("`_count` is at most %d, %d when it is not given; 0 asks for the total alone, as `_summary=count` does. `_sort` takes any number of parameters; references sort by Type/id, or by their URL. `_include` and `_revinclude` with `:iterate`; together they bring at most 5,000 resources to a page.", query.DefaultPageSize, search.DefaultCount),
	"`total` is there with `_total=accurate` (`estimate` is the same), when the page is the last, and with `_summary=count`.",
	"All pages of a search are of the moment of the first: each resource comes once, none is lost, whatever is written meanwhile. The link `next` is good for 10 minutes; later, or after the server was started again, it is 410 with code processing: begin the search again. A page that another search gave, or nobody, is 400. For a search that was posted and is too long for a URL, post it again with the `_page` of the link.",
	"A search sees all that was answered before it began, unless the client says that it may be eventual.",
	"What is not known or not offered is left out of the link `self`, and told in an OperationOutcome among the entries (mode outcome); with `Prefer: handling=strict` it is 400. A value that cannot be read is 400 always.",
	"A search that takes longer than 30 seconds, an include that brings too much, or a page of more than 64 MiB is 422 with code too-costly, and the OperationOutcome says which part it was.",
	"`_explain=true` adds an OperationOutcome whose diagnostics show how the search is done, for who looks for what makes it slow.",
	"While a data store has resources that were imported without a search index, its searches are 503, and say what to do.",
}

// importing is what there is to know of imports.
var importing = []string{
	"`POST $import` with `Prefer: respond-async` is 202, and Content-Location is where the job is asked for (`import/job`). The body is a Parameters resource or a JSON object as the proposals of Bulk Data Import have them: `inputFormat` (application/fhir+ndjson), `inputSource`, `storageDetail`, and `input`, each with `type` and `url`. URLs are those of buckets, `s3://bucket/key`: an object, or all below the key. Others are refused, since the server would ask for them.",
	"`report` is a place in a bucket for the report, as Amazon HealthLake's import jobs write it; without it only the counts are kept. The header x-amzn-healthlake-fhir-validation-level chooses the level.",
	"`GET import/job` is 202 with `X-Progress` and `Retry-After`, then 200 with the inputs that were read (`output`), those with rejected lines (`error`), and HealthLake's counters (`importJobProperties`); 500 when the job failed. `DELETE` ends it. A `type` is told and not enforced: a line is what its resourceType says.",
}

// exporting is what there is to know of exports.
var exporting = []string{
	"FHIR Bulk Data Access 2.0, and what Amazon HealthLake has beside it: `GET` or `POST` of `$export`, `Patient/$export`, `Group/id/$export` with `Prefer: respond-async` is 202, and Content-Location is where the job is asked for (`export/job`). The parameters come in the URL, in a Parameters resource, or with HealthLake's body (`DataAccessRoleArn`, `JobName`, `OutputDataConfig`).",
	"`_outputFormat`: `application/fhir+ndjson` (default), `application/ndjson`, `ndjson`; ours: `application/fhir+ndjson+gzip`, `application/fhir+ndjson+zstd`, `application/vnd.apache.parquet`. `_type`; `_since` and `_until`, instants of meta.lastUpdated, the first included, the second not; `_elements` (of all types, or `Type.element` of one: what is mandatory stays, and the tag SUBSETTED is added); `patient` (POST, references).",
	"`_typeFilter` (searches of a type, any of which lets a resource through; without what only shapes a result), `_tag` and `_security` (as in a search; repeated, all must hold) are answered by the search index. While the data store is not all indexed, they are 503 and say what to do.",
	"`includeAssociatedData`: `LatestProvenanceResources` or `RelevantProvenanceResources`, the Provenance resources whose targets are exported, by a relative reference, and no others. Values of servers (`_...`), and parameters that are not known, are refused with `Prefer: handling=strict`, else left out and told in a file of `error`.",
	"The export is the state of one moment, `transactionTime`, whatever is written meanwhile. Of patients, it has what is in their compartments; of a group, the members that are not inactive.",
	"`GET export/job` is 202 with `X-Progress` and `Retry-After`, then 200 with the list of files, beside HealthLake's `exportJobProperties`; 500 when the job failed. `DELETE` ends the job or removes its files; then, and when the files have expired after 48 hours, it is 404. A job is durable: after a crash the server begins it again.",
	"`deleted` of an export of the data store with `_since` has transactions of DELETE entries, for what is deleted since and whose deletion is still kept.",
	"Without an OutputDataConfig the files are kept here and downloaded, `GET export/job/file`, with the credentials of any other request: in parts (`Range`), and in the codings zstd and gzip. Else they are in the bucket, and so are the URLs (`s3://...`).",
}

// conditional is what there is to know of conditional interactions.
var conditional = []string{
	"The criteria are a search of the type. All of them must be understood, and one at least must be there: else 400. More than one match is 412.",
	"create with `If-None-Exist` (`ifNoneExist` of an entry): no match creates; one match is 200, with that resource, and nothing is written.",
	"update: no match creates, under the id of the resource if it has one (409 when that id is in use, or was); one match is updated, and a resource with another id is 400.",
	"patch: one match is patched; no match is 404.",
	fmt.Sprintf("delete: one match is deleted; no match is 404, but in a transaction nothing. With `_count=n` (at most %d) all matches, n at a time, are deleted, as in Amazon HealthLake: 200 with a batch-response, whose link `next` is to be followed with DELETE; not in a Bundle.", MaxDelete),
	"Of any number of clients that do this with the same criteria at once, each sees what the one before it did, also when some are transactions. What is found is written in the version that was found: when another write changes it between, the interaction is decided again. Creates that are not conditional, or by other criteria, are not held up.",
	"Two entries of a transaction are not conditional by the same criteria.",
}

// missing is what is not there.
var missing = []string{
	"of searches: `_filter`, `_query`, `_contained`; `:above` and `:below` of references",
	"changing the meta of a version that is not the current one",
	"asynchronous requests but for batch, transaction, `$export` and `$import`: there Prefer: respond-async is ignored",
	"XML",
}

// Document gives the page docs/fhir-support.md.
func Document() string {
	var b strings.Builder
	b.WriteString("# FHIR support\n\n" +
		"The REST interface of a data store, FHIR R4 (4.0.1), at `/datastore/{id}/r4`. This page is generated from\n" +
		"`server/rest/capability`, as is the CapabilityStatement at `metadata`; `go test ./server/rest/capability -update` writes it.\n\n" +
		"## Interactions\n\n| interaction | request | resource types |\n| --- | --- | --- |\n")
	for _, c := range codes {
		fmt.Fprintf(&b, "| %s | `%s` | %s |\n", c.code, c.request, typesOf(c.interaction))
	}
	b.WriteString("| search-system | `GET ?...`, `POST _search` | all at once, or those that `_type` names |\n")
	b.WriteString("| compartment | `GET Patient/id/Type?...`, `GET Patient/id/*?...` | of Device, Encounter, Patient, Practitioner, RelatedPerson |\n")
	b.WriteString("| conditional create | `POST Type`, If-None-Exist | as create |\n| conditional update, patch, delete | `PUT`, `PATCH`, `DELETE Type?...` | as update, patch, delete |\n")
	b.WriteString("| history-system | `GET _history` | |\n| capabilities | `GET metadata` | |\n")
	fmt.Fprintf(&b, "| transaction | `POST` of a Bundle | at most %d entries |\n| batch | `POST` of a Bundle | at most %d entries |\n", MaxTransaction, MaxBatch)
	fmt.Fprintf(&b, "\nA PATCH is a JSON Patch (`%s`) or a FHIRPath Patch (`%s`). A body has at most %d MiB, unzipped;\na page of a history %d versions, %d when none is said.\n", JSONPatch, FHIRJSON, MaxBody>>20, MaxCount, DefaultCount)
	b.WriteString("\n## Operations\n\n| operation | where | |\n| --- | --- | --- |\n")
	for _, o := range Operations(true, true) {
		method, where := "POST", "`Type`, `Type/id`"
		if !o.Type {
			where = "`Type/id`"
		}
		switch o.Name {
		case Meta.Name:
			method, where = "GET, POST", "`Type/id`, `Type/id/_history/version`, `Type`, the base"
		case Everything.Name:
			method, where = "GET", "`Patient/id`"
		case Purge.Name:
			where = "`Patient/id`"
		case Reindex.Name:
			where = "the base"
		case ParameterStatus.Name:
			method, where = "GET", "`SearchParameter`"
		case Validate.Name:
			where = "`Type`, `Type/id`; GET `Type/id`"
		}
		fmt.Fprintf(&b, "| `$%s` | %s %s | %s |\n", o.Name, method, where, o.Doc)
	}
	b.WriteString("| `$export` | GET, POST the base, `Patient`, `Group/id` | " + Export.Doc + " |\n")
	b.WriteString("| `$import` | POST the base | " + Import.Doc + " |\n")
	b.WriteString("\n## Headers\n\n| header | |\n| --- | --- |\n")
	for _, h := range headers {
		fmt.Fprintf(&b, "| %s | %s |\n", h[0], h[1])
	}
	list := func(title string, items []string) {
		b.WriteString("\n## " + title + "\n\n")
		for _, i := range items {
			b.WriteString("- " + i + "\n")
		}
	}
	list("Search", searching)
	list("Conditional interactions", conditional)
	list("Exports", exporting)
	list("Imports", importing)
	list("What else there is to know", notes)
	list("What is not there", missing)
	parameters(&b)
	return b.String()
}

// parameters writes which search parameters there are.
func parameters(b *strings.Builder) {
	common := map[string]bool{}
	b.WriteString("\n## Search parameters\n\nOf every type: ")
	sep := ""
	for _, q := range Parameters(r4.TypePatient) {
		if q.Base == r4.TypeResource || q.Base == r4.TypeDomainResource {
			common[q.Code] = true
			fmt.Fprintf(b, "%s`%s` (%s)", sep, q.Code, query.TypeName(q.Type))
			sep = ", "
		}
	}
	b.WriteString("; and `_has`, `_list`.\n\n| type | parameters |\n| --- | --- |\n")
	for _, t := range r4.ResourceTypes() {
		if Of(t) == 0 {
			continue
		}
		var codes []string
		for _, q := range Parameters(t) {
			if !common[q.Code] {
				codes = append(codes, q.Code)
			}
		}
		fmt.Fprintf(b, "| %s | %s |\n", t, strings.Join(codes, ", "))
	}
}

// typesOf says which types take an interaction.
func typesOf(i Interaction) string {
	var not []string
	for _, t := range r4.ResourceTypes() {
		if !Of(t).Has(i) {
			not = append(not, t.String())
		}
	}
	return fmt.Sprintf("all %d but %s", len(r4.ResourceTypes()), strings.Join(not, ", "))
}
