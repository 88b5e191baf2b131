package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/datastores"
)

// storeJob is a job over the snapshot of a data store that a command runs: a compaction or
// indexing. R is its result.
type storeJob[R any] struct {
	name  string
	reads bool // notes, and flags say by whom
	run   func(c *datastores.Compactor, ctx context.Context, id string, r datastores.Request) (R, error)
	show  func(out io.Writer, result R) error
}

type storeJobParams struct {
	Datastore string      `json:"datastore"`
	Whole     bool        `json:"whole"`
	Memory    byteSize    `json:"memory"`
	Readers   readerFlags `json:"-"` // a server has its own
}

// command makes the command of the job from one that says how it is called; whole is what
// the flag of that name does.
func (j storeJob[R]) command(g *globals, memory byteSize, c *cobra.Command, whole string) *cobra.Command {
	p := storeJobParams{Memory: memory}
	c.Args = exactly(0, "no arguments")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := p.Readers.check(); err != nil {
			return err
		}
		limitMemory(int64(p.Memory))
		p.Datastore = g.datastore
		done, err := j.work().run(c, g, nil, p)
		if err != nil {
			return err
		}
		if g.json {
			return printJSON(c.OutOrStdout(), done)
		}
		return j.show(c.OutOrStdout(), done)
	}
	if j.reads {
		p.Readers.register(c)
	}
	c.Flags().BoolVar(&p.Whole, "whole", false, whole)
	c.Flags().Var(&p.Memory, "memory", "memory that the process may use")
	return c
}

// work is what the owner of the root does of it.
func (j storeJob[R]) work() work[storeJobParams, R] {
	return work[storeJobParams, R]{
		name: j.name, do: j.do,
		abroad: func(p storeJobParams) (storeJobParams, error) { return p, p.Readers.abroad() },
	}
}

func (j storeJob[R]) do(ctx context.Context, l *lake, s *session, p storeJobParams) (result R, err error) {
	d, err := l.catalog.Use(p.Datastore)
	if err != nil {
		return result, err
	}
	if s.memory > 0 {
		p.Memory = byteSize(min(int64(p.Memory), s.memory))
	}
	if err := l.readNotesBy(&p.Readers); err != nil {
		return result, err
	}
	monitor := &pipeline.Monitor{}
	stop := s.watch(func() progress { return progressOf(monitor.Figures()) })
	defer stop()
	return j.run(l.compactor, ctx, d.ID, datastores.Request{
		Whole: p.Whole, Memory: int64(p.Memory) / 4, Workers: cores, Monitor: monitor,
		Waiting: func() { s.note("waiting for another job to end") },
	})
}
