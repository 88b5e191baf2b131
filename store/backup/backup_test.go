package backup_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/backup"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/fsck"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// opened is a root with one data store and its lake.
type opened struct {
	t       *testing.T
	root    *root.Root
	catalog *catalog.Catalog
	store   *catalog.DataStore
	lake    *lake.Lake
}

func open(t *testing.T, dir string) *opened {
	t.Helper()
	r, err := root.Open(dir, root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	o := &opened{t: t, root: r}
	if o.catalog, err = catalog.Open(r, catalog.Options{}); err != nil {
		t.Fatal(err)
	}
	if o.store, err = o.catalog.Use("default"); err != nil {
		t.Fatal(err)
	}
	secret, err := hex.DecodeString(o.store.HashKey)
	if err != nil {
		t.Fatal(err)
	}
	if o.lake, err = lake.Open(r.DatastoreDir(o.store.ID), lake.Options{Secret: secret}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.close)
	return o
}

func (o *opened) close() {
	if err := errors.Join(o.lake.Close(), o.root.Close()); err != nil {
		o.t.Error(err)
	}
}

func (o *opened) source() backup.Source {
	return backup.Source{Root: o.root, Catalog: o.catalog, Lake: func(string) (*lake.Lake, error) { return o.lake, nil }}
}

func (o *opened) put(id string) error {
	_, err := o.lake.Commit(o.t.Context(), []lake.Write{{
		Type: r4.TypePatient, ID: id, Content: 1, Method: delta.Update,
		Stamp: func(dst []byte, number uint32, updated string) []byte {
			return fmt.Appendf(dst, `{"resourceType":"Patient","id":%q,"meta":{"versionId":"%d","lastUpdated":%q}}`, id, number, updated)
		},
	}})
	return err
}

func (o *opened) expect(id string) {
	o.t.Helper()
	if _, err := o.lake.Read(r4.TypePatient, id, nil); err != nil {
		o.t.Errorf("Patient/%s: %v", id, err)
	}
}

// restored makes a root of a backup and opens it.
func restored(t *testing.T, from string) *opened {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	r, err := root.Open(dir, root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(t.Context(), from, r, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, dir)
}

func TestWhatWasWrittenIsRestored(t *testing.T) {
	o := open(t, t.TempDir())
	if err := o.put("before"); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "backup")
	var bytes int64
	m, err := backup.Write(t.Context(), o.source(), to, now, func(n int64) { bytes += n })
	if err != nil {
		t.Fatal(err)
	}
	if len(m.DataStores) != 1 || m.DataStores[0].ID != o.store.ID || m.DataStores[0].Commit != 1 {
		t.Errorf("the manifest says %+v", m)
	}
	if bytes == 0 {
		t.Error("no byte was counted")
	}
	if st, err := os.Stat(to); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the folder is open to others: %v, %v", st.Mode(), err)
	}
	if err := o.put("after"); err != nil {
		t.Fatal(err)
	}
	again := restored(t, to)
	if again.store.ID != o.store.ID || again.store.HashKey != o.store.HashKey {
		t.Error("the data store has another identity")
	}
	again.expect("before")
	if _, err := again.lake.Read(r4.TypePatient, "after", nil); !errors.Is(err, lake.ErrNotFound) {
		t.Errorf("what was written after the backup is in it: %v", err)
	}
	if err := again.put("new"); err != nil {
		t.Fatal(err)
	}
	again.expect("new")
}

// TestBackupWhileOthersWrite: what was acknowledged before the backup began is in it.
func TestBackupWhileOthersWrite(t *testing.T) {
	o := open(t, t.TempDir())
	stop := make(chan bool)
	var acknowledged [4]atomic.Int64
	var writers sync.WaitGroup
	for w := range acknowledged {
		writers.Go(func() {
			for n := int64(1); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := o.put(fmt.Sprintf("%d-%d", w, n)); err != nil {
					t.Error(err)
					return
				}
				acknowledged[w].Store(n)
			}
		})
	}
	for acknowledged[0].Load() < 5 {
		time.Sleep(time.Millisecond)
	}
	var before [4]int64
	for w := range before {
		before[w] = acknowledged[w].Load()
	}
	to := filepath.Join(t.TempDir(), "backup")
	_, err := backup.Write(t.Context(), o.source(), to, now, nil)
	close(stop)
	writers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	again := restored(t, to)
	for w, n := range before {
		for i := range n {
			again.expect(fmt.Sprintf("%d-%d", w, i+1))
		}
	}
	rep, err := fsck.Root(t.Context(), again.root, again.catalog, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !rep.OK() {
		t.Errorf("the restored root is damaged: %v", rep.Findings)
	}
}

func TestRefusals(t *testing.T) {
	o := open(t, t.TempDir())
	whole := filepath.Join(t.TempDir(), "whole")
	if _, err := backup.Write(t.Context(), o.source(), whole, now, nil); err != nil {
		t.Fatal(err)
	}
	t.Run("a folder with content", func(t *testing.T) {
		if _, err := backup.Write(t.Context(), o.source(), whole, now, nil); err == nil {
			t.Error("it was written over")
		}
	})
	t.Run("a root with data stores", func(t *testing.T) {
		if _, err := backup.Restore(t.Context(), whole, o.root, nil); err == nil {
			t.Error("it was restored over")
		}
	})
	empty, err := root.Open(filepath.Join(t.TempDir(), "empty"), root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{"no backup", "", backup.ErrNotBackup},
		{"no JSON", "{", nil},
		{"another format", `{"format":9}`, nil},
		{"a path for an id", `{"format":1,"dataStores":[{"id":"../x"}]}`, nil},
		{"a data store that is not there", `{"format":1,"dataStores":[{"id":"0123456789abcdef0123456789abcdef","snapshot":3}]}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.text != "" {
				if err := os.WriteFile(filepath.Join(dir, "backup.json"), []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := backup.Restore(t.Context(), dir, empty, nil)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestInterruptedBackupIsNone(t *testing.T) {
	o := open(t, t.TempDir())
	if err := o.put("one"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	to := filepath.Join(t.TempDir(), "backup")
	if _, err := backup.Write(ctx, o.source(), to, now, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if _, err := backup.Read(to); !errors.Is(err, backup.ErrNotBackup) {
		t.Errorf("half a backup counts as one: %v", err)
	}
}
