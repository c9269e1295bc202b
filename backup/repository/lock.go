package repository

import (
	"context"
	"time"
)

// LockMode says what the holder is going to do.
type LockMode int

const (
	// Read means only reading; blobs must not vanish meanwhile.
	Read LockMode = iota
	// Append means adding blobs and snapshots.
	Append
	// Exclusive means removing, or proving that nothing moves.
	Exclusive
)

// LockInfo tells who holds a lock.
type LockInfo struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"`
	Exclusive bool      `json:"exclusive"`
	Host      string    `json:"hostname"`
	User      string    `json:"username"`
	PID       int       `json:"pid"`
	Stale     bool      `json:"stale"` // older than 30 minutes, or its process is gone
}

// Lock is a held lock. It refreshes itself until Unlock.
type Lock struct{}

// Lock takes a lock; the work it guards must use its Context.
func (r *Repository) Lock(ctx context.Context, mode LockMode) (*Lock, error) { return nil, errSoon }

// Context is cancelled when the lock is lost; its cause is backup.ErrLockLost.
func (l *Lock) Context() context.Context { return nil }

// Held tells whether a lock really lies in the repository; it does not on
// read-only media, where nobody can change anything.
func (l *Lock) Held() bool { return false }

// Unlock gives the lock back, also after the context has ended. A second call does nothing.
func (l *Lock) Unlock() error { return errSoon }

// Locks lists who holds locks.
func (r *Repository) Locks(ctx context.Context) ([]LockInfo, error) { return nil, errSoon }

// RemoveStaleLocks removes locks older than 30 minutes and those of dead processes of this host.
func (r *Repository) RemoveStaleLocks(ctx context.Context) (removed int, err error) {
	return 0, errSoon
}

// RemoveOwnStaleLocks removes only locks of this host whose process is dead.
func (r *Repository) RemoveOwnStaleLocks(ctx context.Context) (removed int, err error) {
	return 0, errSoon
}

// RemoveAllLocks removes every lock, whoever holds it.
func (r *Repository) RemoveAllLocks(ctx context.Context) (removed int, err error) { return 0, errSoon }
