package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
	"emrvault/backup/storage"
)

// IndexOptions says how RepairIndex goes about it.
type IndexOptions struct {
	ReadAllPacks bool // ask every pack for its own list, not only those in doubt
	DryRun       bool // only tell
}

// IndexReport tells what RepairIndex found and, unless it was a dry run, has
// put right.
type IndexReport struct {
	Files    int       `json:"files"`              // index files there were
	Damaged  []string  `json:"damaged,omitempty"`  // index files that could not be read; replaced
	Replaced int       `json:"replaced"`           // other index files that said something wrong, or the same twice
	Written  int       `json:"written"`            // new index files
	Added    []blob.ID `json:"added,omitempty"`    // packs that no index file named
	Changed  []blob.ID `json:"changed,omitempty"`  // packs whose own list is not what the index said
	Dropped  []blob.ID `json:"dropped,omitempty"`  // packs that are gone
	Unlisted []blob.ID `json:"unlisted,omitempty"` // packs no index names and whose own list cannot be read
	Torn     []blob.ID `json:"torn,omitempty"`     // packs that need RepairPacks: their own list cannot be read; the index still names them
}

// Clean tells whether there was nothing to put right.
func (r IndexReport) Clean() bool { return len(r.Damaged)+r.Replaced+r.Written == 0 }

// RepairIndex makes the index say what the packs say. Each pack lists its own
// blobs at its end, sealed, so the index can be had from the packs alone, even
// when all of its files are lost. Only packs in doubt are asked: those no index
// file names, those of another length than the index says, and those of which
// two files say different things. Packs that are gone are dropped. A pack whose
// own list cannot be read keeps what the index said of it, for that is the way
// to what is still good in it.
//
// New index files are durable before old ones are removed, so a crash leaves at
// worst both, and the next run goes on. The caller holds the exclusive lock.
// Afterwards the index is loaded.
func (r *Repository) RepairIndex(ctx context.Context, opts IndexOptions, progress backup.Progress) (IndexReport, error) {
	if progress == nil {
		progress = backup.Silent{}
	}
	progress.Stage(backup.StageIndex)
	x := newIndexRepair(r, progress)
	err := x.run(ctx, opts)
	if err == nil && !opts.DryRun {
		err = r.LoadIndex(ctx)
	}
	if err != nil {
		return x.report, fmt.Errorf("repair index of %s: %w", r.storage.Location(), err)
	}
	return x.report, nil
}

// MendIndex is LoadIndex for those who write: a damaged index file, two that
// contradict each other, or none at all beside packs are put right on the way,
// and what was done is told. It is safe under a lock that lets others add:
// nothing is taken out of the index but what no file says any more, a damaged
// file goes only after what the packs say is durable, and a pack that is listed
// without need is found out by the next prune.
func (r *Repository) MendIndex(ctx context.Context) (IndexReport, error) {
	err := r.LoadIndex(ctx)
	if err == nil && r.index().Len() > 0 || err != nil && !errors.Is(err, backup.ErrDamaged) {
		return IndexReport{}, err
	}
	return r.adopt(ctx)
}

// adopt makes the index name whatever packs there are, and loads it.
func (r *Repository) adopt(ctx context.Context) (IndexReport, error) {
	x := newIndexRepair(r, backup.Silent{})
	x.keepGone = true
	err := x.run(ctx, IndexOptions{})
	switch {
	case errors.Is(err, errStays) && ctx.Err() == nil:
		// Some places let a backup add and not remove. What the file hid is in
		// the index by now; the file itself is passed over.
		_, err = r.SalvageIndex(ctx)
		return x.report, err
	case err != nil:
		return x.report, fmt.Errorf("mend index: %w; `repo repair index` does it with nobody else at work", err)
	}
	return x.report, r.LoadIndex(ctx)
}

// errStays says that new index files are durable and an old one could not be
// removed.
var errStays = errors.New("an index file that is not needed any more cannot be removed")

// indexRepair is one repair of the index at work.
type indexRepair struct {
	repo     *Repository
	progress backup.Progress
	keepGone bool // packs that are gone stay listed: others are at work
	report   IndexReport

	sizes map[blob.ID]int64
	known *index.Index // what the readable files say; of contradictions the first
	files []indexFile
	doubt map[blob.ID]bool         // two files say different things of it
	gone  map[blob.ID]bool         // to be dropped
	fresh map[blob.ID][]pack.Entry // by the packs' own lists, where they differ from known
}

func newIndexRepair(r *Repository, progress backup.Progress) *indexRepair {
	return &indexRepair{
		repo: r, progress: progress, known: index.New(),
		doubt: make(map[blob.ID]bool), gone: make(map[blob.ID]bool), fresh: make(map[blob.ID][]pack.Entry),
	}
}

func (x *indexRepair) run(ctx context.Context, opts IndexOptions) error {
	x.repo.landing.Lock()
	defer x.repo.landing.Unlock()
	for _, step := range []func(context.Context) error{x.look, x.missing} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := x.ask(ctx, x.questions(opts.ReadAllPacks)); err != nil {
		return err
	}
	old, packs := x.outdated()
	batches := indexBatches(packs)
	x.report.Written = len(batches)
	x.report.Replaced = len(old) - len(x.report.Damaged)
	if opts.DryRun {
		return nil
	}
	return x.repo.replaceIndex(ctx, old, batches)
}

// look reads what there is. Packs are listed first: of a backup that goes on
// meanwhile a pack may then be missed, but never an index file without packs.
func (x *indexRepair) look(ctx context.Context) (err error) {
	if x.sizes, err = x.repo.packSizes(ctx); err != nil {
		return err
	}
	return x.repo.eachIndexFile(ctx, func(id string, packs []index.Pack, err error) error {
		if errors.Is(err, backup.ErrDamaged) { // a faulty cable damages what is whole: look twice
			packs, err = x.repo.readIndexFile(ctx, id)
		}
		switch {
		case errors.Is(err, backup.ErrDamaged):
			x.report.Files++
			x.report.Damaged = append(x.report.Damaged, id)
			return nil
		case absent(err):
			return nil
		case err != nil:
			return err
		}
		x.report.Files++
		x.file(id, packs)
		return nil
	})
}

func (x *indexRepair) file(id string, packs []index.Pack) {
	f := indexFile{id: id}
	for _, p := range packs {
		p.Entries = sorted(p.Entries)
		if err := x.known.Add(p); err != nil {
			x.doubt[p.ID] = true
		}
		f.packs = append(f.packs, p.ID)
		f.blobs += len(p.Entries)
	}
	x.files = append(x.files, f)
}

// missing finds the packs that are gone. A listing may be behind; the storage
// is asked for each.
func (x *indexRepair) missing(ctx context.Context) error {
	for _, id := range x.known.PackIDs() {
		if _, there := x.sizes[id]; there {
			continue
		}
		info, err := x.repo.storage.Stat(ctx, packName(id))
		switch {
		case err == nil:
			x.sizes[id] = info.Size
		case !absent(err):
			return fmt.Errorf("look for pack %s: %w", id.Short(), err)
		case !x.keepGone:
			x.gone[id] = true
			x.report.Dropped = append(x.report.Dropped, id)
		}
	}
	return nil
}

// questions are the packs whose own list is to be read.
func (x *indexRepair) questions(all bool) (ids []blob.ID) {
	for id, size := range x.sizes {
		listed := x.known.HasPack(id)
		if all || !listed || x.doubt[id] || size != pack.Size(x.known.Pack(id)) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, blob.ID.Compare)
	return ids
}

// ask reads packs' own lists and notes where they say something new.
func (x *indexRepair) ask(ctx context.Context, ids []blob.ID) error {
	x.progress.Total(int64(len(ids)), 0)
	return x.repo.eachHeader(ctx, ids, x.sizes, func(id blob.ID, entries []pack.Entry, err error) {
		x.progress.Add(1, 0)
		listed := x.known.HasPack(id)
		switch {
		case err != nil && listed:
			x.report.Torn = append(x.report.Torn, id)
		case err != nil:
			x.report.Unlisted = append(x.report.Unlisted, id)
		case !listed:
			x.fresh[id] = entries
			x.report.Added = append(x.report.Added, id)
		case x.doubt[id] || !slices.Equal(entries, x.known.Pack(id)):
			x.fresh[id] = entries
			x.report.Changed = append(x.report.Changed, id)
		}
	})
}

// outdated finds the index files that must go, and the packs that are to be
// listed anew: what only those files say, and what the packs themselves said.
func (x *indexRepair) outdated() (old []string, packs []index.Pack) {
	listed := make(map[blob.ID]bool)
	old = slices.Clone(x.report.Damaged)
	var wrong []indexFile
	for _, f := range x.files {
		if slices.ContainsFunc(f.packs, func(id blob.ID) bool { return x.wrong(id) || listed[id] }) {
			wrong = append(wrong, f)
			continue
		}
		for _, id := range f.packs {
			listed[id] = true
		}
	}
	for _, f := range wrong {
		old = append(old, f.id)
		for _, id := range f.packs {
			if !listed[id] && !x.gone[id] && x.fresh[id] == nil {
				listed[id] = true
				packs = append(packs, index.Pack{ID: id, Entries: x.known.Pack(id)})
			}
		}
	}
	for id, entries := range x.fresh {
		packs = append(packs, index.Pack{ID: id, Entries: entries})
	}
	return old, packs
}

func (x *indexRepair) wrong(id blob.ID) bool { return x.gone[id] || x.doubt[id] || x.fresh[id] != nil }

// indexBatches divides packs into index files of the usual length.
func indexBatches(packs []index.Pack) (batches [][]index.Pack) {
	slices.SortFunc(packs, func(a, b index.Pack) int { return a.ID.Compare(b.ID) })
	first, blobs := 0, 0
	for i, p := range packs {
		if blobs > 0 && blobs+len(p.Entries) > index.MaxBlobs {
			batches = append(batches, packs[first:i])
			first, blobs = i, 0
		}
		blobs += len(p.Entries)
	}
	if first < len(packs) {
		batches = append(batches, packs[first:])
	}
	return batches
}

// replaceIndex writes index files and, once they are durable, removes others.
func (r *Repository) replaceIndex(ctx context.Context, old []string, batches [][]index.Pack) error {
	for _, packs := range batches {
		if _, err := r.saveIndexFile(ctx, packs); err != nil {
			return err
		}
	}
	if err := confirmed(ctx); err != nil {
		return fmt.Errorf("remove old index files: %w", err)
	}
	for _, id := range old {
		if err := r.remove(ctx, storage.Name{Kind: storage.Index, ID: id}); err != nil && !absent(err) {
			return fmt.Errorf("%w: %w", errStays, err)
		}
	}
	return nil
}
