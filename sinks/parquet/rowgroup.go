package parquet

import (
	"bytes"
	"context"
	"slices"

	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/pipeline"
)

// A row group is split into tasks of about this much memory of pieces.
const taskBytes = 2 << 20

// rowGroup is a row group whose pieces are complete.
type rowGroup struct {
	f      *file
	rows   int
	pieces []*columnar.Piece
	cols   [][]*columnar.Column // by Node.Index, then by piece; nil for nodes that no piece has
	done   group
}

func newRowGroup(f *file, pieces []*columnar.Piece, rows int) *rowGroup {
	g := &rowGroup{f: f, rows: rows, pieces: pieces, cols: make([][]*columnar.Column, f.layout.Len())}
	for i, p := range pieces {
		for j := range p.Columns {
			c := &p.Columns[j]
			at := &g.cols[c.Node.Index]
			if *at == nil {
				*at = make([]*columnar.Column, len(pieces))
			}
			(*at)[i] = c
		}
	}
	g.done = group{rows: int64(rows), chunks: make([]chunk, 0, 2*len(f.leaves))}
	return g
}

// tasks splits the leaves, in schema order, into runs of similar weight.
func (g *rowGroup) tasks() []pipeline.Task {
	var tasks []pipeline.Task
	leaves := g.f.leaves
	from, weight := 0, int64(0)
	for i, n := range leaves {
		weight += g.weight(n)
		if weight < taskBytes && i < len(leaves)-1 {
			continue
		}
		t := &encodeTask{g: g, leaves: leaves[from : i+1], last: i == len(leaves)-1}
		tasks = append(tasks, pipeline.Task{Run: t.run, Done: t.done, Bytes: 2 * weight})
		from, weight = i+1, 0
	}
	return tasks
}

// weight is the memory of a leaf's columns.
func (g *rowGroup) weight(n *columnar.Node) int64 {
	w := int64(1 << 10)
	for _, c := range g.cols[n.Index] {
		if c != nil {
			w += int64(len(c.Data) + len(c.Def) + 4*len(c.Ends) + len(c.Index8) + 2*len(c.Index16) + 4*len(c.Index32) + 4*len(c.Counts))
		}
	}
	return w
}

// encodeTask encodes some leaves of a row group and appends them to the file.
type encodeTask struct {
	g      *rowGroup
	leaves []*columnar.Node
	last   bool

	out    []byte // the finished chunks
	chunks []chunk
	failed int64
}

func (t *encodeTask) run(ctx context.Context) error {
	e, err := t.g.f.o.encoders.get()
	if err != nil {
		return err
	}
	defer t.g.f.o.encoders.put(e)
	e.out, e.chunks, e.failed = e.out[:0], e.chunks[:0], 0
	e.err = nil
	g := t.g
	levels := make([]*columnar.Column, len(g.pieces))
	absent := make([]*columnar.Column, len(g.pieces))
	for _, n := range t.leaves {
		if err := ctx.Err(); err != nil {
			return err
		}
		own := g.cols[n.Index]
		if own == nil {
			own = absent
		}
		for i := range g.pieces {
			levels[i] = g.nearest(n, i)
		}
		e.leaf(n, own, levels)
		if e.err != nil {
			return e.err
		}
	}
	t.chunks, t.failed = slices.Clone(e.chunks), e.failed
	if t.out = e.out; len(e.out) > largePage {
		e.out = nil // the encoder grows another one
	} else {
		t.out = bytes.Clone(e.out)
	}
	return nil
}

// nearest gives the column of n, or of the first of its ancestors that is there,
// in piece i. The root is in every piece.
func (g *rowGroup) nearest(n *columnar.Node, i int) *columnar.Column {
	for {
		if cols := g.cols[n.Index]; cols != nil && cols[i] != nil {
			return cols[i]
		}
		n = n.Parent
	}
}

func (t *encodeTask) done() error {
	g := t.g
	offset, err := g.f.append(t.out)
	if err != nil {
		return err
	}
	for _, c := range t.chunks {
		c.offset += offset
		g.done.chunks = append(g.done.chunks, c)
	}
	g.f.o.failed.Add(t.failed)
	t.out, t.chunks = nil, nil
	if t.last {
		g.f.groups = append(g.f.groups, g.done)
		g.pieces, g.cols = nil, nil
	}
	return nil
}
