package notes

import (
	"context"
	"io"

	"github.com/fhirlake/fhirlake/stages/nlp"
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
// memory of the text. A longer text is cut where a line or a word ends; sections and short forms
// do not go on in the next part.
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
		part := text[:cut(text, partBytes)]
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
		shift += codePoints(part)
	}
}

// cut gives how much of text is its first part, of at most size bytes: up to the last line
// end of its second half, else the last space, else as many whole characters as there are.
func cut(text []byte, size int) int {
	if len(text) <= size {
		return len(text)
	}
	space := 0
	for i := size; i > size/2; i-- {
		switch text[i-1] {
		case '\n':
			return i
		case ' ':
			space = max(space, i)
		}
	}
	if space > 0 {
		return space
	}
	for size > 1 && text[size]&0xC0 == 0x80 {
		size--
	}
	return size
}

// codePoints counts those of UTF-8.
func codePoints(text []byte) int {
	n := 0
	for _, c := range text {
		if c&0xC0 != 0x80 {
			n++
		}
	}
	return n
}

func closeReader(r Reader) error {
	if c, ok := r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
