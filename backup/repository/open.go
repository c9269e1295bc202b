package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"emrvault/backup"
	"emrvault/backup/repository/cache"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/storage"
)

// Open opens a repository with a password. Its errors tell apart a place
// without repository (backup.ErrNoRepository), a password that opens no key
// (backup.ErrWrongPassword), and a damaged key or config (backup.ErrDamaged).
func Open(ctx context.Context, st storage.Storage, password string, opts ...Option) (*Repository, error) {
	sealed, err := loadConfig(ctx, st)
	if err != nil {
		return nil, err
	}
	master, id, err := unlock(ctx, st, password)
	if err != nil {
		return nil, fmt.Errorf("open repository %s: %w", st.Location(), err)
	}
	c, err := openConfig(master, sealed)
	if errors.Is(err, backup.ErrDamaged) { // once more, as twice does
		if sealed, err = loadConfig(ctx, st); err == nil {
			c, err = openConfig(master, sealed)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open repository %s: %w", st.Location(), err)
	}
	r, err := newRepository(st, opts)
	if err != nil {
		return nil, err
	}
	r.config = c
	r.setKey(master, id)
	r.openCache()
	return r, nil
}

// openCache opens what this machine remembers. A place where that cannot be
// kept costs time and nothing else, so it is no reason to stop.
func (r *Repository) openCache() {
	if r.settings.cacheDir == "" {
		return
	}
	if c, err := cache.Open(r.settings.cacheDir, r.config.ID, r.key, r.settings.cacheLimit); err == nil {
		r.cache = c
		r.trees = newTreeCache(r)
	}
}

func loadConfig(ctx context.Context, st storage.Storage) ([]byte, error) {
	sealed, err := st.Load(ctx, storage.Name{Kind: storage.Config}, nil, 0, -1)
	switch {
	case errors.Is(err, backup.ErrNotFound):
		return nil, noConfig(ctx, st, err)
	case err != nil:
		return nil, fmt.Errorf("load config of %s: %w", st.Location(), err)
	}
	return sealed, nil
}

// noConfig says what is missing: everything, or only the config. A place that
// is not there itself says so in its own words.
func noConfig(ctx context.Context, st storage.Storage, cause error) error {
	if errors.Is(cause, storage.ErrPermanent) {
		return fmt.Errorf("%w: %w", backup.ErrNoRepository, cause)
	}
	keys, err := (&Repository{storage: st}).listIDs(ctx, storage.Key)
	if err == nil && len(keys) > 0 {
		return fmt.Errorf("%s: %w: keys are there but the file \"config\" is missing; bring it back from a copy",
			st.Location(), backup.ErrNoRepository)
	}
	return fmt.Errorf("%s: %w; check the path, or make one with `repo init`", st.Location(), backup.ErrNoRepository)
}

func openConfig(master *crypto.Key, sealed []byte) (config, error) {
	text, err := master.Open(nil, sealed)
	if err != nil {
		if whole, ok := unflip(sealed, func(data []byte) bool { _, err := master.Open(nil, data); return err == nil }); ok {
			text, err = master.Open(nil, whole)
		}
	}
	if err != nil {
		return config{}, fmt.Errorf("the password is right, but the config was changed or cut short; bring the file back from a copy: %w", err)
	}
	return parseConfig(text)
}

// Create makes a repository of format version 2 at an empty place. The config
// is written last, so a crash leaves a place without repository.
func Create(ctx context.Context, st storage.Storage, password string, opts ...Option) (*Repository, error) {
	r, err := newRepository(st, opts)
	if err != nil {
		return nil, err
	}
	if err := st.Create(ctx); err != nil {
		return nil, fmt.Errorf("make a repository at %s: %w", st.Location(), err)
	}
	if err := r.sweepUnfinished(ctx); err != nil {
		return nil, fmt.Errorf("make a repository at %s: %w", st.Location(), err)
	}
	if err := r.found(ctx, password); err != nil {
		return nil, fmt.Errorf("make a repository at %s: %w", st.Location(), err)
	}
	return r, nil
}

// sweepUnfinished removes the keys of a Create that did not come to its end.
// Keys beside data are never touched: with a lost config they are all that can
// still open it.
func (r *Repository) sweepUnfinished(ctx context.Context) error {
	for _, kind := range []storage.Kind{storage.Pack, storage.Index, storage.Snapshot} {
		ids, err := r.listIDs(ctx, kind)
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			return fmt.Errorf("%d files in %q: %w, only its config is missing", len(ids), kind, backup.ErrRepositoryExists)
		}
	}
	keys, err := r.listIDs(ctx, storage.Key)
	if err != nil {
		return err
	}
	for _, id := range keys {
		if err := r.remove(ctx, storage.Name{Kind: storage.Key, ID: id}); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repository) found(ctx context.Context, password string) error {
	master, err := crypto.NewMaster()
	if err != nil {
		return err
	}
	if r.config, err = newConfig(); err != nil {
		return err
	}
	id, err := saveKey(ctx, r.storage, master, r.settings.kdf, password, KeyHints{})
	if err != nil {
		return err
	}
	text, err := json.Marshal(r.config)
	if err != nil {
		return fmt.Errorf("encode config: %w", err)
	}
	sealed, err := master.Seal(nil, text)
	if err != nil {
		return err
	}
	if err := r.storage.Save(ctx, storage.Name{Kind: storage.Config}, sealed); err != nil {
		return fmt.Errorf("save config: %w", err)
	}
	r.setKey(master, id)
	r.openCache()
	return nil
}
