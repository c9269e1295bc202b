package run

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"emrvault/appliance/errs"
	"emrvault/appliance/secret"
	"emrvault/appliance/store"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/storage"
	storages "emrvault/backup/storage/all"
	"emrvault/backup/storage/limit"
	"emrvault/backup/storage/local"
	"emrvault/backup/storage/probe"
	"emrvault/backup/storage/readback"
	"emrvault/backup/storage/retry"
	"emrvault/backup/storage/s3"
)

// Every place is opened here, so that what its settings say holds for whoever
// opens it: backups, drills, pages.

// open opens the storage of a place that need not be in the book yet. patience
// says how long a place in trouble is asked again.
func (s *Repositories) open(ctx context.Context, place plan.Repository, word secret.Text, patience retry.Policy) (storage.Storage, error) {
	options, err := s.options(place, word, patience)
	if err != nil {
		return nil, err
	}
	st, err := storages.Open(ctx, place.Location, options...)
	if err != nil {
		return nil, told(err)
	}
	return st, nil
}

// options turns what the book says of a place into what the storage wants. The
// environment says nothing: a box reaches its places the same way whoever has
// started it.
func (s *Repositories) options(place plan.Repository, word secret.Text, patience retry.Policy) ([]storages.Option, error) {
	set := place.Settings
	options := []storages.Option{
		storages.WithEnvironment(func(string) string { return "" }),
		storages.WithRegistry(s.limits), storages.WithPatience(patience),
		storages.WithS3(func(to *s3.Settings) {
			to.AccessKey, to.SecretKey = set.AccessKey, word.Reveal()
			to.Region, to.Style, to.Proxy, to.Lock = set.Region, s3.Style(set.Style), cmp.Or(set.Proxy, "direct"), set.Lock()
			if set.CA != "" {
				to.CA = []byte(set.CA)
			}
			said := Probed(place)
			to.ConditionalPut, to.TrailingHeaders = can(said, probe.ConditionalPut), can(said, probe.Checksum)
		}),
	}
	if set.Bandwidth != "" {
		hours, err := limit.ParseSchedule(set.Bandwidth, s.parts.Book.Site())
		if err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "run.place.bandwidth", "value", set.Bandwidth)
		}
		options = append(options, storages.WithBandwidth(hours))
	}
	if set.ReadBack != "" {
		policy, err := readback.ParsePolicy(set.ReadBack)
		if err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "run.place.readback", "value", set.ReadBack)
		}
		options = append(options, storages.WithReadBack(policy))
	}
	return options, nil
}

// readBack is how much is read back of what is stored at a place.
func readBack(place plan.Repository) readback.Policy {
	switch policy, err := readback.ParsePolicy(place.Settings.ReadBack); {
	case place.Settings.ReadBack != "" && err == nil:
		return policy
	case remote(place.Location):
		return readback.Sampled
	}
	return readback.Off
}

// can says that the place has answered a question of the probe with yes.
func can(report *probe.Report, step string) bool {
	if report == nil {
		return false
	}
	answer, asked := report.Step(step)
	return asked && answer.State == probe.OK
}

// Probed is what a place said it can do when it was asked last, nil when it
// never was.
func Probed(place plan.Repository) *probe.Report {
	var report probe.Report
	if place.Probe == "" || json.Unmarshal([]byte(place.Probe), &report) != nil {
		return nil
	}
	return &report
}

// storage opens the storage of a place of the book.
func (s *Repositories) storage(ctx context.Context, place plan.Repository, patience retry.Policy) (storage.Storage, error) {
	_, key, err := s.words(ctx, place)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, place, key, patience)
}

// words fetches what is sealed of a place: the password of its repository, and
// the secret of its access key where it has one.
func (s *Repositories) words(ctx context.Context, place plan.Repository) (password, key secret.Text, err error) {
	err = s.parts.Store.Read(ctx, func(tx *store.Tx) error {
		if password, err = s.parts.Box.Fetch(tx, place.BoxKey); err != nil {
			return fmt.Errorf("password of repository %s: %w", place.Name, err)
		}
		if place.SecretKey == "" {
			return nil
		}
		if key, err = s.parts.Box.Fetch(tx, place.SecretKey); err != nil {
			return fmt.Errorf("secret key of repository %s: %w", place.Name, err)
		}
		return nil
	})
	return password, key, err
}

// fresh opens a repository for one job alone, which closes it. A place that
// does not answer is asked again for as long as a night allows.
func (s *Repositories) fresh(ctx context.Context, place plan.Repository) (*repository.Repository, error) {
	return s.unlock(ctx, place, retry.Night())
}

// attended is fresh for a person who waits.
func (s *Repositories) attended(ctx context.Context, place plan.Repository) (*repository.Repository, error) {
	return s.unlock(ctx, place, retry.Attended())
}

func (s *Repositories) unlock(ctx context.Context, place plan.Repository, patience retry.Policy) (*repository.Repository, error) {
	password, key, err := s.words(ctx, place)
	if err != nil {
		return nil, err
	}
	st, err := s.open(ctx, place, key, patience)
	if err != nil {
		return nil, err
	}
	return s.through(ctx, st, place, password)
}

// through opens the repository of a place over a storage, which belongs to it
// from then on.
func (s *Repositories) through(ctx context.Context, st storage.Storage, place plan.Repository, password secret.Text) (*repository.Repository, error) {
	repo, err := repository.Open(ctx, st, password.Reveal(), s.engine(ctx)...)
	if err != nil {
		return nil, closing(told(fmt.Errorf("open repository %s at %s: %w", place.Name, place.Location, err)), st)
	}
	if repo.ID() != place.Repository {
		return nil, closing(errs.New(errs.Conflict, "run.repository.other", "name", place.Name, "location", place.Location), repo)
	}
	return repo, nil
}

// Bounds of what this machine remembers of its repositories, all together.
const (
	cacheMost  = 2 << 30
	cacheLeast = 64 << 20
	cacheShare = 20 // of the disk, one part of so many
)

// engine says how repositories are opened: with the cache of the box.
func (s *Repositories) engine(ctx context.Context) []repository.Option {
	cache := repository.WithCache(s.parts.Layout.Cache(), s.cacheLimit(ctx))
	return append([]repository.Option{cache}, slices.Clone(s.parts.Engine)...)
}

// cacheLimit leaves a small disk its room.
func (s *Repositories) cacheLimit(ctx context.Context) int64 {
	disk, err := local.Open(s.parts.Layout.Data)
	if err != nil {
		return cacheLeast
	}
	_, total, err := disk.Space(ctx)
	if err != nil {
		return cacheLeast
	}
	return min(cacheMost, max(cacheLeast, int64(total/cacheShare)))
}

// Fresh opens a repository of the book for one job alone, which closes it:
// jobs that write, or that read for so long that others may change what is
// there.
func (s *Repositories) Fresh(ctx context.Context, id int64) (*repository.Repository, error) {
	place, err := s.parts.Book.RepositoryByID(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.fresh(ctx, place)
}
