package repository

import (
	"context"
	"fmt"
	"os"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// lockFile is the JSON of a lock.
type lockFile struct {
	Time      time.Time `json:"time"`
	Exclusive bool      `json:"exclusive"`
	Hostname  string    `json:"hostname"`
	Username  string    `json:"username"`
	PID       int       `json:"pid"`
	UID       uint32    `json:"uid,omitempty"`
	GID       uint32    `json:"gid,omitempty"`
	Process   string    `json:"process,omitempty"` // ours, others pass it over: see processMark
}

// newLockFile names this process as the holder.
func newLockFile(exclusive bool) lockFile {
	f := lockFile{Exclusive: exclusive, PID: os.Getpid()}
	f.Username, f.Hostname = who()
	// Windows has neither and answers -1.
	f.UID, f.GID = uint32(max(0, os.Getuid())), uint32(max(0, os.Getgid()))
	f.Process, _ = processMark(f.PID)
	return f
}

// LockInfo tells who holds a lock.
type LockInfo struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"` // of the last refresh
	Exclusive bool      `json:"exclusive"`
	Host      string    `json:"hostname"`
	User      string    `json:"username"`
	PID       int       `json:"pid"`
	Stale     bool      `json:"stale"` // older than 30 minutes, or its process is gone

	process string
	old     bool // not refreshed for so long that its holder has given it up
}

// staleAge is when a lock that nobody refreshed counts as left behind.
const staleAge = 30 * time.Minute

func (f lockFile) info(id string, now time.Time) LockInfo {
	i := LockInfo{ID: id, Time: f.Time, Exclusive: f.Exclusive, Host: f.Hostname, User: f.Username, PID: f.PID, process: f.Process}
	i.old = now.Sub(f.Time) > staleAge
	i.Stale = i.old || i.dead()
	return i
}

// dead tells whether the holder is known to have ended: it ran on this host
// and its process is not there any more, or another one has its number, as
// happens after a reboot and whenever a container starts again. Hosts and
// containers that share a repository need names of their own for that.
//
// An old lock of this very process is one that it could not give back, because
// the storage did not answer at that moment: whoever held it has given up long
// ago. A box runs for months, and must not wait for itself.
func (i LockInfo) dead() bool {
	if _, host := who(); i.Host != host || i.PID <= 0 {
		return false
	}
	mark, exists := processMark(i.PID)
	return !exists || i.process != "" && mark != "" && mark != i.process || i.old && i.PID == os.Getpid()
}

// LockedError says whose lock is in the way. It wraps backup.ErrLocked.
type LockedError struct {
	Lock LockInfo
}

// Error names the holder and the next step.
func (e *LockedError) Error() string {
	how, next := "", "wait until it has ended"
	if e.Lock.Exclusive {
		how = " exclusively"
	}
	if e.Lock.Stale {
		next = "that program seems to have ended without giving it back, `repo unlock` removes the lock"
	}
	return fmt.Sprintf("%v%s by %s@%s (process %d) since %s: %s", backup.ErrLocked, how,
		e.Lock.User, e.Lock.Host, e.Lock.PID, e.Lock.Time.Format(time.RFC3339), next)
}

// Unwrap makes errors.Is find backup.ErrLocked.
func (e *LockedError) Unwrap() error { return backup.ErrLocked }

// unreadablePauses pass between attempts to read a lock that cannot be read:
// it may just be on its way through a slow storage.
func unreadablePauses() []time.Duration {
	return []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second}
}

// readLock loads a lock, patiently. ok is false when it is gone meanwhile.
func (r *Repository) readLock(ctx context.Context, id string) (info LockInfo, ok bool, err error) {
	pauses := unreadablePauses()
	for {
		var f lockFile
		err = r.LoadUnpacked(ctx, storage.Lock, id, &f)
		switch {
		case err == nil:
			return f.info(id, time.Now()), true, nil
		case absent(err):
			return info, false, nil
		case len(pauses) == 0:
			return info, false, fmt.Errorf("a lock cannot be read: %w; if no other program uses the repository, `repo unlock --remove-all` removes it", err)
		}
		if err := pause(ctx, pauses[0]); err != nil {
			return info, false, err
		}
		pauses = pauses[1:]
	}
}

// pause waits, or returns why the context ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Locks lists who holds locks.
func (r *Repository) Locks(ctx context.Context) ([]LockInfo, error) {
	ids, err := r.listIDs(ctx, storage.Lock)
	if err != nil {
		return nil, err
	}
	var locks []LockInfo
	for _, id := range ids {
		info, ok, err := r.readLock(ctx, id)
		if err != nil {
			return nil, err
		}
		if ok {
			locks = append(locks, info)
		}
	}
	return locks, nil
}

// RemoveStaleLocks removes locks older than 30 minutes and those of dead
// processes of this host. Its user should be sure that no clock is wrong.
func (r *Repository) RemoveStaleLocks(ctx context.Context) (removed int, err error) {
	return r.removeLocks(ctx, func(i LockInfo) bool { return i.Stale })
}

// RemoveOwnStaleLocks removes only locks of this host whose process is dead.
// That is safe without a human, so an appliance does it when it starts.
func (r *Repository) RemoveOwnStaleLocks(ctx context.Context) (removed int, err error) {
	return r.removeLocks(ctx, LockInfo.dead)
}

func (r *Repository) removeLocks(ctx context.Context, which func(LockInfo) bool) (removed int, err error) {
	locks, err := r.Locks(ctx)
	if err != nil {
		return 0, err
	}
	for _, l := range locks {
		if !which(l) {
			continue
		}
		if err := r.removeLock(ctx, l.ID); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// RemoveAllLocks removes every lock, whoever holds it, even unreadable ones.
func (r *Repository) RemoveAllLocks(ctx context.Context) (removed int, err error) {
	ids, err := r.listIDs(ctx, storage.Lock)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := r.removeLock(ctx, id); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// removeLock is content when the lock is gone already.
func (r *Repository) removeLock(ctx context.Context, id string) error {
	err := r.remove(ctx, storage.Name{Kind: storage.Lock, ID: id})
	if absent(err) {
		return nil
	}
	return err
}
