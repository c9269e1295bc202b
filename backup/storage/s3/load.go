package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// Load reads from a document.
func (s *Storage) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	return s.load(ctx, name, "", buf, offset, length)
}

// load reads from one version of a document; none named means the current one.
func (s *Storage) load(ctx context.Context, name storage.Name, version string, buf []byte, offset, length int64) ([]byte, error) {
	if offset < 0 {
		return nil, fmt.Errorf("%s: no byte stands before the first: %w", name, backup.ErrInvalid)
	}
	if length == 0 || length > math.MaxInt64-offset {
		return s.loadNothing(ctx, name, version, buf, offset, length)
	}
	options := minio.GetObjectOptions{VersionID: version}
	if offset > 0 || length > 0 {
		span := fmt.Sprintf("bytes=%d-", offset)
		if length > 0 {
			span += strconv.FormatInt(offset+length-1, 10)
		}
		options.Set("Range", span)
	}
	body, _, head, err := s.core.GetObject(ctx, s.settings.Bucket, s.key(name), options)
	if isCode(err, "InvalidRange") {
		return s.loadNothing(ctx, name, version, buf, offset, length)
	}
	if err != nil {
		return nil, s.told(ctx, name.String(), err)
	}
	defer body.Close()
	size, err := announced(name, head, offset, length)
	if err != nil {
		return nil, err
	}
	buf = slices.Grow(buf[:0], int(size))[:size]
	if _, err := io.ReadFull(body, buf); err != nil {
		// Not damage: the server announced more and broke off.
		return nil, s.told(ctx, name.String()+" was cut short on its way", err)
	}
	return buf, nil
}

// maxWhole bounds what is read when no length is given; what is longer is no
// document of ours, but may be rubbish that an attacker has laid over one.
const maxWhole = 1 << 30

// announced is how many bytes the answer brings: those that were asked for, or
// an error. It is known before any room is made for them.
func announced(name storage.Name, head http.Header, offset, length int64) (int64, error) {
	size, err := strconv.ParseInt(head.Get("Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return 0, fmt.Errorf("%s: the server does not tell how long its answer is", name)
	}
	if offset > 0 || length > 0 {
		// A server that knows no ranges would send other bytes than asked for.
		span, _, _ := strings.Cut(strings.TrimPrefix(head.Get("Content-Range"), "bytes "), "-")
		if begin, err := strconv.ParseInt(span, 10, 64); err != nil || begin != offset {
			return 0, fmt.Errorf("%s: the server was asked for byte %d and sends %q: %w", name, offset, head.Get("Content-Range"), storage.ErrPermanent)
		}
	}
	if length < 0 && size > maxWhole {
		return 0, fmt.Errorf("%s has %d bytes, far too many: %w", name, size, backup.ErrDamaged)
	}
	if length > 0 && size != length {
		return 0, fmt.Errorf("%s gives %d bytes, not %d from %d on: %w", name, size, length, offset, backup.ErrDamaged)
	}
	return size, nil
}

// loadNothing answers where no byte is wanted, or none is there. HTTP has no
// way to ask for an empty range, and calls the one at the end invalid.
func (s *Storage) loadNothing(ctx context.Context, name storage.Name, version string, buf []byte, offset, length int64) ([]byte, error) {
	object, err := s.core.StatObject(ctx, s.settings.Bucket, s.key(name), minio.StatObjectOptions{VersionID: version})
	if err != nil {
		return nil, s.told(ctx, name.String(), s.why(ctx, err))
	}
	if offset > object.Size || length > 0 {
		return nil, fmt.Errorf("%s has %d bytes, not %d from %d on: %w", name, object.Size, length, offset, backup.ErrDamaged)
	}
	if length < 0 && offset < object.Size {
		return nil, fmt.Errorf("%s: the server refuses to give byte %d of %d", name, offset, object.Size)
	}
	return buf[:0], nil
}

// isCode tells whether a server answered with one of these codes.
func isCode(err error, codes ...string) bool {
	var res minio.ErrorResponse
	return errors.As(err, &res) && slices.Contains(codes, res.Code)
}
