package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/server/auth"
	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/server/events"
	"github.com/fhirlake/fhirlake/server/httpd"
	"github.com/fhirlake/fhirlake/server/metrics"
	"github.com/fhirlake/fhirlake/server/owner"
	"github.com/fhirlake/fhirlake/server/rest"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/server/sql"
	"github.com/fhirlake/fhirlake/server/sql/endpoint"
	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/root"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	listen          string
	unauthenticated bool
	auth            string
	audit           string
	baseURL         string
	region, account string // of ARNs
	tlsCert, tlsKey string
	pprof           string
	log             string
	memory          byteSize
	shutdown        time.Duration
	compactAge      time.Duration
	perClient       int
	sqlTimeout      time.Duration
	jobs            jobFlags
	readers         readerFlags
}

func newServeCommand(g *globals) *cobra.Command {
	f := &serveFlags{memory: 1 << 30}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Own the root and serve it",
		Long: `Serve owns the root and answers FHIR REST under /datastore/<id>/r4/, SQL by POST to
/datastore/<id>/sql, HealthLake's operations for its clients (the AWS command line and SDKs)
by POST to /, health under /healthz and /readyz, and metrics under /metrics. Commands on the same root go on
working: what must be done by the owner they send to the server.

With --auth every request must be signed by an access key (AWS Signature Version 4) or
have a bearer token (SMART on FHIR); the file says which, see docs/operations.md.
Without it serve listens on the loopback; any other address needs
--without-authentication, and something before it that says who may come in.

It ends with SIGINT or SIGTERM, when the requests that it has accepted are answered;
a second signal ends it at once, and loses nothing that was acknowledged either.`,
		Example: `  fhirlake serve
  fhirlake serve --listen 127.0.0.1:9000 --log json
  fhirlake serve --bucket my-bucket=/data/my-bucket
  fhirlake serve --tls-cert server.pem --tls-key server.key`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if err := f.jobs.check(g.root); err != nil {
				return err
			}
			if err := f.readers.check(); err != nil {
				return err
			}
			return runServe(c, g, f)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.listen, "listen", "127.0.0.1:8080", "address; port 0 takes a free one and says which")
	fs.BoolVar(&f.unauthenticated, "without-authentication", false, "listen on an address that others can reach, although nobody is asked who they are")
	fs.StringVar(&f.auth, "auth", "", "file of access keys and issuers of tokens, private to its owner; it is read again when it changes, and at SIGHUP")
	fs.StringVar(&f.audit, "audit", "refused", "requests that the audit in the log tells of, with --auth: refused or all")
	fs.StringVar(&f.baseURL, "base-url", "", "URL by which clients reach the server, when it is not the address (behind a proxy)")
	fs.StringVar(&f.region, "region", "us-east-1", "region in the ARNs of data stores that are created")
	fs.StringVar(&f.account, "account", "000000000000", "account in these ARNs, 12 digits")
	fs.StringVar(&f.tlsCert, "tls-cert", "", "PEM file with the certificate; it is read again when it changes, and at SIGHUP")
	fs.StringVar(&f.tlsKey, "tls-key", "", "PEM file with the certificate's key")
	fs.StringVar(&f.pprof, "pprof", "", "loopback address for profiles of the process, such as 127.0.0.1:6060")
	fs.StringVar(&f.log, "log", "text", "format of the log on standard error: text or json")
	fs.Var(&f.memory, "memory", "memory that the process may use, imports of commands included")
	fs.DurationVar(&f.compactAge, "compact-age", 10*time.Minute, "how long written resources stay in the delta store before they are folded into the snapshot; they go earlier when they are many; negative: only by the command compact")
	fs.IntVar(&f.perClient, "requests-per-client", 0, "requests at work of one address at once, further ones get 429; 0: no limit. Behind a proxy all come from one address")
	fs.DurationVar(&f.sqlTimeout, "sql-timeout", 10*time.Minute, "how long a query over HTTP may take, with the reading of its result")
	f.jobs.register(c)
	f.readers.register(c)
	fs.DurationVar(&f.shutdown, "shutdown-timeout", 30*time.Second, "how long accepted requests may take after a signal to end")
	return c
}

var (
	regionPattern  = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
)

func (f *serveFlags) check() error {
	for _, a := range []struct{ flag, address string }{{"listen", f.listen}, {"pprof", f.pprof}} {
		if a.flag == "pprof" && a.address == "" {
			continue
		}
		loopback, err := isLoopback(a.address)
		switch {
		case err != nil:
			return usageError("--%s: %w", a.flag, err)
		case !loopback && a.flag == "pprof":
			return usageError("--pprof %s is no loopback address; profiles show what is in memory", a.address)
		case !loopback && !f.unauthenticated && f.auth == "":
			return usageError("--listen %s can be reached by others, and nobody is asked who they are; give --auth, or --without-authentication if something before it asks", a.address)
		}
	}
	if f.audit != "refused" && f.audit != "all" {
		return usageError("--audit %q is neither refused nor all", f.audit)
	}
	if f.auth != "" && f.unauthenticated {
		return usageError("--auth and --without-authentication do not go together")
	}
	if !regionPattern.MatchString(f.region) {
		return usageError("--region %q is no name of a region; it has small letters, digits and hyphens", f.region)
	}
	if !accountPattern.MatchString(f.account) {
		return usageError("--account %q is no account; it has 12 digits", f.account)
	}
	if (f.tlsCert == "") != (f.tlsKey == "") {
		return usageError("--tls-cert and --tls-key go together")
	}
	if f.log != "text" && f.log != "json" {
		return usageError("--log %q is neither text nor json", f.log)
	}
	if f.memory < 256<<20 {
		return usageError("--memory %s is too little; a server needs 256MiB at least", f.memory.String())
	}
	if f.compactAge == 0 {
		return usageError("--compact-age 0 is no time; a negative one leaves compaction to the command")
	}
	if f.sqlTimeout <= 0 {
		return usageError("--sql-timeout %s is not positive", f.sqlTimeout)
	}
	if f.perClient < 0 {
		return usageError("--requests-per-client %d is negative", f.perClient)
	}
	if f.shutdown <= 0 {
		return usageError("--shutdown-timeout %s is not positive", f.shutdown)
	}
	f.baseURL = strings.TrimRight(f.baseURL, "/")
	return nil
}

// isLoopback tells whether an address to listen on is reached from this machine alone.
func isLoopback(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("%q is no address; write HOST:PORT", address)
	}
	if host == "localhost" {
		return true, nil
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback(), nil
}

// threadsPerCore is how many threads run Go code for each core in a server. With one,
// requests would wait for the workers of an import to be preempted, which takes 10 ms at
// each step of a request; with more, the kernel decides, and it prefers who has slept
// (docs/decisions/0023).
const threadsPerCore = 3

// SQL takes a share of the memory for the queries of one state, and runs so many at once.
const (
	sqlShare = 4
	// searchShare is that of the search index of a data store.
	searchShare = 4
	sqlQueries  = 4
)

func runServe(c *cobra.Command, g *globals, f *serveFlags) error {
	limitMemory(int64(f.memory))
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(threadsPerCore * cores)
	}
	// The address comes first: when it is taken, nothing else is worth beginning.
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listen: %w; choose another address with --listen", err)
	}
	defer l.Close() // Serve has closed it, unless something failed before
	s := &serving{flags: f, log: newLog(c.ErrOrStderr(), f.log), local: localAddress(l.Addr())}
	if f.tlsCert != "" {
		if s.cert, err = httpd.LoadCertificate(f.tlsCert, f.tlsKey); err != nil {
			return err
		}
	}
	if f.auth != "" {
		if s.guard, err = s.newGuard(); err != nil {
			return err
		}
	}
	if s.lake, err = openRootWith(g, true, catalog.Options{BaseURL: s.baseURL(), Region: f.region, Account: f.account}); err != nil {
		return err
	}
	buckets := blob.FromEnvironment()
	buckets.Folders = f.jobs.folders
	s.lake.blobs = blob.New(buckets)
	if err = s.lake.readNotesBy(&f.readers); err == nil {
		err = s.run(c.Context(), l, c.OutOrStdout(), g)
	}
	err = errors.Join(err, s.lake.Close())
	if s.events != nil {
		err = errors.Join(err, s.events.Close())
	}
	return err
}

// serving is a running server.
type serving struct {
	flags  *serveFlags
	log    *slog.Logger
	local  string // where programs of this machine reach it
	token  string // of commands
	cert   *httpd.Certificate
	guard  *auth.Guard // nil: nobody is asked
	lake   *lake
	events *events.Log
	ready  atomic.Pointer[error] // nil until the data stores were opened
}

// newLog makes the log of a server. Its lines have no patient data; see package httpd.
func newLog(w io.Writer, format string) *slog.Logger {
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

// localAddress is how a program of this machine reaches a listener.
func localAddress(a net.Addr) string {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil || !at.Addr().IsUnspecified() {
		return a.String()
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String()
}

// baseURL is where clients reach the server, without a slash at its end.
func (s *serving) baseURL() string {
	switch {
	case s.flags.baseURL != "":
		return s.flags.baseURL
	case s.cert != nil:
		return "https://" + s.local
	}
	return "http://" + s.local
}

func (s *serving) run(ctx context.Context, l net.Listener, out io.Writer, g *globals) error {
	s.token = rand.Text()
	meters := metrics.New()
	meters.Register(metrics.NewStores(s.lake.stores))
	s.lake.meters = meters
	var wrap func(http.Handler) http.Handler
	if s.guard != nil {
		wrap = s.guard.Wrap
	}
	front := httpd.New(httpd.Options{
		Guard: wrap,
		Log:   s.log, Observe: meters.Exchange, Ready: s.isReady, Metrics: meters.Handler(),
		TLS: s.cert, ShutdownTimeout: s.flags.shutdown,
	})
	front.Handle(owner.Prefix, owner.NewHandler(s.local, owner.HandlerOptions{
		Token: s.token, Version: version, Operations: served(s.lake, int64(s.flags.memory)), Code: codeOf,
	}))
	s.lake.compactor = datastores.NewCompactor(s.lake.stores, datastores.CompactorOptions{
		Age: s.flags.compactAge, Memory: int64(s.flags.memory) / 8, Log: s.log, Observe: meters.Compaction,
	})
	s.lake.sql = sql.NewSet(sql.SetOptions{
		Lake: s.lake.stores.Lake, Queries: sqlQueries,
		Options: sql.Options{
			TempDir: s.lake.root.TempDir, Memory: int64(s.flags.memory) / sqlShare, Threads: cores, Workers: cores,
		},
	})
	fhir := datastores.NewFHIR(s.lake.stores, s.lake.compactor, search.Options{Memory: int64(s.flags.memory) / searchShare, Threads: cores})
	s.lake.profilesChanged = fhir.ProfilesChanged
	s.lake.log = s.log
	hook, err := s.startJobs(fhir)
	if err != nil {
		return err
	}
	defer s.lake.jobs.Stop()
	interactions := rest.New(rest.Options{
		Jobs:      &rest.Jobs{Manager: s.lake.jobs, Dir: s.lake.root.JobDir},
		DataStore: fhir.DataStore, BaseURL: s.flags.baseURL, Version: version, Log: s.log, PerClient: s.flags.perClient, Guarded: s.guard != nil,
	})
	queries := endpoint.New(endpoint.Options{State: s.sqlState, Timeout: s.flags.sqlTimeout, Log: s.log})
	front.Handle("/datastore/", queries.Before(interactions))
	front.Handle("/", s.controlPlane())
	if err := s.announce(); err != nil {
		return err
	}
	if err := s.greet(out, g.json); err != nil {
		return err
	}
	beside, end := context.WithCancel(context.WithoutCancel(ctx))
	var tasks sync.WaitGroup
	tasks.Go(func() {
		s.open(g.datastore)
		if err := fhir.Warm(beside); err != nil {
			s.log.Error("index what was written", "error", err)
		}
	})
	tasks.Go(func() { stopAtOnce(ctx, beside) })
	tasks.Go(func() { s.lake.compactor.Run(beside) })
	tasks.Go(func() { s.stopJobs(ctx, beside) })
	tasks.Go(func() { s.lake.jobs.Sweep(beside) })
	if hook != nil {
		tasks.Go(func() { hook.Run(beside) })
	}
	if s.cert != nil {
		tasks.Go(func() { s.watchCertificate(beside) })
	}
	if s.guard != nil {
		tasks.Go(func() { s.watchKeys(beside) })
	}
	if s.flags.pprof != "" {
		tasks.Go(func() { s.profile(beside) })
	}
	err = front.Serve(ctx, l)
	err = errors.Join(err, s.finish(interactions))
	end()
	tasks.Wait()
	if err == nil {
		s.log.Info("stopped")
	}
	return err
}

// sqlState opens a data store for a query.
func (s *serving) sqlState(ctx context.Context, id string) (*sql.State, error) {
	st, err := s.lake.sql.State(ctx, id)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, endpoint.ErrNoDataStore
	}
	return st, err
}

// finish waits for the requests that were to be answered later.
func (s *serving) finish(h *rest.Handler) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.flags.shutdown)
	defer cancel()
	return h.Close(ctx)
}

// open opens all data stores, and makes the one that the flags name when it is the
// default one; then the server is ready.
func (s *serving) open(datastore string) {
	start := time.Now()
	_, err := s.lake.catalog.Use(datastore)
	if err == nil {
		err = s.lake.stores.OpenAll()
	}
	if err != nil {
		s.log.Error("open data stores", "error", err)
	} else {
		s.log.Info("ready", "after", time.Since(start))
	}
	s.ready.Store(&err)
}

var errOpening = errors.New("data stores are being opened")

func (s *serving) isReady() error {
	if err := s.ready.Load(); err != nil {
		return *err
	}
	return errOpening
}

// announce tells commands where the server is, and what lets them in.
func (s *serving) announce() error {
	o := root.Owner{Address: s.local, URL: s.baseURL(), Token: s.token}
	if s.cert != nil {
		o.Certificate = owner.CertificateSum(s.cert.DER())
	}
	return s.lake.root.Announce(o)
}

func (s *serving) greet(out io.Writer, asJSON bool) error {
	if !asJSON {
		_, err := fmt.Fprintf(out, "listening on %s\n", s.baseURL())
		return err
	}
	return printJSON(out, struct {
		URL     string `json:"url"`
		Address string `json:"address"` // for programs of this machine
		PID     int    `json:"pid"`
	}{s.baseURL(), s.local, os.Getpid()})
}

// stopAtOnce ends the process at a signal after the one that ended stopping, unless the
// server has ended before.
func stopAtOnce(stopping, ended context.Context) {
	select {
	case <-stopping.Done():
	case <-ended.Done():
		return
	}
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(again)
	select {
	case <-again:
		os.Exit(exitFailed)
	case <-ended.Done():
	}
}

// watchInterval is how often the files of the certificate are looked at.
const watchInterval = 10 * time.Second

func (s *serving) watchCertificate(ctx context.Context) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	defer signal.Stop(asked)
	t := time.NewTicker(watchInterval)
	defer t.Stop()
	s.cert.Watch(ctx, t.C, asked, func(err error) {
		if err == nil {
			err = s.announce() // commands demand the certificate that the lock names
		}
		if err != nil {
			s.log.Error("read the certificate again", "error", err)
			return
		}
		s.log.Info("the certificate was read again")
	})
}

// profile serves profiles of the process on an address of their own.
func (s *serving) profile(ctx context.Context) {
	h := &http.Server{Addr: s.flags.pprof, Handler: httpd.ProfileHandler(), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { h.Close() })
	defer stop()
	s.log.Info("profiles", "url", "http://"+s.flags.pprof+"/debug/pprof/")
	if err := h.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("profiles", "error", err)
	}
}
