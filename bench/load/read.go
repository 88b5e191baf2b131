package load

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/fhirlake/fhirlake/bench/gen"
)

// maxReads bounds how many resources are asked for: enough that no cache of the server
// has all of them, and few enough for this process.
const maxReads = 200_000

// Read measures point reads: GET [base]/[type]/[id] of resources that are chosen evenly
// from all of the inputs, in an order that has nothing to do with theirs.
func Read(ctx context.Context, o RequestOptions) (*RequestResult, error) {
	paths, err := chooseResources(o.Inputs, maxReads)
	if err != nil {
		return nil, fmt.Errorf("bench read: %w", err)
	}
	return o.run(ctx, func(t target) []workload {
		requests := make([][]byte, len(paths))
		for i, p := range paths {
			requests[i] = t.get(p)
		}
		return []workload{{"read", http.StatusOK, func(n int64) []byte { return requests[n%int64(len(requests))] }}}
	})
}

// Write measures durable writes: creates of an Observation, and transactions that create
// a Patient and an Observation of it. Nothing is written twice.
func Write(ctx context.Context, o RequestOptions) (*RequestResult, error) {
	observations, patients := sampleResources()
	create := creates()
	return o.run(ctx, func(t target) []workload {
		bundles := make([][]byte, len(observations))
		for i, b := range observations {
			bundles[i] = t.post("", transaction(patients[i%len(patients)], b))
		}
		return []workload{
			create(t),
			{"transaction of 2", http.StatusOK, func(n int64) []byte { return bundles[n%int64(len(bundles))] }},
		}
	})
}

// creates gives the workload of creates of an Observation.
func creates() func(target) workload {
	observations, _ := sampleResources()
	return func(t target) workload {
		requests := make([][]byte, len(observations))
		for i, b := range observations {
			requests[i] = t.post("Observation", b)
		}
		return workload{"create", http.StatusCreated, func(n int64) []byte { return requests[n%int64(len(requests))] }}
	}
}

// run measures the workloads one after another, each with all numbers of clients.
func (o *RequestOptions) run(ctx context.Context, loads func(target) []workload) (*RequestResult, error) {
	res := &RequestResult{}
	base := o.URL
	if base == "" {
		s, err := serve(ctx, o, res)
		if err != nil {
			return nil, err
		}
		defer s.stop(res)
		base = s.base
	}
	t, err := newTarget(base)
	if err != nil {
		return nil, err
	}
	for _, w := range loads(t) {
		for _, clients := range o.Clients {
			r, err := t.measure(ctx, w, clients, duration(o.WarmUp), duration(o.Seconds))
			if err != nil {
				return nil, err
			}
			res.Runs = append(res.Runs, r)
			if o.Report != nil {
				o.Report(r)
			}
		}
	}
	return res, nil
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// chooseResources gives Type/id of up to limit resources of the inputs, shuffled, but
// always alike.
func chooseResources(inputs []string, limit int64) ([]string, error) {
	files, _, err := inputFiles(inputs)
	if err != nil {
		return nil, err
	}
	var lines int64
	for _, f := range files {
		if err := eachLine(f, func([]byte) error { lines++; return nil }); err != nil {
			return nil, err
		}
	}
	every := max((lines+limit-1)/limit, 1)
	var paths []string
	var n int64
	for _, f := range files {
		err := eachLine(f, func(line []byte) error {
			if n++; n%every != 0 {
				return nil
			}
			var r struct{ ResourceType, ID string }
			if err := json.Unmarshal(line, &r); err != nil || r.ResourceType == "" || r.ID == "" {
				return fmt.Errorf("line %d of all is no resource with an id", n)
			}
			paths = append(paths, r.ResourceType+"/"+r.ID)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
	}
	if len(paths) == 0 {
		return nil, errors.New("the inputs have no resource")
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	return paths, nil
}

// eachLine gives the lines of an NDJSON file, plain or gzip, that are not empty.
func eachLine(name string, f func([]byte) error) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 1<<20)
	if magic, _ := r.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(r)
		if err != nil {
			return err
		}
		r = bufio.NewReaderSize(z, 1<<20)
	}
	for {
		line, err := r.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if err := f(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sampleObservations is how many different Observations are written in turn.
const sampleObservations = 2000

// sampleResources gives Observations and Patients as a client creates them: without ids.
func sampleResources() (observations, patients [][]byte) {
	records := gen.NewRecords(1)
	for n := 0; len(observations) < sampleObservations; n++ {
		records.Patient(n, func(resourceType string, line []byte) {
			switch resourceType {
			case "Observation":
				observations = append(observations, withoutID(line))
			case "Patient":
				patients = append(patients, withoutID(line))
			}
		})
	}
	return observations, patients
}

// withoutID copies a resource without its id, which is its second member.
func withoutID(line []byte) []byte {
	line = bytes.TrimSpace(line)
	from := bytes.Index(line, []byte(`"id":"`))
	to := from + bytes.IndexByte(line[from:], ',') + 1
	return append(bytes.Clone(line[:from]), line[to:]...)
}

// transaction makes a Bundle of a Patient and an Observation whose subject it is.
func transaction(patient, observation []byte) []byte {
	const urn = "urn:uuid:6f2d4c1e-8a57-4c6b-9d0e-2b7f3a1c5e90"
	const subject = `"subject":{"reference":"`
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"` + urn + `","resource":`)
	b.Write(patient)
	b.WriteString(`,"request":{"method":"POST","url":"Patient"}},{"fullUrl":"urn:uuid:1c3e5a7b-2d4f-4b6a-8c0d-9e1f2a3b4c5d","resource":`)
	before, after, found := bytes.Cut(observation, []byte(subject))
	b.Write(before)
	if found {
		b.WriteString(subject + urn)
		b.Write(after[bytes.IndexByte(after, '"'):])
	}
	b.WriteString(`,"request":{"method":"POST","url":"Observation"}}]}`)
	return b.Bytes()
}

// awaitReady waits until a server says that it is.
func awaitReady(ctx context.Context, url string) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return cmp.Or(ctx.Err(), err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
