package notes_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/entity"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/parse"
)

func builtin() (notes.Reading, error) { return notes.Reading{Provider: core}, nil }

var core = notes.Builtin(nlp.CoreIndex())

// read runs the stage on resources of one batch and gives what it leaves, by the number of the
// resource.
func read(t testing.TB, o notes.Options, resources ...string) map[int]string {
	t.Helper()
	if o.Reading == nil {
		o.Reading = builtin
	}
	chain, err := pipeline.NewChain(parse.New(), notes.New(o))
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	b := batch(resources...)
	if err := chain.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return resultsOf(b)
}

func batch(resources ...string) *pipeline.Batch {
	b := &pipeline.Batch{Lenient: true}
	for i, r := range resources {
		start := len(b.Data)
		b.Data = append(append(b.Data, r...), '\n')
		b.Records = append(b.Records, pipeline.Record{
			Line: int64(i) + 1, Offset: int64(start), Entry: -1, Start: uint32(start), End: uint32(len(b.Data) - 1), Root: fhir.NoNode,
		})
	}
	b.Pad()
	b.Input = int64(len(b.Data))
	return b
}

func resultsOf(b *pipeline.Batch) map[int]string {
	out := map[int]string{}
	results := pipeline.Notes.Of(b)
	for _, r := range results.Of {
		out[r.Record] = string(results.Data[r.Start:r.End])
	}
	return out
}

// document is a DocumentReference with attachments.
func document(attachments ...string) string {
	return `{"resourceType":"DocumentReference","id":"d","status":"current","content":[{"attachment":` +
		strings.Join(attachments, `},{"attachment":`) + `}]}`
}

func inline(kind, text string) string {
	return fmt.Sprintf(`{"contentType":%q,"data":"%s"}`, kind, base64.StdEncoding.EncodeToString([]byte(text)))
}

// said gives a line for each text: its path, status, message and the texts of its entities.
func said(t testing.TB, data string) []string {
	t.Helper()
	r, err := new(entity.Reader).Read([]byte(data))
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	var out []string
	for i := range r.Texts {
		x := &r.Texts[i]
		line := fmt.Sprintf("%s %s", x.Path, x.Status)
		if len(x.Message) > 0 {
			line += fmt.Sprintf(" %s", x.Message)
		}
		for k := range x.Entities {
			line += fmt.Sprintf(" [%s]", x.Entities[k].Text)
		}
		out = append(out, line)
	}
	return out
}

// binaries are those of a data store.
type binaries map[string]string

func (b binaries) Binary(_ context.Context, id string) (string, []byte, bool, error) {
	if id == "broken" {
		return "", nil, false, errors.New("the disk is gone")
	}
	text, ok := b[id]
	return "text/plain", []byte(base64.StdEncoding.EncodeToString([]byte(text))), ok, nil
}

func TestNotesAreRead(t *testing.T) {
	fever := inline("text/plain", "No fever.")
	store := notes.Options{Datastore: "abc", Binaries: binaries{"b1": "Fever."}}
	for name, c := range map[string]struct {
		o        notes.Options
		resource string
		want     []string // nil: there is no result
	}{
		"plain text":           {resource: document(fever), want: []string{"content[0].attachment SUCCESS [fever]"}},
		"several attachments":  {resource: document(fever, inline("text/plain", "Asthma.")), want: []string{"content[0].attachment SUCCESS [fever]", "content[1].attachment SUCCESS [Asthma]"}},
		"nothing found":        {resource: document(inline("text/plain", "Hello there")), want: []string{"content[0].attachment SUCCESS"}},
		"without content type": {resource: document(`{"data":"` + base64.StdEncoding.EncodeToString([]byte("Fever.")) + `"}`), want: []string{"content[0].attachment SUCCESS [Fever]"}},
		"an image": {
			resource: document(inline("image/png", "\x89PNG"), fever),
			want:     []string{"content[0].attachment UNSUPPORTED content type image/png is not read", "content[1].attachment SUCCESS [fever]"},
		},
		"no base64":            {resource: document(`{"contentType":"text/plain","data":"*"}`), want: []string{"content[0].attachment VALIDATION_ERROR the data is broken: the data is not base64"}},
		"HTML":                 {resource: document(inline("text/html", "<p>No <b>fever</b>.</p>")), want: []string{"content[0].attachment SUCCESS [fever]"}},
		"Latin-1":              {resource: document(inline("text/plain; charset=iso-8859-1", "M\xe9ni\xe8re disease")), want: []string{"content[0].attachment SUCCESS [Ménière disease]"}},
		"neither data nor url": {resource: document(`{"title":"x"}`)},
		"a Binary":             {o: store, resource: document(`{"url":"Binary/b1"}`), want: []string{"content[0].attachment SUCCESS [Fever]"}},
		"a version of it":      {o: store, resource: document(`{"url":"Binary/b1/_history/3"}`), want: []string{"content[0].attachment SUCCESS [Fever]"}},
		"by its whole URL":     {o: store, resource: document(`{"url":"https://h/datastore/abc/r4/Binary/b1"}`), want: []string{"content[0].attachment SUCCESS [Fever]"}},
		"of another data store": {
			o: store, resource: document(`{"url":"https://h/datastore/other/r4/Binary/b1"}`),
			want: []string{"content[0].attachment UNSUPPORTED its url is of no Binary of this data store; what is elsewhere is not fetched"},
		},
		"of another path":      {o: store, resource: document(`{"url":"Binary/b1/../x"}`), want: []string{"content[0].attachment UNSUPPORTED its url is of no Binary of this data store; what is elsewhere is not fetched"}},
		"a Binary that is not": {o: store, resource: document(`{"url":"Binary/b2"}`), want: []string{"content[0].attachment UNSUPPORTED " + notes.Absent}},
		"another type":         {resource: `{"resourceType":"DiagnosticReport","id":"r","status":"final","code":{"text":"x"},"presentedForm":[` + fever + `]}`},
		"a report that is to be read": {
			o:        notes.Options{Reading: func() (notes.Reading, error) { return notes.Reading{Provider: core, Reports: true}, nil }},
			resource: `{"resourceType":"DiagnosticReport","id":"r","status":"final","code":{"text":"x"},"presentedForm":[` + fever + `]}`,
			want:     []string{"presentedForm[0] SUCCESS [fever]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := read(t, c.o, c.resource)[0]
			if !ok {
				if c.want != nil {
					t.Error("there is no result")
				}
				return
			}
			if diff := cmp.Diff(c.want, said(t, got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBinaryOfTheSameBatchIsRead(t *testing.T) {
	binary := `{"resourceType":"Binary","id":"b9","contentType":"text/plain","data":"` + base64.StdEncoding.EncodeToString([]byte("Fever.")) + `"}`
	got := read(t, notes.Options{}, document(`{"url":"Binary/b9"}`), binary)
	if diff := cmp.Diff([]string{"content[0].attachment SUCCESS [Fever]"}, said(t, got[0])); diff != "" {
		t.Error(diff)
	}
}

func TestErrorOfTheStoreEndsTheJob(t *testing.T) {
	chain, err := pipeline.NewChain(parse.New(), notes.New(notes.Options{Reading: builtin, Binaries: binaries{}}))
	if err != nil {
		t.Fatal(err)
	}
	err = chain.Process(t.Context(), batch(document(`{"url":"Binary/broken"}`)))
	if err == nil || !strings.Contains(err.Error(), "the disk is gone") || !strings.Contains(err.Error(), "nlp") {
		t.Error(err)
	}
}

func TestResultNamesWhatMadeIt(t *testing.T) {
	got := read(t, notes.Options{}, document(inline("text/plain", "x")))[0]
	want := fmt.Sprintf(`{"engine":%q,"dictionary":%q,"texts":[{"path":"content[0].attachment","status":"SUCCESS"}]}`, nlp.Version, nlp.CoreIndex().Version())
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestNothingIsReadOfStoredBatchesAndWhenItIsOff(t *testing.T) {
	off := notes.Options{Reading: func() (notes.Reading, error) { return notes.Reading{}, nil }}
	if got := read(t, off, document(inline("text/plain", "Fever."))); len(got) > 0 {
		t.Error(got)
	}
	chain, err := pipeline.NewChain(parse.New(), notes.New(notes.Options{Reading: builtin}))
	if err != nil {
		t.Fatal(err)
	}
	b := batch(document(inline("text/plain", "Fever.")))
	b.Stored = true
	if err := chain.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := resultsOf(b); len(got) > 0 {
		t.Error(got)
	}
}

// failing is a provider whose texts fail.
type failing struct{ err error }

func (f *failing) Version() (string, string)        { return "f", "1" }
func (f *failing) NewReader() (notes.Reader, error) { return f, nil }
func (f *failing) Append(_ context.Context, dst, text []byte) ([]byte, error) {
	if strings.Contains(string(text), "fail") {
		return append(dst, `{"text":"half`...), f.err
	}
	return append(dst, `{"text":"x"}`...), nil
}

func TestFailureOfOneTextIsToldAndTheOthersAreRead(t *testing.T) {
	p := &failing{errors.New("the service is away")}
	o := notes.Options{Reading: func() (notes.Reading, error) { return notes.Reading{Provider: p}, nil }}
	got := read(t, o, document(inline("text/plain", "fail"), inline("text/plain", "go on")))[0]
	want := []string{"content[0].attachment VALIDATION_ERROR the service is away", "content[1].attachment SUCCESS [x]"}
	if diff := cmp.Diff(want, said(t, got)); diff != "" {
		t.Error(diff)
	}
}

func TestLongTextIsReadInPartsWithItsOwnOffsets(t *testing.T) {
	line := "Blutdrück was fine, häufig dyspnea und Ödem; no fever today.\n"
	text := strings.Repeat(line, 3<<20/len(line))
	got := read(t, notes.Options{}, document(inline("text/plain", text)))[0]
	r, err := new(entity.Reader).Read([]byte(got))
	if err != nil {
		t.Fatal(err)
	}
	runes := []rune(text)
	entities := r.Texts[0].Entities
	for k := range entities {
		e := &entities[k]
		if e.End > len(runes) || string(runes[e.Begin:e.End]) != string(e.Text) {
			t.Fatalf("entity %d says %q at %d to %d", k, e.Text, e.Begin, e.End)
		}
	}
	if want := 2 * strings.Count(text, "fever"); len(entities) < want {
		t.Errorf("%d entities, want %d at least", len(entities), want)
	}
}

// FuzzStage holds that whatever an attachment has, the result is one that can be read, and
// that each entity is at its place when the text is plain.
func FuzzStage(f *testing.F) {
	f.Add("text/plain", []byte("No fever. Ödem, 10 mg lisinopril daily."))
	f.Add("text/html", []byte("<p>No <b>fever"))
	f.Add("application/rtf", []byte(`{\rtf1 No fever.\par}`))
	f.Add("", []byte{0xff, 0xfe, 'f', 0})
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		attachment := string(fhir.AppendQuoted([]byte(`{"contentType":`), kind)) + `,"data":"` + base64.StdEncoding.EncodeToString(data) + `"}`
		got, ok := read(t, notes.Options{}, document(attachment))[0]
		if !ok {
			return
		}
		r, err := new(entity.Reader).Read([]byte(got))
		if err != nil {
			t.Fatalf("%v: %s", err, got)
		}
		if kind != "text/plain" || !utf8.Valid(data) || strings.HasPrefix(string(data), "\uFEFF") || len(r.Texts) == 0 || strings.ContainsRune(string(data), 0) {
			return
		}
		runes := []rune(string(data))
		for k := range r.Texts[0].Entities {
			if e := &r.Texts[0].Entities[k]; string(runes[e.Begin:e.End]) != string(e.Text) {
				t.Errorf("entity %d says %q at %d to %d of %q", k, e.Text, e.Begin, e.End, data)
			}
		}
	})
}

func TestResultOfAResourceIsBounded(t *testing.T) {
	list := strings.Repeat("Fever, asthma, cough. ", 60_000)
	fever := inline("text/plain", "No fever.")
	const tooMuch = "VALIDATION_ERROR more is found than the 32 MiB that are kept of a resource"
	for name, c := range map[string]struct {
		resource string
		want     []string // of each text, without its entities
	}{
		"one text":                       {document(inline("text/plain", list)), []string{tooMuch}},
		"what came before is kept":       {document(fever, inline("text/plain", list)), []string{"SUCCESS", tooMuch}},
		"what comes after is not read":   {document(inline("text/plain", list), fever), []string{tooMuch, tooMuch}},
		"texts that are too many as one": {document(inline("text/plain", list[:len(list)/2]), inline("text/plain", list[:len(list)/2])), []string{"SUCCESS", tooMuch}},
	} {
		data := read(t, notes.Options{}, c.resource)[0]
		if len(data) > notes.MaxResult+4096 {
			t.Errorf("%s: %d bytes", name, len(data))
		}
		r, err := new(entity.Reader).Read([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range r.Texts {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s", r.Texts[i].Status, r.Texts[i].Message)))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
