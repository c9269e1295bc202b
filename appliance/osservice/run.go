package osservice

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Run carries out work until it ends by itself or somebody asks it to stop: a
// person by Ctrl-C, the operating system by its stop signal, or on Windows the
// service manager. Then the context of work is cancelled, and Run waits for it.
func Run(ctx context.Context, work func(context.Context) error) error {
	if underManager() {
		return runManaged(ctx, work)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	return work(ctx)
}
