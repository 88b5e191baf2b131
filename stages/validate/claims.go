package validate

import (
	"github.com/fhirlake/fhirlake/fhir"
)

// claims keeps the canonical URLs that resources claim as strings, so that a
// claim that repeats costs nothing.
type claims struct {
	known map[string]string
	list  []string
}

// maxClaims bounds the memory that input can take.
const maxClaims = 4096

// profiles has the profiles checked that the resource of v.at claims, and those
// that every resource must keep to. The checker is asked without any, too: it knows
// extensions and profiles of whole types.
func (v *Validator) profiles() {
	c := &v.claims
	c.list = c.list[:0]
	if v.options.Level != StructureOnly {
		for p, end := v.values(v.memberOfMeta(v.at.resource, elMetaProfile)); p < end; p = v.after(p) {
			if v.nodes[p].Kind == fhir.KindString {
				c.list = append(c.list, c.string(v.text(p)))
			}
		}
	}
	c.list = append(c.list, v.options.Always...)
	v.checker.Check(Subject{
		Tree: v.tree, Record: v.record, Resource: v.at.resource, Container: v.at.container, Bundle: v.at.bundle, Notes: v.options.Notes,
	}, c.list, v.report)
}

// take takes an issue of a profile, which has its path and column.
func (v *Validator) take(is fhir.Issue) {
	if v.room(is.Severity) {
		v.issues = append(v.issues, is)
	}
}

func (c *claims) string(url []byte) string {
	if s, ok := c.known[string(url)]; ok {
		return s
	}
	if c.known == nil || len(c.known) >= maxClaims {
		c.known = map[string]string{}
	}
	s := string(url)
	c.known[s] = s
	return s
}
