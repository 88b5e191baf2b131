package search

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/server/search/page"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/postings"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// Page is one page of a search.
type Page struct {
	Matches  []lake.Resource
	Included []lake.Resource
	Total    int64  // -1 when it is not known
	Next     string // token of the next page; "" when this is the last
	Plan     string // how it was found, when that was asked for
}

// Request is how a query is asked.
type Request struct {
	// Scope says what is searched, so that a token of a page is good for the same search
	// alone: the data store, the path, and the query's parameters without Page.
	Scope string
	Page  string // token of a further page; "" for the first
	// Eventual does not wait for what was committed just before.
	Eventual bool
	Explain  bool // give Page.Plan
}

// Features are what the index answers, for the parser of queries.
const Features = query.Near | query.FirstStored | query.ReferenceOrder | query.Narrative | query.Content | query.Terminology | query.Entities

// DefaultCount is the size of a page when the query has none.
const DefaultCount = 50

// Search answers a query. The error is an *outcome.Fault where the request is at fault.
func (x *Index) Search(ctx context.Context, q *query.Query, r Request) (*Page, error) {
	ctx, cancel := context.WithTimeout(ctx, x.o.Timeout)
	defer cancel()
	from := place{}
	var m *moment
	var done func()
	var err error
	if r.Page != "" {
		if from, err = x.place(r); err != nil {
			return nil, err
		}
		m, done, err = x.then(&from)
	} else {
		m, done, err = x.now(ctx, r.Eventual)
	}
	if err != nil {
		return nil, err
	}
	defer done()
	if err := m.offered.Answers(q); err != nil {
		return nil, err
	}
	f, err := x.newFinder(ctx, m, q)
	if err != nil {
		return nil, err
	}
	defer f.aside.drop()
	f.explain = r.Explain
	p, err := f.answer(ctx, from, r)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, outcome.Faultf(outcome.TooCostly, "the search took longer than %s, at %s; ask for less", x.o.Timeout, f.part)
	}
	return p, err
}

func (f *finder) answer(ctx context.Context, from place, r Request) (*Page, error) {
	p := &Page{Total: -1}
	var err error
	if f.q.CountOnly() {
		p.Total, err = f.total(ctx)
		p.Plan = strings.Join(f.log, ";\n")
		return p, err
	}
	count := f.q.Count
	if count == query.NoCount {
		count = DefaultCount
	}
	var found []postings.Address
	next := place{nonce: f.nonce, changes: f.changes}
	var more bool
	if len(f.q.Selects[0].Sort) > 0 {
		var passed int
		if found, passed, more, err = f.sorted(ctx, int(from.at), count); err != nil {
			return nil, err
		}
		next.at = uint64(passed)
	} else {
		after := noAddress
		if r.Page != "" {
			after = postings.Address(from.at)
		}
		if found, more, err = f.page(ctx, after, count); err != nil {
			return nil, err
		}
		if more {
			next.at = uint64(found[len(found)-1])
		}
	}
	if more {
		next.shown = from.shown + uint64(len(found))
		until := f.x.o.Now().Add(f.x.o.Keep)
		f.x.keep(f.state, until)
		p.Next = f.x.signer.Sign(r.Scope, next.append(nil), until)
	}
	switch {
	case f.q.Total == query.TotalNone:
	case !more: // all that came before and this page
		p.Total = int64(from.shown) + int64(len(found))
	case f.q.Total != query.TotalUnsaid:
		if p.Total, err = f.total(ctx); err != nil {
			return nil, err
		}
	}
	f.part = "reading the resources"
	if p.Matches, err = f.read(ctx, found); err != nil {
		return nil, err
	}
	if len(f.q.Includes) > 0 {
		if p.Included, err = f.include(ctx, p.Matches); err != nil {
			return nil, err
		}
	}
	p.Plan = strings.Join(f.log, ";\n")
	return p, nil
}

// maxPageBytes bounds the resources of a page, which are in memory: 1,000 are some 2 MB,
// but one may have 5 MB.
const maxPageBytes = 64 << 20

// read reads the resources of addresses, as they were at the moment.
func (f *finder) read(ctx context.Context, list []postings.Address) (all []lake.Resource, err error) {
	bytes := 0
	for i, a := range list {
		if i%64 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var r lake.Resource
		if a.Segment() != writtenSegment {
			r, err = f.rows.Read(snapshot.Address{Segment: a.Segment(), Row: a.Row()}, nil)
		} else {
			f.mu.RLock()
			w := *f.at(a.Row())
			f.mu.RUnlock()
			if r, err = f.x.o.Lake.ReadVersion(w.typ, w.id, w.number, nil); errors.Is(err, lake.ErrNotFound) {
				return nil, expired() // retention or $erase removed the version since
			}
		}
		if err != nil {
			return nil, err
		}
		if bytes += len(r.JSON); bytes > maxPageBytes {
			return nil, outcome.Faultf(outcome.TooCostly, "the resources of this page have more than %d bytes; ask for fewer with _count", maxPageBytes)
		}
		all = append(all, r)
	}
	return all, nil
}

// place is where a page begins.
type place struct {
	nonce   uint64 // of the state
	changes uint32
	at      uint64 // the address of the last one shown; of a sorted search how many were passed
	shown   uint64 // resources on the pages before
}

const placeSize = 8 + 4 + 8 + 8

func (p *place) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, p.nonce)
	b = binary.LittleEndian.AppendUint32(b, p.changes)
	b = binary.LittleEndian.AppendUint64(b, p.at)
	return binary.LittleEndian.AppendUint64(b, p.shown)
}

// place reads the token of a request.
func (x *Index) place(r Request) (p place, err error) {
	b, err := x.signer.Open(r.Scope, r.Page, x.o.Now())
	switch {
	case errors.Is(err, page.ErrExpired):
		return p, expired()
	case err != nil || len(b) != placeSize:
		return p, outcome.Faultf(outcome.Malformed, "this is no page of this search")
	}
	return place{
		nonce: binary.LittleEndian.Uint64(b), changes: binary.LittleEndian.Uint32(b[8:]),
		at: binary.LittleEndian.Uint64(b[12:]), shown: binary.LittleEndian.Uint64(b[20:]),
	}, nil
}

// then gives the moment of a place.
func (x *Index) then(p *place) (*moment, func(), error) {
	s, done := x.use(func() *state {
		if h := x.states[p.nonce]; h != nil && !h.over {
			return h.state
		}
		return nil
	})
	if s == nil {
		return nil, nil, expired()
	}
	return &moment{s, p.changes}, done, nil
}

func expired() error {
	return outcome.Faultf(outcome.Gone, "this page is no longer kept: begin the search again")
}
