package appliancecmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"emrvault/appliance/certificate"
	"emrvault/appliance/config"
	"emrvault/appliance/control"
	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/appliance/secret"
	"emrvault/appliance/store"
)

type console struct {
	*Env
	out bytes.Buffer
}

func newConsole(t *testing.T, lang locale.Lang) *console {
	t.Helper()
	c := &console{}
	c.Env = &Env{
		In: strings.NewReader(""), Out: &c.out, Err: &c.out, Lang: lang, Now: time.Now,
		Layout:  config.NewLayout(filepath.Join(t.TempDir(), "data")),
		Version: Version{Version: "1.2.3", Commit: "abc"},
	}
	return c
}

// run types a verb and gives what it printed.
func (c *console) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root := &cobra.Command{Use: "emrvault", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(Commands(c.Env)...)
	root.SetArgs(args)
	c.out.Reset()
	err := root.ExecuteContext(t.Context())
	return c.out.String(), err
}

func TestConfigIsSetAndShown(t *testing.T) {
	c := newConsole(t, locale.Chinese)
	if out, err := c.run(t, "config", "set", "page.listen", ":9443"); err != nil || !strings.Contains(out, "page.listen 已设为 :9443") {
		t.Fatalf("set = %q, %v", out, err)
	}
	c.Environ = []string{"EMRVAULT_LOG_LEVEL=debug"}
	out, err := c.run(t, "config", "show", "--json")
	if err != nil {
		t.Fatal(err)
	}
	origins := map[string]config.Origin{}
	decoder := json.NewDecoder(strings.NewReader(out))
	for {
		var line settingLine
		if err := decoder.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		origins[line.Key] = line.Origin
	}
	if origins["page.listen"] != config.FromFile || origins["log.level"] != config.FromEnvironment || origins["site.name"] != config.FromDefault {
		t.Errorf("origins = %v", origins)
	}
	if out, err := c.run(t, "config", "show", "page.listen"); err != nil || !strings.Contains(out, ":9443") || strings.Count(out, "\n") != 1 {
		t.Errorf("show one = %q, %v", out, err)
	}
	if out, err := c.run(t, "config", "set", "log.level", "warn"); err != nil || !strings.Contains(out, "EMRVAULT_LOG_LEVEL") {
		t.Errorf("set an overridden one = %q, %v, want a note", out, err)
	}
	for _, args := range [][]string{{"config", "set", "page.port", "1"}, {"config", "show", "page.port"}, {"config", "set", "log.level", "loud"}} {
		if _, err := c.run(t, args...); errs.KindOf(err) != errs.Invalid {
			t.Errorf("%v = %v, want invalid", args, err)
		}
	}
}

func TestVersion(t *testing.T) {
	c := newConsole(t, locale.English)
	if out, err := c.run(t, "version"); err != nil || !strings.HasPrefix(out, "emrvault 1.2.3 ") {
		t.Errorf("version = %q, %v", out, err)
	}
	out, err := c.run(t, "version", "--json")
	var got struct{ Version, Go, Platform string }
	if err != nil || json.Unmarshal([]byte(out), &got) != nil || got.Version != "1.2.3" || got.Go == "" || got.Platform == "" {
		t.Errorf("version --json = %q, %v", out, err)
	}
}

func TestStatusAndActionsWithoutService(t *testing.T) {
	c := newConsole(t, locale.English)
	out, err := c.run(t, "status", "--json")
	var got status
	if err != nil || json.Unmarshal([]byte(out), &got) != nil || got.Answering || got.Data != c.Layout.Data {
		t.Errorf("status --json = %q, %v", out, err)
	}
	if got.Service != "not-installed" {
		t.Skip("skipped: the service is installed on this machine, so nothing is tried on it")
	}
	for _, verb := range []string{"start", "stop", "restart", "uninstall"} {
		if _, err := c.run(t, verb); errs.KindOf(err) == errs.Internal || err == nil {
			t.Errorf("%s = %v, want a refusal a person can act on", verb, err)
		}
	}
}

// examine runs the doctor and gives its findings by check.
func examine(t *testing.T, c *console) (map[string]Finding, error) {
	t.Helper()
	out, err := c.run(t, "doctor", "--json")
	findings := map[string]Finding{}
	for line := range strings.Lines(out) {
		var finding Finding
		if err := json.Unmarshal([]byte(line), &finding); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if finding.Text == "" || strings.HasPrefix(finding.Text, "doctor.") {
			t.Errorf("%s says %q", finding.Check, finding.Text)
		}
		findings[finding.Check] = finding
	}
	return findings, err
}

// furnish makes a data folder as a running box has it.
func furnish(t *testing.T, layout config.Layout) {
	t.Helper()
	if err := layout.Make(); err != nil {
		t.Fatal(err)
	}
	box, err := secret.Open(layout)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certificate.Ensure(t.Context(), layout.Certificates(), box, []string{"localhost"}, time.Now); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), layout.Database(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDoctorBeforeTheFirstStart(t *testing.T) {
	c := newConsole(t, locale.Chinese)
	findings, err := examine(t, c)
	if err != nil {
		t.Errorf("doctor = %v, want no fault before the first start", err)
	}
	for _, check := range []string{"data", "key", "database", "certificate", "socket"} {
		if findings[check].Level != Warn {
			t.Errorf("%s = %+v, want a warning", check, findings[check])
		}
	}
	if _, err := os.Stat(c.Layout.Data); !os.IsNotExist(err) {
		t.Errorf("the doctor made the data folder (%v)", err)
	}
	if out, err := c.run(t, "doctor"); err != nil || !strings.Contains(out, "! 数据库: ") {
		t.Errorf("doctor prints %q, %v", out, err)
	}
}

func TestDoctorMissesTheKey(t *testing.T) {
	c := newConsole(t, locale.English)
	furnish(t, c.Layout)
	ctx := t.Context()
	box, err := secret.Find(c.Layout)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(ctx, c.Layout.Database(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Write(ctx, func(tx *store.Tx) error { return box.Keep(tx, "a", secret.NewText("word")) })
	if err = errors.Join(err, s.Close(), os.Remove(filepath.Join(c.Layout.Secret(), "box.key"))); err != nil {
		t.Fatal(err)
	}
	findings, err := examine(t, c)
	if got := findings["key"]; err == nil || got.Level != Bad || !strings.Contains(got.Text, "Put the file back") {
		t.Errorf("key = %+v (%v), want bad with what to do", got, err)
	}
}

func TestDoctorOnASoundBox(t *testing.T) {
	c := newConsole(t, locale.English)
	furnish(t, c.Layout)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- control.Serve(ctx, c.Layout.Socket(), nil) }()
	for range 500 {
		if control.Ping(ctx, c.Layout.Socket()) == nil {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	findings, err := examine(t, c)
	if err != nil {
		t.Errorf("doctor = %v, want no fault", err)
	}
	for _, check := range []string{"data", "settings", "database", "certificate", "socket"} {
		if findings[check].Level != Good {
			t.Errorf("%s = %+v, want good", check, findings[check])
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestDoctorFindsFaults(t *testing.T) {
	tests := []struct {
		name, check string
		level       Level
		spoil       func(t *testing.T, c *console)
	}{
		{"folder open to others", "data", Bad, func(t *testing.T, c *console) { must(t, os.Chmod(c.Layout.Data, 0o755)) }},
		{"settings wrong", "settings", Bad, func(t *testing.T, c *console) { write(t, c.Layout.Settings(), "page:\n  prot: 1\n") }},
		{"box key damaged", "key", Bad, func(t *testing.T, c *console) { write(t, filepath.Join(c.Layout.Secret(), "box.key"), "x") }},
		{"database damaged", "database", Bad, func(t *testing.T, c *console) { write(t, c.Layout.Database(), "this is no database") }},
		{"clock set back", "clock", Bad, func(_ *testing.T, c *console) {
			c.Now = func() time.Time { return time.Now().AddDate(0, 0, -3) }
		}},
		{"certificate ends soon", "certificate", Warn, func(_ *testing.T, c *console) {
			c.Now = func() time.Time { return time.Now().AddDate(0, 0, 380) }
		}},
		{"certificate ended", "certificate", Bad, func(_ *testing.T, c *console) {
			c.Now = func() time.Time { return time.Now().AddDate(2, 0, 0) }
		}},
		{"certificate damaged", "certificate", Bad, func(t *testing.T, c *console) {
			write(t, certificate.Path(c.Layout.Certificates(), "ca"), "x")
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newConsole(t, locale.English)
			furnish(t, c.Layout)
			test.spoil(t, c)
			findings, err := examine(t, c)
			if findings[test.check].Level != test.level {
				t.Errorf("%s = %+v, want %s", test.check, findings[test.check], test.level)
			}
			if bad := errs.KindOf(err) == errs.Conflict; bad != (test.level == Bad) {
				t.Errorf("doctor = %v, want a failure only for what is bad", err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}
