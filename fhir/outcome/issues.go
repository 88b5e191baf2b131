package outcome

import (
	"encoding/json"
	"fmt"

	"github.com/fhirlake/fhirlake/fhir"
)

// AppendIssues appends issues as they are kept beside a resource: a JSON array of
// objects with severity, code, expression, diagnostics, constraint and profile, of
// which those that are empty are left out. The column is not kept: it is a place in
// an input that is gone.
func AppendIssues(dst []byte, issues []fhir.Issue) []byte {
	dst = append(dst, '[')
	for i := range issues {
		is := &issues[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, `{"severity":"`...), is.Severity.String()...)
		dst = append(append(append(dst, `","code":"`...), is.Code...), '"')
		dst = appendMember(dst, `,"expression":`, is.Expression)
		dst = appendMember(dst, `,"diagnostics":`, is.Diagnostics)
		dst = appendMember(dst, `,"constraint":`, is.Constraint)
		dst = appendMember(dst, `,"profile":`, is.Profile)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendMember(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	return fhir.AppendQuoted(append(dst, key...), value)
}

// ParseIssues reads what AppendIssues wrote.
func ParseIssues(text []byte) ([]fhir.Issue, error) {
	var list []struct {
		Severity, Code, Expression, Diagnostics, Constraint, Profile string
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("read issues: %w", err)
	}
	issues := make([]fhir.Issue, len(list))
	for i, l := range list {
		severity, ok := fhir.ParseSeverity(l.Severity)
		if !ok {
			return nil, fmt.Errorf("read issues: severity %q", l.Severity)
		}
		issues[i] = fhir.Issue{
			Severity: severity, Code: l.Code, Expression: l.Expression,
			Diagnostics: l.Diagnostics, Constraint: l.Constraint, Profile: l.Profile,
		}
	}
	return issues, nil
}

// AppendShown appends the text of a stored resource as it is shown: with the issues
// that are kept beside it in its validation-issue extension. See
// [fhir.AppendExtended] for what becomes of the text.
func AppendShown(dst, resource []byte, issues []fhir.Issue) []byte {
	if len(issues) == 0 {
		return append(dst, resource...)
	}
	ext := append([]byte(`{"url":"`), fhir.ValidationIssueURL+`","valueString":`...)
	ext = fhir.AppendQuoted(ext, string(Append(nil, issues, At{})))
	return fhir.AppendExtended(dst, resource, fhir.ValidationIssueURL, append(ext, '}'))
}
