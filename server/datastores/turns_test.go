package datastores

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := turns{atOnce: 2}
		var got []string
		ends := map[string]func(){}
		take := func(name string) {
			go func() {
				end, err := ts.take(t.Context(), name[:1], nil)
				if err != nil {
					t.Error(err)
					return
				}
				got = append(got, name)
				ends[name] = end
			}()
			synctest.Wait()
		}
		expect := func(want ...string) {
			t.Helper()
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("have a turn (-want +got):\n%s", d)
			}
		}
		end := func(name string) {
			ends[name]()
			ends[name]() // once more is of no effect
			synctest.Wait()
		}
		for _, name := range []string{"a1", "a2", "b1", "c1"} {
			take(name)
		}
		expect("a1", "b1")
		if !ts.works("a") || ts.works("c") {
			t.Error("who works")
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, err := ts.take(ctx, "a", cancel)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a job that gives up: %v", err)
		}
		end("b1")
		expect("a1", "b1", "c1")
		ts.set(3)
		end("a1")
		expect("a1", "b1", "c1", "a2")
		end("a2")
		end("c1")
		if len(ts.waiting) > 0 || len(ts.working) > 0 {
			t.Errorf("left: %+v", ts.waiting)
		}
	})
}
