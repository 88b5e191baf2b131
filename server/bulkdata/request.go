package bulkdata

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/bulk"
)

// Request is an export that a client asked for over REST, as the record of its job has it.
type Request struct {
	URL        string            `json:"url"`  // of the kick-off
	Base       string            `json:"base"` // of the data store, without a slash at its end
	Level      Level             `json:"level"`
	Group      string            `json:"group,omitempty"`
	Patients   []string          `json:"patients,omitempty"` // ids; nil: all
	Types      []string          `json:"types,omitempty"`    // nil: all
	Since      time.Time         `json:"since,omitzero"`
	Until      time.Time         `json:"until,omitzero"`
	Filters    []Filter          `json:"filters,omitempty"`
	Tags       []string          `json:"tags,omitempty"`     // values of _tag, all of which hold
	Security   []string          `json:"security,omitempty"` // likewise of _security
	Elements   []string          `json:"elements,omitempty"` // nil: all
	Associated bulk.Associated   `json:"associated,omitempty"`
	Format     bulk.ExportFormat `json:"format"` // of the files that the client gets
	Authorized bool              `json:"authorized,omitempty"`
	Notes      []string          `json:"notes,omitempty"` // what was asked for and left out
}

// Level says of what an export is.
type Level string

// The levels.
const (
	System  Level = "system"
	Patient Level = "patient"
	Group   Level = "group"
)

// Filter is a search that resources of a type must match.
type Filter struct {
	Type  string `json:"type"`
	Query string `json:"query"` // as it stands in a URL
}

// KickOff is the request that begins an export.
type KickOff struct {
	Level  Level
	Group  string
	Post   bool
	Strict bool // Prefer: handling=strict
	Query  url.Values
	Body   []byte
}

// Target is where HealthLake's clients want the files, and what else they say of a job.
type Target struct {
	RoleARN string          `json:"DataAccessRoleArn"`
	JobName string          `json:"JobName"`
	Output  json.RawMessage `json:"OutputDataConfig"`
}

// formats are what files can be, by the names that clients know. Those with a compression
// are ours: the standard has NDJSON alone.
var formats = map[string]bulk.ExportFormat{
	"": bulk.ExportNDJSON, "application/fhir+ndjson": bulk.ExportNDJSON, "application/ndjson": bulk.ExportNDJSON, "ndjson": bulk.ExportNDJSON,
	"application/fhir+ndjson+gzip": bulk.ExportNDJSONGzip, "ndjson.gz": bulk.ExportNDJSONGzip,
	"application/fhir+ndjson+zstd": bulk.ExportNDJSONZstd, "ndjson.zst": bulk.ExportNDJSONZstd,
	"application/vnd.apache.parquet": bulk.ExportParquet, "parquet": bulk.ExportParquet,
}

// Read reads a kick-off. The error is an *outcome.Fault.
func (k *KickOff) Read() (*Request, *Target, error) {
	asked, target, err := k.parameters()
	if err != nil {
		return nil, nil, err
	}
	r := &Request{Level: k.Level, Group: k.Group, Format: bulk.ExportNDJSON}
	names := make([]string, 0, len(asked))
	for name := range asked {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		read := parameters[name]
		if read == nil {
			err = k.leaveOut(r, "parameter "+clip(name))
		} else {
			err = read(k, r, asked[name])
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return r, target, r.check()
}

// check checks what parameters have to do with one another.
func (r *Request) check() error {
	for _, f := range r.Filters {
		if r.Types != nil && !slices.Contains(r.Types, f.Type) {
			return fault("_typeFilter: %s is none of the types of _type", f.Type)
		}
	}
	if !r.Since.IsZero() && !r.Until.IsZero() && !r.Since.Before(r.Until) {
		return fault("_since is not before _until")
	}
	return nil
}

func fault(format string, args ...any) error {
	return outcome.Faultf(outcome.Malformed, format, args...)
}

// leaveOut refuses what is not known or not offered, or notes that it was left out.
func (k *KickOff) leaveOut(r *Request, what string) error {
	if k.Strict {
		return fault("%s is not supported", what)
	}
	r.Notes = append(r.Notes, what+" is not supported and was left out")
	return nil
}

// parameters are how each is read.
var parameters = map[string]func(*KickOff, *Request, []string) error{
	"_format": ignore, "_pretty": ignore,
	"_outputFormat": func(_ *KickOff, r *Request, values []string) error {
		// A plus sign that is not escaped arrives as a space.
		f, ok := formats[strings.ReplaceAll(strings.TrimSpace(values[len(values)-1]), " ", "+")]
		if !ok {
			return fault("_outputFormat: '%s' is not there; expected application/fhir+ndjson, or one of docs/fhir-support.md", clip(values[0]))
		}
		r.Format = f
		return nil
	},
	"_type": func(_ *KickOff, r *Request, values []string) error {
		for _, name := range split(values) {
			if r4.ResourceTypeByName([]byte(name)) == 0 {
				return fault("_type: '%s' is no resource type of R4", clip(name))
			}
			if !slices.Contains(r.Types, name) {
				r.Types = append(r.Types, name)
			}
		}
		return nil
	},
	"_since": func(_ *KickOff, r *Request, values []string) (err error) {
		r.Since, err = instant("_since", values)
		return err
	},
	"_until": func(_ *KickOff, r *Request, values []string) (err error) {
		r.Until, err = instant("_until", values)
		return err
	},
	"_elements": func(_ *KickOff, r *Request, values []string) error {
		r.Elements = append(r.Elements, split(values)...)
		return checkElements(r.Elements)
	},
	"_typeFilter": func(_ *KickOff, r *Request, values []string) error {
		for _, v := range values {
			for _, text := range splitFilters(v) {
				name, query, _ := strings.Cut(strings.TrimPrefix(text, "/"), "?")
				if r4.ResourceTypeByName([]byte(name)) == 0 || query == "" {
					return fault("_typeFilter: '%s' is no search of a type, such as Observation?status=final", clip(text))
				}
				r.Filters = append(r.Filters, Filter{name, query})
			}
		}
		return nil
	},
	"_tag": func(_ *KickOff, r *Request, values []string) error {
		r.Tags = append(r.Tags, values...)
		return nil
	},
	"_security": func(_ *KickOff, r *Request, values []string) error {
		r.Security = append(r.Security, values...)
		return nil
	},
	"patient": func(k *KickOff, r *Request, values []string) error {
		if !k.Post || k.Level == System {
			return fault("parameter patient is for POST of an export of patients or a group")
		}
		for _, ref := range split(values) {
			_, id, ok := strings.Cut("/"+ref, "/Patient/")
			if !ok || id == "" || strings.Contains(id, "/") {
				return fault("parameter patient: '%s' is no reference to a patient, such as Patient/1", clip(ref))
			}
			r.Patients = append(r.Patients, id)
		}
		return nil
	},
	"includeAssociatedData": func(k *KickOff, r *Request, values []string) error {
		for _, v := range split(values) {
			which, ok := associated[v]
			if !ok {
				if err := k.leaveOut(r, fmt.Sprintf("includeAssociatedData '%s'", clip(v))); err != nil {
					return err
				}
			}
			r.Associated = max(r.Associated, which) // all relevant ones are more than the latest
		}
		return nil
	},
	"allowPartialManifests": func(k *KickOff, r *Request, values []string) error {
		if slices.Equal(values, []string{"false"}) {
			return nil
		}
		return k.leaveOut(r, "allowPartialManifests")
	},
}

// associated are the values of includeAssociatedData that the standard has.
var associated = map[string]bulk.Associated{
	"LatestProvenanceResources":   bulk.LatestProvenance,
	"RelevantProvenanceResources": bulk.RelevantProvenance,
}

func ignore(*KickOff, *Request, []string) error { return nil }

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "..."
	}
	return s
}

// split gives the items of lists.
func split(values []string) (all []string) {
	for _, list := range values {
		for item := range strings.SplitSeq(list, ",") {
			if item = strings.TrimSpace(item); item != "" {
				all = append(all, item)
			}
		}
	}
	return all
}

// filterStart is where a search begins in a list of them; commas in a search divide values.
var filterStart = regexp.MustCompile(`, */?[A-Z][A-Za-z]*\?`)

func splitFilters(list string) (all []string) {
	for {
		at := filterStart.FindStringIndex(list)
		if at == nil {
			return append(all, strings.TrimSpace(list))
		}
		all = append(all, strings.TrimSpace(list[:at[0]]))
		list = list[at[0]+1:]
	}
}

func instant(name string, values []string) (time.Time, error) {
	if len(values) != 1 {
		return time.Time{}, fault("%s is there more than once", name)
	}
	text := strings.ReplaceAll(values[0], " ", "+") // of an offset that is not escaped
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fault("%s: '%s' is no instant, such as 2020-12-31T23:59:59Z", name, clip(values[0]))
	}
	return t.UTC(), nil
}

// checkElements refuses what is no element of any type, or of the type that it names.
func checkElements(list []string) error {
	for _, e := range list {
		name, element, ofType := strings.Cut(e, ".")
		if !ofType {
			element = name
		}
		t := r4.ResourceTypeByName([]byte(name))
		switch {
		case ofType && t == 0:
			return fault("_elements: '%s' is no resource type of R4", clip(name))
		case strings.Contains(element, "."):
			return fault("_elements: '%s' is within another element; only those of resources are there", clip(e))
		case ofType && !hasElement(t, element), !ofType && !slices.ContainsFunc(r4.ResourceTypes(), func(t r4.TypeID) bool { return hasElement(t, element) }):
			return fault("_elements: there is no element '%s'", clip(e))
		}
	}
	return nil
}

func hasElement(t r4.TypeID, name string) bool {
	name = strings.TrimSuffix(name, "[x]")
	of := r4.TypeAt(t)
	for i := range of.NumElements {
		if e := r4.ElementAt(of.FirstElement + r4.ElementID(i)); e.Name == name || e.Choice == name {
			return true
		}
	}
	return false
}

// Searches tells whether what is exported has to be searched for.
func (r *Request) Searches() bool {
	return r.Filters != nil || r.Tags != nil || r.Security != nil
}
