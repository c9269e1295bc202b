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
func (s *Storage) At(ctx context.Context, t time.Time) (storage.Storage, error) {
	if err := s.versioned(ctx); err != nil {
		return nil, err
	}
	listing, cancel := context.WithCancel(ctx)
	defer cancel()
	newest := map[storage.Name]minio.ObjectInfo{}
	options := minio.ListObjectsOptions{Prefix: s.folder(), Recursive: true, WithVersions: true}
	for object := range s.core.ListObjectsIter(listing, s.settings.Bucket, options) {
		if object.Err != nil {
			return nil, s.told(ctx, "list versions", object.Err)
		}
		name, ours := s.name(object.Key)
		if !ours || object.LastModified.After(t) {
			continue
		}
		if old, known := newest[name]; !known || newer(object, old) {
			newest[name] = object
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list versions: %w", err)
	}
	return newPast(s, t, newest), nil
}

// newer tells whether version a came after version b. Servers tell time to a
// second or a thousandth; of two that came at once the current one is later,
// and else one that holds bytes is preferred to a deletion.
func newer(a, b minio.ObjectInfo) bool {
	if !a.LastModified.Equal(b.LastModified) {
		return a.LastModified.After(b.LastModified)
	}
	if a.IsLatest != b.IsLatest {
		return a.IsLatest
	}
	return b.IsDeleteMarker && !a.IsDeleteMarker
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

// version is where the bytes of a document of the past lie.
type version struct {
	id   string
	size int64
}

// past is a bucket as it was. It can only be read.
type past struct {
	bucket *Storage
	at     time.Time
	held   map[storage.Kind]map[string]version // by id
}

func newPast(s *Storage, at time.Time, newest map[storage.Name]minio.ObjectInfo) *past {
	p := &past{bucket: s, at: at, held: map[storage.Kind]map[string]version{}}
	for name, object := range newest {
		if object.IsDeleteMarker {
			continue
		}
		if p.held[name.Kind] == nil {
			p.held[name.Kind] = map[string]version{}
		}
		p.held[name.Kind][name.ID] = version{id: object.VersionID, size: object.Size}
	}
	return p
}

// Location names the bucket and the moment.
func (p *past) Location() string {
	return p.bucket.Location() + " at " + p.at.UTC().Format(time.RFC3339)
}

func (p *past) find(name storage.Name) (version, error) {
	v, known := p.held[name.Kind][name.ID]
	if !known {
		return version{}, fmt.Errorf("%s at %s: %w", name, p.at.UTC().Format(time.RFC3339), backup.ErrNotFound)
	}
	return v, nil
}

// Load reads from the version of the time.
func (p *past) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	v, err := p.find(name)
	if err != nil {
		return nil, err
	}
	return p.bucket.load(ctx, name, v.id, buf, offset, length)
}

// Stat tells the size at the time.
func (p *past) Stat(ctx context.Context, name storage.Name) (storage.Info, error) {
	v, err := p.find(name)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return storage.Info{}, err
	}
	return storage.Info{Name: name, Size: v.size}, nil
}

// List visits what was there at the time.
func (p *past) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	for id, v := range p.held[kind] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(storage.Info{Name: storage.Name{Kind: kind, ID: id}, Size: v.size}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (p *past) readOnly() error {
	return fmt.Errorf("%s: the past cannot be changed: %w", p.Location(), backup.ErrReadOnly)
}

// Create refuses.
func (p *past) Create(context.Context) error { return p.readOnly() }

// Save refuses.
func (p *past) Save(context.Context, storage.Name, []byte) error { return p.readOnly() }

// Remove refuses.
func (p *past) Remove(context.Context, storage.Name) error { return p.readOnly() }

// Writable refuses, so that who only reads takes no lock.
func (p *past) Writable(context.Context) error { return p.readOnly() }

// Close does nothing: the connections belong to the bucket.
func (p *past) Close() error { return nil }
