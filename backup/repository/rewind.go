package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"emrvault/backup"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/storage"
)

// RewindReport tells what Rewind brought back.
type RewindReport struct {
	ID        string         `json:"id"` // of the repository
	To        time.Time      `json:"to"`
	Documents int64          `json:"documents"`
	Bytes     int64          `json:"bytes"`
	Resumed   int64          `json:"resumed"`   // of these, an earlier Rewind had brought
	Replaced  []storage.Name `json:"replaced"`  // rubbish lay there; an older version was right
	Rubbish   []storage.Name `json:"rubbish"`   // no version was right, so it was not brought back
	Snapshots []string       `json:"snapshots"` // that are there now
	Findings  []Finding      `json:"findings"`  // of the check of the target
}

// Sound tells whether the check of the target found no error.
func (r RewindReport) Sound() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Level == Error })
}

// Rewind copies a repository as it was at a moment to an empty place. It is for
// the day after an attack, on storage that keeps versions: whoever had the key
// of the storage could delete and overwrite what everybody sees, but not what
// was locked beneath.
//
// The password must open the repository of that moment, which proves that it is
// this one. Every document is copied byte for byte and must hash to its name; a
// version that does not was laid over the right one, and the versions below are
// tried. Locks stay behind. The config comes last: a target that is not
// complete is no repository, and Rewind goes on with it where it ended. In the
// end CheckStore looks at the target.
func Rewind(ctx context.Context, st storage.Storage, password string, to time.Time, target storage.Storage, progress backup.Progress, opts ...Option) (RewindReport, error) {
	if progress == nil {
		progress = backup.Silent{}
	}
	r := &rewinder{target: target, progress: progress, report: RewindReport{To: to.UTC()}}
	if err := r.run(ctx, st, password, opts); err != nil {
		return r.report, fmt.Errorf("bring %s back as of %s: %w", st.Location(), to.UTC().Format(time.RFC3339), err)
	}
	return r.report, nil
}

// rewinder is one Rewind at work.
type rewinder struct {
	past     *past
	target   storage.Storage
	progress backup.Progress
	sealed   []byte // the config

	mu     sync.Mutex
	report RewindReport
}

func (r *rewinder) run(ctx context.Context, st storage.Storage, password string, opts []Option) error {
	if st.Location() == r.target.Location() {
		return fmt.Errorf("the target is the place itself; choose another, so that what was done to it can still be seen: %w", backup.ErrInvalid)
	}
	versioned, ok := storage.As[storage.Versioned](st)
	if !ok {
		return fmt.Errorf("the place keeps no versions: %w", backup.ErrUnsupported)
	}
	view, err := versioned.At(ctx, r.report.To)
	if err != nil {
		return err
	}
	defer view.Close()
	r.past = &past{Storage: view}
	r.progress.Stage(backup.StageRestore)
	if err := r.prove(ctx, password); err != nil {
		return err
	}
	if err := r.copyAll(ctx); err != nil {
		return err
	}
	return r.check(ctx, password, opts)
}

// prove opens the repository of the moment, its config among older versions if
// need be. A config is never deleted by us, so one that is missing is looked
// for, too.
func (r *rewinder) prove(ctx context.Context, password string) error {
	name := storage.Name{Kind: storage.Config}
	newest, err := loadConfig(ctx, r.past)
	if err != nil && !errors.Is(err, backup.ErrNoRepository) {
		return err
	}
	missing := err
	master, _, err := unlock(ctx, r.past, password)
	if err != nil {
		if missing != nil {
			return fmt.Errorf("at that time there was nothing: %w", missing)
		}
		return err
	}
	if r.openedConfig(master, newest) {
		return nil
	}
	found := false
	err = r.past.older(ctx, name, func(data []byte) bool {
		found = r.openedConfig(master, data)
		return !found
	})
	if err != nil {
		return err
	}
	if !found {
		return errors.Join(missing, fmt.Errorf("no version of the config opens with this password: %w", backup.ErrDamaged))
	}
	r.report.Replaced = append(r.report.Replaced, name)
	return nil
}

func (r *rewinder) openedConfig(master *crypto.Key, sealed []byte) bool {
	c, err := openConfig(master, sealed)
	if err == nil {
		r.sealed, r.report.ID = bytes.Clone(sealed), c.ID
	}
	return err == nil
}

// rewound are the kinds that are copied, those that name others after them.
func rewound() []storage.Kind {
	return []storage.Kind{storage.Key, storage.Pack, storage.Index, storage.Snapshot}
}

func (r *rewinder) copyAll(ctx context.Context) error {
	var todo []storage.Info
	var total int64
	for _, kind := range rewound() {
		err := r.past.List(ctx, kind, func(info storage.Info) error {
			todo = append(todo, info)
			total += info.Size
			return nil
		})
		if err != nil {
			return fmt.Errorf("list %s: %w", kind, err)
		}
	}
	there, err := r.prepare(ctx, todo, total)
	if err != nil {
		return err
	}
	r.progress.Total(int64(len(todo)), total)
	for _, kind := range rewound() {
		if err := r.copyKind(ctx, kind, todo, there); err != nil {
			return err
		}
	}
	r.progress.Current("config")
	if err := r.target.Save(ctx, storage.Name{Kind: storage.Config}, r.sealed); err != nil {
		return fmt.Errorf("save config: %w", err)
	}
	return nil
}

// prepare makes sure that the target is empty, or holds what an earlier Rewind
// to the same moment has left, and that there is room.
func (r *rewinder) prepare(ctx context.Context, todo []storage.Info, total int64) (there map[storage.Name]bool, err error) {
	config, err := r.target.Load(ctx, storage.Name{Kind: storage.Config}, nil, 0, -1)
	switch {
	case errors.Is(err, backup.ErrNotFound):
		if err := r.target.Create(ctx); err != nil {
			return nil, fmt.Errorf("make the target: %w", err)
		}
	case err != nil:
		return nil, fmt.Errorf("look at the target: %w", err)
	case !bytes.Equal(config, r.sealed):
		return nil, fmt.Errorf("target %s: %w", r.target.Location(), backup.ErrRepositoryExists)
	}
	expected := make(map[storage.Name]bool, len(todo))
	for _, info := range todo {
		expected[info.Name] = true
	}
	there = map[storage.Name]bool{}
	for _, kind := range rewound() {
		err := r.target.List(ctx, kind, func(info storage.Info) error {
			if !expected[info.Name] {
				return fmt.Errorf("target %s holds %s, which does not belong to that time: %w", r.target.Location(), info.Name, backup.ErrTargetNotEmpty)
			}
			there[info.Name] = true
			total -= info.Size
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return there, r.room(ctx, total)
}

// room looks whether the target can hold what is to come.
func (r *rewinder) room(ctx context.Context, want int64) error {
	space, ok := storage.As[storage.Space](r.target)
	if !ok {
		return nil
	}
	if free, _, err := space.Space(ctx); err == nil && want > 0 && free < uint64(want) {
		return fmt.Errorf("target %s has %d MiB free, %d are needed: %w", r.target.Location(), free>>20, want>>20+1, backup.ErrStorageFull)
	}
	return nil // a place that cannot tell says so when it is full
}

// rewinders copy at once; each holds a pack in memory.
const rewinders = 4

func (r *rewinder) copyKind(ctx context.Context, kind storage.Kind, todo []storage.Info, there map[storage.Name]bool) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(rewinders)
	for _, info := range todo {
		if info.Name.Kind != kind || ctx.Err() != nil {
			continue
		}
		group.Go(func() error {
			r.progress.Current(info.Name.String())
			if err := r.copyOne(ctx, info.Name, there[info.Name]); err != nil {
				return err
			}
			r.progress.Add(1, info.Size)
			return nil
		})
	}
	return group.Wait()
}

func (r *rewinder) copyOne(ctx context.Context, name storage.Name, there bool) error {
	if there {
		if data, err := r.target.Load(ctx, name, nil, 0, -1); err == nil && rightfully(name, data) {
			r.brought(int64(len(data)), func() { r.report.Resumed++ })
			return nil
		}
	}
	data, replaced, err := r.past.right(ctx, name)
	if err != nil {
		return err
	}
	if data == nil {
		r.progress.Problem(name.String(), fmt.Errorf("no version of it is right, so it is left out: %w", backup.ErrDamaged))
		r.mu.Lock()
		defer r.mu.Unlock()
		r.report.Rubbish = append(r.report.Rubbish, name)
		return nil
	}
	if err := r.target.Save(ctx, name, data); err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	r.brought(int64(len(data)), func() {
		if replaced {
			r.report.Replaced = append(r.report.Replaced, name)
		}
	})
	return nil
}

func (r *rewinder) brought(size int64, also func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Documents++
	r.report.Bytes += size
	also()
}

// check looks at the target as a stranger would.
func (r *rewinder) check(ctx context.Context, password string, opts []Option) error {
	r.report.Documents++ // the config
	r.report.Bytes += int64(len(r.sealed))
	repo, err := Open(ctx, r.target, password, opts...)
	if err != nil {
		return fmt.Errorf("open what was brought back: %w", err)
	}
	if err := repo.CheckStore(ctx, CheckOptions{}, func(f Finding) { r.report.Findings = append(r.report.Findings, f) }, r.progress); err != nil {
		return err
	}
	if r.report.Snapshots, err = repo.listIDs(ctx, storage.Snapshot); err != nil {
		return err
	}
	slices.Sort(r.report.Snapshots)
	return repo.codec.close()
}
