package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/minio/minio-go/v7"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// Period is how long documents are locked when they are written.
func (s *Storage) Period() time.Duration { return s.settings.Lock }

// lockable makes sure, once, that the bucket has object lock. There are
// servers that take a lock with thanks and do not keep it.
func (s *Storage) lockable(ctx context.Context) error {
	if s.locks.Load() {
		return nil
	}
	state, _, _, _, err := s.core.GetObjectLockConfig(ctx, s.settings.Bucket)
	if err == nil && state == "Enabled" || isDenied(err) { // Who may not ask is told by the first document.
		s.locks.Store(true)
		return nil
	}
	advice := fmt.Sprintf("the bucket %s has no object lock: make a new bucket with it (few servers can add it later), or take EMRVAULT_S3_LOCK away", s.settings.Bucket)
	if err == nil || isNoLock(err) {
		return fmt.Errorf("%s: %w: %w", advice, backup.ErrUnsupported, storage.ErrPermanent)
	}
	err = s.told(ctx, "object lock of bucket "+s.settings.Bucket, err)
	if errors.Is(err, backup.ErrUnsupported) {
		return fmt.Errorf("%s: %w", advice, err)
	}
	return err
}

func isDenied(err error) bool { return isCode(err, "AccessDenied") }

// isNoLock tells the answers that mean: nothing is locked here.
func isNoLock(err error) bool {
	return isCode(err, "ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFound") ||
		isCode(err, "InvalidRequest", "InvalidArgument") // "Bucket is missing Object Lock Configuration"
}

// Retention tells until when a document is locked. Servers are asked in the way
// made for it; some answer that in a form of their own, and then the head of
// the document may tell. Where neither does, it is not known.
func (s *Storage) Retention(ctx context.Context, name storage.Name) (until time.Time, known bool, err error) {
	mode, date, err := s.core.GetObjectRetention(ctx, s.settings.Bucket, s.key(name), "")
	switch {
	case err == nil && date != nil && mode != nil && mode.IsValid():
		return date.UTC(), true, nil
	case isNoLock(err):
		return time.Time{}, true, nil
	}
	var res minio.ErrorResponse
	if errors.As(err, &res) && meaningOf(res) != unsupported && meaningOf(res) != denied {
		return time.Time{}, false, s.told(ctx, "lock of "+name.String(), err)
	}
	return s.retentionByHead(ctx, name)
}

func (s *Storage) retentionByHead(ctx context.Context, name storage.Name) (until time.Time, known bool, err error) {
	object, err := s.core.StatObject(ctx, s.settings.Bucket, s.key(name), minio.StatObjectOptions{})
	if err != nil {
		return time.Time{}, false, s.told(ctx, "lock of "+name.String(), s.why(ctx, err))
	}
	until, err = time.Parse(time.RFC3339, object.Metadata.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	if err != nil {
		return time.Time{}, false, nil //nolint:nilerr // A head without a date says nothing.
	}
	return until.UTC(), true, nil
}

// Retain locks a document until a date, to the second. Where it is known to be
// locked as long already, nothing is done.
func (s *Storage) Retain(ctx context.Context, name storage.Name, until time.Time) error {
	what := "lock " + name.String()
	if !locked(name.Kind) {
		return fmt.Errorf("%s: it must stay removable: %w", what, backup.ErrInvalid)
	}
	if err := s.lockable(ctx); err != nil {
		return err
	}
	until = until.UTC().Truncate(time.Second)
	now, known, err := s.Retention(ctx, name)
	if err != nil || known && !until.After(now) {
		return err
	}
	mode := minio.Compliance
	err = s.core.PutObjectRetention(ctx, s.settings.Bucket, s.key(name), minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &until})
	if err != nil {
		return s.written(ctx, what, err)
	}
	return nil
}
