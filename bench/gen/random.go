package gen

import (
	"math/bits"
	"math/rand/v2"
)

// rng draws from a PCG. Each patient has its own, seeded by (seed, n) alone,
// which is what makes a patient independent of its neighbours and of the
// number of workers.
type rng struct{ pcg rand.PCG }

func (r *rng) seed(seed, stream uint64) {
	r.pcg.Seed(mix(seed), mix(seed^0x9e3779b97f4a7c15*(stream+1)))
}

// mix is the finalizer of SplitMix64: neighbouring seeds give unrelated states.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (r *rng) intn(n int) int {
	hi, _ := bits.Mul64(r.pcg.Uint64(), uint64(n))
	return int(hi)
}

// between draws from lo to hi, both included.
func (r *rng) between(lo, hi int) int { return lo + r.intn(hi-lo+1) }

func (r *rng) f() float64 { return float64(r.pcg.Uint64()>>11) / (1 << 53) }

func (r *rng) chance(p float64) bool { return r.f() < p }

// norm is near a standard normal: the sum of four uniforms out of one draw.
// It never leaves +-3.5, which suits vital signs and laboratory values.
func (r *rng) norm() float64 {
	u := r.pcg.Uint64()
	sum := u&0xFFFF + u>>16&0xFFFF + u>>32&0xFFFF + u>>48
	return (float64(sum)/65536 - 2) * 1.7320508
}

// uuid draws a version 4 UUID.
func (r *rng) uuid() uid {
	return uid{
		hi: r.pcg.Uint64()&^uint64(0xF000) | 0x4000,
		lo: r.pcg.Uint64()&^(uint64(3)<<62) | 1<<63,
	}
}

func pick[T any](r *rng, list []T) T { return list[r.intn(len(list))] }
