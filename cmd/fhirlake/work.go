package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/server/owner"
	"github.com/fhirlake/fhirlake/sources/bulkdata"
	"github.com/fhirlake/fhirlake/store/blob"
	lakes "github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
)

// work is what a command does as the owner of a root. When a server owns the root, it
// does the work, in its process, with the same progress and result. P and R go over the
// wire as JSON.
type work[P, R any] struct {
	name string
	do   func(ctx context.Context, l *lake, s *session, p P) (R, error)
	// abroad makes the paths in p absolute, for an owner that works in another folder,
	// and home makes those in the result what they would be here, where p was asked
	// for; nil when there are none.
	abroad func(p P) (P, error)
	home   func(p P, r R) R
}

// session is what a work has beside the root: its standard input, those who wait for it,
// and where it writes when its result is no JSON.
type session struct {
	stdin  io.Reader
	out    io.Writer // nil for a work that writes nothing
	note   func(string)
	watch  func(func() progress) (stop func()) // shows the progress until stop
	memory int64                               // bytes that the process may use; 0: the work's own
	// lake gives a data store as others may write to it meanwhile; nil when only
	// imports ever wrote to it, and nobody else can.
	lake func(id string) (*lakes.Lake, error)
}

// run does the work for a command. Stdin is nil when the work reads none.
func (w work[P, R]) run(c *cobra.Command, g *globals, stdin io.Reader, p P) (result R, err error) {
	l, err := openRoot(g, true)
	var owned *root.OwnedError
	if errors.As(err, &owned) && owned.Owner.Address != "" {
		return w.send(c, owned.Owner, stdin, nil, p)
	}
	if err != nil {
		return result, err
	}
	errs := c.ErrOrStderr()
	s := &session{
		stdin: stdin,
		note:  func(text string) { fmt.Fprintln(errs, text) },
		watch: func(f func() progress) func() { return watch(errs, f) },
		lake:  l.stores.Written,
	}
	result, err = w.do(c.Context(), l, s, p)
	return result, errors.Join(err, l.Close())
}

// runBeside is run for a work that reads only: when no server owns the root it does it
// beside the owner, if there is one.
func (w work[P, R]) runBeside(c *cobra.Command, g *globals, p P) (result R, err error) {
	if o, owned := root.FindOwner(g.root); owned && o.Address != "" {
		return w.send(c, o, nil, nil, p)
	}
	err = withRoot(g, func(l *lake) error {
		result, err = w.do(c.Context(), l, &session{}, p)
		return err
	})
	return result, err
}

// send has the owner do the work. Out gets what the work writes.
func (w work[P, R]) send(c *cobra.Command, o root.Owner, stdin io.Reader, out io.Writer, p P) (result R, err error) {
	there := p
	if w.abroad != nil {
		if there, err = w.abroad(p); err != nil {
			return result, err
		}
	}
	errs := c.ErrOrStderr()
	var last atomic.Pointer[progress]
	stop := func() {}
	defer func() { stop() }()
	r := owner.Request{
		Operation: w.name, Params: there, Stdin: stdin, Output: out,
		Note: func(text string) { fmt.Fprintln(errs, text) },
		Progress: func(text json.RawMessage) {
			var now progress
			if json.Unmarshal(text, &now) != nil {
				return // it only shows
			}
			if last.Swap(&now) == nil {
				stop = watch(errs, func() progress { return *last.Load() })
			}
		},
	}
	err = owner.NewClient(o, version).Do(c.Context(), r, &result)
	var failure *owner.Failure
	if errors.As(err, &failure) {
		err = exitError{failure.Code, failure}
	}
	if err == nil && w.home != nil {
		result = w.home(p, result)
	}
	return result, err
}

// operation is the work as a server offers it.
func (w work[P, R]) operation(l *lake, memory int64) owner.Operation {
	return func(ctx context.Context, call *owner.Call) (any, error) {
		var p P
		if err := call.Params(&p); err != nil {
			return nil, err
		}
		return w.do(ctx, l, &session{
			stdin: call.Stdin, out: call.Output(), note: call.Note, watch: watchCall(call),
			memory: memory, lake: l.stores.Lake,
		}, p)
	}
}

// progressInterval is how often a server sends the progress of a work.
const progressInterval = 200 * time.Millisecond

func watchCall(call *owner.Call) func(func() progress) func() {
	return func(f func() progress) func() {
		return every(progressInterval, func() { call.Progress(f()) })
	}
}

// served are the works that a server does for commands, by their names.
func served(l *lake, memory int64) map[string]owner.Operation {
	return map[string]owner.Operation{
		importWork.name:             importWork.operation(l, memory),
		backupWork.name:             backupWork.operation(l, memory),
		fsckWork.name:               fsckWork.operation(l, memory),
		compactJob.name:             compactJob.work().operation(l, memory),
		reindexJob.name:             reindexJob.work().operation(l, memory),
		rereadJob.name:              rereadJob.work().operation(l, memory),
		createDatastoreWork.name:    createDatastoreWork.operation(l, memory),
		deleteDatastoreWork.name:    deleteDatastoreWork.operation(l, memory),
		configureDatastoreWork.name: configureDatastoreWork.operation(l, memory),
		addProfilesWork.name:        addProfilesWork.operation(l, memory),
		removeProfilesWork.name:     removeProfilesWork.operation(l, memory),
		importTerminologyWork.name:  importTerminologyWork.operation(l, memory),
		removeTerminologyWork.name:  removeTerminologyWork.operation(l, memory),
		sqlWork.name:                sqlWork.operation(l, memory),
		exportWork.name:             exportWork.operation(l, memory),
		listJobsWork.name:           listJobsWork.operation(l, memory),
		describeJobWork.name:        describeJobWork.operation(l, memory),
		jobFilesWork.name:           jobFilesWork.operation(l, memory),
		cancelJobWork.name:          cancelJobWork.operation(l, memory),
	}
}

// absolute makes paths absolute; "-" is standard input, and what is in a bucket or on another server has no path.
func absolute(paths []string) ([]string, error) {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = p
		if p == "-" || p == "" || blob.IsURI(p) || bulkdata.IsURL(p) {
			continue
		}
		abs, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		out[i] = abs
	}
	return out, nil
}

// relative gives the func that undoes what absolute did to a path of its list, or to
// one below it.
func relative(paths []string) func(string) string {
	work, err := os.Getwd()
	if err != nil || slices.ContainsFunc(paths, filepath.IsAbs) {
		return func(p string) string { return p }
	}
	return func(p string) string {
		if rel, ok := strings.CutPrefix(p, work+string(filepath.Separator)); ok {
			return rel
		}
		return p
	}
}
