// Package servicecmd gives the service desk to scripts: one cobra command for
// each verb, each able to print JSON.
package servicecmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
	"emrvault/service/ticket"
)

// Env is what the verbs need from outside. The front door hands over a pointer
// and may fill Lang, Actor and Zone after the flags are read, before a verb
// runs.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Lang     locale.Lang
	Actor    string           // who acts, "console:root"; kept on every timeline line
	Zone     *time.Location   // the site's; nil: UTC
	Now      func() time.Time // the clock
	// Desk gives the open desk, and how to let go of it.
	Desk func(ctx context.Context) (*ticket.Desk, func() error, error)
}

// Commands lists the verbs of the service wing.
func Commands(env *Env) []*cobra.Command {
	return []*cobra.Command{ticketCommand(env)}
}

// t gives a text in the person's language.
func (e *Env) t(key string, args ...any) string { return e.Lang.T(key, args...) }

// say prints one line in the person's language.
func (e *Env) say(key string, args ...any) error {
	_, err := fmt.Fprintln(e.Out, e.Lang.T(key, args...))
	return err
}

// json prints one object on one line.
func (e *Env) json(v any) error {
	encoder := json.NewEncoder(e.Out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// local brings a moment to the site's zone for people to read.
func (e *Env) local(t time.Time) time.Time {
	if t.IsZero() || e.Zone == nil {
		return t
	}
	return t.In(e.Zone)
}

// moment reads a time as people type it, in the site's zone; empty is zero.
func (e *Env) moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	zone := e.Zone
	if zone == nil {
		zone = time.UTC
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errs.New(errs.Invalid, "ticket.time_wrong", "text", text)
}

// with runs fn with the open desk and lets go of it.
func (e *Env) with(ctx context.Context, fn func(*ticket.Desk) error) (err error) {
	desk, release, err := e.Desk(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	return fn(desk)
}
