package catalog

import "encoding/json"

// NLP is what a data store's NlpConfiguration says: whether clinical notes are read. Status is
// Amazon HealthLake's, the others are ours. Its zero value is that of a data store which was not told
// anything: notes of DocumentReferences are read.
type NLP struct {
	Status            Switch `json:"Status,omitempty"`            // of all
	DiagnosticReports Switch `json:"DiagnosticReports,omitempty"` // whether presentedForm is read too; not enabled by default
	DerivedResources  Switch `json:"DerivedResources,omitempty"`  // whether resources are derived from documents; not enabled by default
}

// Switch is a setting that is on or off.
type Switch string

// The values of a Switch.
const (
	Enabled  Switch = "ENABLED"
	Disabled Switch = "DISABLED"
)

// SwitchOf is Enabled or Disabled.
func SwitchOf(on bool) Switch {
	if on {
		return Enabled
	}
	return Disabled
}

// Reads tells whether notes are read when they are stored.
func (n NLP) Reads() bool { return n.Status != Disabled }

// NLPSettings reads the configuration of NLP, which was checked when it was set.
func (p *Properties) NLPSettings() NLP {
	var n NLP
	if json.Unmarshal(p.NLP, &n) != nil {
		return NLP{}
	}
	return n
}

// SetNLP changes the configuration of NLP and keeps members of it that are not known.
func (p *Properties) SetNLP(change func(n *NLP)) error {
	all := map[string]json.RawMessage{}
	if len(p.NLP) > 0 {
		if err := json.Unmarshal(p.NLP, &all); err != nil {
			return err
		}
	}
	n := p.NLPSettings()
	change(&n)
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	p.NLP, err = json.Marshal(all)
	return err
}
