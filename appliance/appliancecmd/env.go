// Package appliancecmd gives the box to the console: its service on the
// operating system, its settings, its people, its health.
//
// A verb is a constructor that makes the cobra command and a function that does
// the work with a context and writers, so tests call it directly. Each verb
// that prints can print JSON. Errors leave as appliance/errs; the front door
// turns them into words and an exit code.
package appliancecmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"emrvault/appliance/config"
	"emrvault/appliance/identity"
	"emrvault/appliance/locale"
)

// Env is what the verbs need from outside. The front door hands over a pointer
// and may fill Lang and Layout after the flags are read, before a verb runs.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Lang     locale.Lang
	Layout   config.Layout
	Environ  []string         // as os.Environ gives it; variables override settings
	Now      func() time.Time // the clock
	Actor    string           // who acts, "console:root"
	Version  Version
	// People gives the users of the box, and how to let go of them.
	People func(ctx context.Context) (*identity.Directory, func() error, error)
	// Carry tells the front door what goes along when a running appliance carries
	// out the verb instead: another standard input, and flags that say so. Nil
	// inside the appliance.
	Carry func(in io.Reader, flags ...string)
}

// Version tells which program this is, as stamped by the build.
type Version struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Built   string `json:"built,omitempty"`
}

// Commands lists the verbs of the box.
func Commands(env *Env) []*cobra.Command {
	return append(serviceCommands(env), userCommand(env), configCommand(env), doctorCommand(env), versionCommand(env))
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
