package twin

import "github.com/klauspost/cpuid/v2"

// Available tells whether two texts take the time of one here. Otherwise
// crypto/sha256 is the better choice.
func Available() bool { return cpuid.CPU.Supports(cpuid.SHA, cpuid.SSSE3, cpuid.SSE4) }

// blocks hashes n > 0 blocks of two texts.
func blocks(a, b *[8]uint32, p, q *byte, n int, k *[64]uint32) {
	if Available() {
		blocksSHANI(a, b, p, q, n, k)
		return
	}
	plainBlocks(a, p, n)
	plainBlocks(b, q, n)
}

//go:noescape
func blocksSHANI(a, b *[8]uint32, p, q *byte, n int, k *[64]uint32)
