package annotations

import (
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// NLP is what was found in notes, as the stage that reads them leaves it in
// [pipeline.Notes].
var NLP = NewKind(snapshot.NLP, func() Payload { return new(notes) })

type notes struct{ of *pipeline.NoteResults }

func (p *notes) Start(b *pipeline.Batch) { p.of = pipeline.Notes.Of(b) }

func (p *notes) Append(dst []byte, i int) []byte { return append(dst, p.of.Result(i)...) }
