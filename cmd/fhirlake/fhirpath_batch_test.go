package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFHIRPathBatchAnswersAtOnce holds a conversation: each answer is there
// before the next request is sent.
func TestFHIRPathBatchAnswersAtOnce(t *testing.T) {
	in, requests := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := newFHIRPathBatch().run(in, out)
		out.CloseWithError(err)
		done <- err
	}()
	lines := bufio.NewReader(answers)
	for i := range 3 {
		if _, err := fmt.Fprintf(requests, "{\"id\":%d,\"expression\":\"%d + 1\"}\n", i, i); err != nil {
			t.Fatal(err)
		}
		got, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("{\"id\":%d,\"result\":[%d]}\n", i, i+1); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	requests.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestFHIRPathBatchKeepsFewPrograms sends more expressions than are kept, twice.
func TestFHIRPathBatchKeepsFewPrograms(t *testing.T) {
	var in, want strings.Builder
	for range 2 {
		for i := range maxPrograms + 10 {
			fmt.Fprintf(&in, "{\"id\":%d,\"expression\":\"%d\"}\n", i, i)
			fmt.Fprintf(&want, "{\"id\":%d,\"result\":[%d]}\n", i, i)
		}
	}
	b := newFHIRPathBatch()
	var out strings.Builder
	if err := b.run(strings.NewReader(in.String()), &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), out.String()); diff != "" {
		t.Error(diff)
	}
	if len(b.programs) > maxPrograms {
		t.Errorf("%d programs are kept, want at most %d", len(b.programs), maxPrograms)
	}
}

// TestLineReaderPassesOverLongLines: what follows is read, with its own number.
func TestLineReaderPassesOverLongLines(t *testing.T) {
	const most = 40
	for _, n := range []int{most, most + 1, 10 * most} {
		text := "first\n" + strings.Repeat("x", n-1) + "\nlast"
		l := &lineReader{in: bufio.NewReaderSize(strings.NewReader(text), 16), most: most}
		var got []string
		for {
			line, err := l.next()
			if errors.Is(err, io.EOF) {
				break
			}
			got = append(got, fmt.Sprintf("%d: %d bytes, %v", l.number, len(line), err))
		}
		middle := fmt.Sprintf("2: %d bytes, <nil>", n)
		if n > most {
			middle = "2: 0 bytes, the line is too long; expected at most 40 B"
		}
		if diff := cmp.Diff([]string{"1: 6 bytes, <nil>", middle, "3: 4 bytes, <nil>"}, got); diff != "" {
			t.Errorf("%d bytes: %s", n, diff)
		}
	}
}

func TestLineReaderJoinsWhatTheBufferCuts(t *testing.T) {
	const buffer = 16 // the least that bufio has
	var text strings.Builder
	var want []string
	for n := range 3*buffer + 2 {
		line := strings.Repeat("x", n)
		text.WriteString(line + "\n")
		want = append(want, line+"\n")
	}
	text.WriteString("no line end")
	want = append(want, "no line end")
	l := &lineReader{in: bufio.NewReaderSize(strings.NewReader(text.String()), buffer), most: 1 << 10}
	var got []string
	for {
		line, err := l.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(line))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
