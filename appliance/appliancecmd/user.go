package appliancecmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"emrvault/appliance/config"
	front "emrvault/appliance/console"
	"emrvault/appliance/errs"
	"emrvault/appliance/identity"
	"emrvault/appliance/table"
)

func userCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: env.t("user.short")}
	cmd.AddCommand(userAddCommand(env), userListCommand(env), userPasswdCommand(env))
	return cmd
}

// userAddOptions are the new user as typed.
type userAddOptions struct {
	ask    identity.NewUser
	roles  []string
	asJSON bool
}

func userAddCommand(env *Env) *cobra.Command {
	var o userAddOptions
	cmd := &cobra.Command{
		Use: "add USER", Short: env.t("user.add.short"), Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.ask.Name = args[0]
			return addUser(cmd.Context(), env, o)
		},
	}
	cmd.Flags().StringVar(&o.ask.FullName, "name", "", env.t("user.flag.name"))
	cmd.Flags().StringArrayVar(&o.roles, "role", []string{string(identity.Viewer)}, env.t("user.flag.role"))
	askPassword(env, cmd, &o.ask.Password)
	jsonFlag(env, cmd, &o.asJSON)
	return cmd
}

// askPassword gives a verb its --password-file and has the password read before
// the verb runs: here, where the person sits and the file lies, also when
// a running appliance carries the verb out. It travels there as standard input.
func askPassword(env *Env, cmd *cobra.Command, into *string) {
	file := ""
	cmd.Flags().StringVar(&file, "password-file", "", env.t("user.flag.password_file"))
	cmd.PreRunE = func(_ *cobra.Command, args []string) (err error) {
		if *into, err = newPassword(env, args[0], file); err == nil && env.Carry != nil {
			env.Carry(strings.NewReader(*into+"\n"), "--password-file=-")
		}
		return err
	}
}

func addUser(ctx context.Context, env *Env, o userAddOptions) error {
	for _, word := range o.roles {
		role, err := identity.ParseRole(word)
		if err != nil {
			return err
		}
		o.ask.Roles = append(o.ask.Roles, role)
	}
	return withPeople(ctx, env, func(people *identity.Directory) error {
		user, err := people.Add(ctx, o.ask)
		if err != nil {
			return err
		}
		if o.asJSON {
			return env.json(user)
		}
		return env.say("user.added", "user", user.Name, "roles", roleTitles(env, user))
	})
}

func userPasswdCommand(env *Env) *cobra.Command {
	password := ""
	cmd := &cobra.Command{
		Use: "passwd USER", Short: env.t("user.passwd.short"), Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return setPassword(cmd.Context(), env, args[0], password)
		},
	}
	askPassword(env, cmd, &password)
	return cmd
}

func setPassword(ctx context.Context, env *Env, name, password string) error {
	return withPeople(ctx, env, func(people *identity.Directory) error {
		user, err := people.Find(ctx, name)
		if err != nil {
			return err
		}
		if err := people.SetPassword(ctx, user.ID, password); err != nil {
			return err
		}
		return env.say("user.changed", "user", user.Name)
	})
}

func userListCommand(env *Env) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "list", Short: env.t("user.list.short"), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listUsers(cmd.Context(), env, asJSON) },
	}
	jsonFlag(env, cmd, &asJSON)
	return cmd
}

func listUsers(ctx context.Context, env *Env, asJSON bool) error {
	return withPeople(ctx, env, func(people *identity.Directory) error {
		users, err := people.List(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			for _, u := range users {
				if err := env.json(u); err != nil {
					return err
				}
			}
			return nil
		}
		if len(users) == 0 {
			return env.say("user.none")
		}
		settings, err := config.Load(env.Layout.Settings(), env.Environ)
		if err != nil {
			return err
		}
		return table.Write(env.Out, userRows(env, users, settings.Zone))
	})
}

func userRows(env *Env, users []identity.User, zone *time.Location) [][]string {
	rows := [][]string{{
		env.t("user.head.name"), env.t("user.head.full_name"), env.t("user.head.roles"),
		env.t("user.head.state"), env.t("user.head.last"),
	}}
	for _, u := range users {
		state, last := "user.state.enabled", u.LastSignIn
		if u.Disabled {
			state = "user.state.disabled"
		}
		if !last.IsZero() {
			last = last.In(zone)
		}
		rows = append(rows, []string{u.Name, dash(u.FullName), roleTitles(env, u), env.t(state), env.Lang.Time(last)})
	}
	return rows
}

func roleTitles(env *Env, u identity.User) string {
	var list []string
	for _, r := range u.Roles {
		list = append(list, r.Title(env.Lang))
	}
	return strings.Join(list, ", ")
}

// withPeople runs fn with the users of the box and lets go of them.
func withPeople(ctx context.Context, env *Env, fn func(*identity.Directory) error) (err error) {
	people, release, err := env.People(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	return fn(people)
}

// newPassword comes from a file, from standard input where the file is "-", or
// is typed twice at a terminal. It never comes as an argument, where every user
// of the machine could read it.
func newPassword(env *Env, name, file string) (string, error) {
	switch file {
	case "":
		return typedPassword(env, name)
	case "-":
		return firstLine(env.In, file)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", errs.Wrap(errs.Invalid, err, "user.password_file", "path", file)
	}
	defer f.Close()
	return firstLine(f, file)
}

// maxLine is more than the longest password that is taken.
const maxLine = 4096

func firstLine(r io.Reader, path string) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", errs.Wrap(errs.Invalid, err, "user.password_file", "path", path)
	}
	return strings.TrimPrefix(strings.TrimRight(line, "\r\n"), "\ufeff"), nil
}

func typedPassword(env *Env, name string) (string, error) {
	terminal, ok := env.In.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return "", errs.New(errs.Invalid, "user.no_terminal")
	}
	first, err := hiddenLine(env, terminal, env.t("user.ask", "user", name))
	if err != nil {
		return "", err
	}
	again, err := hiddenLine(env, terminal, env.t("user.ask_again"))
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errs.New(errs.Invalid, "user.differ")
	}
	return first, nil
}

func hiddenLine(env *Env, terminal *os.File, prompt string) (string, error) {
	if _, err := fmt.Fprint(env.Err, prompt); err != nil {
		return "", err
	}
	word, err := front.Hidden(int(terminal.Fd()))
	_, lineErr := fmt.Fprintln(env.Err)
	if err = errors.Join(err, lineErr); err != nil {
		return "", fmt.Errorf("read a password: %w", err)
	}
	return word, nil
}
