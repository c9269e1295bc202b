package run

import (
	"context"
	"errors"
	"sync"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// sources is where healing finds what is lost: the second copies one after the
// other, then what this machine remembers of the repository itself.
type sources struct {
	others []repository.Source
	own    repository.Source
	tell   func(name string, err error)

	mu     sync.Mutex
	silent map[int]bool // by their place among the others
}

// askTime is how long a second copy may take to give one blob. Backups wait
// meanwhile for the lock under which is healed.
const askTime = 5 * time.Minute

// LoadBlob gives a blob from the first copy that has it. A copy that does not
// answer is not asked again: what it has waits for another night.
func (s *sources) LoadBlob(ctx context.Context, h blob.Handle, buf []byte) ([]byte, error) {
	var failed []error
	for i, other := range s.others {
		if s.isSilent(i) {
			continue
		}
		plain, err := ask(ctx, other, h, buf)
		if err == nil || ctx.Err() != nil {
			return plain, err
		}
		failed = append(failed, err)
		if !errors.Is(err, backup.ErrDamaged) && !errors.Is(err, backup.ErrNotFound) {
			s.giveUp(i, err)
		}
	}
	plain, err := s.own.LoadBlob(ctx, h, buf)
	if err != nil {
		return nil, errors.Join(append(failed, err)...)
	}
	return plain, nil
}

func ask(ctx context.Context, from repository.Source, h blob.Handle, buf []byte) ([]byte, error) {
	ctx, done := context.WithTimeout(ctx, askTime)
	defer done()
	return from.LoadBlob(ctx, h, buf)
}

func (s *sources) isSilent(i int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.silent[i]
}

func (s *sources) giveUp(i int, err error) {
	s.mu.Lock()
	known := s.silent[i]
	s.silent[i] = true
	s.mu.Unlock()
	if !known {
		s.tell("second copy", told(err))
	}
}
