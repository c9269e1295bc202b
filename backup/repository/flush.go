package repository

import (
	"context"

	"emrvault/backup/repository/pack"
)

// Flush makes durable and known what was saved before the call: packs that are
// open are ended and stored, and an index file lists them. Who saves meanwhile
// waits until that is done.
//
//nolint:contextcheck // Waiting ends with the pipeline, whatever context the caller brings.
func (w *Writer) Flush(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// All of the room: then no blob is on its way to a pack.
	if err := w.room.Acquire(w.ctx, w.roomSize); err != nil {
		return context.Cause(w.ctx)
	}
	defer w.room.Release(w.roomSize)
	if err := w.passOpen(); err != nil {
		return err
	}
	// All packs: then none is on its way to the storage, or to an index file.
	idle := make([]*pack.Builder, 0, cap(w.builders))
	defer func() {
		for _, b := range idle {
			w.builders <- b
		}
	}()
	for range cap(w.builders) {
		select {
		case b := <-w.builders:
			idle = append(idle, b)
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		}
	}
	if err := w.commit(w.journal.take()); err != nil {
		w.fail(err)
		return err
	}
	return nil
}

// passOpen hands on the packs that are open.
func (w *Writer) passOpen() error {
	for i := range w.packers {
		p := &w.packers[i]
		p.mu.Lock()
		open := p.open
		p.open = nil
		p.mu.Unlock()
		if open == nil {
			continue
		}
		if err := w.pass(open); err != nil {
			return err
		}
	}
	return nil
}
