package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"emrvault/backup"
)

// maxFacts bounds a PointFile that is read back: it comes from a repository
// that may be foreign. A thousand tables with their counts need some 100 KiB.
const maxFacts = 16 << 20

// PutFacts leaves c in the snapshot as its PointFile. It comes last, so that a
// snapshot with facts has all the data they speak of.
func PutFacts(ctx context.Context, sink Sink, c *Capture) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("write facts of the capture: %w", err)
	}
	text = append(text, '\n')
	entry := Entry{Path: PointFile, Mode: 0o600, ModTime: c.AsOf, Size: int64(len(text))}
	return sink.Put(ctx, entry, bytes.NewReader(text))
}

// ReadFacts reads a PointFile.
func ReadFacts(r io.Reader) (*Capture, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFacts+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", PointFile, err)
	}
	if len(text) > maxFacts {
		return nil, fmt.Errorf("%s is larger than %d bytes: %w", PointFile, maxFacts, backup.ErrDamaged)
	}
	var c Capture
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("read %s: %w", PointFile, errors.Join(backup.ErrDamaged, err))
	}
	return &c, nil
}
