package bulk

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/index"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/store/lake"
)

// Compartment gives the resources of a compartment (FHIR R4, CompartmentDefinition): the one
// that it is named after, and all whose newest text has a reference to it in one of the
// parameters of the definition; those that are deleted too, by the text that they had. It reads every resource and
// needs no index: what it missed would stay when the compartment is erased.
func Compartment(ctx context.Context, l *lake.Lake, def *r4.CompartmentDefinition, id string) ([]Resource, error) {
	w, err := l.View()
	if err != nil {
		return nil, fmt.Errorf("compartment: %w", err)
	}
	m := newMembers(def, id)
	err = w.Newest(ctx, m.types, m.mayRefer, m.take)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("compartment: %w", err)
	}
	slices.SortFunc(m.found, func(a, b Resource) int {
		return cmp.Or(cmp.Compare(a.Type.String(), b.Type.String()), cmp.Compare(a.ID, b.ID))
	})
	return m.found, nil
}

// members looks for the members of one compartment.
type members struct {
	def    *r4.CompartmentDefinition
	id     string
	groups map[r4.TypeID]map[search.GroupID]bool // of the parameters that lead to it
	stage  *index.Stage
	chains sync.Pool // of *memberChain

	mu    sync.Mutex
	found []Resource
}

// memberChain finds the search values of one resource after the other.
type memberChain struct {
	chain *pipeline.Chain
	batch pipeline.Batch
}

func newMembers(def *r4.CompartmentDefinition, id string) *members {
	table := search.R4()
	m := &members{def: def, id: id, stage: index.New(table), groups: map[r4.TypeID]map[search.GroupID]bool{}}
	for _, member := range def.Members {
		groups := map[search.GroupID]bool{}
		for _, code := range member.Codes {
			p := table.Parameter(member.Type, code)
			if p == nil {
				continue // {def}, the resource itself
			}
			for _, t := range p.Terms {
				groups[t.Group(search.Main)] = true
			}
		}
		m.groups[member.Type] = groups
	}
	return m
}

func (m *members) types(t r4.TypeID) bool { return t == m.def.Type || m.groups[t] != nil }

// mayRefer leaves out the lines that do not have the id in them, which are nearly all. An
// id has no letter that must be escaped, but one may be.
func (m *members) mayRefer(line []byte) bool {
	return bytes.Contains(line, []byte(m.id)) || bytes.Contains(line, []byte(`\u`))
}

func (m *members) take(t r4.TypeID, id string, line []byte) error {
	in := t == m.def.Type && id == m.id
	if !in {
		var err error
		if in, err = m.refers(t, line); err != nil {
			return err
		}
	}
	if in {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.found = append(m.found, Resource{t, id})
	}
	return nil
}

// refers tells whether a value of one of the parameters is a reference to the resource.
func (m *members) refers(t r4.TypeID, line []byte) (bool, error) {
	c, _ := m.chains.Get().(*memberChain)
	if c == nil {
		c = &memberChain{}
		var err error
		if c.chain, err = pipeline.NewChain(parse.New(), m.stage); err != nil {
			return false, err
		}
	}
	defer m.chains.Put(c)
	b := &c.batch
	b.Reset()
	b.Lenient = true
	b.Data = append(b.Data, line...)
	b.Records = append(b.Records, pipeline.Record{Entry: -1, End: uint32(len(line)), Root: fhir.NoNode})
	b.Pad()
	if err := c.chain.Process(context.Background(), b); err != nil {
		return false, err
	}
	if b.Records[0].Status == pipeline.Rejected {
		return false, fmt.Errorf("a stored %s cannot be read again", t)
	}
	values := pipeline.SearchValues.Of(b)
	for i := range values.References {
		r := &values.References[i]
		if r.Type == m.def.Type && m.groups[t][r.Group] && string(values.Text(r.ID)) == m.id {
			return true, nil
		}
	}
	return false, nil
}
