package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// OnDemand begins work, which ends in Run, with the first job that is handed
// in: a verb that only looks must not begin what it would cut short. The
// function it gives waits until nothing is left to do, and stops. When work
// cannot begin, that ends every Wait with its error.
func (m *Manager) OnDemand(ctx context.Context, work func(context.Context) error) (finish func() error) {
	ctx, stop := context.WithCancel(ctx)
	handedIn, leave := m.Subscribe(0)
	begun, done := make(chan bool, 1), make(chan error, 1)
	go func() {
		defer stop() // nobody waits for jobs that cannot run
		_, first := <-handedIn
		begun <- first
		leave()
		var err error
		if first {
			err = unlessStopped(work(ctx))
		}
		if err != nil {
			m.dead.tell(err)
		}
		done <- err
	}()
	return func() error {
		leave() // what was handed in is still heard of
		var idle error
		if <-begun {
			idle = unlessStopped(m.Idle(ctx))
		}
		stop()
		if err := <-done; err != nil {
			return err
		}
		return idle
	}
}

// unlessStopped drops the error that only says somebody asked to stop.
func unlessStopped(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// death says that this process carries out no jobs any more, and why.
type death struct {
	once sync.Once
	done chan struct{}
	why  error
}

func (d *death) tell(why error) {
	d.once.Do(func() {
		d.why = why
		close(d.done)
	})
}

// outlived gives a job that ended before the work did, or the error of the work.
func (m *Manager) outlived(ctx context.Context, id int64) (Job, error) {
	job, err := m.Get(ctx, id)
	if err == nil && !job.State.Ended() {
		err = fmt.Errorf("job %d is not carried out: %w", id, m.dead.why)
	}
	return job, err
}
