package identify

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/stages/parse"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

// memory is the Versions of a test.
type memory map[[2]uint64]Version

func (m memory) NewLookup() func([][2]uint64, []Version) error {
	return func(keys [][2]uint64, versions []Version) error {
		for i, k := range keys {
			versions[i] = m[k]
		}
		return nil
	}
}

// process parses and identifies lines, one record each.
func process(t *testing.T, versions Versions, lines ...string) *pipeline.Batch {
	t.Helper()
	return run(t, false, versions, lines...)
}

func run(t *testing.T, lenient bool, versions Versions, lines ...string) *pipeline.Batch {
	t.Helper()
	text := strings.Join(lines, "\n")
	b := &pipeline.Batch{Lenient: lenient, Data: append(make([]byte, 0, len(text)+16), text...)}
	at := 0
	for i, l := range lines {
		b.Records = append(b.Records, pipeline.Record{File: &pipeline.File{Name: "t.ndjson"}, Line: int64(i + 1), Start: uint32(at), End: uint32(at + len(l))})
		at += len(l) + 1
	}
	s, err := New(secret, versions, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range []pipeline.Stage{parse.New(), s} {
		w, err := st.NewWorker()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Process(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

const (
	basic      = `{"resourceType":"Basic","id":"a","code":{"text":"x"}}`
	basicOther = `{"resourceType":"Basic","id":"a","code":{"text":"y"}}`
	basicStamp = `{"resourceType":"Basic","id":"a","meta":{"versionId":"5","lastUpdated":"2020-01-01T00:00:00Z"},"code":{"text":"x"}}`
)

func TestVersionFollowsTheStore(t *testing.T) {
	first := process(t, nil, basic).Records[0]
	for name, tc := range map[string]struct {
		store memory
		line  string
		want  uint32
		state pipeline.Status
	}{
		"new":                             {memory{}, basic, 1, pipeline.Pending},
		"identical":                       {memory{first.Key: {Content: first.Content, Number: 3, HasRow: true}}, basic, 3, pipeline.Unchanged},
		"identical but for our own parts": {memory{first.Key: {Content: first.Content, Number: 3, HasRow: true}}, basicStamp, 3, pipeline.Unchanged},
		"changed":                         {memory{first.Key: {Content: first.Content, Number: 3, HasRow: true}}, basicOther, 4, pipeline.Pending},
		"changed, and the version is in no snapshot": {memory{first.Key: {Content: first.Content, Number: 3}}, basicOther, 4, pipeline.Pending},
		"after a delete that is in no snapshot":      {memory{first.Key: {Content: first.Content, Number: 3, Deleted: true, HasRow: true}}, basic, 4, pipeline.Pending},
		"after a delete":                             {memory{first.Key: {Content: first.Content, Number: 3, Deleted: true}}, basic, 4, pipeline.Pending},
	} {
		r := process(t, tc.store, tc.line).Records[0]
		if r.Version != tc.want || r.Status != tc.state {
			t.Errorf("%s: version %d, status %d, want %d, %d", name, r.Version, r.Status, tc.want, tc.state)
		}
		if replaces := tc.store[first.Key].HasRow; r.Replaces != replaces {
			t.Errorf("%s: Replaces = %v, want %v", name, r.Replaces, replaces)
		}
	}
}

func TestKeysTellTypesAndIDsApart(t *testing.T) {
	b := process(t, nil,
		`{"resourceType":"Basic","id":"a","code":{"text":"x"}}`,
		`{"resourceType":"Basic","id":"b","code":{"text":"x"}}`,
		`{"resourceType":"Patient","id":"a"}`,
		`{"id":"a","resourceType":"Patient","active":true}`,
	)
	seen := map[[2]uint64]int{}
	for i := range b.Records {
		seen[b.Records[i].Key]++
	}
	if len(seen) != 3 || b.Records[2].Key != b.Records[3].Key {
		t.Errorf("%d different keys, want 3: the last two are one resource", len(seen))
	}
	other, err := New([]byte("another secret, of 32 bytes too!"), nil, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	key := b.Records[0].Key
	w, _ := other.NewWorker()
	if err := w.Process(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	if b.Records[0].Key == key {
		t.Error("the key does not depend on the secret")
	}
}

func TestMissingIDIsRejected(t *testing.T) {
	b := process(t, nil, `{"resourceType":"Patient","active":true}`, basic)
	if b.Records[0].Status != pipeline.Rejected || len(b.Issues) != 1 {
		t.Fatalf("status %d with issues %v, want a reject", b.Records[0].Status, b.Issues)
	}
	if is := b.Issues[0]; is.Expression != "Patient.id" || is.Code != fhir.CodeRequired || !strings.Contains(is.Diagnostics, "missing id") {
		t.Errorf("issue %+v", is)
	}
	if b.Records[1].Status != pipeline.Pending {
		t.Error("the record after it was touched")
	}
}

func TestLenientBatchKeepsAllThatHasAnIdentity(t *testing.T) {
	for name, tc := range map[string]struct {
		line, expression, why string // "" : it is stored
	}{
		"an unknown element":            {line: `{"resourceType":"Patient","id":"a","gendr":"x"}`},
		"a missing element":             {line: `{"resourceType":"Basic","id":"a"}`},
		"a repeated element":            {line: `{"resourceType":"Patient","id":"a","gender":"male","gender":"female"}`},
		"the id inside is repeated":     {line: `{"resourceType":"Patient","id":"a","name":[{"id":"x","id":"y"}]}`},
		"an extension of the id":        {line: `{"resourceType":"Patient","id":"a","_id":{"extension":[{}]}}`},
		"no id":                         {`{"resourceType":"Patient"}`, "Patient.id", "missing id"},
		"an id that is no string":       {`{"resourceType":"Patient","id":7}`, "Patient.id", "missing id"},
		"an empty id":                   {`{"resourceType":"Patient","id":""}`, "Patient.id", "not valid"},
		"an id with a space":            {`{"resourceType":"Patient","id":"a b"}`, "Patient.id", "not valid"},
		"an id of 65 letters":           {`{"resourceType":"Patient","id":"` + strings.Repeat("a", 65) + `"}`, "Patient.id", "not valid"},
		"two ids":                       {`{"resourceType":"Patient","id":"a","i\u0064":"b"}`, "Patient", "'id' occurs twice"},
		"two ids, one of them no id":    {`{"resourceType":"Patient","id":"a","id":{}}`, "Patient", "'id' occurs twice"},
		"two types":                     {`{"resourceType":"Patient","id":"a","resourceType":"Basic"}`, "Patient", "'resourceType' occurs twice"},
		"two metas":                     {`{"resourceType":"Patient","id":"a","meta":{"source":"urn:a"},"meta":{"source":"urn:b"}}`, "Patient", "'meta' occurs twice"},
		"a meta that is no object":      {`{"resourceType":"Patient","id":"a","meta":["x"]}`, "Patient.meta", "no object"},
		"an unknown type":               {`{"resourceType":"Patien","id":"a"}`, "", "unknown resource type"},
		"no type":                       {`{"id":"a"}`, "", "no resourceType"},
		"no object":                     {`["a"]`, "", "found an array"},
		"no JSON":                       {`{"resourceType":"Patient","id":"a"`, "Patient", "text ends"},
		"an abstract type":              {`{"resourceType":"DomainResource","id":"a"}`, "", "unknown resource type"},
		"more levels than there may be": {`{"resourceType":"Patient","id":"a","x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, "Patient", "levels"},
	} {
		b := run(t, true, nil, tc.line)
		r := &b.Records[0]
		if tc.why == "" {
			if r.Status != pipeline.Pending || !r.Flawed || r.Version != 1 {
				t.Errorf("%s: status %d with %v, want it to be kept with its issues", name, r.Status, b.Issues)
			}
			continue
		}
		last := b.Issues[len(b.Issues)-1]
		if r.Status != pipeline.Rejected || last.Expression != tc.expression || !strings.Contains(last.Diagnostics, tc.why) {
			t.Errorf("%s: status %d with %+v, want a reject with %q", name, r.Status, last, tc.why)
		}
	}
}

type broken struct{}

func (broken) NewLookup() func([][2]uint64, []Version) error {
	return func([][2]uint64, []Version) error { return errDiskGone }
}

var errDiskGone = errors.New("disk gone")

func TestFailingLookupEndsTheJob(t *testing.T) {
	s, err := New(secret, broken{}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	b := process(t, nil, basic)
	w, _ := s.NewWorker()
	if err := w.Process(context.Background(), b); !errors.Is(err, errDiskGone) {
		t.Errorf("got %v, want the lookup's error", err)
	}
}

func TestIdentifyAllocatesNothing(t *testing.T) {
	b := process(t, nil, basic, basicStamp)
	s, _ := New(secret, memory{}, time.Unix(0, 0))
	w, _ := s.NewWorker()
	if n := testing.AllocsPerRun(100, func() {
		if err := w.Process(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations a batch, want none", n)
	}
}

func TestContract(t *testing.T) {
	s, err := New(secret, memory{}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	pipetest.TestStage(t, s, func(*testing.T) pipeline.Source {
		return pipetest.Lines("in.ndjson", strings.Repeat(basic+"\n"+basicStamp+"\n{}\n", 500), 8<<10)
	}, parse.New())
}
