// Package config knows where the box keeps its things and what it was told.
//
// The data folder is one place with everything in it:
//
//	emrvault.yaml    settings, written by hand or by `config set`
//	emrvault.db      plans, points, tickets, people (package store)
//	secret/          box key and certificate authority, 0700
//	cache/           what repositories would be asked for again, sealed; may be deleted
//	scratch/         drills restore here, 0700, emptied at every start
//	log/             the log of the program
//	run/lock         held while a process uses the folder, with its pid
//	run/control.sock verbs speak to the running appliance here
//	run/setup-link   the one-time link of the first start
//	run/page-address where the page of the running box is
//
// Settings are read strictly: a key nobody knows is refused by its name,
// because a misspelt word that is silently ignored is found on the worst day.
// Every setting has a default, a check, a comment in the file, and a variable
// of the environment that wins over the file.
package config

import (
	"fmt"
	"os"
	"path/filepath"

	"emrvault/appliance/errs"
)

// Layout names the places inside one data folder.
type Layout struct {
	Data string // absolute path of the data folder
}

// DataDir finds the data folder: the flag, else EMRVAULT_DATA, else the
// platform's usual place. The folder need not exist.
func DataDir(flag string) (string, error) {
	dir := flag
	if dir == "" {
		dir = os.Getenv("EMRVAULT_DATA")
	}
	if dir == "" {
		dir = defaultDataDir()
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find data folder: %w", err)
	}
	return abs, nil
}

// NewLayout names the places inside dir.
func NewLayout(dir string) Layout { return Layout{Data: dir} }

// Database is the SQLite file.
func (l Layout) Database() string { return filepath.Join(l.Data, "emrvault.db") }

// Settings is the settings file.
func (l Layout) Settings() string { return filepath.Join(l.Data, "emrvault.yaml") }

// Secret is the folder of keys and certificates.
func (l Layout) Secret() string { return filepath.Join(l.Data, "secret") }

// Certificates is the folder of the certificate authority and the page's
// certificate.
func (l Layout) Certificates() string { return l.Secret() }

// Cache is the folder of what this machine remembers of its repositories.
func (l Layout) Cache() string { return filepath.Join(l.Data, "cache") }

// Scratch is the folder where drills restore.
func (l Layout) Scratch() string { return filepath.Join(l.Data, "scratch") }

// Log is the folder of the program's log.
func (l Layout) Log() string { return filepath.Join(l.Data, "log") }

// Run is the folder of things that matter only while the program runs.
func (l Layout) Run() string { return filepath.Join(l.Data, "run") }

// PageAddress is the file that says where the page of the running box is.
func (l Layout) PageAddress() string { return filepath.Join(l.Run(), "page-address") }

// SetupLink is the file with the one-time link of the first start.
func (l Layout) SetupLink() string { return filepath.Join(l.Run(), "setup-link") }

// Make makes the data folder and the folders inside it. They are for the
// owner only; rights that are wider are narrowed.
func (l Layout) Make() error {
	for _, dir := range []string{l.Data, l.Secret(), l.Cache(), l.Scratch(), l.Log(), l.Run()} {
		if err := private(dir); err != nil {
			return errs.Wrap(errs.Denied, err, "config.folder", "path", dir)
		}
	}
	return nil
}

func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700) //nolint:gosec // a folder needs the right to enter it
}
