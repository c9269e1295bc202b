//go:build !linux && !windows

package osservice

import (
	"github.com/kardianos/service"

	"emrvault/appliance/errs"
)

const (
	rightsKey = "service.rights"
	failedKey = "service.failed"
)

// managed says that this program is no service here; `serve` runs it.
func managed() error { return errs.New(errs.Conflict, "service.unmanaged") }

func allowed() error { return nil }

func checkPlaces(Options) error { return nil }

func options(Options) (service.KeyValue, error) { return nil, nil }

func install(Options) (Outcome, error) { return "", managed() }

func hasFailed(error) bool { return false }
