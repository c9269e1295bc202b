package repository

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
)

// packer holds the open pack of one type; trees and data never share one.
type packer struct {
	mu   sync.Mutex
	open *pack.Builder
}

// add appends a sealed blob to the open pack of its type and hands the pack on
// when it is full. A new pack waits until an uploader has given one back: that
// is what bounds the memory.
func (w *Writer) add(h blob.Handle, sealed []byte, plain uint32) error {
	full, err := w.append(h, sealed, plain)
	if err != nil || full == nil {
		return err
	}
	return w.pass(full)
}

func (w *Writer) append(h blob.Handle, sealed []byte, plain uint32) (full *pack.Builder, err error) {
	p := &w.packers[h.Type]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		select {
		case p.open = <-w.builders:
		case <-w.ctx.Done():
			return nil, context.Cause(w.ctx)
		}
	}
	p.open.Add(h, sealed, plain)
	if p.open.Full(w.repo.settings.packSize) {
		full, p.open = p.open, nil
	}
	return full, nil
}

func (w *Writer) pass(full *pack.Builder) error {
	select {
	case w.full <- full:
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

// endPacks hands on the packs that are open when no more blobs come.
func (w *Writer) endPacks() {
	for i := range w.packers {
		if open := w.packers[i].open; open != nil {
			if err := w.pass(open); err != nil {
				return // what failed has been told already
			}
		}
	}
}

// upload is an uploader: it ends packs and stores them.
func (w *Writer) upload() {
	for b := range w.full {
		if w.ctx.Err() != nil {
			continue
		}
		if err := w.store(b); err != nil {
			w.fail(err)
		}
	}
}

func (w *Writer) store(b *pack.Builder) error {
	entries := b.Entries()
	data, id, err := b.Finish(w.repo.key)
	if err == nil {
		err = settled(w.ctx)
	}
	if err != nil {
		return err
	}
	if err := w.repo.storage.Save(w.ctx, packName(id), data); err != nil {
		return fmt.Errorf("save pack %s: %w", id.Short(), err)
	}
	w.counts.packed.Add(int64(len(data)))
	w.counts.packs.Add(1)
	if batch := w.journal.add(index.Pack{ID: id, Entries: entries}, time.Now()); batch != nil {
		if err := w.commit(batch); err != nil {
			return err
		}
	}
	// Last, for Flush takes a pack that is not in use for one that is listed.
	b.Reset()
	w.builders <- b
	return nil
}

// journal gathers durable packs until they fill an index file.
type journal struct {
	mu    sync.Mutex
	packs []index.Pack
	blobs int
	since time.Time // when the oldest of them came
}

const (
	// journalBlobs leaves room for one more full pack below index.MaxBlobs.
	journalBlobs = index.MaxBlobs - pack.MaxEntries
	// journalAge is how much work a crash can cost: packs that no index lists
	// are stored once more by the next backup.
	journalAge = 10 * time.Minute
)

// add returns the packs that should now become an index file, if any.
func (j *journal) add(p index.Pack, now time.Time) []index.Pack {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.packs) == 0 {
		j.since = now
	}
	j.packs = append(j.packs, p)
	j.blobs += len(p.Entries)
	if j.blobs <= journalBlobs && now.Sub(j.since) < journalAge {
		return nil
	}
	return j.takeLocked()
}

func (j *journal) take() []index.Pack {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.takeLocked()
}

func (j *journal) takeLocked() []index.Pack {
	packs := j.packs
	j.packs, j.blobs = nil, 0
	return packs
}

// commit writes an index file. Only then do its blobs count as being in the
// repository, also for other writers of this process.
func (w *Writer) commit(packs []index.Pack) error {
	if len(packs) == 0 {
		return nil
	}
	w.repo.landing.RLock()
	defer w.repo.landing.RUnlock()
	if _, err := w.repo.saveIndexFile(w.ctx, packs); err != nil {
		return err
	}
	known := w.repo.index()
	for _, p := range packs {
		if err := known.Add(p); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range packs {
		for _, e := range p.Entries {
			delete(w.pending, e.Handle)
		}
	}
	return nil
}

// WriteStats counts what a Writer has stored so far; it is complete when Write
// has returned.
type WriteStats struct {
	DataBlobs, TreeBlobs int64 // new blobs
	DataBytes, TreeBytes int64 // their plaintext
	Packed               int64 // bytes they take as stored, headers included
	Packs                int64
}

// counts is WriteStats while it changes.
type counts struct {
	blobs, bytes  [blob.Types]atomic.Int64
	packed, packs atomic.Int64
}

func (c *counts) add(t blob.Type, length int) {
	c.blobs[t].Add(1)
	c.bytes[t].Add(int64(length))
}

// Stats tells what was stored so far.
func (w *Writer) Stats() WriteStats {
	c := &w.counts
	return WriteStats{
		DataBlobs: c.blobs[blob.Data].Load(), TreeBlobs: c.blobs[blob.Tree].Load(),
		DataBytes: c.bytes[blob.Data].Load(), TreeBytes: c.bytes[blob.Tree].Load(),
		Packed: c.packed.Load(), Packs: c.packs.Load(),
	}
}
