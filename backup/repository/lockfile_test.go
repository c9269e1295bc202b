package repository_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
)

func TestUnreadableLockIsRetriedThenNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := mem.New()
		r := create(t, st)
		id := foreign(t, r, nil)
		name := storage.Name{Kind: storage.Lock, ID: id}
		whole := load(t, st, name)
		st.Put(name, nil)
		start := time.Now()
		_, err := r.Lock(t.Context(), repository.Append)
		if !errors.Is(err, backup.ErrDamaged) || !strings.Contains(err.Error(), "unlock --remove-all") {
			t.Errorf("got %v, want damage and the next step", err)
		}
		if waited := time.Since(start); waited != 35*time.Second {
			t.Errorf("waited %v, want 35 s", waited)
		}
		go func() {
			time.Sleep(7 * time.Second)
			st.Put(name, whole)
		}()
		l := lock(t, r, repository.Append)
		unlock(t, l)
	})
}

func TestStaleLocks(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	dead := deadProcess(t)
	now := time.Now()
	tests := []struct {
		name       string
		fields     map[string]any
		stale, own bool // removed by RemoveStaleLocks, by RemoveOwnStaleLocks
	}{
		{"fresh, elsewhere", nil, false, false},
		{"old, elsewhere", map[string]any{"time": now.Add(-31 * time.Minute)}, true, false},
		{"not yet old, elsewhere", map[string]any{"time": now.Add(-29 * time.Minute)}, false, false},
		{"elsewhere with a number dead here", map[string]any{"pid": dead}, false, false},
		{"here and dead", map[string]any{"hostname": host, "pid": dead}, true, true},
		{"here and alive", map[string]any{"hostname": host, "pid": os.Getppid()}, false, false},
		{"this process", map[string]any{"hostname": host, "pid": os.Getpid()}, false, false},
		{"this process, long ago", map[string]any{"hostname": host, "pid": os.Getpid(), "time": now.Add(-31 * time.Minute)}, true, true},
		{"our number, from before a reboot", map[string]any{"hostname": host, "pid": os.Getpid(), "process": "another boot/1"}, true, true},
		{"no number", map[string]any{"hostname": host, "pid": 0}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := mem.New()
			r := create(t, st)
			foreign(t, r, tt.fields)
			removed, err := r.RemoveOwnStaleLocks(t.Context())
			if err != nil || removed != count(tt.own) {
				t.Errorf("own: removed %d, %v; want %d", removed, err, count(tt.own))
			}
			removed, err = r.RemoveStaleLocks(t.Context())
			if err != nil || removed != count(tt.stale && !tt.own) {
				t.Errorf("stale: removed %d, %v; want %d", removed, err, count(tt.stale && !tt.own))
			}
		})
	}
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// A killed program's lock is only in the way until the next one comes by.
// deaf is a storage that does not answer when a lock is to be given back.
type deaf struct {
	storage.Storage
	times int
}

func (d *deaf) Remove(ctx context.Context, name storage.Name) error {
	if d.times--; d.times >= 0 {
		return errors.New("the storage does not answer")
	}
	return d.Storage.Remove(ctx, name)
}

// A lock that could not be given back stops nobody for ever, though its process
// lives on.
func TestOwnLockThatStayedBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := create(t, &deaf{mem.New(), 1})
		l := lock(t, r, repository.Exclusive)
		if err := l.Unlock(); err == nil {
			t.Fatal("the lock was given back")
		}
		if _, err := r.Lock(t.Context(), repository.Append); !errors.Is(err, backup.ErrLocked) {
			t.Errorf("at once: got %v, want locked", err)
		}
		time.Sleep(31 * time.Minute)
		unlock(t, lock(t, r, repository.Append))
	})
}

func TestLockOfADeadProcessIsRemovedWhenInTheWay(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]any{"hostname": host, "pid": deadProcess(t)}
	st := mem.New()
	r := create(t, st)
	foreign(t, r, left)
	l := lock(t, r, repository.Append)
	if got := len(names(t, st, storage.Lock)); got != 2 {
		t.Errorf("got %d locks, want 2: one that is not in the way stays", got)
	}
	unlock(t, l)
	left["exclusive"] = true
	foreign(t, r, left)
	unlock(t, lock(t, r, repository.Exclusive))
	if got := len(names(t, st, storage.Lock)); got != 0 {
		t.Errorf("%d locks are left", got)
	}
}

// deadProcess is the number of a process that has just ended.
func deadProcess(t *testing.T) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}
