package capability

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
)

// Server is what a CapabilityStatement says of the server and its data store.
type Server struct {
	Version string    // of the program
	Base    string    // absolute URL of the data store, without a slash at the end
	Date    time.Time // since when it does what the statement says
	Erase   bool      // it has the operation
	Search  bool      // it is searched, and has what needs that
	Jobs    bool      // it exports
	// Parameters are the search parameters; nil: those of R4.
	Parameters Offered
}

// statement is the CapabilityStatement as it is written; FHIR R4, 5.2.
type statement struct {
	ResourceType   string     `json:"resourceType"`
	Status         string     `json:"status"`
	Date           string     `json:"date"`
	Publisher      string     `json:"publisher"`
	Kind           string     `json:"kind"`
	Instantiates   []string   `json:"instantiates,omitempty"`
	Software       software   `json:"software"`
	Implementation implement  `json:"implementation"`
	FHIRVersion    string     `json:"fhirVersion"`
	Format         []string   `json:"format"`
	PatchFormat    []string   `json:"patchFormat"`
	Rest           []restPart `json:"rest"`
}

type software struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type implement struct {
	Description string `json:"description"`
	URL         string `json:"url"`
}

type restPart struct {
	Mode          string          `json:"mode"`
	Documentation string          `json:"documentation"`
	Resource      json.RawMessage `json:"resource"`
	Interaction   []codePart      `json:"interaction"`
	Operation     []operationPart `json:"operation,omitempty"`
}

type codePart struct {
	Code          string `json:"code"`
	Documentation string `json:"documentation,omitempty"`
}

type resourcePart struct {
	Type              string          `json:"type"`
	Profile           string          `json:"profile"`
	Interaction       []codePart      `json:"interaction,omitempty"`
	Versioning        string          `json:"versioning,omitempty"`
	ReadHistory       bool            `json:"readHistory"`
	UpdateCreate      bool            `json:"updateCreate"`
	ConditionalCreate bool            `json:"conditionalCreate"`
	ConditionalRead   string          `json:"conditionalRead,omitempty"`
	ConditionalUpdate bool            `json:"conditionalUpdate"`
	ConditionalDelete string          `json:"conditionalDelete"`
	ReferencePolicy   []string        `json:"referencePolicy,omitempty"`
	SearchInclude     []string        `json:"searchInclude,omitempty"`
	SearchRevInclude  []string        `json:"searchRevInclude,omitempty"`
	SearchParam       []searchPart    `json:"searchParam,omitempty"`
	Operation         []operationPart `json:"operation,omitempty"`
}

type searchPart struct {
	Name       string `json:"name"`
	Definition string `json:"definition,omitempty"`
	Type       string `json:"type"`
}

type operationPart struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
}

// Statement gives the CapabilityStatement as JSON.
func Statement(s Server) []byte {
	c := statement{
		ResourceType:   "CapabilityStatement",
		Status:         "active",
		Date:           s.Date.UTC().Format(time.RFC3339),
		Publisher:      "fhirlake",
		Kind:           "instance",
		Software:       software{"fhirlake", s.Version},
		Implementation: implement{"FHIR REST interface of a data store", s.Base},
		FHIRVersion:    "4.0.1",
		Format:         []string{"json", FHIRJSON},
		PatchFormat:    []string{JSONPatch, FHIRJSON},
	}
	part := restPart{
		Mode: "server",
		Documentation: fmt.Sprintf("Writes are validated before they are stored; the header x-amzn-healthlake-fhir-validation-level chooses strict (default), structure-only or minimal. "+
			"A body has at most %d bytes, a transaction %d entries, a batch %d.", MaxBody, MaxTransaction, MaxBatch),
		Interaction: []codePart{{Code: "transaction"}, {Code: "batch"}, {Code: "history-system"}},
	}
	if s.Search {
		part.Interaction = append(part.Interaction, codePart{Code: "search-system"})
	}
	if s.Jobs {
		c.Instantiates = []string{BulkData}
		part.Operation = []operationPart{{Export.Name, exports[""]}}
	}
	part.Resource = resources(s)
	c.Rest = []restPart{part}
	out, err := json.Marshal(&c)
	if err != nil {
		panic(err) // structs of strings and booleans
	}
	return out
}

// known has the resource parts, by what differs: they are long and always the same.
var known sync.Map

// resources gives what is said of the resource types, as JSON.
func resources(s Server) json.RawMessage {
	key := [3]bool{s.Erase, s.Search, s.Jobs}
	if s.Search && s.Parameters != nil {
		if all := offeredBy(s.Parameters); custom(all) {
			return partsOf(s, all, includesOf(all))
		}
	}
	if text, ok := known.Load(key); ok {
		return text.(json.RawMessage)
	}
	text := partsOf(s, Parameters, includes())
	known.Store(key, text)
	return text
}

// custom tells whether any parameter is none of R4.
func custom(parameters func(r4.TypeID) []*search.Parameter) bool {
	return slices.ContainsFunc(r4.ResourceTypes(), func(t r4.TypeID) bool {
		return slices.ContainsFunc(parameters(t), func(p *search.Parameter) bool { return p.Custom })
	})
}

func partsOf(s Server, parameters func(r4.TypeID) []*search.Parameter, lists includeLists) json.RawMessage {
	var parts []resourcePart
	for _, t := range r4.ResourceTypes() {
		parts = append(parts, resourceOf(t, s, parameters, lists))
	}
	text, err := json.Marshal(parts)
	if err != nil {
		panic(err) // structs of strings and booleans
	}
	return text
}

func resourceOf(t r4.TypeID, s Server, parameters func(r4.TypeID) []*search.Parameter, lists includeLists) resourcePart {
	set := Of(t)
	r := resourcePart{
		Type:              t.String(),
		Profile:           "http://hl7.org/fhir/StructureDefinition/" + t.String(),
		ReadHistory:       set.Has(VersionRead),
		UpdateCreate:      set.Has(Update),
		ConditionalDelete: "not-supported",
	}
	for _, c := range codes {
		if set.Has(c.interaction) && (s.Search || c.interaction != SearchType) {
			r.Interaction = append(r.Interaction, codePart{Code: c.code})
		}
	}
	if set.Has(Read) {
		r.Versioning, r.ConditionalRead = "versioned", "full-support"
		r.ReferencePolicy = []string{"literal", "logical", "local"}
	}
	if s.Search && set != 0 {
		r.ConditionalCreate, r.ConditionalUpdate = set.Has(Create), set.Has(Update)
		if set.Has(Delete) {
			r.ConditionalDelete = "single" // many need _count, which the statement has no word for
		}
		for _, q := range parameters(t) {
			r.SearchParam = append(r.SearchParam, searchPart{q.Code, q.URL, query.TypeName(q.Type)})
		}
		r.SearchInclude, r.SearchRevInclude = lists.forward[t], lists.reverse[t]
	}
	for _, o := range Operations(s.Erase, s.Search) {
		if (o.Name == Purge.Name || o.Name == Everything.Name) && t != r4.TypePatient {
			continue
		}
		if o.Definition != "" && (set != 0 || o.Name == Validate.Name) {
			r.Operation = append(r.Operation, operationPart{o.Name, o.Definition})
		}
	}
	if d := exports[t.String()]; s.Jobs && d != "" {
		r.Operation = append(r.Operation, operationPart{Export.Name, d})
	}
	return r
}
