package columnar_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

// TestFlatPiecesHaveWhatWasAppended makes pieces of few and of very many different values,
// with and without nulls, by one builder.
func TestFlatPiecesHaveWhatWasAppended(t *testing.T) {
	l := columnar.Flat("table", "test.table", 3,
		columnar.Field{Name: "n", Role: columnar.RoleCount, Required: true},
		columnar.Field{Name: "text", Role: columnar.RoleString, Required: true},
		columnar.Field{Name: "maybe", Role: columnar.RoleString},
		columnar.Field{Name: "never", Role: columnar.RoleCount})
	b := columnar.NewFlatBuilder(l)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, distinct := range []int{1, 2, 256, 257, 70_000, 3, 200_000, 5} {
		var want [4][]string
		add := func(col int, v string, n int) {
			for range n {
				want[col] = append(want[col], v)
			}
		}
		for i := range distinct + 10 {
			n := 1 + rng.IntN(3)
			text := fmt.Sprint("text ", i%distinct)
			b.Count(0, uint32(i), n)
			add(0, fmt.Sprint(i), n)
			b.Text(1, []byte(text), n)
			add(1, text, n)
			if maybe := fmt.Sprint(rng.IntN(distinct)); distinct > 1 && rng.IntN(3) > 0 {
				b.Text(2, []byte(maybe), n)
				add(2, maybe, n)
			} else {
				b.Null(2, n)
				add(2, "", n)
			}
			b.Null(3, n)
		}
		if b.Rows() != len(want[0]) {
			t.Fatalf("%d rows, want %d", b.Rows(), len(want[0]))
		}
		p := b.Seal()
		if p.Rows != len(want[0]) || b.Rows() != 0 || p.Columns[0].Node != l.Root || p.Columns[0].Slots != p.Rows {
			t.Fatalf("%d different: a piece of %d rows, the root has %d", distinct, p.Rows, p.Columns[0].Slots)
		}
		got := map[string][]string{}
		for i := range p.Columns[1:] {
			got[p.Columns[i+1].Node.Name] = valuesOf(t, &p.Columns[i+1])
		}
		all := map[string][]string{"n": want[0], "text": want[1], "maybe": want[2]}
		if distinct == 1 {
			delete(all, "maybe") // a column without values is not in the piece
		}
		if !reflect.DeepEqual(all, got) {
			t.Errorf("%d different values: the piece has others than were appended", distinct)
		}
	}
}

// valuesOf gives the value of each slot, "" for none.
func valuesOf(t *testing.T, c *columnar.Column) (all []string) {
	t.Helper()
	var values []string
	for _, v := range c.Counts {
		values = append(values, fmt.Sprint(v))
	}
	if c.Counts == nil {
		c.Each(func(v []byte) { values = append(values, string(v)) })
	}
	if len(values) != c.Values {
		t.Fatalf("%s has %d values and says %d", c.Node.Name, len(values), c.Values)
	}
	for i := range c.Slots {
		def := c.DefAll
		if c.Def != nil {
			def = c.Def[i]
		}
		if def < c.Node.Def {
			all = append(all, "")
			continue
		}
		all, values = append(all, values[0]), values[1:]
	}
	return all
}
