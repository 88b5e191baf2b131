package capability

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Server is what a CapabilityStatement says of the server and its data store.
type Server struct {
	Version string    // of the program
	Base    string    // absolute URL of the data store, without a slash at the end
	Date    time.Time // since when it does what the statement says
	Erase   bool      // it has the operation
}

// statement is the CapabilityStatement as it is written; FHIR R4, 5.2.
type statement struct {
	ResourceType   string     `json:"resourceType"`
	Status         string     `json:"status"`
	Date           string     `json:"date"`
	Publisher      string     `json:"publisher"`
	Kind           string     `json:"kind"`
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
	Mode          string         `json:"mode"`
	Documentation string         `json:"documentation"`
	Resource      []resourcePart `json:"resource"`
	Interaction   []codePart     `json:"interaction"`
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
	Operation         []operationPart `json:"operation,omitempty"`
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
	for _, t := range r4.ResourceTypes() {
		part.Resource = append(part.Resource, resourceOf(t, s))
	}
	c.Rest = []restPart{part}
	out, err := json.Marshal(&c)
	if err != nil {
		panic(err) // structs of strings and booleans
	}
	return out
}

func resourceOf(t r4.TypeID, s Server) resourcePart {
	set := Of(t)
	r := resourcePart{
		Type:              t.String(),
		Profile:           "http://hl7.org/fhir/StructureDefinition/" + t.String(),
		ReadHistory:       set.Has(VersionRead),
		UpdateCreate:      set.Has(Update),
		ConditionalDelete: "not-supported",
	}
	for _, c := range codes {
		if set.Has(c.interaction) {
			r.Interaction = append(r.Interaction, codePart{Code: c.code})
		}
	}
	if set.Has(Read) {
		r.Versioning, r.ConditionalRead = "versioned", "full-support"
		r.ReferencePolicy = []string{"literal", "logical", "local"}
	}
	for _, o := range Operations(s.Erase) {
		if o.Name == Purge.Name && t != r4.TypePatient {
			continue
		}
		if o.Definition != "" && (set != 0 || !o.Instance || o.Type) {
			r.Operation = append(r.Operation, operationPart{o.Name, o.Definition})
		}
	}
	return r
}
