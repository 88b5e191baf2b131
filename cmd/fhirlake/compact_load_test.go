//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestKillOfAServerThatCompacts kills a server that folds in what clients write as soon
// as it is there; with the tag slow, many times.
func TestKillOfAServerThatCompacts(t *testing.T) {
	t.Parallel()
	killWhileCompacting(t, 3)
}

// killWhileCompacting starts a server, lets clients write, and kills it at some moment
// after it has published a compaction or more, so many times over the same root. What was
// acknowledged must be there at the next start, in the delta or in the snapshot.
func killWhileCompacting(t *testing.T, rounds int) {
	r := newTestRoot(t)
	var clients [writers]*writer
	for i := range clients {
		clients[i] = &writer{t: t, name: fmt.Sprintf("w%d", i), acknowledged: map[string]int{}}
	}
	for round := range rounds + 1 {
		s, err := startServer(r.bin, t.TempDir(), os.Environ(), "--root", r.dir, "--compact-age", "50ms")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.awaitReady(); err != nil {
			s.kill()
			t.Fatal(err)
		}
		base := r.base(s)
		for _, c := range clients {
			c.check(base)
		}
		if round == rounds {
			s.kill()
			break
		}
		var running sync.WaitGroup
		for _, c := range clients {
			running.Go(func() { c.write(base, round) })
		}
		for first := nowCurrent(t, r); nowCurrent(t, r) == first && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(rand.N(300 * time.Millisecond)) // so that the end meets compactions at all their moments
		s.kill()
		running.Wait()
	}
	r.expectSound(false)
	n := 0
	for _, c := range clients {
		n += len(c.acknowledged)
	}
	t.Logf("%d resources were acknowledged; %s", n, nowCurrent(t, r))
}

// nowCurrent is what CURRENT says.
func nowCurrent(t *testing.T, r testRoot) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.datastore(), "CURRENT"))
	if err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	return string(text)
}
