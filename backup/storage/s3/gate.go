package s3

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/minio/minio-go/v7"

	"emrvault/backup"
)

// trial is the object that shows whether the key may write. It lies where no
// document does, and always under the same name, so a key that may write but
// not delete leaves one of it and not many.
const trial = "write-test"

// Writable writes an empty object and removes it again, once: a place that has
// taken something takes more. Rights cannot be asked for in another way.
func (s *Storage) Writable(ctx context.Context) error {
	if s.took.Load() {
		return ctx.Err()
	}
	what := "write to " + s.Location()
	key := s.folder() + trial
	done, err := s.core.PutObject(ctx, s.settings.Bucket, key, bytes.NewReader(nil), 0, "", emptyHash, minio.PutObjectOptions{DisableContentSha256: true})
	if err != nil {
		err = s.written(ctx, what, err)
		if errors.Is(err, backup.ErrStorageFull) {
			return nil // The key may write; that there is no room says who tries to.
		}
		return err
	}
	s.took.Store(true)
	// With its version it leaves nothing behind; not every key may do that.
	if err := s.core.RemoveObject(ctx, s.settings.Bucket, key, minio.RemoveObjectOptions{VersionID: done.VersionID}); err == nil {
		return nil
	}
	if err = s.core.RemoveObject(ctx, s.settings.Bucket, key, minio.RemoveObjectOptions{}); err == nil {
		return nil
	}
	if err = s.written(ctx, what, err); errors.Is(err, backup.ErrReadOnly) {
		return nil // a key that only adds
	}
	return err
}

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// Sweep removes the parts of uploads that never ended. They are in no listing,
// yet they are paid for.
func (s *Storage) Sweep(ctx context.Context, age time.Duration) (removed int, err error) {
	listing, cancel := context.WithCancel(ctx)
	defer cancel()
	limit := s.serverTime().Add(-age)
	for upload := range s.core.ListIncompleteUploads(listing, s.settings.Bucket, s.folder(), true) {
		if upload.Err != nil {
			err := s.told(ctx, "look for parts left behind", upload.Err)
			if errors.Is(err, backup.ErrUnsupported) {
				return removed, nil
			}
			return removed, err
		}
		if _, ours := s.name(upload.Key); upload.Initiated.After(limit) || !ours {
			continue
		}
		if err := s.abort(ctx, upload.Key, upload.UploadID); err != nil {
			return removed, s.written(ctx, "remove parts left behind", err)
		}
		removed++
	}
	return removed, ctx.Err()
}
