package main

import (
	"fmt"
	"math/bits"

	"github.com/fhirlake/fhirlake/fhir/r4/internal/keyhash"
)

// maxTries bounds the search for a multiplier before the table is doubled.
const maxTries = 20000

// perfect finds a multiplier that sends all keys into different slots of a
// table whose size is a power of two. slots holds 1 + the index of the key.
func perfect(keys []string) (multiplier uint64, shift int, slots []int, err error) {
	for size := 2 << bits.Len(uint(len(keys))); size <= 1<<16; size *= 2 {
		shift = 64 - bits.Len(uint(size-1))
		state := uint64(1)
		for range maxTries {
			multiplier = splitmix(&state) | 1
			if slots = place(keys, multiplier, shift, size); slots != nil {
				return multiplier, shift, slots, nil
			}
		}
	}
	return 0, 0, nil, fmt.Errorf("no perfect hash for %d keys", len(keys))
}

func place(keys []string, multiplier uint64, shift, size int) []int {
	slots := make([]int, size)
	for i, k := range keys {
		s := hash(k, multiplier, shift)
		if slots[s] != 0 {
			return nil
		}
		slots[s] = i + 1
	}
	return slots
}

// probe fills an open-addressing table of at least twice as many slots as keys,
// with the multiplier, of those tried, that displaces the keys the least.
func probe(keys []string) (multiplier uint64, shift int, slots []int) {
	size := max(2, 1<<bits.Len(uint(2*len(keys)-1)))
	shift = 64 - bits.Len(uint(size-1))
	best := -1
	state := uint64(1)
	for range 64 {
		m := splitmix(&state) | 1
		table, cost := make([]int, size), 0
		for i, k := range keys {
			s := hash(k, m, shift)
			for table[s] != 0 {
				s = (s + 1) & (size - 1)
				cost++
			}
			table[s] = i + 1
		}
		if best < 0 || cost < best {
			best, multiplier, slots = cost, m, table
		}
	}
	return multiplier, shift, slots
}

func hash(key string, multiplier uint64, shift int) int {
	a, b := keyhash.Words([]byte(key))
	return int(keyhash.Mix(a, b, len(key), multiplier) >> shift)
}

// splitmix is the SplitMix64 generator: the output must be the same on every run.
func splitmix(state *uint64) uint64 {
	*state += 0x9E3779B97F4A7C15
	z := *state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}
