package osservice

import (
	"errors"
	"fmt"
	"time"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/mgr"

	"emrvault/appliance/errs"
)

const (
	rightsKey = "service.rights-windows"
	failedKey = "service.failed-windows"
)

// managed is always so: Windows has its service manager.
func managed() error { return nil }

func allowed() error {
	if !windows.GetCurrentProcessToken().IsElevated() {
		return errs.New(errs.Denied, rightsKey)
	}
	return nil
}

func checkPlaces(Options) error { return nil }

// options ask for a delayed start, so that a booting server has its databases
// up before the first catch-up run. The account stays the system's, for the
// same reason as root on Linux: a backup reads files of every owner.
func options(Options) (service.KeyValue, error) {
	return service.KeyValue{"DelayedAutoStart": true}, nil
}

func install(opts Options) (Outcome, error) {
	outcome, err := place(opts)
	if err != nil {
		return "", err
	}
	return outcome, recovery()
}

// place creates the service, or points an existing one to this program.
func place(opts Options) (Outcome, error) {
	found, err := current()
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		s, err := handle(opts)
		if err != nil {
			return "", err
		}
		return Installed, s.Install()
	}
	if err != nil {
		return "", err
	}
	want := found
	want.BinaryPathName = windows.ComposeCommandLine([]string{opts.Executable, "serve", "--data", opts.Data})
	want.StartType, want.DelayedAutoStart = mgr.StartAutomatic, true
	want.DisplayName, want.Description = displayName, description
	if want.BinaryPathName == found.BinaryPathName && want.StartType == found.StartType &&
		want.DelayedAutoStart == found.DelayedAutoStart {
		return Unchanged, nil
	}
	return Updated, with(func(s *mgr.Service) error { return s.UpdateConfig(want) })
}

func current() (config mgr.Config, err error) {
	err = with(func(s *mgr.Service) error {
		config, err = s.Config()
		return err
	})
	return config, err
}

// recovery has the manager restart us after 5, 30 and 60 seconds, and after
// every later end of a day; also when we end by ourselves with an error, which
// Windows would otherwise take for a wish.
func recovery() error {
	again := func(after time.Duration) mgr.RecoveryAction {
		return mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: after}
	}
	return with(func(s *mgr.Service) error {
		actions := []mgr.RecoveryAction{again(5 * time.Second), again(30 * time.Second), again(time.Minute)}
		if err := s.SetRecoveryActions(actions, uint32((24 * time.Hour).Seconds())); err != nil {
			return fmt.Errorf("set recovery actions: %w", err)
		}
		if err := s.SetRecoveryActionsOnNonCrashFailures(true); err != nil {
			return fmt.Errorf("set recovery flag: %w", err)
		}
		return nil
	})
}

// with opens our service for one thing to do.
func with(do func(*mgr.Service) error) (err error) {
	manager, err := mgr.Connect()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, manager.Disconnect()) }()
	s, err := manager.OpenService(Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(s)
}

func hasFailed(error) bool { return false }
