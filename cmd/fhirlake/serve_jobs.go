package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/bench/gen"
	"github.com/fhirlake/fhirlake/server/control"
	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/server/events"
	"github.com/fhirlake/fhirlake/server/jobs"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/catalog"
)

// jobFlags are the flags of serve that are about jobs.
type jobFlags struct {
	atOnce  int
	buckets []string
	webhook string

	folders map[string]string // by bucket, of buckets
}

func (f *jobFlags) register(c *cobra.Command) {
	fs := c.Flags()
	fs.IntVar(&f.atOnce, "jobs-at-once", 1, "jobs that run at once, in different data stores unless they are exports; others wait in their order")
	fs.StringArrayVar(&f.buckets, "bucket", nil, "NAME=DIR: s3://NAME/ is this folder, for jobs without S3; may be given again")
	fs.StringVar(&f.webhook, "events-webhook", "", "URL that gets the events of data stores and jobs, each as a POST of JSON; <root>/events has them in any case")
}

// check checks the flags. A bucket is outside of the root: a job could else read or write what
// belongs to another data store.
func (f *jobFlags) check(root string) error {
	if f.atOnce < 1 {
		return usageError("--jobs-at-once %d: at least one", f.atOnce)
	}
	if u, err := url.Parse(f.webhook); f.webhook != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return usageError("--events-webhook %q is no URL", f.webhook)
	}
	f.folders = map[string]string{}
	for _, b := range f.buckets {
		name, dir, ok := strings.Cut(b, "=")
		if _, err := blob.ParseURI(blob.Scheme + name); !ok || dir == "" || err != nil {
			return usageError("--bucket %q is no NAME=DIR; a NAME has 3 to 63 small letters, digits, dots and hyphens", b)
		}
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			return usageError("--bucket %s: there is no folder %s", name, dir)
		}
		overlap, err := overlaps(dir, root)
		if err != nil {
			return err
		}
		if overlap {
			return usageError("--bucket %s: %s and the root %s are in one another; jobs must not reach the root's own files", name, dir, root)
		}
		f.folders[name] = dir
	}
	return nil
}

// overlaps tells whether one of two folders is in the other.
func overlaps(a, b string) (bool, error) {
	var real [2]string
	for i, dir := range []string{a, b} {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return false, err
		}
		if found, err := filepath.EvalSymlinks(abs); err == nil {
			abs = found
		}
		real[i] = abs
	}
	in := func(a, b string) bool {
		rel, err := filepath.Rel(a, b)
		return err == nil && filepath.IsLocal(rel)
	}
	return in(real[0], real[1]) || in(real[1], real[0]), nil
}

// synthea is what a data store is filled with that asks for SYNTHEA.
type synthea struct{}

// preloadPatients make some 10,000 resources, which a server imports in a second or two.
const preloadPatients = 10

func (synthea) Generate(ctx context.Context, dir string) error {
	if _, err := gen.Generate(ctx, gen.Options{Patients: preloadPatients, Seed: 1, Out: dir, Workers: cores}); err != nil {
		return fmt.Errorf("generate resources: %w", err)
	}
	return nil
}

// startJobs goes on with the jobs of the root, and tells what happens from now on.
func (s *serving) startJobs(fhir *datastores.FHIR) (hook *events.Webhook, err error) {
	f := &s.flags.jobs
	if f.webhook != "" {
		hook = events.NewWebhook(events.WebhookOptions{URL: f.webhook, Log: s.log})
	}
	log, err := events.Open(events.Options{Dir: s.lake.root.EventsDir(), Webhook: hook, Log: s.log})
	if err != nil {
		return nil, err
	}
	s.events = log
	s.lake.catalog.Watch(log)
	s.lake.stores.SetJobsAtOnce(f.atOnce)
	e := &jobs.Engine{
		Root: s.lake.root, Catalog: s.lake.catalog, Lake: s.lake.stores.Lake, Blobs: s.lake.blobs,
		Notes:   func(id string) *notes.Options { return s.lake.stores.Notes(id, datastores.ReadAsSet) },
		Derive:  func(id string) func() (bool, error) { return s.lake.stores.Derives(id, datastores.ReadAsSet) },
		Workers: cores, Memory: int64(s.flags.memory) / 4 / int64(f.atOnce), Observe: s.lake.meters.Import,
	}
	s.lake.jobs = jobs.New(jobs.Options{
		Catalog: s.lake.catalog, Turn: s.lake.stores.BeginJob, AtOnce: f.atOnce, Log: s.log,
		Kinds: map[catalog.JobKind]jobs.Kind{
			catalog.Import: jobs.Imports{Engine: e}, catalog.Export: jobs.Exports{Engine: e, Select: fhir.Select},
			catalog.Preload: jobs.Preloads{Engine: e, Generator: synthea{}},
		},
	})
	if err := s.lake.jobs.Start(); err != nil {
		return nil, err
	}
	return hook, s.lake.jobs.PreloadAll()
}

// controlPlane answers HealthLake's operations.
func (s *serving) controlPlane() *control.Handler {
	return control.New(control.Options{Catalog: s.lake.catalog, Jobs: s.lake.jobs, Delete: s.lake.delete, Log: s.log})
}

// stopJobs ends the jobs that run when the server is to end: the next one goes on with them.
func (s *serving) stopJobs(stopping, ended context.Context) {
	select {
	case <-stopping.Done():
	case <-ended.Done():
	}
	s.lake.jobs.Stop()
}
