package config

import (
	"context"
	"sync"
)

// Live holds the settings of a running box. Readers always see a whole set;
// a change is on disk before they see it.
type Live struct {
	path    string
	environ []string

	mu      sync.RWMutex
	current *Settings
}

// Open reads the settings of a data folder; environ, as os.Environ gives it,
// wins over the file.
func Open(layout Layout, environ []string) (*Live, error) {
	s, err := Load(layout.Settings(), environ)
	if err != nil {
		return nil, err
	}
	return &Live{path: layout.Settings(), environ: environ, current: s}, nil
}

// Current gives what holds now. Readers must not change it.
func (l *Live) Current() *Settings {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.current
}

// Change checks new values by their keys and keeps all of them or none. A
// value that the environment overrides is kept in the file, but does not hold.
func (l *Live) Change(_ context.Context, _ string, values map[string]string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	file, err := LoadFile(l.path)
	if err != nil {
		return err
	}
	for key, value := range values {
		if err := file.Set(key, value); err != nil {
			return err
		}
	}
	if err := file.Save(l.path); err != nil {
		return err
	}
	next, err := Load(l.path, l.environ)
	if err != nil {
		return err
	}
	l.current = next
	return nil
}
