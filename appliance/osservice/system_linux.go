package osservice

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"github.com/kardianos/service"

	"emrvault/appliance/durable"
	"emrvault/appliance/errs"
)

// unitPath is where an administrator's units belong.
const unitPath = "/etc/systemd/system/" + Name + ".service"

const (
	rightsKey = "service.rights"
	failedKey = "service.failed"
)

// managed says whether systemd manages this machine. The library would write
// scripts for older systems, which nobody has tried with this program.
func managed() error {
	if system := service.ChosenSystem(); system == nil || system.String() != "linux-systemd" {
		return errs.New(errs.Conflict, "service.unmanaged")
	}
	return nil
}

func allowed() error {
	if os.Geteuid() != 0 {
		return errs.New(errs.Denied, rightsKey)
	}
	return nil
}

// checkPlaces refuses paths that the service could not use after a boot.
func checkPlaces(o Options) error {
	for _, path := range []string{o.Executable, o.Data} {
		if strings.ContainsAny(path, "\n\r\x00") {
			return errs.New(errs.Invalid, "service.absolute")
		}
		if strings.HasPrefix(path, "/tmp/") || strings.HasPrefix(path, "/var/tmp/") || strings.HasPrefix(path, "/run/") {
			return errs.New(errs.Invalid, "service.temporary", "path", path)
		}
	}
	if strings.ContainsAny(o.Executable, "\"'\\$") { // systemd takes no such program
		return errs.New(errs.Invalid, "service.name", "path", o.Executable)
	}
	if systemFolder(o.Data) && strings.ContainsAny(o.Data, " \t\"'\\{") {
		return errs.New(errs.Invalid, "service.name", "path", o.Data)
	}
	return nil
}

func options(opts Options) (service.KeyValue, error) {
	unit, err := Unit(opts)
	return service.KeyValue{"SystemdScript": unit}, err
}

// install lets the library write and enable a new unit. The library refuses an
// existing one, so that is rewritten here.
func install(opts Options) (Outcome, error) {
	found, err := os.ReadFile(unitPath)
	if errors.Is(err, fs.ErrNotExist) {
		s, err := handle(opts)
		if err != nil {
			return "", err
		}
		return Installed, s.Install()
	}
	if err != nil {
		return "", err
	}
	unit, err := Unit(opts)
	if err != nil {
		return "", err
	}
	outcome := Unchanged
	if string(found) != unit {
		outcome = Updated
		if err := durable.WriteFile(unitPath, []byte(unit), 0o644); err != nil {
			return "", err
		}
	}
	// Both are repeated even without a change: a unit that was written but not
	// enabled, by a power cut in between, is mended by installing again.
	return outcome, errors.Join(systemctl("daemon-reload"), systemctl("enable", Name+".service"))
}

func systemctl(args ...string) error {
	out, err := exec.Command("systemctl", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// hasFailed knows the library's words for a unit in state "failed".
func hasFailed(err error) bool { return strings.Contains(err.Error(), "failed state") }
