package run

import (
	"context"
	"errors"
	"time"

	"emrvault/appliance/jobs"
	"emrvault/backup"
	"emrvault/backup/repository"
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
