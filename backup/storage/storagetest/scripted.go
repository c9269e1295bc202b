package storagetest

import (
	"context"
	"slices"
	"sync"

	"emrvault/backup/storage"
)

// Turn is what becomes of one call. The zero value is a call that works.
type Turn struct {
	Err   error // what the call fails with; nil: it works
	Fault Fault // Before or After
	Hang  bool  // no answer until the context ends
	Items int   // a List that fails does so after so many documents
}

// Scripted is a twin of a storage that treats each call, of whatever kind, as
// its script says, and all that follow as usual.
type Scripted struct {
	storage.Storage
	Script []Turn

	mu  sync.Mutex
	log []string
}

// Calls tells what was asked for, in order: "save", "load", "stat", "list",
// "remove", "create".
func (s *Scripted) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

func (s *Scripted) turn(operation string) (t Turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.log) < len(s.Script) {
		t = s.Script[len(s.log)]
	}
	s.log = append(s.log, operation)
	return t
}

func (s *Scripted) play(ctx context.Context, operation string, call func() error) error {
	t := s.turn(operation)
	if t.Hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if t.Err != nil && t.Fault == Before {
		return t.Err
	}
	if err := call(); err != nil {
		return err
	}
	return t.Err
}

// Create plays its turn.
func (s *Scripted) Create(ctx context.Context) error {
	return s.play(ctx, "create", func() error { return s.Storage.Create(ctx) })
}

// Save plays its turn.
func (s *Scripted) Save(ctx context.Context, name storage.Name, data []byte) error {
	return s.play(ctx, "save", func() error { return s.Storage.Save(ctx, name, data) })
}

// Load plays its turn.
func (s *Scripted) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) (data []byte, err error) {
	err = s.play(ctx, "load", func() error {
		data, err = s.Storage.Load(ctx, name, buf, offset, length)
		return err
	})
	return data, err
}

// Stat plays its turn.
func (s *Scripted) Stat(ctx context.Context, name storage.Name) (info storage.Info, err error) {
	err = s.play(ctx, "stat", func() error {
		info, err = s.Storage.Stat(ctx, name)
		return err
	})
	return info, err
}

// List plays its turn; it may fail in the middle.
func (s *Scripted) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	t := s.turn("list")
	if t.Hang {
		<-ctx.Done()
		return ctx.Err()
	}
	told := 0
	err := s.Storage.List(ctx, kind, func(info storage.Info) error {
		if t.Err != nil && t.Fault == Before && told >= t.Items {
			return t.Err
		}
		told++
		return fn(info)
	})
	if err == nil {
		err = t.Err
	}
	return err
}

// Remove plays its turn.
func (s *Scripted) Remove(ctx context.Context, name storage.Name) error {
	return s.play(ctx, "remove", func() error { return s.Storage.Remove(ctx, name) })
}
