package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/spf13/cobra"
)

// profiles are hidden flags of every command, for whoever works on its speed.
type profiles struct {
	cpu, heap string
	out       *os.File
}

func (p *profiles) register(c *cobra.Command) {
	fs := c.PersistentFlags()
	fs.StringVar(&p.cpu, "cpuprofile", "", "write a CPU profile to this file")
	fs.StringVar(&p.heap, "memprofile", "", "write a profile of all allocations to this file")
	for _, name := range []string{"cpuprofile", "memprofile"} {
		if err := fs.MarkHidden(name); err != nil {
			panic(err) // the flag was made two lines above
		}
	}
}

func (p *profiles) start() error {
	if p.cpu == "" {
		return nil
	}
	f, err := os.Create(p.cpu)
	if err != nil {
		return fmt.Errorf("write CPU profile: %w", err)
	}
	p.out = f
	return pprof.StartCPUProfile(f)
}

func (p *profiles) stop() error {
	var err error
	if p.out != nil {
		pprof.StopCPUProfile()
		err = p.out.Close()
	}
	if p.heap == "" {
		return err
	}
	f, ferr := os.Create(p.heap)
	if ferr != nil {
		return errors.Join(err, fmt.Errorf("write memory profile: %w", ferr))
	}
	runtime.GC()
	return errors.Join(err, pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
