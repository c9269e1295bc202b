package repository

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"slices"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/pack"
)

// packProof reads packs, one after the other: every byte goes into the hash
// that must be the pack's name, every blob is opened, expanded and hashed, and
// the pack's own header must list what the index lists. It needs the memory of
// one range and one blob.
type packProof struct {
	repo   *Repository
	found  *reporter
	sealed []byte
	plain  []byte
}

// prove reads a pack, and once more before it tells that something is wrong, as
// twice does.
func (p *packProof) prove(ctx context.Context, id blob.ID, size int64, entries []pack.Entry) {
	entries = sorted(entries)
	doubt, told := false, p.found
	p.found = &reporter{report: func(Finding) { doubt = true }}
	p.once(ctx, id, size, entries)
	if p.found = told; doubt && ctx.Err() == nil {
		p.once(ctx, id, size, entries)
	}
}

func (p *packProof) once(ctx context.Context, id blob.ID, size int64, entries []pack.Entry) {
	sum := sha256.New()
	end, err := p.blobs(ctx, id, size, entries, sum)
	if err == nil {
		err = p.rest(ctx, id, end, size, sum)
	}
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, backup.ErrDamaged):
		p.found.add(packFinding(PackDamaged, id, err.Error()))
	case err != nil:
		p.found.add(packFinding(PackUnreadable, id, err.Error()))
	case blob.ID(sum.Sum(nil)) != id:
		p.found.add(packFinding(PackDamaged, id, "the bytes of the pack do not hash to its name: it was changed on its storage"))
	}
	p.header(ctx, id, size, entries)
}

// blobs reads the ranges in which blobs lie, as far as they lie back to back
// within the pack, and returns how far it came. Blobs beyond are tried alone.
func (p *packProof) blobs(ctx context.Context, id blob.ID, size int64, entries []pack.Entry, sum hash.Hash) (end int64, err error) {
	straight := len(entries)
	for i, e := range entries {
		if int64(e.Offset) != end || end+int64(e.Length) > size {
			straight = i
			break
		}
		end += int64(e.Length)
	}
	for rest := entries[:straight]; len(rest) > 0; {
		n := reach(rest)
		if err := p.reads(ctx, id, rest[:n], sum); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	for _, e := range entries[straight:] {
		p.alone(ctx, id, size, e)
	}
	return end, nil
}

func (p *packProof) reads(ctx context.Context, id blob.ID, entries []pack.Entry, sum hash.Hash) error {
	first, last := entries[0], entries[len(entries)-1]
	sealed, err := p.load(ctx, id, int64(first.Offset), int64(last.Offset)+int64(last.Length))
	if err != nil {
		return err
	}
	if _, err := sum.Write(sealed); err != nil {
		return err
	}
	for _, e := range entries {
		at := e.Offset - first.Offset
		p.open(id, sealed[at:at+e.Length:at+e.Length], e)
	}
	return nil
}

func (p *packProof) load(ctx context.Context, id blob.ID, from, to int64) ([]byte, error) {
	p.sealed = room(p.sealed, int(to-from))
	sealed, err := p.repo.storage.Load(ctx, packName(id), p.sealed, from, to-from)
	if err != nil {
		return nil, lostPack(id, err)
	}
	p.sealed = sealed
	return sealed, nil
}

// open is openBlob in memory that is kept, and without a copy of what was
// stored raw.
func (p *packProof) open(id blob.ID, sealed []byte, e pack.Entry) {
	plain, err := p.repo.key.OpenInPlace(sealed)
	if err == nil && e.Compressed() {
		p.plain = room(p.plain, min(int(e.Plain), maxRatio*len(plain))+slack)
		plain, err = p.repo.codec.expand(p.plain[:0], plain, int(e.Plain))
	}
	if err == nil && blob.Hash(plain) != e.Handle.ID {
		err = fmt.Errorf("content does not hash to its name: %w", backup.ErrDamaged)
	}
	if err != nil {
		p.damaged(id, e, fmt.Errorf("%s: %w", e.Handle, err))
	}
}

func (p *packProof) damaged(id blob.ID, e pack.Entry, err error) {
	text := fmt.Sprintf("%s blob %s in pack %s: %v", e.Handle.Type, e.Handle.ID, id.Short(), err)
	p.found.add(Finding{
		Level: Error, Kind: BlobDamaged, Name: e.Handle.ID.String(), Key: "check." + BlobDamaged, Text: text,
		Args: map[string]any{"name": e.Handle.String(), "pack": id.Short(), "pack_id": id.String(), "error": err.Error()},
	})
}

// alone tries a blob that does not lie where the one before it ends.
func (p *packProof) alone(ctx context.Context, id blob.ID, size int64, e pack.Entry) {
	to := int64(e.Offset) + int64(e.Length)
	if to > size {
		p.damaged(id, e, fmt.Errorf("it lies beyond the end of the pack: %w", backup.ErrDamaged))
		return
	}
	sealed, err := p.load(ctx, id, int64(e.Offset), to)
	if err != nil {
		p.damaged(id, e, err)
		return
	}
	p.open(id, sealed, e)
}

// rest reads what follows the blobs, for the hash.
func (p *packProof) rest(ctx context.Context, id blob.ID, from, size int64, sum hash.Hash) error {
	for from < size {
		to := min(size, from+maxRange)
		sealed, err := p.load(ctx, id, from, to)
		if err != nil {
			return err
		}
		if _, err := sum.Write(sealed); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// header compares the pack's own list with the index.
func (p *packProof) header(ctx context.Context, id blob.ID, size int64, entries []pack.Entry) {
	listed, err := pack.ReadHeader(ctx, p.repo.key, size, func(ctx context.Context, offset, length int64) ([]byte, error) {
		return p.load(ctx, id, offset, offset+length)
	})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		p.found.add(packFinding(PackHeader, id, fmt.Sprintf("the pack's own list of blobs cannot be read: %v", err)))
	case !slices.Equal(listed, entries):
		p.found.add(packFinding(PackHeader, id, "the pack's own list of blobs is not what the index says"))
	}
}
