package validate

import (
	"fmt"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

const (
	maxIssues   = 100
	maxWarnings = 50 // of these, so that there is room for errors
)

// add records an issue of node n.
func (v *Validator) add(n fhir.NodeID, is fhir.Issue) {
	if !v.room(is.Severity) {
		return
	}
	is.Expression = string(v.tree.AppendPath(nil, v.record, n))
	nd := &v.nodes[n]
	is.Column = int32(nd.Start-v.nodes[v.record].Start) + 1
	if nd.Kind == fhir.KindString {
		is.Column-- // the quote
	}
	v.issues = append(v.issues, is)
}

// room tells whether one more issue may be kept, and notes when not.
func (v *Validator) room(s fhir.Severity) bool {
	if s > fhir.Error {
		v.warnings++
	}
	if len(v.issues) < maxIssues && (s <= fhir.Error || v.warnings <= maxWarnings) {
		return true
	}
	v.more = true
	return false
}

// full tells that further issues are not kept, so a rule may stop looking.
func (v *Validator) full() bool { return len(v.issues) >= maxIssues }

// finish adds the issue that says that others were left out.
func (v *Validator) finish() {
	if v.more {
		v.issues = append(v.issues, fhir.Issue{
			Severity: fhir.Information, Code: fhir.CodeTooLong,
			Diagnostics: fmt.Sprintf("the resource has more issues of validation than are kept, %d and of these %d warnings; the others are left out", maxIssues, maxWarnings),
		})
	}
}

// fault records an error of node n.
func (v *Validator) fault(n fhir.NodeID, code, format string, args ...any) {
	if v.full() {
		v.more = true
		return
	}
	v.add(n, fhir.Issue{Severity: fhir.Error, Code: code, Diagnostics: fmt.Sprintf(format, args...)})
}

// warning records a warning of node n.
func (v *Validator) warning(n fhir.NodeID, code, format string, args ...any) {
	if v.full() || v.warnings >= maxWarnings {
		v.more = true
		return
	}
	v.add(n, fhir.Issue{Severity: fhir.Warning, Code: code, Diagnostics: fmt.Sprintf(format, args...)})
}

// value records an error of the value of node n, which the message begins with.
func (v *Validator) value(n fhir.NodeID, format string, args ...any) {
	v.fault(n, fhir.CodeValue, "'%s' "+format, append([]any{v.quote(n)}, args...)...)
}

// broken records that constraint c does not hold for node n; detail says more, if
// it is not empty.
func (v *Validator) broken(n fhir.NodeID, c uint16, detail string) {
	d := r4.ConstraintAt(c)
	is := fhir.Issue{Severity: fhir.Error, Code: fhir.CodeInvariant, Constraint: d.Key}
	if d.Warning {
		is.Severity = fhir.Warning
	}
	if v.full() || d.Warning && v.warnings >= maxWarnings {
		v.more = true
		return
	}
	is.Diagnostics = fmt.Sprintf("constraint %s does not hold: %s", d.Key, d.Human)
	if detail != "" {
		is.Diagnostics = fmt.Sprintf("constraint %s does not hold: %s", d.Key, detail)
	}
	v.add(n, is)
}

// quote gives the text of a value for a message.
func (v *Validator) quote(n fhir.NodeID) string { return fhir.Cut(v.tree.String(n, nil)) }
