package search

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/outcome"
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

// Search answers a query. With eventual it does not wait for what was committed just
// before. The error is an *outcome.Fault where the request is at fault.
func (x *Index) Search(ctx context.Context, q *Query, eventual bool) (*Page, error) {
	ctx, cancel := context.WithTimeout(ctx, x.o.Timeout)
	defer cancel()
	from := &place{}
	var m *moment
	var done func()
	var err error
	if q.Result.Page != "" {
		if from, err = x.place(q); err != nil {
			return nil, err
		}
		if m, done, err = x.then(from); err != nil {
			return nil, err
		}
	} else if m, done, err = x.now(ctx, eventual); err != nil {
		return nil, err
	}
	defer done()
	f, err := x.newFinder(ctx, m, q)
	if err != nil {
		return nil, err
	}
	p, err := f.answer(ctx, from)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, outcome.Faultf(outcome.TooCostly, "the search took longer than %s, at %s; ask for less", x.o.Timeout, f.part)
	}
	return p, err
}

func (f *finder) answer(ctx context.Context, from *place) (*Page, error) {
	r := &f.q.Result
	p := &Page{Total: -1}
	var err error
	if r.OnlyTotal {
		p.Total, err = f.total(ctx)
		p.Plan = strings.Join(f.log, ";\n")
		return p, err
	}
	var found []postings.Address
	next := *from
	next.nonce, next.changes = f.nonce, f.changes
	var more bool
	if len(r.Sort) > 0 {
		var passed int
		if found, passed, more, err = f.sorted(ctx, int(from.at), r.Count); err != nil {
			return nil, err
		}
		next.at = uint64(passed)
	} else {
		after := noAddress
		if r.Page != "" {
			after = postings.Address(from.at)
		}
		if found, more, err = f.page(ctx, after, r.Count); err != nil {
			return nil, err
		}
		if more {
			next.at = uint64(found[len(found)-1])
		}
	}
	if more {
		next.shown = from.shown + uint64(len(found))
		p.Next = f.x.token(f.q, &next)
	}
	switch {
	case r.NoTotal:
	case !more: // all that came before and this page
		p.Total = int64(from.shown) + int64(len(found))
	case r.Total:
		if p.Total, err = f.total(ctx); err != nil {
			return nil, err
		}
	}
	f.part = "reading the resources"
	if p.Matches, err = f.read(ctx, found); err != nil {
		return nil, err
	}
	if len(r.Include)+len(r.RevInclude) > 0 {
		if p.Included, err = f.include(ctx, found, p.Matches); err != nil {
			return nil, err
		}
	}
	p.Plan = strings.Join(f.log, ";\n")
	return p, nil
}

// read reads the resources of addresses, as they were at the moment.
func (f *finder) read(ctx context.Context, list []postings.Address) (all []lake.Resource, err error) {
	for i, a := range list {
		if i%64 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var r lake.Resource
		if a.Segment() != writtenSegment {
			r, err = f.rows.Read(snapshot.Address{Segment: a.Segment(), Row: a.Row()}, nil)
		} else {
			f.mu.RLock()
			w := f.written[a.Row()]
			f.mu.RUnlock()
			if r, err = f.x.o.Lake.ReadVersion(w.typ, w.id, w.number, nil); errors.Is(err, lake.ErrNotFound) {
				return nil, expired() // retention or $erase removed the version since
			}
		}
		if err != nil {
			return nil, err
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

// token writes a place so that nobody else can make one: it is signed together with the
// query, for which alone it counts.
func (x *Index) token(q *Query, p *place) string {
	b := binary.LittleEndian.AppendUint64(nil, p.nonce)
	b = binary.LittleEndian.AppendUint32(b, p.changes)
	b = binary.LittleEndian.AppendUint64(b, p.at)
	b = binary.LittleEndian.AppendUint64(b, p.shown)
	return base64.RawURLEncoding.EncodeToString(append(b, x.sign(q, b)...))
}

// sign is over the place and what decides which resources come in which order.
func (x *Index) sign(q *Query, place []byte) []byte {
	h := hmac.New(sha256.New, x.o.Secret)
	h.Write([]byte("search page\x00"))
	h.Write(place)
	for _, t := range q.Types {
		fmt.Fprintf(h, "%s\x00", t)
	}
	for i := range q.Conditions {
		fmt.Fprintf(h, "%q", q.Conditions[i].Name) // of a compartment: no parameter says it
	}
	for _, p := range q.Kept {
		if p.Name != PageParameter {
			fmt.Fprintf(h, "%q=%q", p.Name, p.Value)
		}
	}
	return h.Sum(nil)[:16]
}

// place reads the token of a query.
func (x *Index) place(q *Query) (*place, error) {
	b, err := base64.RawURLEncoding.DecodeString(q.Result.Page)
	if err != nil || len(b) != placeSize+16 || !hmac.Equal(b[placeSize:], x.sign(q, b[:placeSize])) {
		return nil, malformed("parameter %s: this is no page of this search", PageParameter)
	}
	return &place{
		nonce: binary.LittleEndian.Uint64(b), changes: binary.LittleEndian.Uint32(b[8:]),
		at: binary.LittleEndian.Uint64(b[12:]), shown: binary.LittleEndian.Uint64(b[20:]),
	}, nil
}

// then gives the moment of a place.
func (x *Index) then(p *place) (*moment, func(), error) {
	s, done := x.use(func() *state {
		if h := x.states[p.nonce]; h != nil {
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
