package identity

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"emrvault/appliance/durable"
)

// Link is the one-time link that makes the first administrator. It lies in a
// file that only the owner of the data folder can read, until it is used.
type Link struct {
	*Directory
	file string
}

// NewLink gives the setup link that is kept in file.
func NewLink(d *Directory, file string) *Link { return &Link{d, file} }

// Renew makes a new link below address and writes it down. Once there is a
// user, the link is empty and the file goes.
func (l *Link) Renew(ctx context.Context, address string) (string, error) {
	open, err := l.SetupOpen(ctx)
	if err != nil {
		return "", err
	}
	if !open {
		return "", l.forget()
	}
	token, _, err := l.SetupToken(ctx)
	if err != nil {
		return "", err
	}
	link := address + "/setup/" + token
	return link, durable.WriteFile(l.file, []byte(link+"\n"), 0o600)
}

// Keep makes a new link before the old one is too old, for the box that waits
// some days for its administrator; it returns when ctx ends or there is one.
func (l *Link) Keep(ctx context.Context, address string, log *slog.Logger) error {
	tick := time.NewTicker(setupLife - 4*time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if link, err := l.Renew(ctx, address); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "no new setup link", "error", err)
		} else if link == "" {
			return nil
		}
	}
}

// CreateFirst makes the first administrator; the token is used up, and the
// link goes with it.
func (l *Link) CreateFirst(ctx context.Context, token string, ask NewUser) (User, error) {
	person, err := l.Directory.CreateFirst(ctx, token, ask)
	if err != nil {
		return person, err
	}
	return person, l.forget()
}

func (l *Link) forget() error {
	if err := os.Remove(l.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
