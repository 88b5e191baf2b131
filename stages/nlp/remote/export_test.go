package remote

import (
	"context"
	"time"

	"github.com/fhirlake/fhirlake/stages/nlp/passage"
)

// OnWait has fn called instead of waiting between attempts.
func (c *Client) OnWait(fn func(ctx context.Context, d time.Duration) error) { c.wait = fn }

// Split is split, as the texts of the parts and the code points before each.
func Split(text []byte, limit int) (parts [][]byte, bases []int) {
	for _, p := range split(text, limit) {
		parts, bases = append(parts, p.text), append(bases, p.base)
	}
	return parts, bases
}

// ReadAnswer reads one answer about a text.
func ReadAnswer(answer, text []byte) ([]byte, error) {
	op := &limited{operation: operations[0]}
	m, err := op.mentions(answer, part{text: passage.Valid(text)})
	if err != nil {
		return nil, err
	}
	return appendMentions(nil, merge([][][]mention{{m}})), nil
}
