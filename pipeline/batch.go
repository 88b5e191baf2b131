package pipeline

import (
	"bytes"
	"slices"
	"sync/atomic"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// Status tells what the chain has decided about a record.
type Status uint8

// The states of a record.
const (
	Pending   Status = iota // no stage has objected; sinks store it
	Rejected                // it is not stored; only the report names it
	Unchanged               // the store has the same content already; nothing is stored
)

// File is one input, as messages and reports name it.
type File struct {
	Name  string // as the user gave it, or the path below the folder that they gave
	Index int    // position in the order of inputs, from 0
}

// Record is one resource of a batch, or one line that should have been one.
type Record struct {
	File       *File
	Line       int64  // physical line, from 1
	Offset     int64  // of the line in the uncompressed file
	Entry      int32  // index of the entry when the record came out of a Bundle, else -1
	Start, End uint32 // the record's text in Batch.Data, without the line end

	Status   Status
	Flawed   bool        // it has an issue of severity error, and is Rejected unless the batch is Lenient
	Warned   bool        // it has an issue of severity warning
	Document bool        // it was a whole file that is one JSON document on many lines; Line is its first
	Type     r4.TypeID   // resource type; 0 before parse or when it is unknown
	Root     fhir.NodeID // its node in Batch.Tree; NoNode when it could not be parsed
	ID       []byte      // logical id, aliases Batch.Data; nil when missing

	Key     [2]uint64 // keyed hash of type and id
	Content uint64    // keyed hash of the content without version and time
	Version uint32    // versionId to store, from 1
	Updated int64     // meta.lastUpdated to store, UTC microseconds, whole milliseconds
	Deleted bool      // it is a deletion; only sources that read a data store have such records

	// Derived says that a stage made the record of another one of the batch, whose index is
	// From and whose place in the input it has. It is stored as others are, and counts for no
	// input. A batch has such records at its end.
	Derived bool
	From    uint32

	// The current version of the same resource as of the job's start.
	Replaces    bool   // the snapshot has a row of it that counts as current
	BaseSegment uint32 // its address: ordinal of the segment
	BaseRow     uint32 // and row in it

	// Where the record is stored; set on the collector by the first sink.
	Segment uint32 // ordinal of the segment
	Row     uint32 // row in it, from 0
}

// RecordIssue is an issue of one record of a batch.
type RecordIssue struct {
	Record int // index in Batch.Records
	fhir.Issue
}

// Kept is what a data store keeps beside a record, of one kind. The data is valid as long
// as the batch.
type Kept struct {
	Record int // index in Batch.Records
	beside.Value
}

// Batch is some 1 MiB of whole lines with their records. The runner owns it and
// uses its memory again (invariant 1); stages borrow it.
type Batch struct {
	Seq int64 // position in the input, from 0 without gaps; set by the runner
	// Data holds the text of the records; what is between them has no meaning.
	// Sources keep at least Padding bytes of capacity after its end, all zero,
	// so that a parser may load whole words without a check.
	Data    []byte
	Records []Record
	Issues  []RecordIssue // ordered by record within each stage
	Tree    fhir.Tree
	Input   int64 // bytes of uncompressed input that the batch stands for, blank lines included
	// Lenient says that issues of severity error are kept beside their records
	// and do not reject them. The runner sets it as its [Config] says; who runs a
	// [Chain] on a batch of his own sets it himself.
	Lenient bool

	// Stored says that the records are read from a data store; Kept is what it keeps
	// beside them, in the order of records, and of kinds for each.
	Stored bool
	Kept   []Kept

	// The columns of the pending records, one piece for each type, as the shred
	// stage leaves them for the sink that takes them and sets this to nil.
	Columns []*columnar.Piece

	// At is the index of the record that a stage is at: a stage sets it as it
	// goes so that a panic or an error can name the record. -1 when not set.
	At int

	slots    [maxSlots]any
	charged  int64 // by the gate
	released bool  // it is in the pool
}

// Padding is the capacity that sources keep after the end of Batch.Data.
const Padding = 16

// Pad makes sure that Data has Padding zero bytes of capacity after its end.
func (b *Batch) Pad() {
	n := len(b.Data)
	if cap(b.Data) < n+Padding {
		b.Data = append(make([]byte, 0, n+n/8+Padding), b.Data...)
	}
	clear(b.Data[n : n+Padding])
}

// Reset empties the batch and keeps its memory. Slots keep their values, but Notes: the
// stage that fills one resets it.
func (b *Batch) Reset() {
	b.Seq = 0
	b.Data = b.Data[:0]
	clear(b.Records)
	b.Records = b.Records[:0]
	clear(b.Issues)
	b.Issues = b.Issues[:0]
	b.Tree.Reset(nil)
	b.Input = 0
	b.Lenient, b.Stored = false, false
	clear(b.Kept)
	b.Kept = b.Kept[:0]
	Notes.Of(b).Reset()
	b.At = -1
}

// Line gives the text of a record. It aliases Data.
func (b *Batch) Line(r *Record) []byte { return b.Data[r.Start:r.End] }

// Pos tells where a record was in the input.
func (b *Batch) Pos(r *Record) fhir.Pos {
	p := fhir.Pos{Line: r.Line, Offset: r.Offset}
	if r.File != nil {
		p.File = r.File.Name
	}
	return p
}

// Keep notes what a data store keeps beside record i, which it copies.
func (b *Batch) Keep(i int, v beside.Values) {
	for _, x := range v {
		b.Kept = append(b.Kept, Kept{i, beside.Value{Kind: x.Kind, Data: bytes.Clone(x.Data)}})
	}
}

// AddIssue records a fault of record i. A fatal one rejects it, since there is
// nothing left to store; an error does so unless the batch is Lenient.
func (b *Batch) AddIssue(i int, is fhir.Issue) {
	b.Issues = append(b.Issues, RecordIssue{Record: i, Issue: is})
	r := &b.Records[i]
	switch is.Severity {
	case fhir.Fatal:
		r.Status = Rejected
	case fhir.Error:
		r.Flawed = true
		if !b.Lenient {
			r.Status = Rejected
		}
	case fhir.Warning:
		r.Warned = true
	}
}

// Reject records a fault with which record i cannot be stored, whether or not the
// batch is Lenient.
func (b *Batch) Reject(i int, is fhir.Issue) {
	b.AddIssue(i, is)
	b.Records[i].Status = Rejected
}

// IssueWalk hands out the issues of a batch record by record. Each stage starts
// again at the first record, so they come in another order. It belongs to one
// goroutine and keeps its memory.
type IssueWalk struct {
	rest   []RecordIssue
	issues []fhir.Issue
}

// Start turns to the issues of b, which it puts in the order of their records,
// those of one record as the stages found them. The caller owns b.
func (w *IssueWalk) Start(b *Batch) {
	if !slices.IsSortedFunc(b.Issues, byRecord) {
		slices.SortStableFunc(b.Issues, byRecord)
	}
	w.rest = b.Issues
}

// Of gives the issues of record i, valid until the next call. Records are asked
// for in rising order; some may be left out.
func (w *IssueWalk) Of(i int) []fhir.Issue {
	w.issues = w.issues[:0]
	for ; len(w.rest) > 0 && w.rest[0].Record <= i; w.rest = w.rest[1:] {
		if w.rest[0].Record == i {
			w.issues = append(w.issues, w.rest[0].Issue)
		}
	}
	return w.issues
}

func byRecord(a, b RecordIssue) int { return a.Record - b.Record }

const maxSlots = 16

var slotCount atomic.Int32

// SearchValues has the search values of the pending records, as the index stage
// leaves them for the sink or the delta that takes them.
var SearchValues = NewSlot[search.Values]()

// NoteResults are what NLP found in the records of a batch: JSON of package fhir/entity,
// one value for each record of which there is something to say.
type NoteResults struct {
	Data []byte
	Of   []NoteResult // by Record
}

// NoteResult is the part of the data that is of one record.
type NoteResult struct {
	Record     int // index in Batch.Records
	Start, End uint32
}

// Reset empties the results. Most batches have none, so memory that is worth it is given back:
// it would stay with every batch once documents came.
func (n *NoteResults) Reset() {
	if cap(n.Data) > keepNotes {
		n.Data = nil
	}
	n.Data, n.Of = n.Data[:0], n.Of[:0]
}

// Result gives the data of a record, nil when there is none. It aliases Data.
func (n *NoteResults) Result(record int) []byte {
	i, ok := slices.BinarySearchFunc(n.Of, record, func(r NoteResult, record int) int { return r.Record - record })
	if !ok {
		return nil
	}
	return n.Data[n.Of[i].Start:n.Of[i].End]
}

const keepNotes = 64 << 10

// Notes has what NLP found in the pending records, as the stage that reads notes leaves it
// for the sinks or the delta that take it.
var Notes = NewSlot[NoteResults]()

// Stored is what a source that reads a data store leaves on a batch for the sinks that write
// resources as they are stored. Such a batch has one resource type.
type Stored struct {
	Type      r4.TypeID
	Resources int64
	// Packed are zstd frames of whole lines with all resources of the batch; when it is
	// empty, they are in Data, each with its line end.
	Packed []byte
}

// StoredOf is the slot of Stored.
var StoredOf = NewSlot[Stored]()

// resources is how many records of the input the batch has, or stands for.
func (b *Batch) resources() int64 {
	if b.Stored && len(b.Records) == 0 {
		return StoredOf.Of(b).Resources
	}
	return int64(len(b.Received()))
}

// Received are the records that were in the input.
func (b *Batch) Received() []Record {
	n := len(b.Records)
	for n > 0 && b.Records[n-1].Derived {
		n--
	}
	return b.Records[:n]
}

// Slot is a place on every batch for a value of type T that one stage makes and
// a sink takes. The value stays with the batch when it is used again, so its
// memory is reused. Slots are made in package variables.
type Slot[T any] struct{ i int32 }

// NewSlot reserves a slot; the program has at most 16 of them.
func NewSlot[T any]() Slot[T] {
	i := slotCount.Add(1) - 1
	if i >= maxSlots {
		panic("pipeline: too many slots")
	}
	return Slot[T]{i}
}

// Of gives the slot's value on b, made zero at first use.
func (s Slot[T]) Of(b *Batch) *T {
	v, _ := b.slots[s.i].(*T)
	if v == nil {
		v = new(T)
		b.slots[s.i] = v
	}
	return v
}
