// Package console knows what a verb is before it is carried out: who typed it,
// in which language, from which folder, and where its output goes.
//
// One process owns the data folder. A verb of the box that finds it running is
// sent there whole and carried out by the appliance, which makes a Call of its
// own from the request; otherwise the verb opens the data folder itself. Either
// way the same command runs, so a verb has one face and one behaviour.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"emrvault/appliance/config"
	"emrvault/appliance/control"
	"emrvault/appliance/locale"
)

// Call is one verb, wherever it was typed and wherever it is carried out.
type Call struct {
	Args     []string
	In       io.Reader
	Out, Err io.Writer
	Lang     locale.Lang
	Layout   config.Layout // of the data folder it is about
	Data     string        // the data folder as the flag names it; empty: not named
	Dir      string        // folder that relative paths start from; empty: that of the process
	Actor    string        // "console:<OS user>"
	Environ  []string      // as os.Environ gives it
	Terminal bool          // a person watches Err

	sent bool // it came over the control socket: the box is here
}

// Typed is a call as it was typed at this console.
func Typed() (*Call, error) {
	c := &Call{
		Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Actor: "console:" + osUser(), Environ: os.Environ(), Terminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	c.Data = flagWord(c.Args, "--data")
	c.Lang, _ = locale.Parse(flagWord(c.Args, "--lang"))
	if flagWord(c.Args, "--lang") == "" {
		c.Lang, _ = locale.Parse(c.Getenv("EMRVAULT_LANG"))
	}
	dir, err := config.DataDir(c.Data)
	c.Layout = config.NewLayout(dir)
	return c, err
}

// Sent is a call that another process sent to the running box.
func Sent(req control.Request, layout config.Layout, stdout, stderr io.Writer) *Call {
	c := &Call{
		Args: req.Args, In: req.Stdin, Out: stdout, Err: stderr,
		Layout: layout, Dir: req.Dir, Actor: req.User, sent: true,
	}
	c.Lang, _ = locale.Parse(req.Lang)
	return c
}

// Getenv reads a variable of the person's environment. A call that was sent
// has none: what the box does must not hang on who asked.
func (c *Call) Getenv(name string) string {
	for _, entry := range slices.Backward(c.Environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// Carry changes what goes along when the running box carries out the verb: what
// was read here, as a password, travels as standard input, and flags say so.
func (c *Call) Carry(in io.Reader, flags ...string) {
	end := slices.Index(c.Args, "--")
	if end < 0 {
		end = len(c.Args)
	}
	c.In, c.Args = in, slices.Insert(slices.Clone(c.Args), end, flags...)
}

// Here says that the box is open in this process.
func (c *Call) Here() bool { return c.sent }

// Flags declares the flags that every verb knows. They were read before: texts
// want the language, and verbs the data folder, earlier than the parser comes.
func (c *Call) Flags(root *cobra.Command) {
	root.PersistentFlags().String("data", "", c.Lang.T("main.flag.data"))
	root.PersistentFlags().String("lang", "", c.Lang.T("main.flag.lang"))
	root.SetArgs(c.Args)
	root.SetIn(c.In)
	root.SetOut(c.Out)
	root.SetErr(c.Err)
}

// ViaBox lets the named verbs be carried out by the running box where there is
// one. The others are left as they are; the box itself, when it carries out
// what was sent, knows the named ones only.
func (c *Call) ViaBox(verbs []*cobra.Command, names []string) []*cobra.Command {
	others := func(verb *cobra.Command) bool { return !slices.Contains(names, verb.Name()) }
	if c.sent {
		return slices.DeleteFunc(verbs, others)
	}
	for _, verb := range verbs {
		if !others(verb) {
			c.forward(verb)
		}
	}
	return verbs
}

func (c *Call) forward(verb *cobra.Command) {
	for _, sub := range verb.Commands() {
		c.forward(sub)
	}
	here := verb.RunE
	if here == nil {
		return
	}
	verb.RunE = func(cmd *cobra.Command, args []string) error {
		code, err := c.send(cmd.Context())
		if errors.Is(err, control.ErrNotRunning) {
			return here(cmd, args)
		}
		if err != nil {
			return err
		}
		return code
	}
}

// send has the verb carried out by the running box.
func (c *Call) send(ctx context.Context) (exitCode, error) {
	dir, err := os.Getwd()
	if err != nil {
		return 1, fmt.Errorf("find the working folder: %w", err)
	}
	req := control.Request{Args: c.Args, Lang: string(c.Lang), Dir: dir}
	code, err := control.Call(ctx, c.Layout.Socket(), req, c.In, c.Out, c.Err)
	return exitCode(code), err
}

// Exit tells an error to the person and gives the exit code; codeOf knows the
// codes of the verbs.
func (c *Call) Exit(err error, codeOf func(error) int) int {
	var told exitCode
	if errors.As(err, &told) {
		return int(told)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(c.Err, c.Lang.T("main.error", "text", c.Lang.Detail(err)))
	return codeOf(err)
}

// exitCode is that of a verb which another process has carried out and told.
type exitCode int

// Error gives the code.
func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// flagWord finds the value of a flag before the command is built.
func flagWord(args []string, name string) string {
	for i, arg := range args {
		switch value, ok := strings.CutPrefix(arg, name+"="); {
		case arg == "--":
			return ""
		case ok:
			return value
		case arg == name && i+1 < len(args):
			return args[i+1]
		}
	}
	return ""
}

func osUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// Host is this machine's name, as records and addresses bear it.
func Host() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}
