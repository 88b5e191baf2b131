package onnx

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/onnx/subword"
)

// word is a word with its label.
type word struct {
	begin, end int // bytes
	label      int
	score      float32
}

// find sets the mentions of a part, with their scores.
func (r *reader) find(ctx context.Context, text []byte) error {
	r.tokens = r.m.tokens.Append(r.tokens[:0], text)
	r.words = r.words[:0]
	sum := make([]float32, len(r.m.labels)) // of the probabilities of the word that is being read
	pieces := 0
	var begin, end int32
	flush := func() {
		if pieces > 0 && begin < end {
			best := 0
			for i := range sum {
				if sum[i] > sum[best] {
					best = i
				}
			}
			r.words = append(r.words, word{int(begin), int(end), best, sum[best] / float32(pieces)})
		}
		clear(sum)
		pieces = 0
	}
	for rest := r.tokens; len(rest) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := windowEnd(rest, text, r.m.window)
		logits, err := r.run(rest[:n])
		if err != nil {
			return err
		}
		for i, t := range rest[:n] {
			if t.Start {
				flush()
				begin = t.Begin
			}
			end = t.End
			pieces++
			addProbabilities(sum, logits[i*len(sum):(i+1)*len(sum)])
		}
		rest = rest[n:]
	}
	flush()
	r.join()
	return nil
}

// run gives the logits of the pieces of a window, without those of what is around them.
func (r *reader) run(tokens []subword.Token) ([]float32, error) {
	before, after, labels := r.m.tokens.Before, r.m.tokens.After, len(r.m.labels)
	r.ids = append(r.ids[:0], before...)
	for _, t := range tokens {
		r.ids = append(r.ids, int64(t.ID))
	}
	r.ids = append(r.ids, after...)
	logits, err := r.m.session.run(r.ids)
	if err != nil {
		return nil, fmt.Errorf("the model: %w", err)
	}
	if len(logits) != len(r.ids)*labels {
		return nil, fmt.Errorf("the model gives %d numbers for %d pieces of words and %d labels", len(logits), len(r.ids), labels)
	}
	return logits[len(before)*labels : (len(before)+len(tokens))*labels], nil
}

// windowEnd is how many tokens the next window has, at most limit: it ends behind a sentence where that can be
// done in the second half, else before a word.
func windowEnd(tokens []subword.Token, text []byte, limit int) int {
	if len(tokens) <= limit {
		return len(tokens)
	}
	atWord := limit
	for n := limit; n > limit/2; n-- {
		if !tokens[n].Start {
			continue
		}
		if atWord == limit && !tokens[limit].Start {
			atWord = n
		}
		last, next := tokens[n-1].End, tokens[n].Begin
		gap := text[last:max(next, last)]
		stop := last > 0 && len(gap) > 0 && bytes.IndexByte([]byte(".!?"), text[last-1]) >= 0
		if stop || bytes.IndexByte(gap, '\n') >= 0 {
			return n
		}
	}
	return atWord
}

// addProbabilities adds the softmax of logits.
func addProbabilities(sum, logits []float32) {
	highest := logits[0]
	for _, x := range logits {
		highest = max(highest, x)
	}
	total := 0.0
	for _, x := range logits {
		total += math.Exp(float64(x - highest))
	}
	for i, x := range logits {
		sum[i] += float32(math.Exp(float64(x-highest)) / total)
	}
}

// join makes mentions of words.
func (r *reader) join() {
	r.mentions, r.scores = r.mentions[:0], r.scores[:0]
	open := "" // the name of the mention that may go on
	words := 0
	for _, w := range r.words {
		l := &r.m.labels[w.label]
		if l.name == "" {
			open = ""
			continue
		}
		last := len(r.mentions) - 1
		if open == l.name && !l.begins {
			r.mentions[last].End = w.end
			r.scores[last] += (w.score - r.scores[last]) / float32(words+1)
			words++
			continue
		}
		open, words = l.name, 1
		r.mentions = append(r.mentions, nlp.Mention{Begin: w.begin, End: w.end, Category: l.category, Type: l.kind})
		r.scores = append(r.scores, w.score)
	}
}
