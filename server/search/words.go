package search

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// What _text and _content look for is in no index: the resources that all other
// criteria leave are read, in the order of their addresses, as many as a page needs
// (docs/decisions/0042).

// topWords are the word filters of a Select.
func topWords(where []query.Filter) (words []query.Words) {
	for _, f := range where {
		if w, ok := f.(query.Words); ok {
			words = append(words, w)
		}
	}
	return words
}

// wordsOf gives the word filters of each type that is searched; nil when there are none.
func wordsOf(q *query.Query) map[r4.TypeID][]query.Words {
	var all map[r4.TypeID][]query.Words
	for i := range q.Selects {
		if w := topWords(q.Selects[i].Where); len(w) > 0 {
			if all == nil {
				all = map[r4.TypeID][]query.Words{}
			}
			all[q.Selects[i].Type] = w
		}
	}
	return all
}

// scanBytes is how much text one worker reads at once.
const scanBytes = 1 << 20

// scanRows bounds the resources of a piece of a scan, which one worker takes.
const scanRows = 1024

// keepWords keeps those of some addresses of current resources whose texts the word
// filters of their type want. They stay in order.
func (f *finder) keepWords(ctx context.Context, list []postings.Address, words map[r4.TypeID][]query.Words) ([]postings.Address, error) {
	if words == nil || len(list) == 0 {
		return list, nil
	}
	before := f.part
	f.part = fmt.Sprintf("reading resources for their words, after %d of them (%s)", f.scanned, f.names())
	pieces := slices.Collect(slices.Chunk(list, scanRows))
	kept := make([][]postings.Address, len(pieces))
	var taken atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range min(f.x.scanners(), len(pieces)) {
		g.Go(func() error {
			s, err := newScanner(f.moment, f.x)
			for err == nil {
				i := int(taken.Add(1)) - 1
				if i >= len(pieces) {
					break
				}
				kept[i], err = s.keep(ctx, pieces[i], words)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	f.part = before // after a failure it stays, to be told
	f.scanned += len(list)
	if f.explain {
		f.log = append(f.log, fmt.Sprintf("-- reads %d resources for their words", len(list)))
	}
	return slices.Concat(kept...), nil
}

// scanners is how many resources are looked into at once.
func (x *Index) scanners() int {
	if x.o.Threads > 0 {
		return x.o.Threads
	}
	return runtime.GOMAXPROCS(0)
}

// scanner looks for words in resources. It belongs to one goroutine.
type scanner struct {
	*moment
	x      *Index
	chain  *pipeline.Chain
	batch  pipeline.Batch
	texts  search.Texts
	tests  map[*query.Words]*wordTest
	folded []byte
}

func newScanner(m *moment, x *Index) (*scanner, error) {
	chain, err := pipeline.NewChain(parse.New())
	return &scanner{moment: m, x: x, chain: chain, tests: map[*query.Words]*wordTest{}}, err
}

func (s *scanner) keep(ctx context.Context, list []postings.Address, words map[r4.TypeID][]query.Words) (kept []postings.Address, err error) {
	b := &s.batch
	var in []postings.Address // by record
	flush := func() error {
		b.Lenient = true // what is stored was accepted
		b.Pad()
		if err := s.chain.Process(ctx, b); err != nil {
			return err
		}
		for i, a := range in {
			if r := &b.Records[i]; r.Root != fhir.NoNode && s.holds(ctx, r, words[s.typeAt(a)]) {
				kept = append(kept, a)
			}
		}
		in = in[:0]
		b.Reset()
		return ctx.Err()
	}
	for _, a := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		narrative := true // and nothing else
		for _, w := range words[s.typeAt(a)] {
			narrative = narrative && !w.Content
		}
		err := s.line(a, func(line []byte) error {
			if narrative && !bytes.Contains(line, []byte(`"div"`)) && bytes.IndexByte(line, '\\') < 0 {
				return nil
			}
			start := len(b.Data)
			b.Data = append(append(b.Data, line...), '\n')
			b.Records = append(b.Records, pipeline.Record{
				Line: int64(len(in)) + 1, Entry: -1, Start: uint32(start), End: uint32(len(b.Data) - 1), Root: fhir.NoNode,
			})
			in = append(in, a)
			return nil
		})
		if err == nil && len(b.Data) > scanBytes {
			err = flush()
		}
		if err != nil {
			return nil, err
		}
	}
	return kept, flush()
}

// line calls f with the text of a resource.
func (s *scanner) line(a postings.Address, f func([]byte) error) error {
	if a.Segment() != writtenSegment {
		return s.rows.Line(snapshot.Address{Segment: a.Segment(), Row: a.Row()}, f)
	}
	s.mu.RLock()
	w := *s.at(a.Row())
	s.mu.RUnlock()
	r, err := s.x.o.Lake.ReadVersion(w.typ, w.id, w.number, nil)
	if errors.Is(err, lake.ErrNotFound) {
		return expired() // retention or $erase removed the version since
	}
	if err != nil {
		return err
	}
	return f(r.JSON)
}

// holds tells whether the texts of a record are what all of some filters want.
func (s *scanner) holds(ctx context.Context, r *pipeline.Record, words []query.Words) bool {
	for i := range words {
		w := &words[i]
		t := s.tests[w]
		if t == nil {
			t = newWordTest(w.Any)
			s.tests[w] = t
		}
		t.reset()
		s.texts.Each(&s.batch.Tree, r.Root, w.Content, func(text []byte) bool {
			s.folded, _ = search.AppendFolded(s.folded[:0], text)
			return t.look(s.folded) && ctx.Err() == nil
		})
		if !t.holds() {
			return false
		}
	}
	return true
}

// wordTest is a word filter made ready: its phrases, and which of them were found.
type wordTest struct {
	any     query.Either
	phrases [][]byte
	found   []bool
	missing int
}

func newWordTest(any []query.Expression) *wordTest {
	t := &wordTest{any: any}
	t.collect(t.any)
	t.found = make([]bool, len(t.phrases))
	return t
}

func (t *wordTest) collect(e query.Expression) {
	switch e := e.(type) {
	case query.Phrase:
		t.phrases = append(t.phrases, []byte(strings.Join(e, " ")))
	case query.Both:
		for _, part := range e {
			t.collect(part)
		}
	case query.Either:
		for _, part := range e {
			t.collect(part)
		}
	case query.Without:
		t.collect(e.Part)
	}
}

func (t *wordTest) reset() {
	clear(t.found)
	t.missing = len(t.found)
}

// look looks for phrases in a folded text, and tells whether some are still to be found.
func (t *wordTest) look(folded []byte) bool {
	for i, p := range t.phrases {
		if !t.found[i] && search.HasPhrase(folded, p) {
			t.found[i] = true
			t.missing--
		}
	}
	return t.missing > 0
}

// holds tells whether what was found is what is wanted.
func (t *wordTest) holds() bool {
	next := 0 // phrases come in the order of collect
	return t.eval(t.any, &next)
}

func (t *wordTest) eval(e query.Expression, next *int) bool {
	switch e := e.(type) {
	case query.Phrase:
		*next++
		return t.found[*next-1]
	case query.Both:
		all := true
		for _, part := range e {
			all = t.eval(part, next) && all
		}
		return all
	case query.Either:
		any := false
		for _, part := range e {
			any = t.eval(part, next) || any
		}
		return any
	case query.Without:
		return !t.eval(e.Part, next)
	}
	return false
}

// words is a set of the resources of a set, of one type, that word filters keep: for
// conditions within a chain, where all of it is needed.
func (a *aside) words(typ r4.TypeID, words []query.Words, set string) (string, error) {
	name, err := a.table(fmt.Sprintf("words %v %s", words, set), []postings.Column{{Name: "addr", Type: postings.Uint64}}, func(add func(row ...any) error) error {
		return a.eachChunk(a.ctx, set, func(list []postings.Address) error {
			kept, err := a.keepWords(a.ctx, list, map[r4.TypeID][]query.Words{typ: words})
			for i := range kept {
				if err == nil {
					err = add(uint64(kept[i]))
				}
			}
			return err
		})
	})
	return "SELECT addr FROM " + name, err
}

// eachChunk calls f with the addresses of the current resources of a set, in order, some at
// a time.
func (f *finder) eachChunk(ctx context.Context, set string, each func([]postings.Address) error) error {
	rows, err := f.run(ctx, "SELECT DISTINCT addr FROM ("+set+") ORDER BY addr")
	if err != nil {
		return err
	}
	defer rows.Close()
	var list []postings.Address
	flush := func() error {
		alive, err := f.keepAlive(f.x.o.Lake.Snapshot(), list)
		if err == nil {
			err = each(alive)
		}
		list = list[:0]
		return err
	}
	for rows.Next() {
		var a uint64
		if err := rows.Scan(&a); err != nil {
			return err
		}
		if list = append(list, postings.Address(a)); len(list) == firstWindow {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return flush()
}
