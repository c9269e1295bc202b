// Package s3 keeps documents as objects in a bucket of any S3 server, in
// restic's layout: "<prefix>/config", "<prefix>/data/ab/abcd…" and so on.
//
// A PUT is whole or has not happened, so a document is its object and nothing
// else. The name of a document is the SHA-256 of its bytes; that hash goes into
// the signature of the request, so the server itself refuses bytes that were
// changed on their way, and we spend no time on hashing them once more. What
// is larger than PartSize goes up in parts, each with its own hash.
//
// S3 deletes what is not there without a word. Remove therefore looks first;
// one HEAD is cheap beside a deletion, and on a bucket with versions it also
// keeps delete markers from piling up when a call is repeated.
//
// Nothing is repeated here: that is the business of the wrapper above, which
// learns from the error whether it makes sense (storage.ErrPermanent,
// storage.Throttled). Each storage has connections of its own, and none of
// them waits for ever.
//
// Where the bucket keeps versions, At shows it as it was (versions.go); where
// it has object lock and Lock is set, everything but locks is written with a
// date before which nobody can delete it (retain.go).
package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// Storage is a bucket, or a folder in one.
type Storage struct {
	settings Settings
	core     *minio.Core
	listener *listener
	now      func() time.Time
	took     atomic.Bool // a document was written here, so others can be
	locks    atomic.Bool // the bucket was seen to have object lock
}

// Open makes ready to use a bucket. The server is asked nothing yet.
func Open(ctx context.Context, settings Settings) (*Storage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	settings, err := settings.complete()
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(settings)
	if err != nil {
		return nil, err
	}
	s := &Storage{settings: settings, now: time.Now, listener: newListener(settings, transport)}
	_, host, _ := strings.Cut(settings.Endpoint, "://")
	s.core, err = minio.NewCore(host, &minio.Options{
		Creds:           credentials.NewStaticV4(settings.AccessKey, settings.SecretKey, settings.SessionToken),
		Secure:          settings.secure(),
		Transport:       s.listener,
		Region:          settings.Region,
		BucketLookup:    settings.lookup(),
		TrailingHeaders: settings.TrailingHeaders,
		MaxRetries:      1,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", settings.Location(), backup.ErrInvalid, err)
	}
	return s, nil
}

// Location is the address of the bucket and the folder in it.
func (s *Storage) Location() string { return s.settings.Location() }

// Remote says that every request travels over a network.
func (s *Storage) Remote() {}

// Settings are those the storage was opened with, completed.
func (s *Storage) Settings() Settings { return s.settings }

// Close ends the connections.
func (s *Storage) Close() error {
	s.listener.line.CloseIdleConnections()
	return nil
}

// key is the name of the object that holds a document.
func (s *Storage) key(name storage.Name) string { return s.folder() + name.Path() }

// folder is what the keys of all our objects begin with.
func (s *Storage) folder() string {
	if s.settings.Prefix == "" {
		return ""
	}
	return s.settings.Prefix + "/"
}

// Create makes the bucket if there is none; the layout needs no folders.
func (s *Storage) Create(ctx context.Context) error {
	what := "create " + s.Location()
	_, err := s.core.StatObject(ctx, s.settings.Bucket, s.key(storage.Name{Kind: storage.Config}), minio.StatObjectOptions{})
	if err == nil {
		return fmt.Errorf("%s: %w", s.Location(), backup.ErrRepositoryExists)
	}
	var res minio.ErrorResponse
	if err = s.why(ctx, err); errors.As(err, &res) {
		switch meaningOf(res) {
		case absent:
			return nil
		case noBucket:
			return s.makeBucket(ctx, what)
		}
	}
	return s.told(ctx, what, err)
}

func (s *Storage) makeBucket(ctx context.Context, what string) error {
	err := s.core.MakeBucket(ctx, s.settings.Bucket, minio.MakeBucketOptions{
		Region: s.settings.Region, ObjectLocking: s.settings.Lock > 0,
	})
	var res minio.ErrorResponse
	if errors.As(err, &res) && res.Code == "BucketAlreadyOwnedByYou" {
		return nil // somebody was quicker
	}
	if err != nil {
		return fmt.Errorf("the bucket %s does not exist and could not be made; make it on the server: %w", s.settings.Bucket, s.written(ctx, what, err))
	}
	return nil
}

// Stat tells the size of a document.
func (s *Storage) Stat(ctx context.Context, name storage.Name) (storage.Info, error) {
	object, err := s.core.StatObject(ctx, s.settings.Bucket, s.key(name), minio.StatObjectOptions{})
	if err != nil {
		return storage.Info{}, s.told(ctx, name.String(), s.why(ctx, err))
	}
	return storage.Info{Name: name, Size: object.Size}, nil
}

// Remove deletes a document. Where versions are kept it becomes invisible,
// and At still finds it.
func (s *Storage) Remove(ctx context.Context, name storage.Name) error {
	if _, err := s.Stat(ctx, name); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	if err := s.core.RemoveObject(ctx, s.settings.Bucket, s.key(name), minio.RemoveObjectOptions{}); err != nil {
		return s.written(ctx, "remove "+name.String(), err)
	}
	return nil
}

// List visits the documents of a kind.
func (s *Storage) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	what := "list " + string(kind)
	listing, cancel := context.WithCancel(ctx)
	defer cancel()
	prefix := s.folder() + string(kind)
	if kind != storage.Config {
		prefix += "/"
	}
	for object := range s.core.ListObjectsIter(listing, s.settings.Bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if object.Err != nil {
			return s.told(ctx, what, object.Err)
		}
		if name, ours := s.parse(kind, object.Key); ours {
			if err := fn(storage.Info{Name: name, Size: object.Size}); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	// A listing that is cancelled ends without a word.
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// parse turns the key of an object into the name of the document it holds; a
// key under which nobody would look for it is none of ours.
func (s *Storage) parse(kind storage.Kind, key string) (storage.Name, bool) {
	name := storage.Name{Kind: kind}
	if kind != storage.Config {
		name.ID = key[strings.LastIndexByte(key, '/')+1:]
		if !storage.IsID(name.ID) {
			return storage.Name{}, false
		}
	}
	return name, s.key(name) == key
}
