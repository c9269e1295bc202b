package repository

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"

	"emrvault/backup"
	"emrvault/backup/repository/pack"
)

// codec compresses and expands zstd frames. Both halves keep a bounded number
// of working memories and may be used by many goroutines.
type codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder // as many bytes as the buffer has room for
	free    *zstd.Decoder // for documents whose length nobody has told, up to maxDocument
}

// Compression is how hard blobs are compressed.
type Compression int

const (
	// CompressOff stores data raw. Trees and documents are compressed all the
	// same, as the format wants it.
	CompressOff Compression = iota
	// CompressFastest is what we use: as small as CompressDefault on records
	// and dumps, for less work.
	CompressFastest
	// CompressDefault is restic's.
	CompressDefault
	// CompressBetter takes twice the work for a few percent.
	CompressBetter
	// CompressBest takes ten times the work, for what is written once and kept
	// for thirty years.
	CompressBest
)

var compressionWords = [...]string{"off", "fastest", "default", "better", "best"}

// ParseCompression reads the word a person chose.
func ParseCompression(word string) (Compression, error) {
	for c, name := range compressionWords {
		if word == name {
			return Compression(c), nil
		}
	}
	return 0, fmt.Errorf("compression %q: %w", word, backup.ErrInvalid)
}

// String is the word for it.
func (c Compression) String() string { return compressionWords[c] }

// level is zstd's; trees are compressed also when data is not.
func (c Compression) level() zstd.EncoderLevel {
	return max(zstd.SpeedFastest, zstd.EncoderLevel(c))
}

const (
	// windowSize is what restic writes; a larger window only costs memory with
	// pieces of about a megabyte.
	windowSize = 512 << 10
	// maxDocument bounds documents that are not blobs (index, snapshot, lock).
	maxDocument = 512 << 20
)

// newCodec makes one that keeps the working memories of so many goroutines.
func newCodec(effort Compression, concurrency int) (*codec, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(effort.level()), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(windowSize), zstd.WithEncoderConcurrency(concurrency))
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	options := []zstd.DOption{
		zstd.WithDecoderConcurrency(concurrency), zstd.WithDecoderMaxWindow(pack.MaxBlob), zstd.WithDecoderLowmem(true),
	}
	decoder, err := zstd.NewReader(nil, append(options, zstd.WithDecoderMaxMemory(pack.MaxBlob), zstd.WithDecodeAllCapLimit(true))...)
	if err != nil {
		return nil, fmt.Errorf("set up decompression: %w", err)
	}
	free, err := zstd.NewReader(nil, append(options, zstd.WithDecoderMaxMemory(maxDocument))...)
	if err != nil {
		return nil, fmt.Errorf("set up decompression: %w", err)
	}
	return &codec{encoder: encoder, decoder: decoder, free: free}, nil
}

func (c *codec) close() error {
	c.decoder.Close()
	c.free.Close()
	return c.encoder.Close()
}

// dense tells of a blob that it is compressed or encrypted already, as scans,
// films and archives are, so that compressing it again would be for nothing.
// The rule looks at content alone, and only at that of long blobs, for zstd
// itself gives up on short ones as fast: of 4,096 bytes, taken as 16 runs evenly
// spread from the first to the last, each byte value must be so evenly frequent
// that they carry at least 7.8 bits a byte, which leaves 2.5 % to be gained at
// most. Chance alone gives 7.95; JPEG and ZIP give 7.88 and more, text 4 to 5,
// base64 6, tables of a database 3 to 7.
func dense(plain []byte) bool {
	if len(plain) < denseFrom {
		return false
	}
	var counts [256]uint16
	step := (len(plain) - denseRun) / (denseRuns - 1)
	for i := range denseRuns {
		for _, c := range plain[i*step : i*step+denseRun] {
			counts[c]++
		}
	}
	bits := 0.0
	for _, n := range counts {
		if n > 0 {
			bits += float64(n) * (denseLog - math.Log2(float64(n)))
		}
	}
	return bits >= denseBits*denseRun*denseRuns
}

const (
	denseFrom = 64 << 10
	denseRuns = 16
	denseRun  = 256
	denseLog  = 12 // of denseRun * denseRuns
	denseBits = 7.8
)

// compress appends one frame to dst.
func (c *codec) compress(dst, plain []byte) []byte { return c.encoder.EncodeAll(plain, dst) }

// A frame cannot hold more than this many bytes for each of its own: a block
// of four bytes stands for at most 128 KiB. A larger claim is refused before
// memory is set aside for it.
const maxRatio = 128 << 10 / 4

// slack lets the decoder write a few bytes beyond the end, which spares it
// careful steps at every block.
const slack = 64

// expand appends a frame's content, which must have exactly the stated length.
// A frame that holds more stops near the stated length, whatever it claims.
func (c *codec) expand(dst, frame []byte, length int) ([]byte, error) {
	if length/maxRatio > len(frame) {
		return nil, fmt.Errorf("%d bytes cannot come from a frame of %d: %w", length, len(frame), backup.ErrDamaged)
	}
	start := len(dst)
	dst = slices.Grow(dst, length+slack)
	plain, err := c.decoder.DecodeAll(frame, dst[:start:start+length+slack])
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return nil, fmt.Errorf("expands to more than %d bytes: %w", length, backup.ErrDamaged)
	case err != nil:
		return nil, fmt.Errorf("decompress: %w: %w", backup.ErrDamaged, err)
	case len(plain)-start != length:
		return nil, fmt.Errorf("expands to %d bytes instead of %d: %w", len(plain)-start, length, backup.ErrDamaged)
	}
	return dst[:start+length], nil // the same bytes, with all the room there is for the next blob
}

// expandDocument appends what a frame of unknown length, up to maxDocument,
// expands to.
func (c *codec) expandDocument(dst, frame []byte) ([]byte, error) {
	var header zstd.Header
	if err := header.Decode(frame); err == nil && header.HasFCS && header.FrameContentSize/maxRatio > uint64(len(frame)) {
		return nil, fmt.Errorf("%d bytes cannot come from a frame of %d: %w", header.FrameContentSize, len(frame), backup.ErrDamaged)
	}
	plain, err := c.free.DecodeAll(frame, dst)
	if err != nil {
		return nil, fmt.Errorf("decompress: %w: %w", backup.ErrDamaged, err)
	}
	return plain, nil
}
