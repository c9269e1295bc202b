package console

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// Interruptible is a context that ends when a person presses Ctrl-C or the
// system asks the program to stop, so that a verb tidies up behind itself. Who
// asks a second time is not kept waiting.
func Interruptible() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// Hidden reads a line from a terminal without showing it. Ctrl-C ends it with
// context.Canceled, and leaves the terminal as it was.
func Hidden(terminal int) (string, error) {
	state, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupted)
	type line struct {
		word []byte
		err  error
	}
	read := make(chan line, 1)
	go func() {
		word, err := term.ReadPassword(terminal)
		read <- line{word, err}
	}()
	select {
	case got := <-read:
		return string(got.word), got.err
	case <-interrupted:
		if err := term.Restore(terminal, state); err != nil {
			return "", err
		}
		return "", context.Canceled
	}
}
