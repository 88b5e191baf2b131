package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"
)

// MixedResult is what imports and creates at the same time cost each other.
type MixedResult struct {
	CreatesAlone       RequestRun `json:"createsAlone"`
	CreatesBesideAn    RequestRun `json:"createsBesideAnImport"`
	ImportAlone        MixedRun   `json:"importAlone"`
	ImportBesideWrites MixedRun   `json:"importBesideWrites"`
	CreateRatio        float64    `json:"createRatio"` // rate beside an import over the rate alone
	ImportRatio        float64    `json:"importRatio"` // rate beside writes over the rate alone
}

// MixedRun is an import that a server ran.
type MixedRun struct {
	MegabytesPerSecond float64 `json:"megabytesPerSecond"`
	CreatesPerSecond   float64 `json:"createsPerSecond,omitempty"` // that there were meanwhile
}

// The clients of the measurements: as many creates as eight clients can, and a rate.
const (
	mixedClients = 8
	mixedRate    = 500
)

// Mixed measures creates of eight clients alone and while a server imports the inputs, and
// an import alone and while 500 creates a second come. Each has a server and a root of
// its own.
func Mixed(ctx context.Context, o RequestOptions) (*MixedResult, error) {
	w := creates()
	res := &MixedResult{}
	steps := []func(t target, root string) error{
		func(_ target, root string) (err error) {
			res.ImportAlone, err = o.importInto(ctx, root)
			return err
		},
		func(t target, root string) (err error) {
			var run RequestRun
			run, res.ImportBesideWrites, err = o.beside(ctx, t, root, w, mixedClients*time.Second/mixedRate)
			res.ImportBesideWrites.CreatesPerSecond = run.RequestsPerSecond
			return err
		},
		func(t target, _ string) (err error) {
			res.CreatesAlone, err = t.measure(ctx, w(t), mixedClients, duration(o.WarmUp), duration(o.Seconds))
			return err
		},
		func(t target, root string) (err error) {
			res.CreatesBesideAn, _, err = o.beside(ctx, t, root, w, 0)
			return err
		},
	}
	o.Inputs, o.files = nil, o.Inputs
	for i, step := range steps {
		one := o
		one.Work = filepath.Join(o.Work, fmt.Sprint(i))
		if err := one.withServer(ctx, step); err != nil {
			return nil, fmt.Errorf("bench mixed: %w", err)
		}
	}
	res.CreateRatio = res.CreatesBesideAn.RequestsPerSecond / res.CreatesAlone.RequestsPerSecond
	res.ImportRatio = res.ImportBesideWrites.MegabytesPerSecond / res.ImportAlone.MegabytesPerSecond
	return res, nil
}

// withServer calls f with an empty root that is served.
func (o *RequestOptions) withServer(ctx context.Context, f func(t target, root string) error) error {
	res := &RequestResult{}
	s, err := serve(ctx, o, res)
	if err != nil {
		return err
	}
	defer s.stop(res)
	t, err := newTarget(s.base)
	if err != nil {
		return err
	}
	return f(t, s.root)
}

// importInto has the server of a root import the inputs.
func (o *RequestOptions) importInto(ctx context.Context, root string) (r MixedRun, err error) {
	out, _, err := runProcess(ctx, o.Program, append([]string{"--root", root, "--json", "import", "--validation", "structure-only"}, o.files...), 3)
	if err == nil {
		err = json.Unmarshal(lastLine(out), &r)
	}
	return r, err
}

// beside measures creates while an import runs.
func (o *RequestOptions) beside(ctx context.Context, t target, root string, w func(target) workload, pause time.Duration) (run RequestRun, done MixedRun, err error) {
	var over atomic.Bool
	failed := make(chan error, 1)
	go func() {
		var err error
		done, err = o.importInto(ctx, root)
		over.Store(true)
		failed <- err
	}()
	run, err = t.run(ctx, w(t), mixedClients, schedule{begin: time.Now(), over: func(time.Time) bool { return over.Load() }, pause: pause})
	return run, done, errors.Join(err, <-failed)
}
