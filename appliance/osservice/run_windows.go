package osservice

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/kardianos/service"
)

// underManager says whether the Windows service manager started us.
func underManager() bool { return !service.Interactive() }

func runManaged(ctx context.Context, work func(context.Context) error) error {
	program := &managedWork{work: work, ended: make(chan error, 1)}
	program.ctx, program.cancel = context.WithCancel(ctx)
	defer program.cancel()
	s, err := service.New(program, &service.Config{Name: Name})
	if err != nil {
		return err
	}
	return s.Run()
}

// managedWork is the work as the service manager sees it.
type managedWork struct {
	ctx    context.Context
	cancel context.CancelFunc
	work   func(context.Context) error
	ended  chan error
}

// Start begins the work and returns at once, as the manager demands. Work that
// fails ends the process: the manager sees that and restarts it.
func (m *managedWork) Start(service.Service) error {
	go func() {
		err := m.work(m.ctx)
		if m.ctx.Err() == nil {
			slog.Error("the appliance ended by itself", "error", err)
			os.Exit(1)
		}
		m.ended <- err
	}()
	return nil
}

// Stop cancels the work and waits for it.
func (m *managedWork) Stop(service.Service) error {
	m.cancel()
	if err := <-m.ended; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
