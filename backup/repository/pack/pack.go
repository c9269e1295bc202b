package pack

import (
	"context"
	"encoding/binary"
	"fmt"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
)

// Builder puts a pack together in memory. It belongs to one goroutine at a
// time.
type Builder struct {
	data    []byte
	entries []Entry
}

// NewBuilder uses buf's memory for the pack.
func NewBuilder(buf []byte) *Builder { return &Builder{data: buf[:0]} }

// Add appends a sealed blob; plain is its decompressed length, 0 for raw.
func (b *Builder) Add(h blob.Handle, sealed []byte, plain uint32) {
	b.entries = append(b.entries, Entry{
		Handle: h,
		Offset: uint32(len(b.data)),
		Length: uint32(len(sealed)),
		Plain:  plain,
	})
	b.reserve(len(sealed))
	b.data = append(b.data, sealed...)
}

// reserve doubles the memory of a small pack; one that has outgrown a megabyte
// gets what a pack of the usual length takes at once, which costs nothing until
// it is used, where growing by steps would copy all of it several times. Beyond
// that it gives no more than is needed. Header and length count as needed.
func (b *Builder) reserve(n int) {
	need := len(b.data) + n + len(b.entries)*compressedSize + crypto.Overhead + lengthSize
	if need <= cap(b.data) {
		return
	}
	size := max(need, 2*cap(b.data), 64<<10)
	if size > smallPack {
		size = max(need, Target+Target/16)
	}
	b.data = append(make([]byte, 0, size), b.data...)
}

const smallPack = 1 << 20

// Len is the length of the blobs so far.
func (b *Builder) Len() int { return len(b.data) }

// Entries lists the blobs so far, in order.
func (b *Builder) Entries() []Entry { return b.entries }

// Full tells whether the pack should be ended, given the length to aim at.
func (b *Builder) Full(target int) bool {
	return len(b.data) >= target || len(b.entries) >= MaxEntries
}

// Finish appends the sealed header and returns the pack's bytes and name. The
// bytes stay the builder's.
func (b *Builder) Finish(key *crypto.Key) ([]byte, blob.ID, error) {
	header := AppendHeader(make([]byte, 0, len(b.entries)*compressedSize), b.entries)
	before := len(b.data)
	data, err := key.Seal(b.data, header)
	if err != nil {
		return nil, blob.ID{}, fmt.Errorf("seal pack header: %w", err)
	}
	b.data = binary.LittleEndian.AppendUint32(data, uint32(len(data)-before))
	return b.data, blob.Hash(b.data), nil
}

// Reset empties the builder and keeps its memory. The entries are not reused:
// the index may hold them.
func (b *Builder) Reset() { b.data, b.entries = b.data[:0], nil }

// Read is how a reader asks for bytes of a pack file.
type Read func(ctx context.Context, offset, length int64) ([]byte, error)

// headerGuess is read from the end of a pack at once; it holds the header of
// most packs.
const headerGuess = 64 << 10

// ReadHeader reads the header of a pack file of a given size.
func ReadHeader(ctx context.Context, key *crypto.Key, size int64, read Read) ([]Entry, error) {
	if size < lengthSize+crypto.Overhead {
		return nil, fmt.Errorf("%d bytes are too few for a pack: %w", size, backup.ErrDamaged)
	}
	guess := min(size, headerGuess)
	tail, err := read(ctx, size-guess, guess)
	if err != nil {
		return nil, err
	}
	sealed := int64(binary.LittleEndian.Uint32(tail[len(tail)-lengthSize:]))
	if sealed > maxHeader || sealed > size-lengthSize || sealed < crypto.Overhead {
		return nil, fmt.Errorf("header of %d bytes in a pack of %d: %w", sealed, size, backup.ErrDamaged)
	}
	if sealed+lengthSize > guess {
		if tail, err = read(ctx, size-lengthSize-sealed, sealed+lengthSize); err != nil {
			return nil, err
		}
	}
	tail = tail[:len(tail)-lengthSize]
	return openHeader(key, tail[int64(len(tail))-sealed:], size)
}

func openHeader(key *crypto.Key, sealed []byte, size int64) ([]Entry, error) {
	header, err := key.Open(nil, sealed)
	if err != nil {
		return nil, fmt.Errorf("open pack header: %w", err)
	}
	entries, err := ParseHeader(header)
	if err != nil {
		return nil, fmt.Errorf("pack header: %w", err)
	}
	if want := Size(entries); want != size {
		return nil, fmt.Errorf("header describes %d bytes, the pack has %d: %w", want, size, backup.ErrDamaged)
	}
	return entries, nil
}
