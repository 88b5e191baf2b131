package annotations

import (
	"fmt"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// maxIssueText bounds the text of the issues of one record: paths in deep resources
// are long, and an issue repeats them.
const maxIssueText = 64 << 10

// Issues are what validation found: all issues of each record that was accepted
// although it has an error. Warnings alone are no reason to keep anything.
var Issues = NewKind(snapshot.Issues, func() Payload { return new(issues) })

type issues struct {
	b    *pipeline.Batch
	walk pipeline.IssueWalk
}

func (p *issues) Start(b *pipeline.Batch) {
	p.b = b
	p.walk.Start(b)
}

func (p *issues) Append(dst []byte, i int) []byte {
	if !p.b.Records[i].Flawed {
		return dst
	}
	all := p.walk.Of(i)
	size := 0
	for k := range all {
		if size += len(all[k].Expression) + len(all[k].Diagnostics); size > maxIssueText && k > 0 {
			all = append(all[:k:k], fhir.Issue{
				Severity: fhir.Information, Code: fhir.CodeTooLong,
				Diagnostics: fmt.Sprintf("the text of the issues is longer than %d bytes; %d others are left out", maxIssueText, len(all)-k),
			})
			break
		}
	}
	return outcome.AppendIssues(dst, all)
}
