package bulk

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	arrowfile "github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	lakesource "github.com/fhirlake/fhirlake/sources/lake"
	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// export exports into a new folder and gives it.
func (m *model) export(o ExportOptions) (*ExportResult, string) {
	m.t.Helper()
	dir := filepath.Join(m.t.TempDir(), "out")
	var err error
	if o.Output, err = blob.NewFolder(dir); err != nil {
		m.t.Fatal(err)
	}
	o.Lake, o.TempDir, o.Now = m.lake, m.f.opts.Root.TempDir, m.clock
	res, err := Export(context.Background(), o)
	if err != nil {
		m.t.Fatal(err)
	}
	return res, dir
}

// exported gives the lines of all files of an export by "Type/id".
func exported(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var r io.Reader = bytes.NewReader(text)
		switch filepath.Ext(path) {
		case ".gz":
			r, err = gzip.NewReader(r)
		case ".zst":
			r, err = zstd.NewReader(r)
		}
		if err != nil {
			return err
		}
		if text, err = io.ReadAll(r); err != nil {
			return err
		}
		folder := filepath.Base(filepath.Dir(path))
		for line := range strings.Lines(string(text)) {
			h, err := snapshot.ReadHead([]byte(line), true)
			if err != nil {
				return err
			}
			name := fmt.Sprintf("%s/%s", h.ResourceType, h.ID)
			if _, ok := all[name]; ok || string(h.ResourceType) != folder {
				t.Errorf("%s is in %s, and twice: %v", name, path, ok)
			}
			all[name] = strings.TrimSuffix(line, "\n")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// shown is what an export should have: what the model knows of each resource.
func (m *model) shown(want func(Resource, known) bool) map[string]string {
	all := map[string]string{}
	for r, versions := range m.all {
		k := versions[m.last[r]]
		if k.text == "" || !want(r, k) {
			continue
		}
		res, err := m.lake.Read(r.Type, r.ID, nil)
		if err != nil || !k.has(res.Beside) {
			m.t.Fatalf("%v has %s beside it, %v; want %+v", r, res.Beside, err, k)
		}
		text, err := beside.AppendShown(nil, r.Type, []byte(k.text), res.Beside)
		if err != nil {
			m.t.Fatal(err)
		}
		for url, want := range map[string]bool{fhir.ValidationIssueURL: k.issues, fhir.DecorationURL: k.notes != ""} {
			if strings.Contains(string(text), `"url":"`+url+`"`) != want {
				m.t.Fatalf("%v is shown with %s: %v, want %v: %s", r, url, !want, want, text)
			}
		}
		all[fmt.Sprintf("%s/%s", r.Type, r.ID)] = string(text)
	}
	return all
}

func everything(Resource, known) bool { return true }

func TestAnExportHasWhatIsCurrentAsItIsShown(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := newModel(t, seed)
			for step := range 12 {
				switch m.rng.IntN(4) {
				case 0:
					m.load()
				case 1:
					m.compact()
				default:
					for range m.rng.IntN(20) {
						m.write()
					}
				}
				m.now = m.now.Add(time.Minute)
				if step%3 != 2 {
					continue
				}
				want := m.shown(everything)
				for _, f := range []ExportFormat{ExportNDJSON, ExportNDJSONGzip, ExportNDJSONZstd} {
					res, dir := m.export(ExportOptions{Format: f, FileBytes: 4000, Workers: 1 + m.rng.IntN(3)})
					if diff := cmp.Diff(want, exported(t, dir)); diff != "" {
						t.Fatalf("%s (-want +got):\n%s", f, diff)
					}
					if res.Resources != int64(len(want)) {
						t.Errorf("%s: %d resources, want %d", f, res.Resources, len(want))
					}
				}
				m.checkPart()
			}
		})
	}
}

// checkPart exports some of all.
func (m *model) checkPart() {
	m.t.Helper()
	since := clock.Add(time.Duration(m.rng.IntN(12)) * time.Minute)
	until := since.Add(time.Duration(1+m.rng.IntN(12)) * time.Minute)
	typ := modelTypes[m.rng.IntN(len(modelTypes))]
	_, dir := m.export(ExportOptions{
		Format: ExportNDJSONZstd, Since: since, Until: until, Types: func(t r4.TypeID) bool { return t == typ },
	})
	want := m.shown(func(r Resource, k known) bool {
		return r.Type == typ && k.updated >= since.UnixMicro() && k.updated < until.UnixMicro()
	})
	if diff := cmp.Diff(want, exported(m.t, dir)); diff != "" {
		m.t.Errorf("%s from %v to %v (-want +got):\n%s", typ, since, until, diff)
	}
}

func TestParquetOfAnExportHasTheSameResources(t *testing.T) {
	m := newModel(t, 7)
	for range 4 {
		m.load()
		m.now = m.now.Add(time.Minute)
		for range 20 {
			m.write()
		}
	}
	_, dir := m.export(ExportOptions{Format: ExportNDJSON})
	res, columns := m.export(ExportOptions{Format: ExportParquet})
	lines := exported(t, dir)
	got := map[string]bool{}
	for _, f := range res.Files {
		for id := range parquetIDs(t, filepath.Join(columns, filepath.FromSlash(f.Name))) {
			got[f.Type+"/"+id] = true
		}
	}
	for name := range lines {
		if !got[name] {
			t.Errorf("%s is in no Parquet file", name)
		}
	}
	if len(got) != len(lines) || res.Resources != int64(len(lines)) {
		t.Errorf("%d resources in Parquet, told of %d, want %d", len(got), res.Resources, len(lines))
	}
}

// parquetIDs gives the ids in a file.
func parquetIDs(t *testing.T, name string) map[string]bool {
	t.Helper()
	f, err := arrowfile.OpenParquetFile(name, false)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer f.Close()
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := r.ReadTable(context.Background())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer table.Release()
	ids := map[string]bool{}
	for _, part := range table.Column(table.Schema().FieldIndices("id")[0]).Data().Chunks() {
		for i := range part.Len() {
			ids[part.(*array.String).Value(i)] = true
		}
	}
	return ids
}

func TestExportOfAnImportOfAnExportIsTheSame(t *testing.T) {
	m := newModel(t, 3)
	for range 3 {
		m.load()
		m.now = m.now.Add(time.Minute)
		for range 30 {
			m.write()
		}
	}
	_, dir := m.export(ExportOptions{Format: ExportNDJSONZstd})
	// The issues that the model keeps are made up: the first import says what they are.
	all := []map[string]string{exported(t, dir)}
	for seed := range uint64(2) {
		next := newModel(t, 4+seed)
		o := next.f.opts
		o.Lake = next.lake
		if res, err := next.f.try(o, dir); err != nil || res.Imported != int64(len(all[0])) {
			t.Fatalf("imported %s, %v; want %d resources", counts(res), err, len(all[0]))
		}
		_, dir = next.export(ExportOptions{Format: ExportNDJSON})
		all = append(all, exported(t, dir))
	}
	if len(all[0]) == 0 || len(all[0]) != len(all[1]) || len(all[1]) != len(all[2]) {
		t.Fatalf("%d resources, then %d, then %d", len(all[0]), len(all[1]), len(all[2]))
	}
	for name := range all[0] {
		a, b := withoutVersion(decode(t, []byte(all[1][name]))), withoutVersion(decode(t, []byte(all[2][name])))
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s (-second +third):\n%s", name, diff)
		}
	}
}

func TestAnExportIsOfOneMoment(t *testing.T) {
	m := newModel(t, 1)
	m.real = true
	pair := func(n int) []lake.Write {
		var ws []lake.Write
		for _, typ := range []r4.TypeID{r4.TypeBasic, r4.TypePatient} {
			text := fmt.Sprintf(`{"resourceType":"%s","id":"twin","language":"n%d"}`, typ, n)
			w := lake.Write{Type: typ, ID: "twin", Method: delta.Update, Content: uint64(n)}
			w.Stamp = func(dst []byte, number uint32, updated string) []byte {
				at, _ := time.Parse(time.RFC3339, updated)
				return append(dst, withMeta(text, number, at.UnixMicro())...)
			}
			ws = append(ws, w)
		}
		return ws
	}
	commit := func(n int) error {
		_, err := m.lake.Commit(context.Background(), pair(n))
		return err
	}
	if err := commit(1); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 2; ctx.Err() == nil; n++ {
			if err := commit(n); err != nil {
				t.Error(err)
				return
			}
		}
	})
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := Compact(context.Background(), CompactOptions{Lake: m.lake}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 30 {
		_, dir := m.export(ExportOptions{Format: ExportNDJSONZstd})
		all := exported(t, dir)
		_, a, _ := strings.Cut(all["Basic/twin"], `"language":`)
		_, b, _ := strings.Cut(all["Patient/twin"], `"language":`)
		if a == "" || a != b {
			t.Fatalf("one is %s, the other %s", all["Basic/twin"], all["Patient/twin"])
		}
	}
	stop()
	wg.Wait()
}

func TestAFailedExportLeavesNothing(t *testing.T) {
	m := newModel(t, 2)
	m.load()
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context
		wrap func(blob.Output) blob.Output
	}{
		"canceled":  {canceled, func(o blob.Output) blob.Output { return o }},
		"disk full": {context.Background(), func(o blob.Output) blob.Output { return fullOutput{o} }},
	} {
		for _, f := range []ExportFormat{ExportNDJSON, ExportNDJSONZstd, ExportParquet} {
			t.Run(name+" "+string(f), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "out")
				out, err := blob.NewFolder(dir)
				if err != nil {
					t.Fatal(err)
				}
				_, err = Export(tc.ctx, ExportOptions{Lake: m.lake, Output: tc.wrap(out), Format: f, TempDir: m.f.opts.Root.TempDir})
				if !errors.Is(err, errNoRoom) && !errors.Is(err, context.Canceled) {
					t.Errorf("error: %v", err)
				}
				if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the folder is there: %v", err)
				}
			})
		}
	}
}

var errNoRoom = errors.New("no space left")

type fullOutput struct{ blob.Output }

func (f fullOutput) Create(name string) (blob.File, error) {
	w, err := f.Output.Create(name)
	return fullFile{w}, err
}

type fullFile struct{ blob.File }

func (fullFile) Write([]byte) (int, error) { return 0, errNoRoom }

func TestADamagedFileIsNotExported(t *testing.T) {
	for _, f := range []ExportFormat{ExportNDJSON, ExportNDJSONZstd} {
		t.Run(string(f), func(t *testing.T) {
			l := newLake(t)
			l.load(write(t, "in.ndjson", patient("one", "a"), patient("two", "b")))
			m, release, err := l.store.Current()
			if err != nil {
				t.Fatal(err)
			}
			name := l.store.Path(&m.Segments[0].Resources)
			release()
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			text[20] ^= 1
			if err := errors.Join(os.Chmod(name, 0o644), os.WriteFile(name, text, 0o644)); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "out")
			out, err := blob.NewFolder(dir)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Export(context.Background(), ExportOptions{Store: l.store, Output: out, Format: f})
			if err == nil || !strings.Contains(err.Error(), m.Segments[0].Resources.Path) {
				t.Errorf("error: %v, it should name %s", err, m.Segments[0].Resources.Path)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the folder is there: %v", err)
			}
		})
	}
}

// TestCurrentIsASource runs the contract of sources on a state with files and a delta.
func TestCurrentIsASource(t *testing.T) {
	m := newModel(t, 9)
	for range 3 {
		m.load()
		m.now = m.now.Add(time.Minute)
		for range 40 {
			m.write()
		}
	}
	pipetest.TestSource(t, func(t *testing.T) pipeline.Source {
		view, err := m.lake.View()
		if err != nil {
			t.Fatal(err)
		}
		src, err := lakesource.NewCurrent(lakesource.CurrentOptions{Store: m.f.store, Snapshot: view.Manifest(), Delta: view, Records: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(src.Close(), src.Release(), view.Close()); err != nil {
				t.Error(err)
			}
		})
		return src
	})
}

// TestBatchesAreBoundedAsTheyAreShown has documents that are several times as large when they
// are shown as they are stored.
func TestBatchesAreBoundedAsTheyAreShown(t *testing.T) {
	m := newModel(t, 1)
	m.f.opts.Lake, m.f.opts.Notes = m.lake, readBy(notes.Builtin(nlp.CoreIndex()))
	note := base64.StdEncoding.EncodeToString([]byte("No fever. Asthma and cough. " + strings.Repeat("The weather was fine. ", 90)))
	var lines []string
	for i := range 1200 {
		lines = append(lines, fmt.Sprintf(`{"resourceType":"DocumentReference","id":"d%d","status":"current","content":[{"attachment":{"contentType":"text/plain","data":"%s"}}]}`, i, note))
	}
	m.f.load(write(t, "in.ndjson", lines...))
	view, err := m.lake.View()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	src, err := lakesource.NewCurrent(lakesource.CurrentOptions{Store: m.f.store, Snapshot: view.Manifest(), Delta: view})
	if err != nil {
		t.Fatal(err)
	}
	sizes := &sizes{}
	if _, err := pipeline.Run(context.Background(), pipeline.Config{Source: src, Stages: []pipeline.Stage{src.Load()}, Sinks: []pipeline.Sink{sizes}}); err != nil {
		t.Fatal(err)
	}
	if sizes.all < 2*int64(len(strings.Join(lines, ""))) || sizes.most > 5<<19 {
		t.Errorf("%d bytes of %d are shown in batches of up to %d bytes, want 2.5 MiB at most", sizes.all, len(strings.Join(lines, "")), sizes.most)
	}
	if err := src.Release(); err != nil {
		t.Error(err)
	}
}

// sizes is a sink that looks at how large batches are.
type sizes struct{ all, most int64 }

func (*sizes) Name() string { return "sizes" }

func (s *sizes) Write(_ context.Context, b *pipeline.Batch) ([]pipeline.Task, error) {
	s.all += int64(len(b.Data))
	s.most = max(s.most, int64(len(b.Data)))
	return nil, nil
}

func (*sizes) Flush(context.Context) ([]pipeline.Task, error) { return nil, nil }
func (*sizes) Commit(context.Context) error                   { return nil }
func (*sizes) Close() error                                   { return nil }
