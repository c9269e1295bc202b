package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/config"
	"emrvault/appliance/errs"
)

func load(t *testing.T, text string, environ ...string) (*config.Settings, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "emrvault.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path, environ)
}

func TestMissingFileMeansDefaults(t *testing.T) {
	s, err := config.Load(filepath.Join(t.TempDir(), "none.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Listen != ":8443" || s.Zone.String() != "Asia/Shanghai" || s.Language != "zh" || s.SessionIdle != 30*time.Minute {
		t.Errorf("defaults = %+v", s)
	}
}

func TestFileAndEnvironment(t *testing.T) {
	s, err := load(t, "site:\n  name: 市第一人民医院\npage:\n  listen: 127.0.0.1:9000\n  hosts: [EMR-box, 192.168.1.20]\nlog:\n",
		"EMRVAULT_PAGE_LISTEN=:9443", "EMRVAULT_DATA=/elsewhere", "HOME=/root")
	if err != nil {
		t.Fatal(err)
	}
	if s.SiteName != "市第一人民医院" || s.Listen != ":9443" || !slices.Equal(s.Hosts, []string{"emr-box", "192.168.1.20"}) {
		t.Errorf("settings = %+v", s)
	}
	origins := map[string]config.Origin{
		"site.name": config.FromFile, "page.listen": config.FromEnvironment, "log.level": config.FromDefault,
	}
	for key, want := range origins {
		if got := s.Origin(key); got != want {
			t.Errorf("origin of %s = %s, want %s", key, got, want)
		}
	}
}

func TestWrongSettingsAreRefused(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown key", "page:\n  listne: :1\n", "page.listne"},
		{"unknown section", "pages:\n  listen: :1\n", "pages.listen"},
		{"twice", "page:\n  listen: \":1\"\n  listen: \":2\"\n", "listen"},
		{"no section", "listen: :1\n", "listen"},
		{"nested", "page:\n  listen:\n    port: 1\n", "page.listen"},
		{"no YAML", "page: [\n", "emrvault.yaml"},
		{"port", "page:\n  listen: :70000\n", "address:port"},
		{"port alone", "page:\n  listen: 8443\n", "address:port"},
		{"zone", "site:\n  time_zone: Asia/Shangai\n", "Asia/Shangai"},
		{"language", "site:\n  language: fr\n", "zh (Chinese)"},
		{"host", "page:\n  hosts: https://box\n", "https://box"},
		{"span", "session:\n  idle: 5\n", "30m"},
		{"span too long", "session:\n  life: 9000h\n", "9000h"},
		{"level", "log:\n  level: loud\n", "loud"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := load(t, test.text)
			if errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v (%s), want an invalid one that names %q", err, errs.KindOf(err), test.want)
			}
		})
	}
}

func TestSavedSettingsAreReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "emrvault.yaml")
	s := config.Defaults()
	name := `三院 "东区" \ #1: {a}`
	for key, value := range map[string]string{"site.name": name, "session.idle": "1h30m", "page.hosts": "a.b，10.0.0.1"} {
		if err := s.Set(key, value); err != nil {
			t.Fatalf("set %s: %v", key, err)
		}
	}
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range config.Keys() {
		was, _ := s.Get(key)
		is, _ := got.Get(key)
		if was != is || s.Origin(key) != got.Origin(key) {
			t.Errorf("%s = %q from %s, want %q from %s", key, is, got.Origin(key), was, s.Origin(key))
		}
	}
}

func TestSampleFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "emrvault.yaml")
	if err := config.Defaults().Save(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range config.Keys() {
		_, name, _ := strings.Cut(key, ".")
		if !strings.Contains(string(data), "\n  # "+name+": ") {
			t.Errorf("the sample file does not show %s:\n%s", key, data)
		}
		if config.Comment("zh", key) == "" || config.Comment("en", key) == "" {
			t.Errorf("%s has no comment", key)
		}
	}
	if _, err := config.Load(path, nil); err != nil {
		t.Errorf("the sample file is refused: %v", err)
	}
}

func TestSetRefusesUnknownKey(t *testing.T) {
	err := config.Defaults().Set("page.port", "1")
	if errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), "page.listen") {
		t.Errorf("error = %v, want one that lists the known keys", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("site:\n  name: a\n")
	f.Add("page: {listen: [1, {a: b}]}\n")
	f.Add("a: &x\n  b: *x\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := load(t, text)
		if err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "again.yaml")
		if err := s.Save(path); err != nil {
			t.Fatal(err)
		}
		if _, err := config.LoadFile(path); err != nil {
			t.Errorf("what was read from %q and saved is refused: %v", text, err)
		}
	})
}
