// Package pack knows how blobs lie in a pack file.
//
// A pack is blob after sealed blob without a gap, then the sealed header, then
// four bytes with the header's length. The header lists the blobs in the order
// they lie there, so a lost index can be read back from the packs alone.
package pack

import (
	"encoding/binary"
	"fmt"
	"math"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
)

// Entry tells where one blob lies in its pack.
type Entry struct {
	Handle blob.Handle
	Offset uint32
	Length uint32 // sealed
	Plain  uint32 // length when decompressed; 0 when it is stored raw
}

// Compressed tells whether the blob is a zstd frame. An empty blob is always
// stored raw, so a plain length of zero can mean raw.
func (e Entry) Compressed() bool { return e.Plain > 0 }

// PlainSize is the length of the blob's plaintext.
func (e Entry) PlainSize() int {
	if e.Compressed() {
		return int(e.Plain)
	}
	return int(e.Length) - crypto.Overhead
}

// HeaderSize is what the blob takes in the header.
func (e Entry) HeaderSize() int {
	if e.Compressed() {
		return compressedSize
	}
	return rawSize
}

// Check refuses an entry that cannot be true of any pack.
func (e Entry) Check() error {
	switch {
	case e.Handle.Type > blob.Tree:
		return fmt.Errorf("blob of unknown type: %w", backup.ErrDamaged)
	case e.Length < crypto.Overhead:
		return fmt.Errorf("%s has a sealed length of %d: %w", e.Handle, e.Length, backup.ErrDamaged)
	case uint64(e.Offset)+uint64(e.Length) > math.MaxUint32:
		return fmt.Errorf("%s ends beyond 4 GiB: %w", e.Handle, backup.ErrDamaged)
	case e.PlainSize() > MaxBlob || e.Length > maxSealed:
		return fmt.Errorf("%s claims %d bytes: %w", e.Handle, e.PlainSize(), backup.ErrDamaged)
	}
	return nil
}

const (
	rawSize        = 1 + 4 + blob.IDSize
	compressedSize = rawSize + 4
	lengthSize     = 4

	// Target is the length at which a pack is ended.
	Target = 16 << 20
	// MaxEntries keeps the header far below its limit, and a pack within one
	// index file.
	MaxEntries = 20_000
	// MaxBlob is the longest plaintext we are ready to hold in memory.
	MaxBlob = 1 << 30
	// maxSealed is the longest it can be sealed: a frame is hardly longer than
	// what is in it.
	maxSealed = MaxBlob + MaxBlob>>7
	// maxHeader is the longest sealed header that readers accept.
	maxHeader = 16 << 20
)

// Size is the length of a pack file that holds exactly these entries.
func Size(entries []Entry) int64 {
	size := int64(lengthSize + crypto.Overhead)
	for _, e := range entries {
		size += int64(e.Length) + int64(e.HeaderSize())
	}
	return size
}

// kinds of entries in the header: type, plus 2 if compressed.
const compressedBit = 2

// AppendHeader appends the plaintext of a header.
func AppendHeader(dst []byte, entries []Entry) []byte {
	for _, e := range entries {
		kind := byte(e.Handle.Type)
		if e.Compressed() {
			kind |= compressedBit
		}
		dst = binary.LittleEndian.AppendUint32(append(dst, kind), e.Length)
		if e.Compressed() {
			dst = binary.LittleEndian.AppendUint32(dst, e.Plain)
		}
		dst = append(dst, e.Handle.ID[:]...)
	}
	return dst
}

// ParseHeader reads the plaintext of a header; offsets follow from the lengths.
func ParseHeader(header []byte) ([]Entry, error) {
	entries := make([]Entry, 0, len(header)/rawSize)
	offset := uint64(0)
	for len(header) > 0 {
		e, size, err := parseEntry(header)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(entries), err)
		}
		if offset+uint64(e.Length) > math.MaxUint32 {
			return nil, fmt.Errorf("entry %d ends beyond 4 GiB: %w", len(entries), backup.ErrDamaged)
		}
		e.Offset = uint32(offset)
		if err := e.Check(); err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(entries), err)
		}
		offset += uint64(e.Length)
		entries = append(entries, e)
		header = header[size:]
	}
	return entries, nil
}

func parseEntry(header []byte) (e Entry, size int, err error) {
	kind := header[0]
	if kind > compressedBit|byte(blob.Tree) {
		return e, 0, fmt.Errorf("kind %d is unknown: %w", kind, backup.ErrDamaged)
	}
	size = rawSize
	if kind&compressedBit != 0 {
		size = compressedSize
	}
	if len(header) < size {
		return e, 0, fmt.Errorf("header ends in the middle: %w", backup.ErrDamaged)
	}
	e.Handle.Type = blob.Type(kind &^ compressedBit)
	e.Length = binary.LittleEndian.Uint32(header[1:])
	if kind&compressedBit != 0 {
		if e.Plain = binary.LittleEndian.Uint32(header[5:]); e.Plain == 0 {
			return e, 0, fmt.Errorf("compressed blob of no length: %w", backup.ErrDamaged)
		}
	}
	copy(e.Handle.ID[:], header[size-blob.IDSize:size])
	return e, size, nil
}
