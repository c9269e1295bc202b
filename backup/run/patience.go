package run

import (
	"context"
	"errors"
	"sync"
	"time"

	"emrvault/appliance/jobs"
	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/storage/retry"
)

// A job waits so long for others at work in the repository: two plans of one
// repository are often due at the same moment, and one of them prunes.
const (
	patience = 30 * time.Minute
	lookAt   = 2 * time.Second
)

// Patient calls fn, which takes a lock before it does anything, again and again
// while somebody else's lock is in the way. A lock whose holder has ended does
// not go away by waiting.
func Patient(ctx context.Context, job *jobs.Run, fn func() error) error {
	for began, told := time.Now(), false; ; told = true {
		err := fn()
		var locked *repository.LockedError
		if !errors.Is(err, backup.ErrLocked) || errors.As(err, &locked) && locked.Lock.Stale || time.Since(began) > patience {
			return err
		}
		if !told {
			job.Log("run.log.waiting", "detail", err.Error())
		}
		select {
		case <-time.After(lookAt):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// troubleEvery is how often the lines of a job tell of trouble that lasts.
const troubleEvery = 5 * time.Minute

// listening lets the lines of a job tell when a place does not answer, and when
// it does again: otherwise the job would look as if it hung.
func listening(do func(context.Context, *jobs.Run) error) func(context.Context, *jobs.Run) error {
	return func(ctx context.Context, job *jobs.Run) error {
		t := &trouble{job: job}
		return do(retry.Listen(ctx, t.hear), job)
	}
}

// trouble hears of every failed attempt and tells of few.
type trouble struct {
	job *jobs.Run

	mu   sync.Mutex
	told time.Time // when it was told last; zero: all is well
}

func (t *trouble) hear(event retry.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case event.Over && !t.told.IsZero():
		t.told = time.Time{}
		t.job.Log("run.log.answersagain")
	case !event.Over && time.Since(t.told) >= troubleEvery:
		t.told = time.Now()
		t.job.Log("run.log.noanswer", "detail", event.Err.Error())
	}
}
