package parquet

import (
	"slices"

	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// table is the open file of one resource type and the row group that it
// collects.
type table struct {
	s       *Sink
	layout  *columnar.Layout
	segment *snapshot.SegmentBuilder
	file    *file // nil until its first row group is cut

	pending []*columnar.Piece
	rows    int   // of pending
	bytes   int64 // memory of pending
	last    int64 // Seq of the batch that the last of them came from

	has      []bool // by Node.Index: the file has the leaf
	leaves   []*columnar.Node
	columns  int // Parquet columns of leaves
	fileRows int
	fileRaw  int64
	next     int // row of the next record that gets its address
}

// add takes a piece into the open row group. What it returns ends the file
// before, when the piece needs a new one.
func (t *table) add(p *columnar.Piece) []pipeline.Task {
	var tasks []pipeline.Task
	if t.segment != nil && t.mustRoll(p) {
		tasks = t.endFile()
	}
	if t.segment == nil {
		t.segment = t.s.builder.Open(t.layout.Name)
		for _, n := range t.layout.Core() {
			t.include(n)
		}
	}
	for i := range p.Columns {
		if n := p.Columns[i].Node; n.Leaf() {
			t.include(n)
		}
	}
	t.pending = append(t.pending, p)
	t.rows += p.Rows
	t.bytes += p.Bytes()
	t.fileRows += p.Rows
	t.fileRaw += p.Raw
	t.segment.Rows += int64(p.Rows)
	return tasks
}

func (t *table) mustRoll(p *columnar.Piece) bool {
	if t.fileRows >= t.s.opts.FileRows || t.fileRaw >= t.s.opts.FileBytes {
		return true
	}
	added := 0
	for i := range p.Columns {
		if n := p.Columns[i].Node; n.Leaf() && !t.known(n) {
			added += n.Leaves()
		}
	}
	return added > 0 && (t.file != nil || t.columns+added > columnar.MaxLeaves)
}

func (t *table) known(n *columnar.Node) bool { return int(n.Index) < len(t.has) && t.has[n.Index] }

func (t *table) include(n *columnar.Node) {
	if t.known(n) {
		return
	}
	if grow := int(n.Index) + 1 - len(t.has); grow > 0 {
		t.has = append(t.has, make([]bool, grow)...)
	}
	t.has[n.Index] = true
	t.leaves = append(t.leaves, n)
	t.columns += n.Leaves()
}

// cut ends the open row group and returns its encoding.
func (t *table) cut() []pipeline.Task {
	if len(t.pending) == 0 {
		return nil
	}
	if t.file == nil {
		slices.SortFunc(t.leaves, columnar.ByOrder)
		segment := t.segment
		t.file = &file{o: &t.s.output, layout: t.layout, leaves: t.leaves, create: func() (*snapshot.FileWriter, error) {
			return segment.Create(snapshot.ColumnsFile)
		}}
	}
	g := newRowGroup(t.file, t.pending, t.rows)
	t.s.held -= t.bytes
	t.pending, t.rows, t.bytes = nil, 0, 0
	return g.tasks()
}

// endFile ends the open file, if there is one.
func (t *table) endFile() []pipeline.Task {
	if t.segment == nil {
		return nil
	}
	tasks := t.cut()
	tasks = append(tasks, pipeline.Task{Done: t.file.finish})
	t.s.builder.Roll(t.layout.Name)
	t.segment, t.file, t.leaves, t.columns = nil, nil, nil, 0
	t.fileRows, t.fileRaw, t.next = 0, 0, 0
	clear(t.has)
	return tasks
}
