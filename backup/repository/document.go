package repository

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
)

// frameMark begins the plaintext of a compressed document.
const frameMark = 2

// SaveUnpacked stores v as a document of its own: JSON, compressed, sealed.
// The id is the name under which it rests.
func (r *Repository) SaveUnpacked(ctx context.Context, kind storage.Kind, v any) (blob.ID, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return blob.ID{}, fmt.Errorf("encode %s: %w", kind, err)
	}
	return r.saveDocument(ctx, kind, text)
}

func (r *Repository) saveDocument(ctx context.Context, kind storage.Kind, text []byte) (blob.ID, error) {
	plain := text
	if r.config.Version >= newestVersion {
		plain = r.codec.compress([]byte{frameMark}, text)
	}
	sealed, err := r.key.Seal(nil, plain)
	if err != nil {
		return blob.ID{}, err
	}
	if r.settings.verify != VerifyOff {
		// A copy, for what is opened is no longer sealed.
		if again, err := r.openDocument(nil, bytes.Clone(sealed)); err != nil || string(again) != string(text) {
			return blob.ID{}, fmt.Errorf("%s cannot be read back before it is stored: memory or processor is faulty: %w", kind, backup.ErrDamaged)
		}
	}
	if kind != storage.Lock {
		if err := confirmed(ctx); err != nil {
			return blob.ID{}, fmt.Errorf("save %s: %w", kind, err)
		}
	}
	id := blob.Hash(sealed)
	name := storage.Name{Kind: kind, ID: id.String()}
	if err := r.storage.Save(ctx, name, sealed); err != nil {
		return blob.ID{}, fmt.Errorf("save %s: %w", name, err)
	}
	return id, nil
}

// LoadUnpacked reads a document into v. The bytes must hash to the name and
// their seal must hold.
func (r *Repository) LoadUnpacked(ctx context.Context, kind storage.Kind, id string, v any) error {
	name := storage.Name{Kind: kind, ID: id}
	text, err := r.loadDocument(ctx, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%s is no JSON as expected: %w: %w", name, backup.ErrDamaged, err)
	}
	return nil
}

func (r *Repository) loadDocument(ctx context.Context, name storage.Name) ([]byte, error) {
	return twice(ctx, func() ([]byte, error) {
		sealed, err := r.storage.Load(ctx, name, nil, 0, -1)
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", name, err)
		}
		return r.provenDocument(nil, name, sealed)
	})
}

// provenDocument opens a document that must hash to its name.
func (r *Repository) provenDocument(dst []byte, name storage.Name, sealed []byte) ([]byte, error) {
	right := named(name)
	if !right(sealed) && name.Kind == storage.Lock {
		if whole, ok := unflip(sealed, right); ok { // nobody shall wait for what a turned bit says
			sealed = whole
		}
	}
	if !right(sealed) {
		return nil, fmt.Errorf("%s was changed or cut short on its storage: %w", name, backup.ErrDamaged)
	}
	text, err := r.openDocument(dst, sealed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}

// openDocument decrypts within sealed and expands into dst, or gives back the
// part of sealed that is the document.
func (r *Repository) openDocument(dst, sealed []byte) ([]byte, error) {
	plain, err := r.key.OpenInPlace(sealed)
	if err != nil {
		return nil, err
	}
	switch {
	case len(plain) == 0 || plain[0] == '{' || plain[0] == '[':
		return plain, nil
	case plain[0] == frameMark && r.config.Version >= newestVersion:
		return r.codec.expandDocument(dst[:0], plain[1:])
	}
	return nil, fmt.Errorf("document of unknown encoding: %w", backup.ErrDamaged)
}

// listIDs lists the documents of a kind.
func (r *Repository) listIDs(ctx context.Context, kind storage.Kind) ([]string, error) {
	var ids []string
	err := r.storage.List(ctx, kind, func(info storage.Info) error {
		ids = append(ids, info.Name.ID)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind, err)
	}
	return ids, nil
}

// absent tells whether an error only says that the document is gone.
func absent(err error) bool { return errors.Is(err, backup.ErrNotFound) }
