package repository

import (
	"bytes"
	"crypto/sha256"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"

	"emrvault/backup/repository/blob"
)

// largeBlob is the length from which a fresh blob is verified piece by piece:
// the tree of a folder of a million files must not be in memory twice.
const largeBlob = 32 << 20

// provesFrame is proves for a large blob in its compressed form.
func (j job) provesFrame(frame []byte, hashed bool) bool {
	r, err := zstd.NewReader(bytes.NewReader(frame), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(uint64(len(j.plain))))
	if err != nil {
		return false
	}
	defer r.Close()
	crc, name := crc32.New(castagnoli), sha256.New()
	var sum io.Writer = crc
	if hashed {
		sum = name
	}
	n, err := io.Copy(sum, r)
	switch {
	case err != nil || n != int64(len(j.plain)):
		return false
	case hashed:
		return blob.ID(name.Sum(nil)) == j.handle.ID
	}
	return crc.Sum32() == j.sum
}
