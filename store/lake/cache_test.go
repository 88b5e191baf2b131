package lake

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

func TestACacheKeepsWhatIsPinnedAndDisposesOnce(t *testing.T) {
	type value struct {
		key      int
		disposed atomic.Int32
	}
	var made sync.Map
	c := newCache[int](10, func(v *value) {
		if v.disposed.Add(1) != 1 {
			t.Error("disposed twice")
		}
	})
	failed := errors.New("failed")
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 0))
			for range 3000 {
				k := rng.IntN(30)
				it, mine, err := c.pin(k)
				if mine {
					if rng.IntN(20) == 0 {
						err = c.fill(it, nil, 0, failed)
					} else {
						v := &value{key: k}
						made.Store(v, true)
						err = c.fill(it, v, int64(1+rng.IntN(4)), nil)
					}
				}
				if err != nil {
					if !errors.Is(err, failed) {
						t.Error(err)
					}
					continue
				}
				if it.value.key != k || it.value.disposed.Load() != 0 {
					t.Errorf("key %d: %+v", k, it.value)
				}
				if rng.IntN(100) == 0 {
					c.keep(func(k int) bool { return k%2 == 0 })
				}
				c.unpin(it)
			}
		})
	}
	wg.Wait()
	if c.used > 10 {
		t.Errorf("%d are kept, 10 is the limit", c.used)
	}
	c.keep(func(int) bool { return false })
	made.Range(func(v, _ any) bool {
		if n := v.(*value).disposed.Load(); n != 1 {
			t.Errorf("a value was disposed %d times", n)
		}
		return true
	})
}

func TestAValueIsMadeOnceForAllWhoWait(t *testing.T) {
	c := newCache[int](10, func(int) {})
	first, mine, _ := c.pin(1)
	if !mine {
		t.Fatal("somebody made it")
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			it, mine, err := c.pin(1)
			if mine || err != nil || it.value != 7 {
				t.Errorf("%v %v", mine, err)
				return
			}
			c.unpin(it)
		})
	}
	if err := c.fill(first, 7, 1, nil); err != nil {
		t.Fatal(err)
	}
	c.unpin(first)
	wg.Wait()
}
