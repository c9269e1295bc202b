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

// At shows the documents as they were at t by the server's clock: of each key
// the newest version that is not younger than t, unless that is the mark of a
// deletion. The whole list is read first; a view does not change any more.
// Most servers tell time to the second, so what happened within the second of
// t may be seen.
func (s *Storage) At(ctx context.Context, t time.Time) (storage.Storage, error) {
	if err := s.versioned(ctx); err != nil {
		return nil, err
	}
	listing, cancel := context.WithCancel(ctx)
	defer cancel()
	now := s.serverTime()
	p := &past{bucket: s, at: t, held: map[storage.Kind]map[string][]version{}}
	options := minio.ListObjectsOptions{Prefix: s.folder(), Recursive: true, WithVersions: true}
	for object := range s.core.ListObjectsIter(listing, s.settings.Bucket, options) {
		if object.Err != nil {
			return nil, s.told(ctx, "list versions", object.Err)
		}
		name, ours := s.name(object.Key)
		at := written(object.VersionID, object.LastModified, now)
		if ours && !at.After(t) {
			p.add(name, version{id: object.VersionID, size: object.Size, at: at, gone: object.IsDeleteMarker, latest: object.IsLatest})
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list versions: %w", err)
	}
	return p, nil
}

// versioned makes sure that the bucket keeps versions, now or in the past.
func (s *Storage) versioned(ctx context.Context) error {
	state, err := s.core.GetBucketVersioning(ctx, s.settings.Bucket)
	if err == nil && (state.Enabled() || state.Suspended()) || isDenied(err) {
		return nil // Who may not ask may still list.
	}
	if err != nil {
		if err = s.told(ctx, "versions of bucket "+s.settings.Bucket, err); !errors.Is(err, backup.ErrUnsupported) {
			return err
		}
	}
	return fmt.Errorf("the bucket %s keeps no versions, so there is no past to see: %w: %w", s.settings.Bucket, backup.ErrUnsupported, storage.ErrPermanent)
}

// name finds out which document lies under a key.
func (s *Storage) name(key string) (storage.Name, bool) {
	for _, kind := range kinds() {
		if name, ours := s.parse(kind, key); ours {
			return name, true
		}
	}
	return storage.Name{}, false
}

func kinds() []storage.Kind {
	return []storage.Kind{storage.Config, storage.Key, storage.Snapshot, storage.Index, storage.Lock, storage.Pack}
}
