package load

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/attachment"
	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/store/disk"
)

// NLPOptions says what to measure.
type NLPOptions struct {
	Program string // for the loading of the dictionary, in processes of its own
	Notes   []Note
	Terms   []terminology.Term
	Runs    int     // of each; 0: 1
	Seconds float64 // of a run, at least; 0: one pass over the notes
	Work    string  // folder for the compiled dictionary
	Report  func(what string, value float64)
}

// NLPResult is what reading notes costs. Megabytes are 1e6 bytes of the text of the notes,
// seconds are those of processor time of the process, which works on one core.
type NLPResult struct {
	Notes         int        `json:"notes"`
	TextBytes     int64      `json:"textBytes"`
	Terms         int        `json:"terms"` // different texts that the dictionary finds
	Entities      int64      `json:"entities"`
	EncodedBytes  int64      `json:"encodedBytes"`  // of the entities as they are kept
	PlainPhrases  int64      `json:"plainPhrases"`  // that the plain twin finds
	FileBytes     int64      `json:"fileBytes"`     // of the compiled dictionary
	CompileMillis float64    `json:"compileMillis"` // of making it
	Rates         []NLPRates `json:"rates"`
	Load          NLPLoad    `json:"load"`
}

// NLPRates are the runs of one way to read the notes, in turn with those of the others.
type NLPRates struct {
	What   string    `json:"what"`
	Runs   []float64 `json:"megabytesPerSecond"`
	Median float64   `json:"medianMegabytesPerSecond"`
}

// NLPLoad is what the dictionary costs to load from its file, a process each.
type NLPLoad struct {
	Millis       []float64 `json:"millis"`
	MedianMillis float64   `json:"medianMillis"`
	// ResidentBytes are those that the process has more in memory afterwards, the median. They
	// are pages of the file for the most part, which all processes share. -1 where
	// the system does not say.
	ResidentBytes int64 `json:"residentBytes"`
}

// The ways to read notes.
const (
	nlpText  = "text, entities in memory"
	nlpWhole = "base64 in, entities as JSON out"
	nlpPlain = "plain twin: phrases by a map, no context"
)

// NLP measures the reading of notes on one core.
func NLP(ctx context.Context, o NLPOptions) (*NLPResult, error) {
	if len(o.Notes) == 0 {
		return nil, fmt.Errorf("bench nlp: there are no notes")
	}
	r := &NLPResult{Notes: len(o.Notes)}
	for i := range o.Notes {
		r.TextBytes += int64(len(o.Notes[i].Text))
	}
	begun := time.Now()
	index := terminology.Compile(o.Terms)
	r.CompileMillis = millis(time.Since(begun))
	r.Terms = index.Len()
	if err := r.readNotes(ctx, o, index); err != nil {
		return nil, fmt.Errorf("bench nlp: %w", err)
	}
	if err := r.loads(ctx, o, index); err != nil {
		return nil, fmt.Errorf("bench nlp: load: %w", err)
	}
	return r, nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// readNotes measures the ways to read the notes, in turn.
func (r *NLPResult) readNotes(ctx context.Context, o NLPOptions, index *terminology.Index) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	reader, err := notes.Builtin(index).NewReader()
	if err != nil {
		return err
	}
	detector := nlp.NewDetector(index)
	twin := newPhraseMap(o.Terms)
	var decoder attachment.Decoder
	var buf []byte
	ways := []struct {
		what  string
		found *int64 // what read gives, of all notes
		read  func(*Note) (found int, err error)
	}{
		{nlpText, &r.Entities, func(n *Note) (int, error) { return len(detector.Detect(n.Text).Entities), nil }},
		{nlpWhole, &r.EncodedBytes, func(n *Note) (int, error) {
			data, err := decoder.Base64(n.Base64)
			if err != nil {
				return 0, err
			}
			text, err := decoder.Text(n.ContentType, data)
			if err != nil {
				return 0, err
			}
			buf, err = reader.Append(ctx, buf[:0], text)
			return len(buf), err
		}},
		{nlpPlain, &r.PlainPhrases, func(n *Note) (int, error) { return twin.count(n.Text), nil }},
	}
	for _, w := range ways {
		r.Rates = append(r.Rates, NLPRates{What: w.what})
	}
	for range max(o.Runs, 1) {
		for i, w := range ways {
			*w.found = 0
			n, seconds, err := passes(ctx, o, func(note *Note) error {
				found, err := w.read(note)
				*w.found += int64(found)
				return err
			})
			if err != nil {
				return err
			}
			*w.found /= int64(n)
			rate := float64(r.TextBytes) * float64(n) / 1e6 / max(seconds, 1e-6)
			r.Rates[i].Runs = append(r.Rates[i].Runs, rate)
			if o.Report != nil {
				o.Report(w.what+", MB/s", rate)
			}
		}
	}
	for i := range r.Rates {
		r.Rates[i].Median = median(r.Rates[i].Runs)
	}
	return nil
}

// passes reads all notes again and again, for so long as a run takes, in processor time.
func passes(ctx context.Context, o NLPOptions, read func(*Note) error) (n int, seconds float64, err error) {
	runtime.GC() // what another way has left is not this one's
	begun := processorSeconds()
	for n == 0 || seconds < o.Seconds {
		for i := range o.Notes {
			if err := read(&o.Notes[i]); err != nil {
				return 0, 0, fmt.Errorf("note %d: %w", i+1, err)
			}
		}
		if n++; ctx.Err() != nil {
			return 0, 0, ctx.Err()
		}
		seconds = processorSeconds() - begun
	}
	return n, seconds, nil
}

// loads measures the loading of the dictionary's file.
func (r *NLPResult) loads(ctx context.Context, o NLPOptions, index *terminology.Index) error {
	file := filepath.Join(o.Work, "dictionary")
	data := index.Append(nil)
	r.FileBytes = int64(len(data))
	if err := os.WriteFile(file, data, 0o644); err != nil {
		return err
	}
	defer os.Remove(file)
	var resident []float64
	for range max(o.Runs, 1) {
		text, _, err := runProcess(ctx, o.Program, []string{"bench", "nlp-load", file}, 0)
		if err != nil {
			return err
		}
		var one LoadedDictionary
		if err := json.Unmarshal(lastLine(text), &one); err != nil {
			return fmt.Errorf("result: %w", err)
		}
		r.Load.Millis = append(r.Load.Millis, one.Millis)
		resident = append(resident, float64(one.ResidentBytes))
		if o.Report != nil {
			o.Report("load of the dictionary, ms", one.Millis)
		}
	}
	r.Load.MedianMillis, r.Load.ResidentBytes = median(r.Load.Millis), int64(median(resident))
	return nil
}

// LoadedDictionary is what one process says of its load.
type LoadedDictionary struct {
	Millis        float64 `json:"millis"`
	ResidentBytes int64   `json:"residentBytes"`
	Terms         int     `json:"terms"`
}

// LoadDictionary maps a compiled dictionary, and checks it, as every process does.
func LoadDictionary(file string) (*LoadedDictionary, error) {
	before := residentBytes()
	begun := time.Now()
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := disk.Map(f)
	if err != nil {
		return nil, err
	}
	index, err := terminology.Load(data)
	if err != nil {
		return nil, err
	}
	l := &LoadedDictionary{Millis: millis(time.Since(begun)), Terms: index.Len(), ResidentBytes: -1}
	if after := residentBytes(); before > 0 && after > 0 {
		l.ResidentBytes = after - before
	}
	return l, nil
}

// Spread is how far the runs are apart: the slowest and the fastest.
func (r *NLPRates) Spread() (low, high float64) { return slices.Min(r.Runs), slices.Max(r.Runs) }
