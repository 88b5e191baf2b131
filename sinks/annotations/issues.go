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
// although it has an error. Warnings alone are no reason to keep anything. Of a record
// that a data store had, they are what it kept.
var Issues = NewKind(snapshot.Issues, func() Payload { return new(issues) })

type issues struct {
	b    *pipeline.Batch
	walk pipeline.IssueWalk
	kept []pipeline.Kept // of a stored batch, that are still to come
}

func (p *issues) Start(b *pipeline.Batch) {
	p.b, p.kept = b, b.Kept
	p.walk.Start(b)
}

func (p *issues) Append(dst []byte, i int) []byte {
	if p.b.Stored {
		return p.appendKept(dst, i)
	}
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

func (p *issues) appendKept(dst []byte, i int) []byte {
	for ; len(p.kept) > 0 && p.kept[0].Record <= i; p.kept = p.kept[1:] {
		if k := &p.kept[0]; k.Record == i && k.Kind == string(snapshot.Issues) {
			dst = append(dst, k.Data...)
		}
	}
	return dst
}
