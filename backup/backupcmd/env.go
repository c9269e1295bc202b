// Package backupcmd gives the backup wing to the console. The repo verbs need
// only a repository and its password: they are for rescue, scripts and races,
// and work on a machine that has never seen the appliance.
//
// A verb is a constructor that makes the cobra command, and a function that
// does the work with a context and the Env's writers, so that tests call it
// directly. Results go to Out, in words or with --json as objects; progress
// and problems go to Err. Errors leave with words for people around them and
// the wing's sentinel inside; ExitCode turns them into the code that scripts
// rely on.
package backupcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"emrvault/appliance/locale"
	"emrvault/backup/repository"
	"emrvault/backup/storage/limit"
)

// Env is what the verbs need from outside. The front door may change Lang
// after the flags are read, before a verb runs; nil functions have defaults.
type Env struct {
	Out, Err io.Writer
	In       io.Reader
	Lang     locale.Lang
	Getenv   func(string) string // nil: no variable is set
	Dir      string              // folder that relative paths start from; empty: that of the process
	Terminal bool                // Err is a terminal: show progress
	Version  string              // of the program, for snapshots
	Now      func() time.Time    // nil: the clock

	Actor string // who acts on the box, "console:root"
	// Appliance gives the opened box, its jobs running, and how to let go of
	// it; nil: there is none, only the verbs on repositories work.
	Appliance func(ctx context.Context) (*Appliance, func() error, error)

	// Carry changes what goes along when the running box carries out the verb;
	// nil: it never does.
	Carry func(in io.Reader, flags ...string)

	// Ask prompts for a password on a terminal; nil: when In is one.
	Ask func(prompt string) (string, error)

	// Limits of requests and bytes, shared by all who talk to one server; nil:
	// each verb has its own.
	Limits *limit.Registry

	bandwidth string              // of the line, by the hour; empty: no limit
	options   []repository.Option // for tests: cheap keys
}

// Commands lists the verbs of the wing.
func Commands(env *Env) []*cobra.Command {
	return append([]*cobra.Command{repoCommand(env), sourceCommand(env)}, applianceCommands(env)...)
}

// t gives a text in the person's language.
func (e *Env) t(key string, args ...any) string { return e.Lang.T(key, args...) }

// say prints one line in the person's language.
func (e *Env) say(key string, args ...any) error {
	_, err := fmt.Fprintln(e.Out, e.t(key, args...))
	return err
}

// json prints one object on one line.
func (e *Env) json(v any) error {
	encoder := json.NewEncoder(e.Out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

func (e *Env) now() time.Time {
	if e.Now == nil {
		return time.Now()
	}
	return e.Now()
}

func (e *Env) getenv(name string) string {
	if e.Getenv == nil {
		return ""
	}
	return e.Getenv(name)
}

// path starts a relative path from the caller's folder.
func (e *Env) path(name string) string {
	if e.Dir == "" || name == "" || filepath.IsAbs(name) {
		return name
	}
	if here, err := os.Getwd(); err == nil && here == filepath.Clean(e.Dir) {
		return name
	}
	return filepath.Join(e.Dir, name)
}

// terminal gives the file behind In when a person sits there.
func (e *Env) terminal() (fd int, ok bool) {
	f, isFile := e.In.(*os.File)
	if !isFile {
		return 0, false
	}
	return int(f.Fd()), term.IsTerminal(int(f.Fd()))
}

// verb wraps a function as cobra wants it, and gives its errors their words.
func (e *Env) verb(fn func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cmd.SilenceUsage = true
		return tell(fn(e.listening(cmd.Context()), args))
	}
}
