package lake

import "sync"

// cache keeps what is costly to open or decode, bounded by cost, the least recently
// used going first. Who wants a value pins it; a value that is pinned lives on after
// it was thrown out. Of many that want the same value at once, one makes it.
type cache[K comparable, V any] struct {
	dispose func(V) // called once for each value, when nobody has it any more

	mu    sync.Mutex
	limit int64
	used  int64
	items map[K]*item[K, V]
	order item[K, V] // ring: next is the most recently used, prev the least
}

type item[K comparable, V any] struct {
	key        K
	value      V
	err        error
	cost       int64
	ready      chan struct{} // closed when value and err are set
	pins       int
	out        bool // not in the cache any more
	next, prev *item[K, V]
}

func newCache[K comparable, V any](limit int64, dispose func(V)) *cache[K, V] {
	c := &cache[K, V]{dispose: dispose, limit: limit, items: map[K]*item[K, V]{}}
	c.order.next, c.order.prev = &c.order, &c.order
	return c
}

// pin gives the item of a key. When mine is true the caller makes the value and calls
// fill; else it is there, or err says why it is not. Without an error the caller calls
// unpin.
func (c *cache[K, V]) pin(k K) (it *item[K, V], mine bool, err error) {
	c.mu.Lock()
	it = c.items[k]
	if it == nil {
		it = &item[K, V]{key: k, ready: make(chan struct{}), pins: 1}
		c.items[k] = it
		c.mu.Unlock()
		return it, true, nil
	}
	it.pins++
	if it.next != nil { // else it is being made
		c.unlink(it)
		c.link(it)
	}
	c.mu.Unlock()
	<-it.ready
	if it.err != nil {
		return nil, false, it.err
	}
	return it, false, nil
}

// fill gives a pinned item its value. After an error the item is gone.
func (c *cache[K, V]) fill(it *item[K, V], v V, cost int64, err error) error {
	c.mu.Lock()
	it.value, it.cost, it.err = v, cost, err
	close(it.ready)
	if err != nil {
		delete(c.items, it.key)
		c.mu.Unlock()
		return err
	}
	if it.out { // thrown out while it was made
		c.mu.Unlock()
		return nil
	}
	c.link(it)
	c.used += cost
	for c.used > c.limit && c.order.prev != &c.order {
		c.evict(c.order.prev)
	}
	c.mu.Unlock()
	return nil
}

func (c *cache[K, V]) unpin(it *item[K, V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	it.pins--
	if it.out && it.pins == 0 {
		c.dispose(it.value)
	}
}

// keep throws out the values whose keys are not live.
func (c *cache[K, V]) keep(live func(K) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, it := range c.items {
		switch {
		case live(k):
		case it.next != nil:
			c.evict(it)
		default:
			delete(c.items, k)
			it.out = true
		}
	}
}

func (c *cache[K, V]) evict(it *item[K, V]) {
	c.unlink(it)
	delete(c.items, it.key)
	c.used -= it.cost
	it.out = true
	if it.pins == 0 {
		c.dispose(it.value)
	}
}

func (c *cache[K, V]) link(it *item[K, V]) {
	it.prev, it.next = &c.order, c.order.next
	it.prev.next, it.next.prev = it, it
}

func (c *cache[K, V]) unlink(it *item[K, V]) {
	it.prev.next, it.next.prev = it.next, it.prev
	it.prev, it.next = nil, nil
}
