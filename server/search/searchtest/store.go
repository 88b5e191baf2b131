// Package searchtest answers searches in memory by the definition of each filter, for
// tests: a planner is right when it gives what [Store.Search] gives. It is slow and
// plain, and shares with what it tests the tree of package query, the rules of
// fhir/search and the values that stages/index extracts, which have tests of their own.
//
// [Generator] makes searches that are about resources that a store holds.
//
// What takes a terminology, words of texts, and contained resources are not evaluated;
// Search says so with an error.
//
// Read [Store] first.
package searchtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/index"
	"github.com/fhirlake/fhirlake/stages/parse"
)

// Store holds the current versions of resources. It belongs to one goroutine.
type Store struct {
	Table *search.Table

	parse, index pipeline.Worker
	types        map[r4.TypeID][]*Resource
	byKey        map[Key]*Resource
	created      map[Key]int64
}

// Key is the identity of a resource.
type Key struct {
	Type r4.TypeID
	ID   string
}

// String gives Type/id.
func (k Key) String() string { return k.Type.String() + "/" + k.ID }

// Resource is a current version with its search values.
type Resource struct {
	Key
	Updated int64 // when it was stored, microseconds since 1970
	Created int64 // when version 1 was

	at         int // in the resources of its type
	json       []byte
	contents   [2]contentOf // of all, and of the narrative
	values     *search.Values
	tokens     []search.Token
	strings    []search.String
	dates      []search.Date
	numbers    []search.Number
	quantities []search.Quantity
	references []search.Reference
	uris       []search.URI
	found      []found // by NLP
}

// NewStore makes an empty store.
func NewStore(table *search.Table) (*Store, error) {
	p, err := parse.New().NewWorker()
	if err != nil {
		return nil, err
	}
	i, err := index.New(table).NewWorker()
	if err != nil {
		return nil, err
	}
	return &Store{table, p, i, map[r4.TypeID][]*Resource{}, map[Key]*Resource{}, map[Key]int64{}}, nil
}

// batchSize is about how many bytes are parsed at once.
const batchSize = 1 << 20

// Put stores the resources of NDJSON as current versions, all at one time.
func (s *Store) Put(ndjson []byte, updated int64) error {
	b := &pipeline.Batch{}
	for line := range bytes.Lines(ndjson) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if len(b.Data) > batchSize {
			if err := s.put(b, updated); err != nil {
				return err
			}
			b = &pipeline.Batch{}
		}
		start := uint32(len(b.Data))
		line = bytes.TrimRight(line, "\r\n")
		b.Data = append(append(b.Data, line...), '\n')
		b.Records = append(b.Records, pipeline.Record{Line: int64(len(b.Records) + 1), Start: start, End: start + uint32(len(line)), Entry: -1})
	}
	return s.put(b, updated)
}

// put indexes a batch. The store keeps its values.
func (s *Store) put(b *pipeline.Batch, updated int64) error {
	b.Pad()
	if err := s.parse.Process(context.Background(), b); err != nil {
		return err
	}
	for i := range b.Records {
		r := &b.Records[i]
		if r.Root == fhir.NoNode || !r.Type.IsResourceType() {
			return fmt.Errorf("resource %d of a batch cannot be read: %v", i+1, b.Issues)
		}
		r.Status = pipeline.Pending // with its faults, as minimal validation keeps it
	}
	if err := s.index.Process(context.Background(), b); err != nil {
		return err
	}
	values := pipeline.SearchValues.Of(b)
	for i := range b.Records {
		r := &b.Records[i]
		id := b.Tree.Raw(b.Tree.Child(r.Root, r.Type.ElementByName("id")))
		x := &Resource{Key: Key{r.Type, string(id)}, Updated: updated, values: values, json: b.Data[r.Start:r.End]}
		n := int32(i)
		x.tokens = of(values.Tokens, n, func(r search.Token) int32 { return r.Record })
		x.strings = of(values.Strings, n, func(r search.String) int32 { return r.Record })
		x.dates = of(values.Dates, n, func(r search.Date) int32 { return r.Record })
		x.numbers = of(values.Numbers, n, func(r search.Number) int32 { return r.Record })
		x.quantities = of(values.Quantities, n, func(r search.Quantity) int32 { return r.Record })
		x.references = of(values.References, n, func(r search.Reference) int32 { return r.Record })
		x.uris = of(values.URIs, n, func(r search.URI) int32 { return r.Record })
		s.add(x)
	}
	return nil
}

// of gives the rows of one record; rows are ordered by it.
func of[R any](rows []R, record int32, recordOf func(R) int32) []R {
	start, _ := slices.BinarySearchFunc(rows, record, func(r R, n int32) int { return int(recordOf(r) - n) })
	end, _ := slices.BinarySearchFunc(rows, record+1, func(r R, n int32) int { return int(recordOf(r) - n) })
	return rows[start:end:end]
}

func (s *Store) add(x *Resource) {
	first, known := s.created[x.Key]
	if !known {
		first = x.Updated
		s.created[x.Key] = first
	}
	x.Created = first
	if old := s.byKey[x.Key]; old != nil {
		x.at = old.at
		s.types[x.Type][x.at] = x
	} else {
		x.at = len(s.types[x.Type])
		s.types[x.Type] = append(s.types[x.Type], x)
	}
	s.byKey[x.Key] = x
}

// Delete removes a resource, if it is there.
func (s *Store) Delete(k Key) {
	x := s.byKey[k]
	if x == nil {
		return
	}
	delete(s.byKey, k)
	list := s.types[k.Type]
	last := list[len(list)-1]
	list[x.at], last.at = last, x.at
	s.types[k.Type] = list[:len(list)-1]
}

// Len gives the number of resources.
func (s *Store) Len() int { return len(s.byKey) }

// Get gives a resource, or nil.
func (s *Store) Get(k Key) *Resource { return s.byKey[k] }
