//go:build !amd64

package twin

// Available tells whether two texts take the time of one here. Otherwise
// crypto/sha256 is the better choice.
func Available() bool { return false }

// blocks hashes n > 0 blocks of two texts.
func blocks(a, b *[8]uint32, p, q *byte, n int, _ *[64]uint32) {
	plainBlocks(a, p, n)
	plainBlocks(b, q, n)
}
