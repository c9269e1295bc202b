// Package osservice makes the appliance a service of the operating system.
//
// It is started at boot, restarted when it dies, and stopped with time to put
// things in order. On Linux that is a systemd unit whose text is ours (unit.go
// says why each line stands there); on Windows a service with delayed start
// and three recovery actions. The library kardianos/service speaks to both;
// what it leaves out, an upgrade of an installed unit and the Windows recovery
// flags, is added here.
//
// Installing the service is a matter for administrators: without the rights
// every verb but Status gives errs.Denied and says what to type instead.
package osservice

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kardianos/service"

	"emrvault/appliance/errs"
)

const (
	// Name is the name of the service for the operating system.
	Name        = "emrvault"
	displayName = "emrvault 病历守护"
	description = "emrvault: backup, recovery and service desk of the electronic medical record system"
)

// Options say what the service runs.
type Options struct {
	Executable string // absolute path of the program; empty: the one that runs now
	Data       string // absolute path of the data folder
}

// State is the state of the service in a word.
type State string

const (
	// Running says that the service runs or is being restarted.
	Running State = "running"
	// Stopped says that the service is installed and does not run.
	Stopped State = "stopped"
	// Failed says that the service ended and could not be restarted.
	Failed State = "failed"
	// Missing says that the service is not installed.
	Missing State = "not-installed"
)

// Outcome tells what Install did.
type Outcome string

const (
	// Installed says that the service is new.
	Installed Outcome = "installed"
	// Updated says that an older installation was brought up to date; it takes
	// effect at the next start.
	Updated Outcome = "updated"
	// Unchanged says that everything was in place.
	Unchanged Outcome = "unchanged"
)

// Install makes the service known to the operating system and starts it at
// boot; it does not start it now. An older installation is brought up to date.
func Install(ctx context.Context, opts Options) (Outcome, error) {
	if err := ready(); err != nil {
		return "", err
	}
	opts, err := opts.complete()
	if err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	outcome, err := install(opts)
	if err != nil {
		return "", failure("install", err)
	}
	return outcome, nil
}

// complete fills in the program and makes sure both places last.
func (o Options) complete() (Options, error) {
	if o.Executable == "" {
		self, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("find the running program: %w", err)
		}
		o.Executable = self
	}
	real, err := filepath.EvalSymlinks(o.Executable)
	if err != nil {
		return o, errs.Wrap(errs.NotFound, err, "service.executable", "path", o.Executable)
	}
	o.Executable = real
	if !filepath.IsAbs(o.Executable) || !filepath.IsAbs(o.Data) {
		return o, errs.New(errs.Invalid, "service.absolute")
	}
	return o, checkPlaces(o)
}

// Uninstall stops the service and makes the operating system forget it. The
// data folder stays as it is.
func Uninstall(ctx context.Context) error {
	state, err := Status(ctx)
	if err != nil {
		return err
	}
	if state == Missing {
		return errs.New(errs.NotFound, "service.missing")
	}
	if state == Running {
		if err := Stop(ctx); err != nil {
			return err
		}
	}
	return act("uninstall", service.Service.Uninstall)
}

// Start starts the installed service.
func Start(ctx context.Context) error { return present(ctx, "start", service.Service.Start) }

// Stop stops the service and waits until it has ended.
func Stop(ctx context.Context) error { return present(ctx, "stop", service.Service.Stop) }

// Restart stops and starts the service.
func Restart(ctx context.Context) error { return present(ctx, "restart", service.Service.Restart) }

// present does something to a service that must be installed.
func present(ctx context.Context, action string, do func(service.Service) error) error {
	if err := ready(); err != nil {
		return err
	}
	state, err := Status(ctx)
	if err != nil {
		return err
	}
	if state == Missing {
		return errs.New(errs.NotFound, "service.missing")
	}
	return act(action, do)
}

func act(action string, do func(service.Service) error) error {
	if err := ready(); err != nil {
		return err
	}
	s, err := handle(Options{})
	if err != nil {
		return failure(action, err)
	}
	if err := do(s); err != nil {
		return failure(action, err)
	}
	return nil
}

// Status tells the state of the service; it needs no rights.
func Status(ctx context.Context) (State, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := managed(); err != nil {
		return Missing, nil //nolint:nilerr // where nothing manages services, ours is not installed
	}
	s, err := handle(Options{})
	if err != nil {
		return "", failure("status", err)
	}
	return stateOf(s.Status())
}

func stateOf(status service.Status, err error) (State, error) {
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		return Missing, nil
	case err != nil && hasFailed(err):
		return Failed, nil
	case err != nil:
		return "", failure("status", err)
	case status == service.StatusRunning:
		return Running, nil
	default:
		return Stopped, nil
	}
}

// handle describes our service to the library.
func handle(opts Options) (service.Service, error) {
	extra, err := options(opts)
	if err != nil {
		return nil, err
	}
	return service.New(idle{}, &service.Config{
		Name:        Name,
		DisplayName: displayName,
		Description: description,
		Executable:  opts.Executable,
		Arguments:   []string{"serve", "--data", opts.Data},
		Option:      extra,
	})
}

// idle stands where the library wants a program to run; verbs run none.
type idle struct{}

// Start does nothing.
func (idle) Start(service.Service) error { return nil }

// Stop does nothing.
func (idle) Stop(service.Service) error { return nil }

// ready says whether services can be managed here and by us.
func ready() error {
	if err := managed(); err != nil {
		return err
	}
	return allowed()
}

// failure tells what could not be done and where to look.
func failure(action string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return errs.Wrap(errs.Denied, err, rightsKey)
	}
	return errs.Wrap(errs.Internal, err, failedKey, "action", action)
}
