package bulkdata

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/fhirlake/fhirlake/store/blob"
)

// parameters gives what is asked for by name, of the URL and of the body: a Parameters
// resource, or what HealthLake's clients send.
func (k *KickOff) parameters() (map[string][]string, *Target, error) {
	asked := map[string][]string{}
	for name, values := range k.Query {
		asked[name] = append(asked[name], values...)
	}
	if len(bytes.TrimSpace(k.Body)) == 0 {
		return asked, nil, nil
	}
	var head struct {
		ResourceType string `json:"resourceType"`
	}
	if err := json.Unmarshal(k.Body, &head); err != nil {
		return nil, nil, fault("the body is no JSON object")
	}
	switch head.ResourceType {
	case "Parameters":
		list, err := readParameters(k.Body)
		if err != nil {
			return nil, nil, err
		}
		for _, p := range list {
			if p.value == "" {
				return nil, nil, fault("parameter '%s' of the body has no value that can be read", clip(p.name))
			}
			asked[p.name] = append(asked[p.name], p.value)
		}
		return asked, nil, nil
	case "":
		target, err := k.readTarget()
		return asked, target, err
	}
	return nil, nil, fault("the body is a %s; expected Parameters", clip(head.ResourceType))
}

// parameter is one of a Parameters resource, with its value as a URL has it.
type parameter struct {
	name  string
	value string // "" when it has none that can be read
}

func readParameters(text []byte) ([]parameter, error) {
	var p struct {
		Parameter []json.RawMessage `json:"parameter"`
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fault("the body is no Parameters resource")
	}
	var all []parameter
	for _, text := range p.Parameter {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(text, &members); err != nil {
			return nil, fault("the body is no Parameters resource")
		}
		var p parameter
		var err error
		for name, value := range members {
			switch {
			case name == "name":
				err = json.Unmarshal(value, &p.name)
			case strings.HasPrefix(name, "value"):
				p.value = plain(value)
			}
			if err != nil {
				return nil, fault("the body is no Parameters resource")
			}
		}
		all = append(all, p)
	}
	return all, nil
}

// plain is a value as a URL has it: a string, what a number or a boolean looks like, or where
// a Reference leads.
func plain(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	var ref struct {
		Reference string `json:"reference"`
	}
	if json.Unmarshal(value, &ref) == nil {
		return ref.Reference
	}
	var scalar any
	if json.Unmarshal(value, &scalar) != nil {
		return ""
	}
	switch scalar.(type) {
	case bool, float64:
		return string(value)
	}
	return ""
}

// readTarget reads the body of HealthLake's clients.
func (k *KickOff) readTarget() (*Target, error) {
	t := &Target{}
	d := json.NewDecoder(bytes.NewReader(k.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(t); err != nil {
		return nil, fault("the body is neither a Parameters resource nor one of DataAccessRoleArn, JobName, OutputDataConfig")
	}
	if len(t.JobName) > 64 {
		return nil, fault("JobName has more than 64 characters")
	}
	if len(t.RoleARN) > 2048 {
		return nil, fault("DataAccessRoleArn has more than 2048 characters")
	}
	var o struct {
		S3 *struct {
			URI      string `json:"S3Uri"`
			KMSKeyID string `json:"KmsKeyId"`
		} `json:"S3Configuration"`
	}
	d = json.NewDecoder(bytes.NewReader(t.Output))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil || o.S3 == nil {
		return nil, fault("OutputDataConfig must have S3Configuration, with S3Uri and KmsKeyId")
	}
	if _, err := blob.ParseURI(strings.TrimRight(o.S3.URI, "/")); err != nil {
		return nil, fault("OutputDataConfig.S3Configuration.S3Uri: %v", err)
	}
	return t, nil
}
