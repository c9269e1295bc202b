package storagetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"emrvault/backup/storage"
)

// ErrFault is what a Faulty storage fails with.
var ErrFault = errors.New("storage fails on purpose")

// Fault says how a call goes wrong.
type Fault int

const (
	// Before fails without having done anything.
	Before Fault = iota
	// After does what was asked and fails all the same, like a connection
	// that breaks before the answer.
	After
)

// Faulty is a twin of a storage that fails at chosen calls. Counted are the
// calls that may change something, Save and Remove, or with CountReads all.
type Faulty struct {
	storage.Storage
	At         int   // the first call that fails, from 1; 0 for never
	Fault      Fault // how
	Dead       bool  // every later call fails too, as after a crash
	CountReads bool

	mu    sync.Mutex
	calls int
}

// Calls tells how many calls were counted.
func (f *Faulty) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// next counts a call and tells what is to become of it.
func (f *Faulty) next(counted bool) (before, after error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	late := f.At > 0 && f.calls >= f.At
	if counted {
		f.calls++
	}
	switch {
	case late && f.Dead:
		return ErrFault, nil
	case !counted || f.calls != f.At:
		return nil, nil
	case f.Fault == After:
		return nil, ErrFault
	}
	return ErrFault, nil
}

func (f *Faulty) do(counted bool, call func() error) error {
	before, after := f.next(counted)
	if before != nil {
		return before
	}
	if err := call(); err != nil {
		return err
	}
	return after
}

// Save fails when its turn comes.
func (f *Faulty) Save(ctx context.Context, name storage.Name, data []byte) error {
	return f.do(true, func() error { return f.Storage.Save(ctx, name, data) })
}

// Remove fails when its turn comes.
func (f *Faulty) Remove(ctx context.Context, name storage.Name) error {
	return f.do(true, func() error { return f.Storage.Remove(ctx, name) })
}

// Load fails when its turn comes.
func (f *Faulty) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) (data []byte, err error) {
	err = f.do(f.CountReads, func() error {
		data, err = f.Storage.Load(ctx, name, buf, offset, length)
		return err
	})
	return data, err
}

// Stat fails when its turn comes.
func (f *Faulty) Stat(ctx context.Context, name storage.Name) (info storage.Info, err error) {
	err = f.do(f.CountReads, func() error {
		info, err = f.Storage.Stat(ctx, name)
		return err
	})
	return info, err
}

// List fails when its turn comes.
func (f *Faulty) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	return f.do(f.CountReads, func() error { return f.Storage.List(ctx, kind, fn) })
}

// Slow is a twin of a storage that takes its time for every call.
type Slow struct {
	storage.Storage
	Delay time.Duration
}

func (s *Slow) wait(ctx context.Context) error {
	timer := time.NewTimer(s.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Save waits first.
func (s *Slow) Save(ctx context.Context, name storage.Name, data []byte) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.Storage.Save(ctx, name, data)
}

// Load waits first.
func (s *Slow) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Storage.Load(ctx, name, buf, offset, length)
}

// Stat waits first.
func (s *Slow) Stat(ctx context.Context, name storage.Name) (storage.Info, error) {
	if err := s.wait(ctx); err != nil {
		return storage.Info{}, err
	}
	return s.Storage.Stat(ctx, name)
}

// List waits first.
func (s *Slow) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.Storage.List(ctx, kind, fn)
}

// Remove waits first.
func (s *Slow) Remove(ctx context.Context, name storage.Name) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.Storage.Remove(ctx, name)
}
