package s3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// version is one content that a document had, or a time without it.
type version struct {
	id     string
	size   int64
	at     time.Time // by the server's clock
	gone   bool      // the mark of a deletion
	latest bool      // what everybody sees today
}

// newer compares for sorting, the newest first. Servers tell time to a second
// or a thousandth; of two that came at once the one seen today is later, and
// else one that holds bytes is preferred to a deletion.
func newer(a, b version) int {
	switch {
	case !a.at.Equal(b.at):
		return b.at.Compare(a.at)
	case a.latest != b.latest:
		return first(a.latest)
	case a.gone != b.gone:
		return first(b.gone)
	}
	return 0
}

func first(isA bool) int {
	if isA {
		return -1
	}
	return 1
}

// past is a bucket as it was. It can only be read.
type past struct {
	bucket *Storage
	at     time.Time
	held   map[storage.Kind]map[string][]version // by id, the newest first
}

var _ storage.History = (*past)(nil)

// add notes a version. Most documents have one and only one.
func (p *past) add(name storage.Name, v version) {
	if p.held[name.Kind] == nil {
		p.held[name.Kind] = map[string][]version{}
	}
	versions := p.held[name.Kind][name.ID]
	at, _ := slices.BinarySearchFunc(versions, v, newer)
	for at < len(versions) && newer(versions[at], v) == 0 {
		at++ // Servers list the newer of two first.
	}
	p.held[name.Kind][name.ID] = slices.Insert(versions, at, v)
}

// Location names the bucket and the moment.
func (p *past) Location() string {
	return p.bucket.Location() + " at " + p.at.UTC().Format(time.RFC3339)
}

func (p *past) find(name storage.Name) (version, error) {
	versions := p.held[name.Kind][name.ID]
	if len(versions) == 0 || versions[0].gone {
		return version{}, fmt.Errorf("%s at %s: %w", name, p.at.UTC().Format(time.RFC3339), backup.ErrNotFound)
	}
	return versions[0], nil
}

// Load reads from the version of the time.
func (p *past) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	v, err := p.find(name)
	if err != nil {
		return nil, err
	}
	return p.bucket.load(ctx, name, v.id, buf, offset, length)
}

// Older visits what lay there until the time. A version that somebody was able
// to destroy since, or that is too long for a document, is passed over.
func (p *past) Older(ctx context.Context, name storage.Name, fn func(time.Time, []byte) bool) error {
	for _, v := range p.held[name.Kind][name.ID] {
		if v.gone {
			continue
		}
		data, err := p.bucket.load(ctx, name, v.id, nil, 0, -1)
		if errors.Is(err, backup.ErrNotFound) && !errors.Is(err, storage.ErrPermanent) || errors.Is(err, backup.ErrDamaged) {
			continue
		}
		if err != nil {
			return err
		}
		if !fn(v.at, data) {
			return nil
		}
	}
	return ctx.Err()
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
	for id, versions := range p.held[kind] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if versions[0].gone {
			continue
		}
		if err := fn(storage.Info{Name: storage.Name{Kind: kind, ID: id}, Size: versions[0].size}); err != nil {
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
