//go:build unix

package delta

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// crashVariable names the folder in which the test's child process writes.
const crashVariable = "FHIRLAKE_TEST_DELTA_CRASH"

// TestCrash kills a writing process a few times; with the tag slow, many times.
func TestCrash(t *testing.T) {
	if dir := os.Getenv(crashVariable); dir != "" {
		writeUntilKilled(dir)
		return
	}
	if testing.Short() {
		t.Skip("starts processes")
	}
	crash(t, 4)
}

// writeUntilKilled commits with many goroutines and reports each acknowledged
// batch as a line "batch ID NUMBER SEQ", and each drop, before it begins, as a
// line "drop SEQ 0 SEQ". A batch writes an id as a Patient and as an Observation.
func writeUntilKilled(dir string) {
	s, err := Open(dir, Options{Memory: minMemory, Reserve: -1})
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	say := func(what, id string, number uint32, seq uint64) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(os.Stdout, what, id, number, seq)
	}
	for w := range 16 {
		id := fmt.Sprint("p", w)
		last, _, _ := s.Latest(observation, id, nil)
		go func() {
			for n := max(last.Number, uint32(s.Stats().LastSeq)) + 1; ; n++ { // also rises when all was dropped
				es := []Entry{big(id, n), entry(observation, id, n, Update)}
				if err := s.Commit(es, nil); err != nil {
					say("failed", "commit", 0, 0)
					return
				}
				say("batch", id, n, es[0].Seq)
			}
		}()
	}
	for r := rand.New(rand.NewPCG(1, 2)); ; {
		st := s.Stats()
		if st.Entries > 500 {
			upTo := st.DroppedSeq + r.Uint64N(st.Entries)
			say("drop", "-", 0, upTo)
			if err := s.Drop(context.Background(), upTo); err != nil {
				say("failed", "drop", 0, 0)
				return
			}
		}
	}
}

// crash lets a process write and kills it after some batches, the given number of
// times, in one folder. After each, what was acknowledged is there, batches are
// whole, and a check finds nothing.
func crash(t *testing.T, times int) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(uint64(times), 5))
	acked := map[string]uint32{} // by id, the newest number
	seqs := map[string]uint64{}
	dropped := uint64(0)
	for round := range times {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
		cmd.Env = append(os.Environ(), crashVariable+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, kill := 0, 1+r.IntN(1500)
		for in := bufio.NewReader(out); ; {
			line, err := in.ReadString('\n')
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			var what, id string
			var number uint32
			var seq uint64
			if _, err := fmt.Sscan(line, &what, &id, &number, &seq); err != nil || what == "failed" {
				t.Fatalf("round %d: the child says %q", round, line)
			}
			if what == "drop" {
				dropped = max(dropped, seq)
			} else {
				acked[id], seqs[id] = number, seq
			}
			if lines++; lines == kill {
				cmd.Process.Kill()
			}
		}
		cmd.Wait() // says that it was killed
		verifyAfterKill(t, round, dir, acked, seqs, dropped)
	}
}

func verifyAfterKill(t *testing.T, round int, dir string, acked map[string]uint32, seqs map[string]uint64, dropped uint64) {
	t.Helper()
	if _, err := Check(context.Background(), dir, Options{}, func(p Problem) { t.Errorf("round %d: %v", round, p) }); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, Options{Memory: minMemory, Reserve: -1})
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	defer s.Close()
	for id, n := range acked {
		p, ok, err := s.Latest(patient, id, nil)
		o, _, err2 := s.Latest(observation, id, nil)
		switch {
		case err != nil || err2 != nil:
			t.Fatalf("round %d: %v, %v", round, err, err2)
		case seqs[id] > dropped && p.Number < n:
			t.Errorf("round %d: %s: version %d was acknowledged, %d is there", round, id, n, p.Number)
		case ok && string(p.JSON) != string(big(id, p.Number).JSON):
			t.Errorf("round %d: %s: version %d is not what was written", round, id, p.Number)
		case p.Number != o.Number && max(p.Seq, o.Seq) > dropped+1:
			t.Errorf("round %d: %s: half a batch: %d and %d", round, id, p.Number, o.Number)
		}
	}
	sound(t, s)
}
