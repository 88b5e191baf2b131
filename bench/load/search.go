package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fhirlake/fhirlake/server/sql"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/duck"
	"github.com/fhirlake/fhirlake/store/root"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// SearchOptions say what to search. With Inputs they are imported into a root that is
// thrown away; else Root is searched, through the server that owns it or one that is
// started on it.
type SearchOptions struct {
	RequestOptions
	Root      string
	Datastore string // name or id; "" for the default one
	Scans     int    // how many questions of each search are also asked by a scan; 0: none
	Only      string // measure the searches whose name has this; "": all
	Reported  func(SearchRun)
}

// SearchRun is a search, what its clients saw, and what a scan for the same takes.
type SearchRun struct {
	RequestRun
	Search  string  `json:"search"`  // with $1, $2 ... for the values
	Values  int     `json:"values"`  // how many different searches there were
	Matches float64 `json:"matches"` // on a page, or of a count the total: the mean of some
	Bytes   float64 `json:"bytes"`   // of an answer: the mean of some
	Scan    *Scan   `json:"scan,omitempty"`
}

// Scan is the same question asked of the snapshot's Parquet files by SQL.
type Scan struct {
	Questions    int     `json:"questions"`
	Milliseconds float64 `json:"milliseconds"` // the median
	Factor       float64 `json:"factor"`       // of the scan's median over the search's p50 of one client
}

// SearchResult is what came out.
type SearchResult struct {
	Resources    int64       `json:"resources"`
	Runs         []SearchRun `json:"runs"`
	PeakRSSBytes int64       `json:"peakRSSBytes,omitempty"` // of a server that was started
}

// maxSearchValues bounds how many different searches of a kind are sent.
const maxSearchValues = 1000

// Search measures searches of many kinds, whose values are chosen from the data by a hash,
// always alike. What a scan finds for the same values is compared with what the search
// says is there.
func Search(ctx context.Context, o SearchOptions) (*SearchResult, error) {
	res := &SearchResult{}
	err := o.search(ctx, res)
	if err != nil {
		return nil, fmt.Errorf("bench search: %w", err)
	}
	return res, nil
}

func (o *SearchOptions) search(ctx context.Context, res *SearchResult) error {
	base := o.URL
	if o.root = o.Root; len(o.Inputs) > 0 {
		o.root = filepath.Join(o.Work, "lake")
	}
	o.importArgs, o.datastore = []string{"--search-index", "on"}, o.Datastore
	if owner, owned := root.FindOwner(o.root); base == "" && owned && owner.URL != "" {
		d, err := findDatastore(o.root, o.Datastore)
		if err != nil {
			return err
		}
		base = strings.TrimSuffix(owner.URL, "/") + "/datastore/" + d.ID + "/r4"
	}
	if base == "" {
		started := &RequestResult{}
		s, err := serve(ctx, &o.RequestOptions, started)
		if err != nil {
			return err
		}
		defer func() {
			s.stop(started)
			res.PeakRSSBytes = started.PeakRSSBytes
		}()
		base = s.base
	}
	t, err := newTarget(base)
	if err != nil {
		return err
	}
	data, err := openSearched(o.root, o.Datastore)
	if err != nil {
		return err
	}
	defer data.close()
	res.Resources = data.resources
	for i := range searchCases {
		c := &searchCases[i]
		if !strings.Contains(c.name, o.Only) {
			continue
		}
		if err := o.searchCase(ctx, t, data, c, res); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if len(res.Runs) == 0 {
		return errors.New("the data has nothing that these searches could find")
	}
	return nil
}

// searchCase measures one kind of search.
func (o *SearchOptions) searchCase(ctx context.Context, t target, data *searched, c *searchCase, res *SearchResult) error {
	values, err := data.ask(ctx, fmt.Sprintf("%s ORDER BY hash(v) LIMIT %d", c.values, maxSearchValues))
	if err != nil {
		return err
	}
	if len(values) == 0 {
		return nil // the data has nothing of the kind
	}
	run := SearchRun{Search: c.path, Values: len(values)}
	requests := make([][]byte, len(values))
	for i, v := range values {
		requests[i] = t.get(fill(c.path, v, url.QueryEscape))
	}
	if err := run.look(ctx, t, c, requests[:min(len(requests), 20)]); err != nil {
		return err
	}
	w := workload{c.name, http.StatusOK, func(n int64) []byte { return requests[n%int64(len(requests))] }}
	clients := []int{1}
	if c.rate {
		clients = o.Clients
	}
	for _, n := range clients {
		if run.RequestRun, err = t.measure(ctx, w, n, duration(o.WarmUp), duration(o.Seconds)); err != nil {
			return err
		}
		if !c.rate && o.Scans > 0 {
			if run.Scan, err = o.scan(ctx, t, data, c, values); err != nil {
				return err
			}
			run.Scan.Factor = run.Scan.Milliseconds / run.Latency.P50
		}
		res.Runs = append(res.Runs, run)
		if o.Reported != nil {
			o.Reported(run)
		}
	}
	return nil
}

// look sends some requests to see what their answers are.
func (r *SearchRun) look(ctx context.Context, t target, c *searchCase, requests [][]byte) error {
	for _, request := range requests {
		text, err := t.answer(ctx, request)
		if err != nil {
			return err
		}
		b, err := readBundle(text)
		if err != nil {
			return err
		}
		n := b.Total
		if !c.counts {
			n = b.matches()
		}
		r.Matches += float64(n) / float64(len(requests))
		r.Bytes += float64(len(text)) / float64(len(requests))
	}
	return nil
}

// bundle is what the benchmark reads of an answer.
type bundle struct {
	Total int64
	Entry []struct{ Search struct{ Mode string } }
}

func readBundle(text []byte) (b bundle, err error) {
	b.Total = -1
	if err = json.Unmarshal(text, &b); err != nil {
		return b, fmt.Errorf("the answer is no Bundle: %w", err)
	}
	for _, e := range b.Entry {
		if e.Search.Mode == "outcome" {
			return b, errors.New("the server does not answer the whole search")
		}
	}
	return b, nil
}

func (b *bundle) matches() (n int64) {
	for _, e := range b.Entry {
		if e.Search.Mode == "match" {
			n++
		}
	}
	return n
}

// scan asks some questions by SQL, and compares how many matches both sides find.
func (o *SearchOptions) scan(ctx context.Context, t target, data *searched, c *searchCase, values [][]string) (*Scan, error) {
	s := &Scan{Questions: min(o.Scans, len(values))}
	var took []float64
	for i, v := range values[:s.Questions] {
		from := fill(c.from, v, quoteSQL)
		text := "SELECT count(*) " + from
		var total int64
		found, err := data.ask(ctx, text) // also makes the views and warms the files
		if err == nil {
			total, err = strconv.ParseInt(found[0][0], 10, 64)
		}
		if err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		path := fill(countOnly(c.path), v, url.QueryEscape)
		answer, err := t.answer(ctx, t.get(path))
		if err != nil {
			return nil, err
		}
		b, err := readBundle(answer)
		if err != nil {
			return nil, err
		}
		if b.Total != total {
			return nil, fmt.Errorf("question %d: the search counts %d, a scan of the snapshot %d", i+1, b.Total, total)
		}
		if !c.counts {
			text = "SELECT id " + from + c.order + " LIMIT " + strconv.Itoa(pageSize)
		}
		start := time.Now()
		if _, err := data.ask(ctx, text); err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		took = append(took, float64(time.Since(start))/float64(time.Millisecond))
	}
	s.Milliseconds = median(took)
	return s, nil
}

// countOnly is a search's path that asks for the number alone.
func countOnly(path string) string {
	name, query, _ := strings.Cut(path, "?")
	var kept []string
	for _, p := range strings.Split(query, "&") {
		key, _, _ := strings.Cut(p, "=")
		if !slices.Contains([]string{"_count", "_include", "_sort", "_summary"}, key) {
			kept = append(kept, p)
		}
	}
	return name + "?" + strings.Join(append(kept, "_summary=count"), "&")
}

var placeholder = regexp.MustCompile(`\$[1-9]`)

// fill puts values in the places of $1, $2 ...
func fill(text string, values []string, quote func(string) string) string {
	return placeholder.ReplaceAllStringFunc(text, func(p string) string { return quote(values[p[1]-'1']) })
}

func quoteSQL(s string) string { return duck.Quote(s) }

// answer sends a request over a connection of its own and gives the body.
func (t target) answer(ctx context.Context, request []byte) ([]byte, error) {
	c, err := t.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return nil, err
	}
	if _, err := c.Write(request); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	status, length, err := c.head()
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	var body bytes.Buffer
	if err := c.body(&body, length); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("status %d, want %d: %.300s", status, http.StatusOK, body.Bytes())
	}
	return body.Bytes(), nil
}

// searched is the data store that is searched, as SQL sees its snapshot.
type searched struct {
	root      *root.Root
	catalog   *catalog.Catalog
	state     *sql.State
	resources int64
}

func findDatastore(dir, name string) (*catalog.DataStore, error) {
	s, d, err := openCatalog(dir, name)
	if err != nil {
		return nil, err
	}
	s.close()
	return d, nil
}

func openCatalog(dir, name string) (_ *searched, d *catalog.DataStore, err error) {
	if name == "" {
		name = "default"
	}
	s := &searched{}
	if s.root, err = root.Open(dir, root.Options{}); err != nil {
		return nil, nil, err
	}
	if s.catalog, err = catalog.Open(s.root, catalog.Options{}); err == nil {
		d, err = s.catalog.Find(name)
	}
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, d, nil
}

func openSearched(dir, name string) (*searched, error) {
	s, d, err := openCatalog(dir, name)
	if err != nil {
		return nil, err
	}
	store, err := snapshot.Open(s.root.DatastoreDir(d.ID))
	if err == nil {
		s.state, err = sql.Snapshot(store, sql.Options{Memory: 1 << 30, TempDir: s.root.TempDir})
	}
	if err == nil {
		s.resources, err = countCurrent(store)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// countCurrent counts the resources of a snapshot.
func countCurrent(store *snapshot.Store) (n int64, err error) {
	m, release, err := store.Current()
	if err != nil {
		return 0, err
	}
	defer release()
	for i := range m.Segments {
		n += m.Segments[i].Current
	}
	return n, nil
}

func (s *searched) close() {
	if s.state != nil {
		s.state.Close()
	}
	if s.catalog != nil {
		s.catalog.Close()
	}
	s.root.Close()
}

// ask gives all rows of a query.
func (s *searched) ask(ctx context.Context, text string) (all [][]string, err error) {
	rows, err := s.state.Rows(ctx, text)
	if err != nil {
		return nil, err
	}
	for row := rows.Next(); row != nil; row = rows.Next() {
		var list []string
		for _, v := range row {
			list = append(list, v.Text)
		}
		all = append(all, list)
	}
	return all, rows.Close()
}
