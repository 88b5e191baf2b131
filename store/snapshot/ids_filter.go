package snapshot

// filterAdd and filterHas use one cache line for a key: the line by the second
// half of the key, and in it one bit in each of its eight words.
func filterAdd(f []byte, k Key) {
	blk := f[filterBlock(f, k):]
	h := k[0] * 0x9E3779B97F4A7C15
	for i := range 8 {
		bit := h >> (58 - 6*i) & 63
		blk[i*8+int(bit>>3)] |= 1 << (bit & 7)
	}
}

func filterHas(f []byte, k Key) bool {
	blk := f[filterBlock(f, k):]
	h := k[0] * 0x9E3779B97F4A7C15
	for i := range 8 {
		bit := h >> (58 - 6*i) & 63
		if blk[i*8+int(bit>>3)]&(1<<(bit&7)) == 0 {
			return false
		}
	}
	return true
}

func filterBlock(f []byte, k Key) int {
	hi := k[1] >> 32 * uint64(len(f)/idFilterBlock) >> 32
	return int(hi) * idFilterBlock
}
