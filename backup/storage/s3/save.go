package s3

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3 asks for it beside a lock; nothing rests on it.
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// partsAtOnce is how many parts of one document go up side by side.
const partsAtOnce = 4

// Save writes a document. A name that is there already is written anew: the
// new bytes are known to be right, the old ones are not.
func (s *Storage) Save(ctx context.Context, name storage.Name, data []byte) error {
	options := minio.PutObjectOptions{ContentType: "application/octet-stream", DisableContentSha256: true}
	if s.settings.Lock > 0 && locked(name.Kind) {
		if err := s.lockable(ctx); err != nil {
			return err
		}
		options.Mode = minio.Compliance
		options.RetainUntilDate = s.serverTime().Add(s.settings.Lock)
	}
	err := s.store(ctx, name, data, options)
	if err == nil {
		s.took.Store(true)
	}
	return err
}

// locked tells which documents are locked: all that a repository is made of.
// Its own locks, and what a probe writes, must stay removable.
func locked(kind storage.Kind) bool { return kind != storage.Lock && slices.Contains(kinds(), kind) }

func (s *Storage) store(ctx context.Context, name storage.Name, data []byte, options minio.PutObjectOptions) error {
	switch {
	case name.Kind == storage.Config:
		return s.saveConfig(ctx, name, data, options)
	case int64(len(data)) > s.settings.PartSize:
		return s.saveParts(ctx, name, data, options)
	}
	return s.put(ctx, name, name.ID, data, options)
}

// put writes in one request. hash is the SHA-256 of data in hex; the server
// refuses other bytes.
func (s *Storage) put(ctx context.Context, name storage.Name, hash string, data []byte, options minio.PutObjectOptions) error {
	if s.settings.TrailingHeaders {
		hash = "" // A checksum follows the bytes; the two exclude each other.
	}
	_, err := s.core.PutObject(ctx, s.settings.Bucket, s.key(name), bytes.NewReader(data), int64(len(data)), sumForLock(options, data), hash, options)
	if err != nil {
		return s.written(ctx, "save "+name.String(), err)
	}
	return nil
}

// sumForLock is the MD5 that S3 wants with every object that is to be locked.
func sumForLock(options minio.PutObjectOptions, data []byte) string {
	if options.Mode == "" {
		return ""
	}
	sum := md5.Sum(data) //nolint:gosec // as above
	return base64.StdEncoding.EncodeToString(sum[:])
}

// saveConfig never replaces a config with another one. With a conditional put
// the server sees to it; else we look first, and two that begin a repository
// at the same moment are not told apart.
func (s *Storage) saveConfig(ctx context.Context, name storage.Name, data []byte, options minio.PutObjectOptions) error {
	hash := sha256.Sum256(data)
	if s.settings.ConditionalPut {
		options.SetMatchETagExcept("*")
		err := s.put(ctx, name, hex.EncodeToString(hash[:]), data, options)
		var res minio.ErrorResponse
		if !errors.As(err, &res) || res.StatusCode != http.StatusPreconditionFailed {
			return err
		}
	}
	old, err := s.Load(ctx, name, nil, 0, -1)
	switch {
	case errors.Is(err, backup.ErrNotFound) && !errors.Is(err, storage.ErrPermanent):
		return s.put(ctx, name, hex.EncodeToString(hash[:]), data, options)
	case err != nil:
		return err
	case !bytes.Equal(old, data):
		return fmt.Errorf("%s: %w", s.Location(), backup.ErrRepositoryExists)
	}
	return nil
}

// saveParts writes what is larger than one part. The document appears when the
// last part is there.
func (s *Storage) saveParts(ctx context.Context, name storage.Name, data []byte, options minio.PutObjectOptions) error {
	what := "save " + name.String()
	upload, err := s.core.NewMultipartUpload(ctx, s.settings.Bucket, s.key(name), options)
	if err != nil {
		return s.written(ctx, what, err)
	}
	parts, err := s.putParts(ctx, name, upload, data, options)
	if err == nil {
		_, err = s.core.CompleteMultipartUpload(ctx, s.settings.Bucket, s.key(name), upload, parts, minio.PutObjectOptions{})
	}
	if err == nil {
		return nil
	}
	err = s.written(ctx, what, err)
	if left := s.abort(ctx, s.key(name), upload); left != nil {
		return fmt.Errorf("%w (its parts stay until they are swept: %v)", err, left) //nolint:errorlint // What failed first decides what is to be done.
	}
	return err
}

func (s *Storage) putParts(ctx context.Context, name storage.Name, upload string, data []byte, options minio.PutObjectOptions) ([]minio.CompletePart, error) {
	count := (int64(len(data)) + s.settings.PartSize - 1) / s.settings.PartSize
	parts := make([]minio.CompletePart, count)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(partsAtOnce)
	for i := range parts {
		part := data[int64(i)*s.settings.PartSize:]
		part = part[:min(int64(len(part)), s.settings.PartSize)]
		group.Go(func() error {
			hash := sha256.Sum256(part)
			done, err := s.core.PutObjectPart(ctx, s.settings.Bucket, s.key(name), upload, i+1, bytes.NewReader(part), int64(len(part)),
				minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(hash[:]), Md5Base64: sumForLock(options, part), DisableContentSha256: true})
			parts[i] = minio.CompletePart{PartNumber: i + 1, ETag: done.ETag}
			return err
		})
	}
	return parts, group.Wait()
}

// abortTime is how long a failed or cancelled Save goes on to tidy up.
const abortTime = 10 * time.Second

// abort removes the parts of an upload that will not end. It does so also
// after the work was cancelled. A part that was on its way may arrive after the
// rest was removed, and bring the upload back to life; so it is removed until
// the server knows nothing of it, or has had its time.
func (s *Storage) abort(ctx context.Context, key, upload string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	const turns, pause = 4, 50 * time.Millisecond
	for turn := 1; ; turn++ {
		err := s.core.AbortMultipartUpload(ctx, s.settings.Bucket, key, upload)
		if isCode(err, "NoSuchUpload") {
			return nil
		}
		if err != nil || turn == turns {
			return err
		}
		time.Sleep(time.Duration(turn) * pause)
	}
}

// serverTime is what the server's clock shows, as far as we have heard.
func (s *Storage) serverTime() time.Time {
	skew, _ := s.Skew()
	return s.now().Add(skew)
}
