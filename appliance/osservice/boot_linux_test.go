package osservice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"emrvault/appliance/errs"
)

// The service is tried on a real systemd: a container boots this machine's own
// system with an empty memory disk above it, and in it the test binary plays
// two parts. As "drive" it is the administrator who installs, starts, kills,
// upgrades and uninstalls, and writes down what it saw; as "serve" it is the
// appliance.

// TestMain gives the test binary its parts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Exit(playAppliance(os.Args[len(os.Args)-1]))
	}
	if len(os.Args) > 2 && os.Args[1] == "drive" {
		os.Exit(playAdministrator(os.Args[2]))
	}
	os.Exit(m.Run())
}

// playAppliance writes its process id into the data folder and runs until it
// is told to stop; then it says that it stopped in order.
func playAppliance(data string) int {
	err := Run(context.Background(), func(ctx context.Context) error {
		pid := []byte(strconv.Itoa(os.Getpid()))
		if err := os.WriteFile(filepath.Join(data, "pid"), pid, 0o600); err != nil {
			return err
		}
		<-ctx.Done()
		return os.WriteFile(filepath.Join(data, "stopped"), pid, 0o600)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// step is one thing the administrator did and what came of it.
type step struct{ Name, Got string }

const drivenData = "/var/lib/emrvault"

func playAdministrator(report string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	d := driver{ctx: ctx}
	d.run()
	text, err := json.Marshal(d.steps)
	if err == nil {
		err = os.WriteFile(report, text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

type driver struct {
	ctx   context.Context
	steps []step
}

func (d *driver) note(name string, got ...any) {
	d.steps = append(d.steps, step{name, strings.TrimSpace(fmt.Sprintln(got...))})
}

func (d *driver) run() {
	if err := os.MkdirAll(drivenData, 0o700); err != nil {
		d.note("data folder", err)
		return
	}
	d.note("status before", d.status())
	d.note("start before", errs.KindOf(Start(d.ctx)))
	d.note("install", d.install("/opt/probe/osservice.test"))
	d.note("install again", d.install("/opt/probe/osservice.test"))
	d.note("enabled", d.systemctl("is-enabled"))
	d.note("status installed", d.status())
	d.note("start", Start(d.ctx))
	first := d.pid("")
	d.note("status running", d.status(), first != "")
	d.note("umask", d.hasMask(first))
	d.note("kill -9", d.kill(first))
	second := d.pid(first)
	d.note("restarted", second != "" && second != first)
	d.note("restart", Restart(d.ctx))
	third := d.pid(second)
	d.note("after restart", third != "" && third != second)
	d.note("upgrade", d.install("/opt/probe/../probe/new.test"))
	d.note("stop", Stop(d.ctx))
	d.note("stopped in order", d.read("stopped") == third)
	d.note("status stopped", d.status())
	d.note("start upgraded", Start(d.ctx))
	d.note("runs upgraded", d.program(d.pid(third)))
	d.note("uninstall", Uninstall(d.ctx))
	d.note("status gone", d.status())
	d.note("uninstall again", errs.KindOf(Uninstall(d.ctx)))
	_, err := os.Stat(unitPath)
	d.note("unit gone", errors.Is(err, os.ErrNotExist))
	d.note("data kept", d.read("pid") != "")
}

func (d *driver) status() string {
	state, err := Status(d.ctx)
	if err != nil {
		return err.Error()
	}
	return string(state)
}

func (d *driver) install(program string) string {
	outcome, err := Install(d.ctx, Options{Executable: program, Data: drivenData})
	if err != nil {
		return err.Error()
	}
	return string(outcome)
}

func (d *driver) systemctl(verb string) string {
	out, _ := exec.Command("systemctl", verb, Name).CombinedOutput() // the text says it
	return strings.TrimSpace(string(out))
}

func (d *driver) read(name string) string {
	data, _ := os.ReadFile(filepath.Join(drivenData, name)) // missing is empty
	return string(data)
}

// pid waits for the appliance to run under another process id than before.
func (d *driver) pid(before string) string {
	for range 150 {
		if pid := d.read("pid"); pid != "" && pid != before && d.program(pid) != "" {
			return pid
		}
		time.Sleep(100 * time.Millisecond)
	}
	return ""
}

func (d *driver) program(pid string) string {
	path, _ := os.Readlink("/proc/" + pid + "/exe") // a dead process has none
	return filepath.Base(strings.TrimPrefix(path, "."))
}

func (d *driver) hasMask(pid string) bool {
	status, _ := os.ReadFile("/proc/" + pid + "/status") // a dead process has none
	return strings.Contains(string(status), "Umask:\t0077") && strings.Contains(string(status), "NoNewPrivs:\t1")
}

func (d *driver) kill(pid string) error {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return err
	}
	return syscall.Kill(n, syscall.SIGKILL)
}

const probeUnit = `[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/opt/probe/osservice.test drive /out/report.json
ExecStopPost=/bin/systemctl poweroff --force --no-block
StandardOutput=file:/out/log
StandardError=file:/out/log
`

func TestServiceOnBootedSystemd(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped in short mode: boots a container, some ten seconds")
	}
	if _, err := exec.LookPath("systemd-nspawn"); err != nil || os.Geteuid() != 0 {
		t.Skip("skipped: needs root and systemd-nspawn (package systemd-container)")
	}
	want := []step{
		{"status before", "not-installed"}, {"start before", "not-found"},
		{"install", "installed"}, {"install again", "unchanged"}, {"enabled", "enabled"},
		{"status installed", "stopped"}, {"start", "<nil>"}, {"status running", "running true"}, {"umask", "true"},
		{"kill -9", "<nil>"}, {"restarted", "true"}, {"restart", "<nil>"}, {"after restart", "true"},
		{"upgrade", "updated"}, {"stop", "<nil>"}, {"stopped in order", "true"}, {"status stopped", "stopped"},
		{"start upgraded", "<nil>"}, {"runs upgraded", "new.test"},
		{"uninstall", "<nil>"}, {"status gone", "not-installed"}, {"uninstall again", "not-found"},
		{"unit gone", "true"}, {"data kept", "true"},
	}
	got := boot(t)
	for i, w := range want {
		if i >= len(got) || got[i] != w {
			t.Errorf("step %d: got %v, want %v", i+1, at(got, i), w)
		}
	}
}

func at(steps []step, i int) any {
	if i < len(steps) {
		return steps[i]
	}
	return "nothing"
}

// boot runs the probe in a container and reads its report.
func boot(t *testing.T) []step {
	t.Helper()
	dir := t.TempDir()
	probe, out, unit := filepath.Join(dir, "probe"), filepath.Join(dir, "out"), filepath.Join(dir, "probe.service")
	for _, d := range []string{probe, out} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		filepath.Join(probe, "osservice.test"): self, filepath.Join(probe, "new.test"): self, unit: []byte(probeUnit),
	} {
		if err := os.WriteFile(name, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemd-nspawn", "-q", "-D", "/", "--volatile=yes", "--register=no", "--keep-unit",
		"--private-network", "--console=pipe", "--bind-ro="+unit+":/etc/systemd/system/probe.service",
		"--bind-ro="+probe+":/opt/probe", "--bind="+out+":/out", "-b", "systemd.wants=probe.service")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	console, err := cmd.CombinedOutput()
	log, _ := os.ReadFile(filepath.Join(out, "log")) // only to show
	report, missing := os.ReadFile(filepath.Join(out, "report.json"))
	if missing != nil {
		t.Fatalf("the container gave no report: %v, %v\n%s\n%s", err, missing, log, console)
	}
	var steps []step
	if err := json.Unmarshal(report, &steps); err != nil {
		t.Fatal(err)
	}
	return steps
}
