package repository

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
)

// prunePlan says what becomes of every pack.
type prunePlan struct {
	report  PruneReport
	orphans []blob.ID
	remove  []*packUse // not used at all; missing ones among them
	repack  []*packUse
	keep    []*packUse
	sizes   map[blob.ID]int64
}

// packUse is one pack of the index and what of it is used.
type packUse struct {
	id      blob.ID
	size    int64
	missing bool
	sick    bool // a check found it damaged: its copy of a blob is the last to be relied on
	mixed   bool
	twin    bool // holds a used blob whose chosen copy lies in another pack
	tree    bool
	rawTree bool
	wanted  []blob.Handle // used, and this pack's copy is the chosen one
	sealed  int64         // bytes of all blobs
	useful  int64         // bytes of used blobs, wherever else they lie too
	used    int64         // bytes, with their share of the header
	unused  int64
	spare   int64 // unused blobs
}

// decide chooses a copy of each used blob and sorts the packs by fate.
func (s *survey) decide(used *blob.Set, opts PruneOptions, r *Repository) (prunePlan, error) {
	packs, err := s.uses(r.config.Version)
	if err != nil {
		return prunePlan{}, err
	}
	for _, id := range r.RememberedSick() {
		if use := packs[id]; use != nil {
			use.sick = true
		}
	}
	chosen, err := s.choose(used, packs)
	if err != nil {
		return prunePlan{}, err
	}
	p := prunePlan{sizes: s.sizes}
	for _, use := range packs {
		s.count(use, used, chosen)
		p.report.UsedBlobs += int64(len(use.wanted))
		p.report.UsedBytes += use.used
		p.report.UnusedBlobs += use.spare
		p.report.UnusedBytes += use.unused
	}
	p.sort(slices.SortedFunc(maps.Values(packs), byID), unusedLimit(opts, p.report.UsedBytes), r.settings.packSize)
	for id := range s.sizes {
		if !s.known.HasPack(id) {
			p.orphans = append(p.orphans, id)
		}
	}
	p.finish()
	return p, nil
}

func byID(a, b *packUse) int { return a.id.Compare(b.id) }

func unusedLimit(opts PruneOptions, used int64) int64 {
	percent := cmp.Or(opts.MaxUnusedPercent, defaultUnused)
	return int64(max(0, percent) / 100 * float64(used))
}

// uses lists the packs of the index. A pack of another size than the index
// says stops prune: either of the two is wrong, and a check must tell first.
func (s *survey) uses(version uint) (map[blob.ID]*packUse, error) {
	packs := make(map[blob.ID]*packUse)
	for _, id := range s.known.PackIDs() {
		size, ok := s.sizes[id]
		entries := s.known.Pack(id)
		if want := pack.Size(entries); ok && size != want {
			return nil, fmt.Errorf("pack %s has %d bytes instead of %d, run a check first: %w", id.Short(), size, want, backup.ErrDamaged)
		}
		use := &packUse{id: id, size: size, missing: !ok, mixed: len(entries) > 0 && mixed(entries)}
		for _, e := range entries {
			isTree := e.Handle.Type == blob.Tree
			use.sealed += int64(e.Length)
			use.tree = use.tree || isTree
			use.rawTree = use.rawTree || isTree && !e.Compressed() && version >= newestVersion
		}
		packs[id] = use
	}
	return packs, nil
}

// choose picks one copy of every used blob that has several. A used blob
// without any copy ends it all.
//
// The copy in the pack with the larger used share is chosen: packs that an
// interrupted prune has written are used entirely, those they were copied from
// are not, so work that was done counts and the old packs can go. Among equals
// it is the pack with the most bytes that are needed anyway.
func (s *survey) choose(used *blob.Set, packs map[blob.ID]*packUse) (map[blob.Handle]index.Location, error) {
	var several []blob.Handle
	var missing []blob.Handle
	for h := range used.All() {
		switch copies := s.copies(h); len(copies) {
		case 0:
			missing = append(missing, h)
		case 1:
			packs[copies[0].Pack].used += int64(copies[0].Length)
		default:
			several = append(several, h)
		}
		for _, at := range s.copies(h) {
			packs[at.Pack].useful += int64(at.Length)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%d blobs that snapshots need are missing, %s among them; nothing is removed, run a check first: %w",
			len(missing), missing[0], backup.ErrDamaged)
	}
	slices.SortFunc(several, func(a, b blob.Handle) int { return a.ID.Compare(b.ID) })
	chosen := make(map[blob.Handle]index.Location, len(several))
	for _, h := range several {
		best := slices.MaxFunc(s.copies(h), func(a, b index.Location) int {
			return cmp.Or(packs[a.Pack].compare(packs[b.Pack]), bytes.Compare(a.Pack[:], b.Pack[:]), cmp.Compare(b.Offset, a.Offset))
		})
		chosen[h] = best
		packs[best.Pack].used += int64(best.Length)
	}
	return chosen, nil
}

// compare says which of two packs should keep a blob that both hold.
func (u *packUse) compare(other *packUse) int {
	return cmp.Or(
		boolCompare(!u.sick, !other.sick), boolCompare(!u.unfit(), !other.unfit()), cmp.Compare(u.share(), other.share()),
		cmp.Compare(u.used, other.used), cmp.Compare(u.size, other.size),
	)
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// unfit packs are written anew whatever is in them.
func (u *packUse) unfit() bool { return u.mixed || u.rawTree }

// share is how much of the pack snapshots need, copies counted in each pack.
func (u *packUse) share() float64 { return float64(u.useful) / float64(max(1, u.sealed)) }

// copies finds the copies of a blob whose pack is really there.
func (s *survey) copies(h blob.Handle) []index.Location {
	return slices.DeleteFunc(s.known.Copies(h), func(at index.Location) bool {
		_, ok := s.sizes[at.Pack]
		return !ok
	})
}

// count goes through a pack blob by blob.
func (s *survey) count(use *packUse, used *blob.Set, chosen map[blob.Handle]index.Location) {
	use.used = 0
	for _, e := range s.known.Pack(use.id) {
		size := int64(e.Length) + int64(e.HeaderSize())
		at, several := chosen[e.Handle]
		if use.missing || !used.Has(e.Handle) || several && (at.Pack != use.id || at.Offset != e.Offset) {
			use.unused += size
			use.spare++
			use.twin = use.twin || used.Has(e.Handle)
			continue
		}
		use.used += size
		use.wanted = append(use.wanted, e.Handle)
	}
}

// sort gives every pack its fate: first those that must or must not be
// rewritten, then, while more than the limit is unused, the packs with most to
// gain, those with trees before the others.
func (p *prunePlan) sort(packs []*packUse, limit int64, packSize int) {
	var partly, whole []*packUse
	var unused int64
	for _, use := range packs {
		switch {
		case len(use.wanted) == 0:
			p.remove = append(p.remove, use)
		case use.sick: // Healing is not for prune.
			p.keep = append(p.keep, use)
		case use.unfit():
			p.repack = append(p.repack, use)
		case use.unused > 0:
			partly = append(partly, use)
			unused += use.unused
		default:
			whole = append(whole, use)
		}
	}
	slices.SortStableFunc(partly, mostToGain)
	for _, use := range partly {
		if unused <= limit {
			whole = append(whole, use)
			continue
		}
		p.repack = append(p.repack, use)
		unused -= use.unused
	}
	p.mergeSmall(whole, packSize)
}

// mostToGain puts packs with trees first, then those with the largest unused
// share.
func mostToGain(a, b *packUse) int {
	if a.tree != b.tree {
		if a.tree {
			return -1
		}
		return 1
	}
	share := func(u *packUse) float64 { return float64(u.unused) / float64(u.unused+u.used) }
	return cmp.Compare(share(b), share(a))
}

const (
	smallPack   = 4 << 20
	manySmall   = 10
	smallShare  = 0.8
	percentile3 = 0.03
)

// mergeSmall repacks packs that every backup leaves a few of, once there are
// enough of them.
func (p *prunePlan) mergeSmall(whole []*packUse, packSize int) {
	limit := smallLimit(whole, packSize)
	var small []*packUse
	for _, use := range whole {
		if use.size < limit {
			small = append(small, use)
		} else {
			p.keep = append(p.keep, use)
		}
	}
	if len(small) < manySmall {
		p.keep = append(p.keep, small...)
		return
	}
	p.repack = append(p.repack, small...)
}

// smallLimit is four fifths of 4 MiB, or of the size that three packs in a
// hundred stay below if that is more, but never of more than a full pack.
func smallLimit(packs []*packUse, packSize int) int64 {
	sizes := make([]int64, 0, len(packs))
	for _, u := range packs {
		sizes = append(sizes, u.size)
	}
	slices.Sort(sizes)
	limit := int64(smallPack)
	if len(sizes) > 0 {
		limit = max(limit, sizes[int(float64(len(sizes))*percentile3)])
	}
	return int64(smallShare * float64(min(limit, int64(packSize))))
}

// finish sums up.
func (p *prunePlan) finish() {
	slices.SortFunc(p.orphans, blob.ID.Compare)
	p.report.PacksKept = int64(len(p.keep))
	p.report.PacksRepacked = int64(len(p.repack))
	p.report.PacksRemoved = int64(len(p.remove))
	p.report.PacksOrphans = int64(len(p.orphans))
	p.report.RemainingUnusedBytes = 0
	for _, use := range p.keep {
		p.report.RemainingUnusedBytes += use.unused
	}
	p.report.BytesFreed = p.removedBytes()
	for _, use := range p.repack {
		p.report.BytesFreed -= use.used
	}
}

// idle finds the packs that hold nothing of use, not even a second copy: the
// first copy may turn out to be unreadable.
func (p *prunePlan) idle() []*packUse {
	return slices.DeleteFunc(slices.Clone(p.remove), func(use *packUse) bool { return use.twin })
}

// removedBytes is the size of all packs that go.
func (p *prunePlan) removedBytes() (sum int64) {
	for _, use := range slices.Concat(p.remove, p.repack) {
		sum += use.size
	}
	for _, id := range p.orphans {
		sum += p.sizes[id]
	}
	return sum
}
