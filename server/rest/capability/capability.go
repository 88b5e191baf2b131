// Package capability says what the FHIR REST interface does: the interactions of each
// resource type, the operations, the parameters and headers that it knows. The
// interface asks it before it acts, the CapabilityStatement and the page
// docs/fhir-support.md are made of it, so neither can say what is not so.
//
// Read [Of] first.
package capability

import (
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Interaction is one of FHIR's (R4, value sets type- and system-restful-interaction).
type Interaction uint16

// The interactions, as bits of a [Set].
const (
	Read Interaction = 1 << iota
	VersionRead
	Update
	Patch
	Delete
	HistoryInstance
	HistoryType
	Create
	SearchType
)

// Set is a set of interactions.
type Set uint16

// Has tells whether i is in the set.
func (s Set) Has(i Interaction) bool { return s&Set(i) != 0 }

// codes are the codes of the interactions with what documents say of them.
var codes = []struct {
	interaction Interaction
	code        string
	request     string
}{
	{Read, "read", "GET Type/id"},
	{VersionRead, "vread", "GET Type/id/_history/version"},
	{Update, "update", "PUT Type/id"},
	{Patch, "patch", "PATCH Type/id"},
	{Delete, "delete", "DELETE Type/id"},
	{HistoryInstance, "history-instance", "GET Type/id/_history"},
	{HistoryType, "history-type", "GET Type/_history"},
	{Create, "create", "POST Type"},
	{SearchType, "search-type", "GET Type?..., POST Type/_search"},
}

// Code is FHIR's code of an interaction (value set type-restful-interaction).
func (i Interaction) Code() string {
	for _, c := range codes {
		if c.interaction == i {
			return c.code
		}
	}
	return ""
}

const all = Set(Read | VersionRead | Update | Patch | Delete | HistoryInstance | HistoryType | Create | SearchType)

// Of gives the interactions of a resource type. OperationOutcome and Parameters are
// not stored; an AuditEvent is never changed (as in Amazon HealthLake).
func Of(t r4.TypeID) Set {
	switch t {
	case r4.TypeOperationOutcome, r4.TypeParameters:
		return 0
	case r4.TypeAuditEvent:
		return all &^ Set(Update|Patch|Delete)
	}
	return all
}

// Operation is a named operation.
type Operation struct {
	Name       string // without the dollar sign
	Definition string // canonical URL
	Type       bool   // invoked at Type/$name
	Instance   bool   // invoked at Type/id/$name
	Doc        string
}

// The operations.
var (
	Validate = Operation{
		"validate", "http://hl7.org/fhir/OperationDefinition/Resource-validate", true, true,
		"checks a resource as a write at level strict does, and more: profiles of `profile`, notes on profiles that are not known; stores nothing. Without a resource, the one that is there. `mode`: create, update, delete, profile",
	}
	Meta = Operation{
		"meta", "http://hl7.org/fhir/OperationDefinition/Resource-meta", true, true,
		"gives the meta of the current version, or of a version; of a type or of all, the profiles, tags and security labels that any current resource has",
	}
	MetaAdd = Operation{
		"meta-add", "http://hl7.org/fhir/OperationDefinition/Resource-meta-add", false, true,
		"adds profiles, tags and security labels; makes a version",
	}
	MetaDelete = Operation{
		"meta-delete", "http://hl7.org/fhir/OperationDefinition/Resource-meta-delete", false, true,
		"removes profiles, tags and security labels; makes a version",
	}
	Everything = Operation{
		"everything", "http://hl7.org/fhir/OperationDefinition/Patient-everything", false, true,
		"gives all resources of the patient's compartment, in pages as a search does, and beside those of a page, as includes, what they refer to that is in no patient's compartment (practitioners, organizations, medications ...). `_since`, `_type`, `_count`; `start` and `end` leave what has a date of care outside them out",
	}
	Erase = Operation{
		"erase", "", false, true,
		"removes a resource with its history, as in Amazon HealthLake",
	}
	Reindex = Operation{
		"reindex", "", false, false,
		"indexes what is stored by search parameters that are new, and what has no index, while reads, writes and searches go on. It is answered with 202 and a Content-Location, at which its state and then its result are found",
	}
	ParameterStatus = Operation{
		"status", "", false, false,
		"says what becomes of the SearchParameter resources (searchable, pending until $reindex, inactive, standard, faulty with the reason), or of the one with `url`",
	}
	Export = Operation{
		"export", "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export", true, true,
		"exports what is current, of the data store, of all patients, or of those of a group, as NDJSON or Parquet, while writers go on; see below",
	}
	Import = Operation{
		"import", "", true, false,
		"imports NDJSON from buckets as one durable job; see below",
	}
	Purge = Operation{
		"purge", "http://hl7.org/fhir/OperationDefinition/Patient-purge", false, true,
		"removes a patient and all resources of the patient's compartment, with their histories",
	}
)

// Operations gives those that a data store has: not every one erases, or is searched.
func Operations(erase, search bool) []Operation {
	ops := []Operation{Validate, Meta, MetaAdd, MetaDelete}
	if search {
		ops = append(ops, Everything, Reindex, ParameterStatus)
	}
	if erase {
		ops = append(ops, Erase, Purge)
	}
	return ops
}

// exports are the definitions of $export at its places; "" is the base.
var exports = map[string]string{
	"":        Export.Definition,
	"Patient": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export",
	"Group":   "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export",
}

// BulkData is the CapabilityStatement of a server that exports (Bulk Data Access 2.0).
const BulkData = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"

// The limits of one request.
const (
	MaxBody        = 5 << 20 // bytes, after decompression; as in Amazon HealthLake
	MaxTransaction = 100     // entries
	MaxBatch       = 500     // entries
	// MaxAsyncTransaction is how many entries a transaction that is answered later has.
	MaxAsyncTransaction = 500
	MaxPending          = 500       // requests of a data store that are to be answered later
	KeepAnswers         = time.Hour // for which the answers of those are kept
	MaxCount            = 1000      // versions on a page of a history
	DefaultCount        = 100
	MaxDelete           = 100 // resources that one conditional delete deletes; as in Amazon HealthLake
)

// The media types that a PATCH takes.
const (
	JSONPatch = "application/json-patch+json"
	FHIRJSON  = "application/fhir+json"
)
