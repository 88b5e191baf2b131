//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestDiskFull fills the disk under a server at which clients write: first into the
// reserve, then to the last byte. Writes are refused, reads go on, nothing that was
// acknowledged is lost, and writes go on when there is room.
func TestDiskFull(t *testing.T) {
	if testing.Short() {
		t.Skip("needs 512 MB of memory")
	}
	t.Parallel()
	fillDisk(t, 1)
}

// diskSize of the file system: the reserve of the delta store, 256 MiB, and a quarter
// of it, from which on writes go on again, must fit beside its logs, some 90 MB while
// nothing can be made into tables.
const diskSize = 512 << 20

func fillDisk(t *testing.T, rounds int) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		t.Skipf("this user may not mount a file system: %v", err)
	}
	defer syscall.Unmount(disk, 0)
	r := testRoot{t, program(t), filepath.Join(disk, "lake")}
	r.run("datastore", "create", "default")
	s := startReady(t, r)
	defer func() { s.kill() }()
	base := r.base(s)
	clients := make([]*stubborn, 4)
	for i := range clients {
		clients[i] = &stubborn{t: t, id: fmt.Sprintf("c%d", i)}
	}
	for round := range rounds {
		for _, leave := range []int64{200 << 20, 0} {
			what := fmt.Sprintf("round %d, %d MB left", round, leave>>20)
			var all sync.WaitGroup
			stop := make(chan struct{})
			for _, c := range clients {
				c.refused.Store(0)
				all.Go(func() { c.write(base, stop) })
			}
			awaitAll(t, clients, (*stubborn).hasWritten)
			full := filepath.Join(disk, "ballast")
			ballast(t, full, leave)
			awaitAll(t, clients, (*stubborn).wasRefused)
			clients[0].check(base, 1) // reads go on
			if err := os.Remove(full); err != nil {
				t.Fatal(err)
			}
			// A log that was cut short by the end of the disk takes a new start.
			if s.readOnly(t) {
				t.Logf("%s: the server is started again", what)
				close(stop)
				all.Wait()
				if err := s.stop(syscall.SIGTERM); err != nil {
					t.Errorf("%s: the server ended with %v\n%s", what, err, s.log)
				}
				s = startReady(t, r)
				base = r.base(s)
				stop = make(chan struct{})
				for _, c := range clients {
					all.Go(func() { c.write(base, stop) })
				}
			}
			awaitAll(t, clients, (*stubborn).hasWritten)
			close(stop)
			all.Wait()
			for _, c := range clients {
				c.check(base, c.version)
				t.Logf("%s: %s has version %d, was refused %d times", what, c.id, c.version, c.refused.Load())
			}
		}
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the server ended with %v\n%s", err, s.log)
	}
	r.expectSound(false)
}

// readOnly tells whether a data store refuses writes until the server is started again.
func (s *server) readOnly(t *testing.T) bool {
	t.Helper()
	resp, err := client.Get(s.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "fhirlake_datastore_read_only{") && strings.HasSuffix(line, " 1\n") {
			return true
		}
	}
	return false
}

// ballast writes a file that leaves so many bytes of its file system.
func ballast(t *testing.T, name string, leave int64) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for {
		var st syscall.Statfs_t
		if err := syscall.Statfs(name, &st); err != nil {
			t.Fatal(err)
		}
		if left := int64(st.Bavail) * st.Bsize; left <= leave {
			return
		}
		if _, err := f.Write(block); err != nil {
			return // to the last byte
		}
	}
}

// stubborn is a client that goes on when it is refused. Its resource is its alone.
type stubborn struct {
	t       *testing.T
	id      string
	version int // acknowledged, as is its content
	written atomic.Int64
	refused atomic.Int64
}

func (c *stubborn) hasWritten() bool { return c.written.Load() > 10 }
func (c *stubborn) wasRefused() bool { return c.refused.Load() > 10 }

// awaitAll waits until it is true of all; it gives up with the test run.
func awaitAll(t *testing.T, clients []*stubborn, is func(*stubborn) bool) {
	for _, c := range clients {
		c.written.Store(0)
		for !is(c) {
			if t.Failed() {
				t.FailNow()
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// write writes version after version until stop.
func (c *stubborn) write(base string, stop <-chan struct{}) {
	pad := strings.Repeat("x", 2000)
	for {
		select {
		case <-stop:
			return
		default:
		}
		body := fmt.Sprintf(`{"resourceType":"Patient","id":"%s","multipleBirthInteger":%d,"name":[{"family":"%s"}]}`, c.id, c.version+1, pad)
		req, err := http.NewRequest(http.MethodPut, base+"/Patient/"+c.id, strings.NewReader(body))
		if err != nil {
			c.t.Error(err)
			return
		}
		req.Header.Set("If-Match", fmt.Sprintf(`W/"%d"`, c.version))
		if c.version == 0 {
			req.Header.Del("If-Match")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			c.t.Error(err)
			return
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			c.t.Error(err)
			return
		}
		switch resp.StatusCode {
		case http.StatusOK, http.StatusCreated:
			c.version++
			c.written.Add(1)
		case http.StatusInsufficientStorage, http.StatusServiceUnavailable:
			if !json.Valid(text) || !strings.HasPrefix(string(text), `{"resourceType":"OperationOutcome"`) {
				c.t.Errorf("status %d: %s", resp.StatusCode, text)
			}
			c.refused.Add(1)
			time.Sleep(time.Millisecond)
		case http.StatusPreconditionFailed:
			// The write before was refused while it was open what is on disk, and turned
			// up at the new start.
			v, birth := c.read(base)
			if v != c.version+1 || birth != v {
				c.t.Errorf("%s has version %d with the content of %d, acknowledged is %d", c.id, v, birth, c.version)
			}
			c.version = v
		default:
			c.t.Errorf("status %d: %s", resp.StatusCode, text)
			return
		}
	}
}

func (c *stubborn) read(base string) (version, birth int) {
	return (&writer{t: c.t}).read(base, c.id)
}

// check reads what there is: at least a version that was acknowledged.
func (c *stubborn) check(base string, least int) {
	if v, birth := c.read(base); v != birth || v < least {
		c.t.Errorf("%s has version %d with the content of %d, %d was acknowledged", c.id, v, birth, least)
	}
}
