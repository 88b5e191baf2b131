package validate_test

import (
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
)

// both parses and validates one resource.
type both struct {
	p    *parse.Parser
	v    *validate.Validator
	tree fhir.Tree
}

func newBoth(tb testing.TB, o validate.Options) *both {
	tb.Helper()
	v, err := validate.NewValidator(o)
	if err != nil {
		tb.Fatal(err)
	}
	return &both{p: parse.NewParser(), v: v}
}

// issues gives those of parse, then those of validate.
func (b *both) issues(data []byte, start, end uint32) []fhir.Issue {
	b.tree.Reset(data)
	res := b.p.Parse(&b.tree, start, end)
	issues := append([]fhir.Issue(nil), res.Issues...)
	if res.Root != fhir.NoNode {
		issues = append(issues, b.v.Validate(&b.tree, res.Root)...)
	}
	return issues
}

func (b *both) text(text string) []fhir.Issue { return b.issues([]byte(text), 0, uint32(len(text))) }

func failed(issues []fhir.Issue) bool {
	for _, is := range issues {
		if is.Severity <= fhir.Error {
			return true
		}
	}
	return false
}
