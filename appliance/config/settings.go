package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"emrvault/appliance/durable"
	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
)

// Settings is what the box was told. Defaults gives a complete set; nothing in
// it is ever nil.
type Settings struct {
	SiteName    string         // the hospital's name on pages and reports
	Language    locale.Lang    // of pages and mails before a person chooses
	Zone        *time.Location // of schedules and of moments on the screen
	Listen      string         // host:port of the page; host empty means all addresses
	Hosts       []string       // names and addresses of the box in its certificate, besides those it finds itself
	SessionIdle time.Duration  // a person who does nothing that long signs in again
	SessionLife time.Duration  // nobody stays signed in longer than this
	LogLevel    slog.Level

	origin map[string]Origin // where each key's value comes from
}

// Origin tells where the value of a setting comes from.
type Origin string

const (
	// FromDefault is the value the program brings.
	FromDefault Origin = "default"
	// FromFile is a value from the settings file.
	FromFile Origin = "file"
	// FromEnvironment is a value from an EMRVAULT_ variable.
	FromEnvironment Origin = "environment"
)

// Defaults gives the settings of a box that was told nothing.
func Defaults() *Settings {
	s := &Settings{origin: map[string]Origin{}}
	for _, d := range table {
		if err := d.set(s, d.standard); err != nil {
			panic(fmt.Sprintf("default of setting %s: %v", d.key, err))
		}
		s.origin[d.key] = FromDefault
	}
	return s
}

// Load reads the settings file, when there is one, and lets the environment
// (as os.Environ gives it) win over it.
func Load(path string, environ []string) (*Settings, error) {
	s, err := LoadFile(path)
	if err != nil {
		return nil, err
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if d := byVariable(name); d != nil {
			if err := s.put(d, value, FromEnvironment); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// LoadFile reads the settings file alone, for a change that is written back. A
// missing file means defaults.
func LoadFile(path string) (*Settings, error) {
	s := Defaults()
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, errs.Wrap(errs.Denied, err, "config.read", "path", path)
	}
	values, err := parse(data)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "config.file", "path", path)
	}
	for _, v := range values {
		d := byKey(v.key)
		if d == nil {
			return nil, errs.New(errs.Invalid, "config.unknown-in", "key", v.key, "path", path)
		}
		if err := s.put(d, v.text, FromFile); err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "config.file", "path", path)
		}
	}
	return s, nil
}

// Save writes the settings file, each setting under its comment in the
// language of the settings. Values that are still the default stand there as
// comments, so that a later version may bring a better one.
func (s *Settings) Save(path string) error {
	return durable.WriteFile(path, []byte(s.file()), 0o600)
}

// Keys lists all settings in the order of the file.
func Keys() []string {
	keys := make([]string, len(table))
	for i, d := range table {
		keys[i] = d.key
	}
	return keys
}

// Get gives a setting as text; the second value says whether the key exists.
func (s *Settings) Get(key string) (string, bool) {
	d := byKey(key)
	if d == nil {
		return "", false
	}
	return d.get(s), true
}

// Set changes a setting after checking the value.
func (s *Settings) Set(key, value string) error {
	d := byKey(key)
	if d == nil {
		return errs.New(errs.Invalid, "config.unknown", "key", key, "known", strings.Join(Keys(), ", "))
	}
	return s.put(d, value, FromFile)
}

// Origin tells where the value of a setting comes from.
func (s *Settings) Origin(key string) Origin { return s.origin[key] }

// Comment tells what a setting is for.
func Comment(l locale.Lang, key string) string {
	if d := byKey(key); d != nil {
		return l.T(d.comment)
	}
	return ""
}

// Variable names the variable of the environment that overrides a setting:
// EMRVAULT_PAGE_LISTEN for page.listen.
func Variable(key string) string {
	return "EMRVAULT_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func (s *Settings) put(d *setting, value string, from Origin) error {
	if err := d.set(s, strings.TrimSpace(value)); err != nil {
		return errs.Wrap(errs.Invalid, err, "config.value", "key", d.key, "value", value)
	}
	s.origin[d.key] = from
	return nil
}
