package lake

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/delta"
)

// input is what a client asks of one resource; content 0 deletes it.
type input struct {
	id          string
	read        bool
	content     uint64
	ifMatch     uint32
	ifNoneMatch bool
}

// output is what it was told; what an import did is not told.
type output struct {
	refused bool
	number  uint32 // 0: never existed
	content uint64 // of a read
	silent  bool
}

// register is the state of one resource.
type register struct {
	number  uint32
	content uint64
}

// linear says what one resource may do: every operation acts at one moment between its
// call and its return.
var linear = porcupine.Model{
	Init: func() any { return register{} },
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		byID := map[string][]porcupine.Operation{}
		for _, op := range history {
			id := op.Input.(input).id
			byID[id] = append(byID[id], op)
		}
		for _, part := range byID {
			parts = append(parts, part)
		}
		return parts
	},
	Step: func(state, in, out any) (bool, any) {
		s, i, o := state.(register), in.(input), out.(output)
		if i.read {
			return o.number == s.number && o.content == s.content, s
		}
		refused := i.ifMatch != 0 && i.ifMatch != s.number || i.ifNoneMatch && s.number > 0
		if refused || o.refused {
			return refused && o.refused, s
		}
		if s.content != i.content {
			s = register{s.number + 1, i.content}
		}
		return o.silent || o.number == s.number, s
	},
	Equal: func(a, b any) bool { return a == b },
	DescribeOperation: func(in, out any) string {
		return fmt.Sprintf("%+v -> %+v", in, out)
	},
}

// history records operations.
type history struct {
	mu    sync.Mutex
	start time.Time
	ops   []porcupine.Operation
}

func (h *history) do(client int, in input, f func() output) {
	call := time.Since(h.start)
	out := f()
	back := time.Since(h.start)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: int64(call), Output: out, Return: int64(back)})
}

// TestManyClientsSeeOneOrder has clients create, update, delete and read a few ids,
// while what they write is folded into the snapshot and imports bring newer versions.
func TestManyClientsSeeOneOrder(t *testing.T) {
	clients, each := 8, 200
	if testing.Short() {
		each = 50
	}
	l, err := Open(t.TempDir(), Options{Secret: secret, FrameCache: 1 << 16, Delta: delta.Options{Reserve: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := &history{start: time.Now()}
	id := func(rng *rand.Rand) string { return fmt.Sprintf("id-%d", rng.IntN(5)) }

	var wg, behind sync.WaitGroup
	done := make(chan struct{})
	behind.Go(func() {
		rng := rand.New(rand.NewPCG(99, 1))
		for n := 1; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			if n%2 == 0 {
				fold(t, l)
				continue
			}
			i, err := l.BeginImport()
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(5 * time.Millisecond)
			p := &importing{t: t, i: i, at: time.Now().Truncate(time.Millisecond), lines: []imported{
				{r4.TypePatient, id(rng), uint64(1_000_000 + n)},
			}}
			h.do(clients, input{id: p.lines[0].id, content: p.lines[0].content}, func() output {
				p.publish()
				return output{silent: true}
			})
		}
	})
	for c := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(c), 2))
			seen := map[string]uint32{}
			for n := range each {
				in := input{id: id(rng), content: uint64(1 + c*each + n)}
				switch rng.IntN(8) {
				case 0:
					in.ifNoneMatch = true
				case 1:
					in.ifMatch = max(seen[in.id], 1)
				case 2:
					in.content = 0
				case 3, 4, 5:
					in.read = true
				}
				h.do(c, in, func() output {
					out, err := ask(l, in)
					if err != nil {
						t.Error(err)
					}
					seen[in.id] = out.number
					return out
				})
			}
		})
	}
	wg.Wait()
	close(done)
	behind.Wait()
	switch porcupine.CheckOperationsTimeout(linear, h.ops, time.Minute) {
	case porcupine.Illegal:
		t.Error("what clients saw has no order")
	case porcupine.Unknown:
		t.Log("the history was too long to be checked")
	}
}

func ask(l *Lake, in input) (output, error) {
	if in.read {
		r, err := l.Read(r4.TypePatient, in.id, nil)
		var gone *GoneError
		switch {
		case errors.As(err, &gone):
			return output{number: gone.Version.Number}, nil
		case errors.Is(err, ErrNotFound):
			return output{}, nil
		}
		return output{number: r.Number, content: r.Content}, err
	}
	w := put(r4.TypePatient, in.id, in.content)
	w.IfMatch, w.IfNoneMatch = in.ifMatch, in.ifNoneMatch
	out, err := l.Commit(context.Background(), []Write{w})
	var c *ConditionError
	if errors.As(err, &c) {
		return output{refused: true, number: c.Current.Number}, nil
	}
	if err != nil {
		return output{}, err
	}
	return output{number: out[0].Number}, nil
}
