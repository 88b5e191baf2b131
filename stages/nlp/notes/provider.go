package notes

import (
	"context"
	"io"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/passage"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// A Provider finds the entities of texts. It is immutable, safe for concurrent use, and
// comparable: another one is another provider.
type Provider interface {
	// Version names what decides the entities of a text besides the text: results of another
	// version are outdated. Neither is empty.
	Version() (engine, dictionary string)
	// NewReader gives what one worker asks. One that is an [io.Closer] is closed.
	NewReader() (Reader, error)
}

// A Reader finds the entities of one text after the other. It belongs to one goroutine.
type Reader interface {
	// Append appends the entities of text, which is UTF-8, in the order of the text, as JSON
	// objects of package fhir/entity, separated by commas. It keeps nothing of text.
	//
	// An error is about this text alone, unless ctx is over: the resource is stored with
	// status VALIDATION_ERROR and the error as message, so it repeats nothing of the text.
	Append(ctx context.Context, dst, text []byte) ([]byte, error)
}

// Builtin is the engine of package nlp over a dictionary.
func Builtin(index *terminology.Index) Provider { return builtin{index} }

type builtin struct{ index *terminology.Index }

func (b builtin) Version() (engine, dictionary string) { return nlp.Version, b.index.Version() }

func (b builtin) NewReader() (Reader, error) { return &detector{index: b.index}, nil }

// partBytes is how much text the engine reads at once: its tokens take several times the
// memory of the text. In the next part of a longer one, sections and short forms do not go on.
const partBytes = 1 << 20

type detector struct {
	index *terminology.Index
	d     *nlp.Detector
}

func (r *detector) Append(ctx context.Context, dst, text []byte) ([]byte, error) {
	from := len(dst)
	if r.d == nil {
		r.d = nlp.NewDetector(r.index)
	}
	for shift := 0; ; {
		part := text[:passage.Cut(text, partBytes)]
		doc := r.d.Detect(part)
		if len(doc.Entities) > 0 && shift > 0 && len(dst) > 0 && dst[len(dst)-1] == '}' {
			dst = append(dst, ',')
		}
		dst = doc.AppendEntities(dst, shift)
		if text = text[len(part):]; len(text) == 0 {
			return dst, nil
		}
		if err := ctx.Err(); err != nil {
			return dst, err
		}
		if len(dst)-from > MaxResult {
			return dst, errTooMuch
		}
		shift += utf8.RuneCount(part)
	}
}

func closeReader(r Reader) error {
	if c, ok := r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
