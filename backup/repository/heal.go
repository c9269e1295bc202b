package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
)

// Source is where healing finds blobs that this repository has lost: a second
// copy of it, which may have other keys and other packs. A *Repository is one.
type Source interface {
	// LoadBlob gives a blob's plaintext; its hash is proven by whoever asks.
	LoadBlob(ctx context.Context, h blob.Handle, buf []byte) ([]byte, error)
}

// HealReport tells what became of damaged packs and of the blobs in them.
type HealReport struct {
	Whole    []blob.ID     `json:"whole,omitempty"`    // packs with nothing wrong, left as they are
	Replaced []blob.ID     `json:"replaced,omitempty"` // packs taken out; what was good in them lies in new ones
	Kept     []blob.ID     `json:"kept,omitempty"`     // packs the storage does not give for now and that hold what nobody else has
	Salvaged int64         `json:"salvaged"`           // blobs that still opened
	Copies   int64         `json:"copies"`             // blobs with another good copy in this repository
	Fetched  int64         `json:"fetched"`            // blobs that came from the second copy
	Lost     []blob.Handle `json:"-"`                  // blobs that nobody has any more
}

// Heal replaces damaged packs. Every blob of them that still opens, has another
// copy here, or can be had from the second copy (from may be nil) is written
// into new packs; then the index forgets the damaged packs, and last they are
// removed. What is lost is named. Packs that turn out to be whole are left
// alone. The caller holds the exclusive lock and has loaded the index.
//
// A crash at any moment loses nothing: a damaged pack goes only when all that
// was good in it is durable elsewhere.
func (r *Repository) Heal(ctx context.Context, packs []blob.ID, from Source, progress backup.Progress) (HealReport, error) {
	h := newHealer(r, from, progress)
	h.progress.Stage(backup.StageVerify)
	err := h.heal(ctx, packs)
	if err != nil {
		return h.report, fmt.Errorf("heal %s: %w", r.storage.Location(), err)
	}
	return h.report, nil
}

// Fill brings blobs that this repository should have and does not from the
// second copy.
func (r *Repository) Fill(ctx context.Context, missing []blob.Handle, from Source, progress backup.Progress) (HealReport, error) {
	h := newHealer(r, from, progress)
	h.progress.Total(int64(len(missing)), 0)
	err := r.Write(ctx, func(ctx context.Context, w *Writer) error {
		for _, each := range missing {
			if r.Has(each) {
				continue
			}
			h.open[each] = nil
		}
		return h.fetch(ctx, w)
	})
	if err != nil {
		return h.report, fmt.Errorf("fill %s: %w", r.storage.Location(), err)
	}
	return h.report, nil
}

// healer is one Heal at work.
type healer struct {
	repo     *Repository
	from     Source
	progress backup.Progress
	report   HealReport
	sick     map[blob.ID]*sickPack
	open     map[blob.Handle]*sickPack // blobs not found anywhere yet, and where they were
	saved    map[blob.Handle]bool
}

// sickPack is a pack to be replaced.
type sickPack struct {
	id      blob.ID
	entries []pack.Entry
	listed  bool // by the index
	there   bool // on the storage
	silent  bool // the storage failed to give a part of it, which may pass
	keep    bool
}

// also takes in what the pack says of itself and the index does not know.
func (s *sickPack) also(own []pack.Entry) {
	known := make(map[pack.Entry]bool, len(s.entries))
	for _, e := range s.entries {
		known[e] = true
	}
	for _, e := range own {
		if !known[e] {
			s.entries = append(s.entries, e)
		}
	}
	sorted(s.entries)
}

func newHealer(r *Repository, from Source, progress backup.Progress) *healer {
	if progress == nil {
		progress = backup.Silent{}
	}
	return &healer{
		repo: r, from: from, progress: progress, sick: make(map[blob.ID]*sickPack),
		open: make(map[blob.Handle]*sickPack), saved: make(map[blob.Handle]bool),
	}
}

func (h *healer) heal(ctx context.Context, packs []blob.ID) error {
	h.progress.Total(int64(len(packs)), 0)
	for _, id := range packs {
		if err := h.examine(ctx, id); err != nil {
			return err
		}
	}
	if len(h.sick) == 0 {
		return h.forget()
	}
	if err := h.repo.Write(ctx, h.salvage); err != nil {
		return err
	}
	for each, where := range h.open {
		if !h.mayReturn(each, where) {
			h.report.Lost = append(h.report.Lost, each)
		}
	}
	slices.SortFunc(h.report.Lost, func(a, b blob.Handle) int { return a.ID.Compare(b.ID) })
	return h.replace(ctx)
}

// examine tells whether a pack is sick, and what should be in it.
func (h *healer) examine(ctx context.Context, id blob.ID) error {
	if h.sick[id] != nil {
		return nil
	}
	s := &sickPack{id: id, entries: sorted(h.repo.index().Pack(id))}
	s.listed = len(s.entries) > 0 || h.repo.index().HasPack(id)
	info, err := h.repo.storage.Stat(ctx, packName(id))
	if err != nil && !absent(err) {
		return fmt.Errorf("look at pack %s: %w", id.Short(), err)
	}
	if s.there = err == nil; s.there {
		own, err := h.repo.packHeader(ctx, id, info.Size)
		if err != nil && !s.listed && !errors.Is(err, backup.ErrDamaged) {
			return fmt.Errorf("pack %s, which no index names, may hold anything: %w", id.Short(), err)
		}
		s.also(own)
		if whole := h.whole(ctx, s, info.Size); whole && ctx.Err() == nil {
			h.report.Whole = append(h.report.Whole, id)
			return nil
		}
	}
	if s.listed || s.there {
		h.sick[id] = s
	}
	return context.Cause(ctx)
}

// whole reads every byte of a pack.
func (h *healer) whole(ctx context.Context, s *sickPack, size int64) bool {
	if len(s.entries) == 0 || size != pack.Size(s.entries) {
		return false
	}
	whole := true
	p := packProof{repo: h.repo, found: &reporter{report: func(Finding) { whole = false }}}
	p.prove(ctx, s.id, size, s.entries)
	return whole
}

// salvage writes into new packs whatever can still be had.
func (h *healer) salvage(ctx context.Context, w *Writer) error {
	for _, s := range h.sick {
		h.progress.Current(packName(s.id).String())
		for _, e := range s.entries {
			if !h.saved[e.Handle] {
				h.open[e.Handle] = s
			}
		}
		if err := h.own(ctx, w, s); err != nil {
			return err
		}
		h.progress.Add(1, 0)
	}
	return h.fetch(ctx, w)
}

// own takes what still opens out of the damaged pack itself.
func (h *healer) own(ctx context.Context, w *Writer, s *sickPack) error {
	if !s.there {
		return nil
	}
	return h.repo.eachFrame(ctx, s.id, slices.Compact(s.entries), func(o opened) error {
		if o.err != nil {
			if !errors.Is(o.err, backup.ErrDamaged) && !absent(o.err) {
				s.silent = true
			}
			return nil
		}
		if h.saved[o.Handle] {
			return nil
		}
		twin, err := h.twin(ctx, o.Handle)
		if err != nil || twin {
			return err
		}
		if _, err := w.saveFrame(ctx, o.Handle, o.content, o.Plain, true); err != nil {
			return err
		}
		h.found(o.Handle, &h.report.Salvaged)
		return nil
	})
}

func (h *healer) found(each blob.Handle, count *int64) {
	delete(h.open, each)
	h.saved[each] = true
	*count++
}

// fetch looks elsewhere for what no damaged pack gave: in this repository, then
// in the second copy.
func (h *healer) fetch(ctx context.Context, w *Writer) error {
	var buf []byte
	for _, each := range slices.Collect(maps.Keys(h.open)) {
		found, err := h.twin(ctx, each)
		if err == nil && !found {
			found, err = h.again(ctx, w, each)
		}
		if err != nil {
			return err
		}
		if found || h.from == nil {
			continue
		}
		plain, err := h.from.LoadBlob(ctx, each, buf)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil || blob.Hash(plain) != each.ID {
			h.progress.Problem(each.String(), errors.Join(err, fmt.Errorf("not in the second copy either: %w", backup.ErrNotFound)))
			continue
		}
		buf = plain
		if err := w.again(ctx, each, plain); err != nil {
			return err
		}
		h.found(each, &h.report.Fetched)
	}
	return nil
}

// replace takes the damaged packs out of the index and then off the storage.
func (h *healer) replace(ctx context.Context) error {
	gone := make(map[blob.ID]bool)
	for id, s := range h.sick {
		if s.keep {
			h.report.Kept = append(h.report.Kept, id)
			continue
		}
		gone[id] = true
		h.report.Replaced = append(h.report.Replaced, id)
	}
	if err := h.repo.unlist(ctx, gone); err != nil {
		return err
	}
	if err := confirmed(ctx); err != nil {
		return fmt.Errorf("remove damaged packs: %w", err)
	}
	for id := range gone {
		if !h.sick[id].there {
			continue
		}
		if err := h.repo.remove(ctx, packName(id)); err != nil && !absent(err) {
			return err
		}
	}
	if err := h.repo.LoadIndex(ctx); err != nil {
		return err
	}
	return h.forget()
}

// forget strikes what is healed off the list of damaged packs.
func (h *healer) forget() error {
	return h.repo.noteSick(slices.DeleteFunc(h.repo.RememberedSick(), func(id blob.ID) bool {
		return slices.Contains(h.report.Whole, id)
	}))
}

// unlist writes the index files anew that name some packs, without them.
func (r *Repository) unlist(ctx context.Context, gone map[blob.ID]bool) error {
	var old []string
	var packs []index.Pack
	r.landing.Lock()
	defer r.landing.Unlock()
	err := r.eachIndexFile(ctx, func(id string, listed []index.Pack, err error) error {
		if err != nil {
			return err
		}
		stay := slices.DeleteFunc(slices.Clone(listed), func(p index.Pack) bool { return gone[p.ID] })
		if len(stay) < len(listed) {
			old, packs = append(old, id), append(packs, stay...)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the index must be whole: %w", err)
	}
	return r.replaceIndex(ctx, old, indexBatches(unique(packs)))
}

// unique leaves out packs that two files named.
func unique(packs []index.Pack) []index.Pack {
	seen := make(map[blob.ID]bool, len(packs))
	return slices.DeleteFunc(packs, func(p index.Pack) bool {
		twice := seen[p.ID]
		seen[p.ID] = true
		return twice
	})
}
