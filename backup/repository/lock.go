package repository

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// LockMode says what the holder is going to do.
type LockMode int

const (
	// Read means only reading; nothing must vanish meanwhile.
	Read LockMode = iota
	// Append means adding blobs and snapshots.
	Append
	// Exclusive means removing, or proving that nothing moves.
	Exclusive
)

// The clocks of restic's lock protocol.
const (
	settle       = 200 * time.Millisecond // others may have locked at the same moment
	refreshAge   = 5 * time.Minute
	lostAge      = 22*time.Minute + 30*time.Second // well before others may call it stale
	lockTick     = 10 * time.Second
	unlockMargin = time.Minute
)

// Lock is a held lock. It refreshes itself until Unlock; if that does not work
// for 22.5 minutes, or somebody has removed it, its context ends.
type Lock struct {
	repo   *Repository
	mode   LockMode
	file   lockFile
	ctx    context.Context
	cancel context.CancelCauseFunc
	loops  sync.WaitGroup
	ready  chan struct{} // closed when others have had their time; nil: they had

	mu        sync.Mutex
	id        string   // empty when none lies in the repository
	old       []string // replaced by id, but not removed yet
	refreshed time.Time
}

// Lock takes a lock; the work it guards must use its Context. A lock of
// somebody else in the way is a *LockedError.
//
// On read-only media nothing can change and no lock can be written: there Read
// and Exclusive return at once a lock that is not Held, and Append is refused
// with backup.ErrReadOnly.
func (r *Repository) Lock(ctx context.Context, mode LockMode) (*Lock, error) {
	l := &Lock{repo: r, mode: mode, file: newLockFile(mode == Exclusive)}
	err := l.take(ctx)
	if errors.Is(err, backup.ErrReadOnly) && mode != Append {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock repository %s: %w", r.storage.Location(), err)
	}
	l.hold(ctx)
	return l, nil
}

// hold makes the lock's context and keeps the lock fresh.
func (l *Lock) hold(ctx context.Context) {
	l.ctx, l.cancel = context.WithCancelCause(context.WithValue(ctx, lockKey{}, l))
	if l.id != "" {
		l.loops.Go(l.refreshLoop)
		l.loops.Go(l.guard)
	}
}

func (l *Lock) take(ctx context.Context) error {
	if err := l.announce(ctx); err != nil {
		return err
	}
	if err := l.outlast(ctx); err != nil {
		return errors.Join(err, l.removeOwn(ctx))
	}
	return nil
}

// announce writes the lock, unless another one is in the way.
func (l *Lock) announce(ctx context.Context) error {
	if gate, ok := storage.As[storage.Gate](l.repo.storage); ok {
		if err := gate.Writable(ctx); err != nil {
			return err
		}
	}
	if err := l.conflict(ctx); err != nil {
		return err
	}
	return l.write(ctx)
}

// outlast looks once more, when others can see the lock.
func (l *Lock) outlast(ctx context.Context) error {
	if err := l.settle(ctx); err != nil {
		return err
	}
	return l.conflict(ctx)
}

// settle waits until others can see the lock. Who only reads need not: one who
// removes things waits himself before he begins, and sees this lock then; and
// were storage so slow to show it that he does not, the reader meets a missing
// file and says so, but nothing is lost.
func (l *Lock) settle(ctx context.Context) error {
	if l.mode == Read {
		return nil
	}
	return pause(ctx, settle)
}

// conflict looks for somebody else's lock in the way. One that a dead process
// of this machine left is removed: a backup that was killed at night must not
// need a person in the morning.
func (l *Lock) conflict(ctx context.Context) error {
	ids, err := l.repo.listIDs(ctx, storage.Lock)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id == l.id {
			continue
		}
		info, ok, err := l.repo.readLock(ctx, id)
		switch {
		case err != nil:
			return err
		case !ok || !info.Exclusive && !l.file.Exclusive:
			continue
		case !info.dead():
			return &LockedError{Lock: info}
		}
		if err := l.repo.removeLock(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// write stores the lock under a new name and notes when.
func (l *Lock) write(ctx context.Context) error {
	f := l.file
	f.Time = time.Now()
	id, err := l.repo.SaveUnpacked(ctx, storage.Lock, f)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Round drops the monotonic clock, which stands still while the machine sleeps.
	if l.id != "" {
		l.old = append(l.old, l.id)
	}
	l.id, l.refreshed = id.String(), f.Time.Round(0)
	return nil
}

// age is how long ago others could see a sign of life.
func (l *Lock) age() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Round(0).Sub(l.refreshed)
}

// guard ends the context when the lock has not been refreshed for too long. It
// runs beside refreshLoop, because a refresh may hang.
func (l *Lock) guard() {
	l.tick(func() {
		if l.age() >= lostAge {
			l.lose(fmt.Errorf("it could not be refreshed for %v", lostAge))
		}
	})
}

// refreshLoop looks at every tick whether the lock is still there, and
// refreshes it when it is time, again and again while that fails.
func (l *Lock) refreshLoop() {
	l.tick(func() {
		if l.age() < refreshAge {
			_ = l.confirm() // what else it says may pass
			return
		}
		// Any other failure is tried again at the next tick; guard says when
		// it has lasted too long.
		if err := l.refresh(); absent(err) {
			l.lose(errors.New("somebody has removed it"))
		}
	})
}

func (l *Lock) tick(fn func()) {
	ticker := time.NewTicker(lockTick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			fn()
		case <-l.ctx.Done():
			return
		}
	}
}

// lockKey is under which a lock's context carries the lock.
type lockKey struct{}

// confirmed is asked right before something becomes part of the repository or
// is taken out of it: is the lock that ctx comes from still there? Whoever has
// removed it relies on our being gone, and the next tick may be too late. A
// context without a lock has nothing to lose.
func confirmed(ctx context.Context) error {
	if err := settled(ctx); err != nil {
		return err
	}
	if l, ok := ctx.Value(lockKey{}).(*Lock); ok && l.Held() {
		return l.confirm()
	}
	return nil
}

// confirm looks for the lock on the storage. A refresh may give it another
// name meanwhile.
func (l *Lock) confirm() error {
	for {
		id := l.current()
		_, err := l.repo.storage.Stat(l.ctx, storage.Name{Kind: storage.Lock, ID: id})
		switch {
		case l.ctx.Err() != nil:
			return context.Cause(l.ctx)
		case err == nil:
			return nil
		case !absent(err):
			return fmt.Errorf("look for our lock: %w", err)
		case id == l.current():
			l.lose(errors.New("somebody has removed it"))
			return context.Cause(l.ctx)
		}
	}
}

func (l *Lock) lose(why error) {
	l.cancel(fmt.Errorf("%w: %w", backup.ErrLockLost, why))
}

// refresh writes a new lock and removes the old one. If the old one is gone,
// somebody may have relied on its absence already, and to go on would be wrong.
func (l *Lock) refresh() error {
	if _, err := l.repo.storage.Stat(l.ctx, storage.Name{Kind: storage.Lock, ID: l.current()}); err != nil {
		return err
	}
	if err := l.write(l.ctx); err != nil {
		return err
	}
	return l.removeOld(l.ctx)
}

// removeOld removes what write has replaced; what cannot be removed now is
// tried again at the next refresh and by Unlock.
func (l *Lock) removeOld(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.old) > 0 {
		if err := l.repo.removeLock(ctx, l.old[0]); err != nil {
			return err
		}
		l.old = l.old[1:]
	}
	return nil
}

func (l *Lock) current() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id
}

// Context ends when the context the lock was taken with does, when the lock is
// lost (its cause then wraps backup.ErrLockLost), and with Unlock.
func (l *Lock) Context() context.Context { return l.ctx }

// Held tells whether a lock really lies in the repository; it does not on
// read-only media, where nobody can change anything.
func (l *Lock) Held() bool { return l.current() != "" }

// Unlock gives the lock back, also after the context has ended. A second call
// does nothing.
func (l *Lock) Unlock() error {
	l.cancel(context.Canceled)
	l.loops.Wait()
	return l.removeOwn(l.ctx)
}

func (l *Lock) removeOwn(ctx context.Context) error {
	id := l.current()
	if id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockMargin)
	defer cancel()
	if err := errors.Join(l.removeOld(ctx), l.repo.removeLock(ctx, id)); err != nil {
		return fmt.Errorf("give the lock back: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id = ""
	return nil
}
