package osservice

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"emrvault/appliance/errs"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestUnitText(t *testing.T) {
	tests := []struct {
		name string
		opts Options
	}{
		{"usual", Options{Executable: "/usr/local/bin/emrvault", Data: "/var/lib/emrvault"}},
		{"data in a system folder", Options{Executable: "/usr/local/emrvault/emrvault", Data: "/usr/local/emrvault/data%1"}},
		{"awkward names", Options{Executable: "/opt/病历 守护/emr{{v}} 1%", Data: `/srv/50% $HOME {{x}} "a\b"`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Unit(test.opts)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", strings.ReplaceAll(test.name, " ", "-")+".service")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("unit differs from %s (run with -update and look at the change):\n%s", golden, got)
			}
		})
	}
}

// systemd itself reads the unit: an unknown line or a wrong value is a warning
// there, and a fault here.
func TestSystemdUnderstandsTheUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("skipped: systemd-analyze is not here; install package systemd")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "病历 {{v}} 1%")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	unit, err := Unit(Options{Executable: program, Data: "/usr/local/emrvault"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, Name+".service")
	if err := os.WriteFile(path, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), Name+".service") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

func TestUnusablePlacesAreRefused(t *testing.T) {
	tests := []struct {
		name string
		opts Options
		want string
	}{
		{"program in a temporary folder", Options{Executable: "/tmp/emrvault", Data: "/var/lib/emrvault"}, "/tmp/emrvault"},
		{"data in a temporary folder", Options{Executable: "/usr/bin/emrvault", Data: "/var/tmp/x"}, "/var/tmp/x"},
		{"quote in the program's name", Options{Executable: `/opt/a"b`, Data: "/var/lib/emrvault"}, `a"b`},
		{"dollar in the program's name", Options{Executable: "/opt/$a", Data: "/var/lib/emrvault"}, "$a"},
		{"two lines", Options{Executable: "/opt/a", Data: "/srv/a\nUser=x"}, "one line"},
		{"awkward data in a system folder", Options{Executable: "/opt/a", Data: "/usr/a b"}, "/usr/a b"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := checkPlaces(test.opts)
			if errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want an invalid one that names %q", err, test.want)
			}
		})
	}
}

func TestInstallNeedsRightsAndSystemd(t *testing.T) {
	if managed() == nil && os.Geteuid() == 0 {
		t.Skip("skipped: on this machine it would really install; run as an ordinary user or in a container")
	}
	_, err := Install(t.Context(), Options{Executable: "/bin/sh", Data: "/var/lib/emrvault"})
	if kind := errs.KindOf(err); kind != errs.Denied && kind != errs.Conflict {
		t.Errorf("install = %v, want a refusal with the next step", err)
	}
	if state, err := Status(t.Context()); err != nil || state != Missing {
		t.Errorf("status = %s, %v, want not-installed", state, err)
	}
}
