package repository

import (
	"context"
	"fmt"

	"emrvault/backup"
)

// LockEarly takes a lock and does not wait until it counts: the caller may read
// meanwhile. Whatever is written under the lock's context waits by itself, so
// nothing is stored before others had their time to see the lock.
//
// What was read early may be from before the end of another's work. When the
// time is over, still asks whether it stands; an error of it, or another's lock
// in the way, ends the lock's context, with that as its cause. A lock that is
// in the way already is an error at once, as with Lock.
func (r *Repository) LockEarly(ctx context.Context, mode LockMode, still func(context.Context) error) (*Lock, error) {
	l := &Lock{repo: r, mode: mode, file: newLockFile(mode == Exclusive), ready: make(chan struct{})}
	if err := l.announce(ctx); err != nil {
		return nil, fmt.Errorf("lock repository %s: %w", r.storage.Location(), err)
	}
	l.hold(ctx)
	l.loops.Go(func() {
		err := l.outlast(l.ctx)
		if err == nil {
			err = still(l.ctx)
		}
		if err != nil {
			l.cancel(fmt.Errorf("lock repository %s: %w", r.storage.Location(), err))
		}
		close(l.ready)
	})
	return l, nil
}

// settled waits until the lock that ctx comes from counts.
func settled(ctx context.Context) error {
	l, ok := ctx.Value(lockKey{}).(*Lock)
	if !ok || l.ready == nil {
		return nil
	}
	select {
	case <-l.ready:
		if l.ctx.Err() != nil {
			return context.Cause(l.ctx)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ErrMoved says that what was read early had been replaced by the time the lock
// counted.
var ErrMoved = fmt.Errorf("it was being pruned at that moment, begin once more: %w", backup.ErrLocked)
