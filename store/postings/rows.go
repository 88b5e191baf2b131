package postings

import (
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// Resource is a resource as the index knows it. Key is [Hasher.Resource].
type Resource struct {
	Type    r4.TypeID
	Version uint32
	At      Address
	Key     uint64
	Updated int64 // meta.lastUpdated, UTC microseconds
	ID      string
}

// value is what all rows of values have. Part is that of search.Row.
type value struct {
	Group search.GroupID
	Part  uint32
	At    Address
}

// Token is a row of search.Token.
type Token struct {
	value
	Code, System uint64
	Implied      bool
}

// String is a row of search.String; its texts are those of Words with this hash.
type String struct {
	value
	Words uint64
}

// Date is a row of search.Date.
type Date struct {
	value
	search.Range
}

// Number is a row of search.Number.
type Number struct {
	value
	search.Interval
}

// Quantity is a row of search.Quantity.
type Quantity struct {
	value
	search.Interval
	System, Code, Unit, Base uint64
	In                       search.Interval
}

// Reference is a row of search.Reference.
type Reference struct {
	value
	Type                  r4.TypeID
	Target, Base, Version uint64
}

// URI is a row of search.URI.
type URI struct {
	value
	URI, Version uint64
}

// Value is the text of a hash of a token's code or of a URI. Of a code whose case does
// not count it is the folded form.
type Value struct {
	Hash uint64
	Text string
}

// Words are the texts of a string value. Exact is empty when Later is set: Folded then
// begins at a later word.
type Words struct {
	Hash          uint64
	Folded, Exact string
	Later         bool
}

// Rows are rows of all tables, in no order. Texts come once for each hash, as far as
// that is known. It belongs to one goroutine at a time.
type Rows struct {
	Resources  []Resource
	Tokens     []Token
	Strings    []String
	Dates      []Date
	Numbers    []Number
	Quantities []Quantity
	References []Reference
	URIs       []URI
	Values     []Value
	Words      []Words

	known map[uint64]struct{} // hashes whose texts are there
	texts int                 // bytes of texts
	order []uint32            // buffers of WriteRun
	page  []byte
}

// Len gives the number of rows of values.
func (r *Rows) Len() int {
	return len(r.Tokens) + len(r.Strings) + len(r.Dates) + len(r.Numbers) + len(r.Quantities) + len(r.References) + len(r.URIs)
}

// Size is about as many bytes as r holds.
func (r *Rows) Size() int64 {
	return int64(r.texts) + 48*int64(r.Len()) + 64*int64(len(r.Resources)) + 88*int64(len(r.Values)+len(r.Words)) + 40*int64(len(r.Quantities))
}

// Reset empties r. It keeps the memory of what was used: types come one after the other,
// and what is much in one is rare in the next.
func (r *Rows) Reset() {
	clear(r.Resources)
	clear(r.Values)
	clear(r.Words)
	clear(r.known)
	*r = Rows{
		Resources: emptied(r.Resources), Tokens: emptied(r.Tokens), Strings: emptied(r.Strings), Dates: emptied(r.Dates), Numbers: emptied(r.Numbers),
		Quantities: emptied(r.Quantities), References: emptied(r.References), URIs: emptied(r.URIs), Values: emptied(r.Values), Words: emptied(r.Words),
		known: r.known, order: r.order, page: r.page,
	}
}

// emptied gives a slice without rows, with its memory if a quarter of that was used.
func emptied[T any](rows []T) []T {
	if len(rows) < cap(rows)/4 {
		return nil
	}
	return rows[:0]
}

// AddResource adds a resource; its values come with [Rows.Add].
func (r *Rows) AddResource(x Resource) {
	r.texts += len(x.ID)
	r.Resources = append(r.Resources, x)
}

// Add adds the values of the resources of a batch. place gives the address of a record,
// and false for one that is not stored.
func (r *Rows) Add(h *Hasher, v *search.Values, place func(record int32) (Address, bool)) {
	at := func(row search.Row) (value, bool) {
		a, ok := place(row.Record)
		return value{row.Group, row.Part, a}, ok
	}
	for i := range v.Tokens {
		t := &v.Tokens[i]
		if x, ok := at(t.Row); ok {
			code := v.Text(t.Code)
			hash := h.Code(code, t.Folded)
			r.text(hash, code)
			r.Tokens = append(r.Tokens, Token{x, hash, h.Text(v.Text(t.System)), t.Implied})
		}
	}
	for i := range v.Strings {
		s := &v.Strings[i]
		if x, ok := at(s.Row); ok {
			r.Strings = append(r.Strings, String{x, r.words(h, v.Text(s.Folded), v.Text(s.Exact), s.Word)})
		}
	}
	for i := range v.Dates {
		if x, ok := at(v.Dates[i].Row); ok {
			r.Dates = append(r.Dates, Date{x, v.Dates[i].Range})
		}
	}
	for i := range v.Numbers {
		if x, ok := at(v.Numbers[i].Row); ok {
			r.Numbers = append(r.Numbers, Number{x, v.Numbers[i].Interval})
		}
	}
	for i := range v.Quantities {
		q := &v.Quantities[i]
		if x, ok := at(q.Row); ok {
			r.Quantities = append(r.Quantities, Quantity{
				x, q.Interval, h.Text(v.Text(q.System)), h.Text(v.Text(q.Code)), h.Text(v.Text(q.Unit)), h.Text(v.Text(q.Base)), q.In,
			})
		}
	}
	for i := range v.References {
		f := &v.References[i]
		if x, ok := at(f.Row); ok {
			target, base := h.Target(search.ReferenceParts{Type: f.Type, ID: v.Text(f.ID), URL: v.Text(f.URL)})
			r.References = append(r.References, Reference{x, f.Type, target, base, h.Text(v.Text(f.Version))})
		}
	}
	for i := range v.URIs {
		u := &v.URIs[i]
		if x, ok := at(u.Row); ok {
			text := v.Text(u.Value)
			hash := h.Text(text)
			r.text(hash, text)
			r.URIs = append(r.URIs, URI{x, hash, h.Text(v.Text(u.Version))})
		}
	}
}

func (r *Rows) text(hash uint64, text []byte) {
	if hash != 0 && r.isNew(hash) {
		r.texts += len(text)
		r.Values = append(r.Values, Value{hash, string(text)})
	}
}

func (r *Rows) words(h *Hasher, folded, exact []byte, later bool) uint64 {
	hash := h.Words(folded, exact, later)
	if r.isNew(hash) {
		r.texts += len(folded) + len(exact)
		r.Words = append(r.Words, Words{hash, string(folded), string(exact), later})
	}
	return hash
}

func (r *Rows) isNew(hash uint64) bool {
	if _, ok := r.known[hash]; ok {
		return false
	}
	if r.known == nil {
		r.known = map[uint64]struct{}{}
	}
	r.known[hash] = struct{}{}
	return true
}
