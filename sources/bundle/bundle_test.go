package bundle_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/pipeline/pipetest"
	"github.com/fhirlake/fhirlake/sources/bundle"
)

// lines is a source of one batch; a line that starts with DOC is a document,
// one that starts with REJECT is rejected.
type lines struct{ text string }

var file = &pipeline.File{Name: "in.ndjson"}

func (s *lines) Next(ctx context.Context, b *pipeline.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.text == "" {
		return io.EOF
	}
	b.Input = int64(len(s.text))
	n := int64(0)
	for l := range strings.Lines(s.text) {
		n++
		l = strings.TrimSuffix(l, "\n")
		text, document := strings.CutPrefix(l, "DOC")
		text, rejected := strings.CutPrefix(text, "REJECT")
		start := len(b.Data)
		b.Data = append(b.Data, text...)
		b.Records = append(b.Records, pipeline.Record{
			File: file, Line: n, Entry: -1, Document: document,
			Start: uint32(start), End: uint32(len(b.Data)), Root: fhir.NoNode,
		})
		if rejected {
			b.AddIssue(len(b.Records)-1, fhir.Issue{Severity: fhir.Fatal, Code: fhir.CodeTooLong})
		}
	}
	s.text = ""
	b.Pad()
	return nil
}

func (s *lines) Close() error { return nil }

// unwrap gives the records as LINE[ENTRY] TEXT.
func unwrap(t testing.TB, text string) (records []string, input int64, batches int, src *bundle.Source) {
	t.Helper()
	src = bundle.Unwrap(&lines{text})
	var b pipeline.Batch
	for {
		b.Reset()
		err := src.Next(context.Background(), &b)
		if err == io.EOF {
			return records, input, batches, src
		}
		if err != nil {
			t.Fatal(err)
		}
		issues := map[int]string{}
		for _, is := range b.Issues {
			issues[is.Record] = is.Code
		}
		for i := range b.Records {
			r := &b.Records[i]
			s := fmt.Sprintf("%d", r.Line)
			if r.Entry >= 0 {
				s += fmt.Sprintf("[%d]", r.Entry)
			}
			records = append(records, strings.TrimSpace(s+issues[i]+" "+string(b.Line(r))))
		}
		input += b.Input
		batches++
		data := b.Data[:cap(b.Data)]
		for i := range data {
			data[i] = pipeline.PoisonByte
		}
	}
}

func TestUnwrap(t *testing.T) {
	const uuid = "5cbc121b-cd71-4428-b8b7-31e53eba8184"
	tests := []struct {
		name, text string
		want       []string
	}{
		{"no-bundle", `{"resourceType":"Patient","id":"a"}`, []string{`1 {"resourceType":"Patient","id":"a"}`}},
		{"word-in-text", `{"id":"a","resourceType":"Basic","x":"Bundle"}`, []string{`1 {"id":"a","resourceType":"Basic","x":"Bundle"}`}},
		{
			"with-id-is-a-resource", `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Basic"}}],"id":"b"}`,
			[]string{`1 {"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Basic"}}],"id":"b"}`},
		},
		{
			"document-with-id-is-unwrapped", `DOC{"resourceType":"Bundle","id":"b","type":"collection","entry":[{"resource":{"resourceType":"Basic","id":"x"}}]}`,
			[]string{`1[0] {"resourceType":"Basic","id":"x"}`},
		},
		{
			"fhir-document-with-id-passes", `DOC{"resourceType":"Bundle","id":"b","type":"document","entry":[{"resource":{"resourceType":"Basic","id":"x"}}]}`,
			[]string{`1 {"resourceType":"Bundle","id":"b","type":"document","entry":[{"resource":{"resourceType":"Basic","id":"x"}}]}`},
		},
		{
			"fhir-document-without-id-is-unwrapped", `DOC{"resourceType":"Bundle","type":"document","entry":[{"resource":{"resourceType":"Basic","id":"x"}}]}`,
			[]string{`1[0] {"resourceType":"Basic","id":"x"}`},
		},
		{
			"type-not-first", "{\"type\" : \"batch\", \"entry\": [ { \"resource\" : {\"id\":\"x\",  \"resourceType\":\"Basic\"} } ] , \"resourceType\" :\t\"Bundle\" }",
			[]string{`1[0] {"id":"x",  "resourceType":"Basic"}`},
		},
		{
			"urn", `{"resourceType":"Bundle","entry":[
{"fullUrl":"urn:uuid:` + uuid + `","resource":{"resourceType":"Patient","gender":"male"}},
{"fullUrl":"urn:uuid:2","resource":{"resourceType":"Basic","id":"b2","subject":{"reference" : "urn:uuid:` + uuid + `"},"a":{"reference":"urn:uuid:none"},"author":{"reference":"Practitioner?identifier=x|1"},"uri":"urn:uuid:` + uuid + `","text":"\"reference\":\"urn:uuid:` + uuid + `\""}},
{"resource":{"resourceType":"Basic","id":"b3","p":[{"reference":"urn:uuid:2"},{"reference":"urn:uuid:` + uuid + `"}]}}]}`,
			[]string{
				`1[0] {"resourceType":"Patient","id":"` + uuid + `","gender":"male"}`,
				`1[1] {"resourceType":"Basic","id":"b2","subject":{"reference" : "Patient/` + uuid + `"},"a":{"reference":"urn:uuid:none"},"author":{"reference":"Practitioner?identifier=x|1"},"uri":"urn:uuid:` + uuid + `","text":"\"reference\":\"urn:uuid:` + uuid + `\""}`,
				`1[2] {"resourceType":"Basic","id":"b3","p":[{"reference":"Basic/b2"},{"reference":"Patient/` + uuid + `"}]}`,
			},
		},
		{
			"ids-from-urls", `{"resourceType":"Bundle","entry":[
{"resource":{"resourceType":"Patient"},"request":{"method":"PUT","url":"Patient/p1"}},
{"fullUrl":"http:\/\/host\/r4\/Patient\/p2","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}},
{"fullUrl":"http://host/r4/Basic/p3","resource":{"resourceType":"Patient"}},
{"fullUrl":"urn:uuid:not valid","resource":{"resourceType":"Patient"}}]}`,
			[]string{
				`1[0] {"resourceType":"Patient","id":"p1"}`, `1[1] {"resourceType":"Patient","id":"p2"}`,
				`1[2] {"resourceType":"Patient"}`, `1[3] {"resourceType":"Patient"}`,
			},
		},
		{
			"ignored", `{"resourceType":"Bundle","entry":[
{"request":{"method":"DELETE","url":"Patient/p1"}},
{"resource":{"resourceType":"Patient","id":"p"},"request":{"method":"DELETE","url":"Patient/p"}},
{"resource":{"resourceType":"Patient","id":"p"},"request":{"method":"GET","url":"Patient/p"}},
{"response":{"status":"200"}}, {},
{"resource":{"resourceType":"Patient","id":"q"},"request":{"method":"POST"}}]}`,
			[]string{`1[5] {"resourceType":"Patient","id":"q"}`},
		},
		{
			"entry-twice", `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Basic","id":"a"}}],"entry":[{"resource":{"resourceType":"Basic","id":"b"}}]}`,
			[]string{`1[0] {"resourceType":"Basic","id":"a"}`, `1[0] {"resourceType":"Basic","id":"b"}`},
		},
		{"no-entries", `{"resourceType":"Bundle","entry":[]}` + "\n" + `{"resourceType":"Bundle"}`, nil},
		{"broken", `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Basic"}]}`, []string{`1 {"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Basic"}]}`}},
		{"tail", `{"resourceType":"Bundle","entry":[]} x`, []string{`1 {"resourceType":"Bundle","entry":[]} x`}},
		{"cut", `{"resourceType":"Bundle","entry":[{"resource":{"id":"a`, []string{`1 {"resourceType":"Bundle","entry":[{"resource":{"id":"a`}},
		{
			"mixed", "{\"resourceType\":\"Basic\"}\nREJECT\n{\"resourceType\":\"Bundle\",\"entry\":[{\"resource\":{\"resourceType\":\"Basic\",\"id\":\"x\"}}]}\nREJECT\n{}\n{\"resourceType\":\"Bundle\",\"entry\":[{\"resource\":{\"id\":1}}]}",
			[]string{`1 {"resourceType":"Basic"}`, `2too-long`, `3[0] {"resourceType":"Basic","id":"x"}`, `4too-long`, `5 {}`, `6[0] {"id":1}`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.text
			if tt.name != "mixed" && tt.name != "no-entries" {
				text = strings.ReplaceAll(text, "\n", " ")
			}
			got, input, _, _ := unwrap(t, text)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if input != int64(len(text)) {
				t.Errorf("input %d, want %d", input, len(text))
			}
		})
	}
	if _, _, _, src := unwrap(t, strings.ReplaceAll(tests[9].text, "\n", " ")); src.Ignored() != 5 {
		t.Errorf("%s: ignored %d entries, want 5", tests[9].name, src.Ignored())
	}
}

func TestIsASource(t *testing.T) {
	text := bigBundle(3000) + "\n{}\nREJECT\n" + bigBundle(3)
	pipetest.TestSource(t, func(*testing.T) pipeline.Source {
		return bundle.Unwrap(&lines{text})
	})
}

// A big Bundle is spread over several batches.
func TestUnwrapBig(t *testing.T) {
	text := bigBundle(5000)
	got, input, batches, _ := unwrap(t, text)
	if len(got) != 5000 || input != int64(len(text)) || batches < 4 {
		t.Errorf("%d records, input %d of %d, %d batches", len(got), input, len(text), batches)
	}
	for i, g := range got {
		want := fmt.Sprintf(`1[%d] {"resourceType":"Observation","id":"u-%d","subject":{"reference":"Observation/u-0"},`, i, i)
		if !strings.HasPrefix(g, want) {
			t.Fatalf("record %d: %.150s", i, g)
		}
	}
}

func bigBundle(n int) string {
	var b strings.Builder
	b.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"fullUrl":"urn:uuid:u-%d","resource":{"resourceType":"Observation","subject":{"reference":"urn:uuid:u-0"},"note":[{"text":"%s"}]}}`,
			i, strings.Repeat("some words ", 80))
	}
	b.WriteString("]}")
	return b.String()
}

func BenchmarkUnwrap(b *testing.B) {
	for _, bb := range []struct{ name, text string }{
		{"bundle", bigBundle(20000)},
		{"lines", strings.Repeat(`{"resourceType":"Observation","id":"a","note":"`+strings.Repeat("some words ", 100)+"\"}\n", 900)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(bb.text)))
			b.ReportAllocs()
			var batch pipeline.Batch
			for b.Loop() {
				src := bundle.Unwrap(&lines{bb.text})
				for {
					batch.Reset()
					if err := src.Next(context.Background(), &batch); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// Any text passes or is taken apart without a panic, and every byte of input is
// accounted for.
func FuzzUnwrap(f *testing.F) {
	f.Add(`{"resourceType":"Bundle","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Basic","id":"x","a":{"reference":"urn:uuid:1"}}}]}`)
	f.Add(`{"a":"\\\"","resourceType":"Bundle","entry":[{"resource":{}},{}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		if _, input, _, _ := unwrap(t, text); input != int64(len(text)) {
			t.Errorf("input %d of %d", input, len(text))
		}
	})
}
