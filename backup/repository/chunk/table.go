package chunk

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// Table decides, together with the bytes of a file, where it is cut. It must
// stay secret: who knows it could recognise a known file by the lengths of its
// pieces, although every piece is sealed.
type Table struct {
	gear [256]uint64
}

const tableLabel = "emrvault gear table, version 1"

// NewTable expands a secret into a table: HMAC-SHA256 keyed by the secret over
// the label and a block number, 32 bytes a block, read as little-endian words.
// The same secret gives the same table for ever, or nothing would deduplicate.
func NewTable(secret [32]byte) *Table {
	t := &Table{}
	var block []byte
	for i := range t.gear {
		if i%4 == 0 {
			mac := hmac.New(sha256.New, secret[:])
			mac.Write(binary.LittleEndian.AppendUint32([]byte(tableLabel), uint32(i/4)))
			block = mac.Sum(block[:0])
		}
		t.gear[i] = binary.LittleEndian.Uint64(block[i%4*8:])
	}
	return t
}
