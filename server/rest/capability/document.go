package capability

import (
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// headers are those that the interface knows, with what they do.
var headers = [][2]string{
	{"Accept, _format", "JSON (`application/fhir+json`, `application/json`) of fhirVersion 4.0; anything else alone is 406. A Binary goes as what it is unless FHIR's JSON is named"},
	{"Content-Type", "JSON in UTF-8; for PATCH the format of the patch; for a Binary anything; else 415"},
	{"Content-Encoding, Accept-Encoding", "gzip"},
	{"ETag, If-Match, If-None-Match", "`W/\"versionId\"`, also as `\"versionId\"`. On a write one tag is taken, and If-None-Match: * lets it create only: 412 also when the resource was deleted. On a read, If-None-Match is a list"},
	{"Last-Modified, If-Modified-Since", "304 when nothing is newer"},
	{"Location", "the version that a create or an update made first, absolute"},
	{"Prefer", "`return=minimal`, `return=representation` (the default; of a Bundle, minimal is), `return=OperationOutcome`; `handling=strict` refuses parameters that are not known; `respond-async`: see below"},
	{"x-amzn-healthlake-fhir-validation-level", "`strict` (default), `structure-only`, `minimal`"},
	{"x-amzn-healthlake-validation-issues", "`true`: the resource was stored with issues, at level minimal"},
	{"x-amz-fhir-idempotency-key", "a UUID, on create: the same again within 24 hours is 409, and Location names the original"},
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
	"A transaction is written as a whole or not at all. Its writes are of different resources, or it is refused. References, uris and links of narratives that are the fullUrl of an entry become its Type/id, also relative ones where the fullUrl has a server; those that name a version, and searches (`Practitioner?identifier=...`), stay as they are. A GET that finds nothing says so in its entry and undoes nothing.",
	"In a Bundle, a JSON Patch comes as the data of a Binary, a FHIRPath Patch as Parameters.",
	"A reference that resolves to nothing is accepted.",
	fmt.Sprintf("A batch or transaction with `Prefer: respond-async` is answered with 202, and Content-Location is where its answer will be (`Transaction/id`): GET gives 202 with SUBMITTED or IN_PROGRESS, then the answer, for %d minutes; DELETE cancels what has not begun, and forgets the answer. "+
		"Such a transaction has at most %d entries, and a data store %d such requests that are not done (429). They are kept in memory: 202 says that a request was taken, not that it was done. When the server ends, it finishes them first; after a crash the place answers 404, and a transaction was written as a whole or not at all.", int(KeepAnswers.Minutes()), MaxAsyncTransaction, MaxPending),
	"OPTIONS says what a URL takes. An escaped slash divides nothing.",
}

// missing is what is not there.
var missing = []string{
	"search, in all its forms; conditional create, update, patch and delete, which need it",
	"`$everything`, `$export`; `$meta` of a type, which needs search; changing the meta of a version that is not the current one",
	"asynchronous requests but for batch and transaction: there Prefer: respond-async is ignored",
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
	b.WriteString("| history-system | `GET _history` | |\n| capabilities | `GET metadata` | |\n")
	fmt.Fprintf(&b, "| transaction | `POST` of a Bundle | at most %d entries |\n| batch | `POST` of a Bundle | at most %d entries |\n", MaxTransaction, MaxBatch)
	fmt.Fprintf(&b, "\nA PATCH is a JSON Patch (`%s`) or a FHIRPath Patch (`%s`). A body has at most %d MiB, unzipped;\na page of a history %d versions, %d when none is said.\n", JSONPatch, FHIRJSON, MaxBody>>20, MaxCount, DefaultCount)
	b.WriteString("\n## Operations\n\n| operation | where | |\n| --- | --- | --- |\n")
	for _, o := range Operations(true) {
		method, where := "POST", "`Type`, `Type/id`"
		if !o.Type {
			where = "`Type/id`"
		}
		switch o.Name {
		case Meta.Name:
			method, where = "GET, POST", "`Type/id`, `Type/id/_history/version`"
		case Purge.Name:
			where = "`Patient/id`"
		case Validate.Name:
			where = "`Type`, `Type/id`; GET `Type/id`"
		}
		fmt.Fprintf(&b, "| `$%s` | %s %s | %s |\n", o.Name, method, where, o.Doc)
	}
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
	list("What else there is to know", notes)
	list("What is not there", missing)
	return b.String()
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
