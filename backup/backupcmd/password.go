package backupcmd

import (
	"errors"
	"fmt"
	"os"
	"strings"

	terminal "emrvault/appliance/console"
	"emrvault/backup"
)

// maxPasswordFile bounds what is read: a longer file was named by mistake.
const maxPasswordFile = 64 << 10

// password finds the repository's password: the file of the flag, the file or
// word of the environment, or a person. It never comes as an argument, where
// every user of the machine could read it.
func (e *Env) password(file string) (string, error) {
	if file == "" {
		file = e.getenv("EMRVAULT_PASSWORD_FILE")
	}
	if file != "" {
		return e.passwordFrom(file)
	}
	if word := e.getenv("EMRVAULT_PASSWORD"); word != "" {
		return word, nil
	}
	return e.ask("cli.password.ask")
}

// newPassword is the password that a key gets; a person types it twice.
func (e *Env) newPassword(file string) (string, error) {
	if file == "" {
		file = e.getenv("EMRVAULT_NEW_PASSWORD_FILE")
	}
	if file != "" {
		return e.passwordFrom(file)
	}
	return e.askTwice("cli.password.new")
}

// firstPassword is the password of a repository that is being made.
func (e *Env) firstPassword(file string) (string, error) {
	if file != "" || e.getenv("EMRVAULT_PASSWORD_FILE") != "" || e.getenv("EMRVAULT_PASSWORD") != "" {
		return e.password(file)
	}
	return e.askTwice("cli.password.new")
}

func (e *Env) askTwice(key string) (string, error) {
	first, err := e.ask(key)
	if err != nil {
		return "", err
	}
	again, err := e.ask("cli.password.again")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", usage("cli.password.differ")
	}
	return first, nil
}

func (e *Env) passwordFrom(file string) (string, error) {
	data, err := os.ReadFile(e.path(file))
	if err != nil {
		return "", fmt.Errorf("read password file: %w", err)
	}
	// Restic trims the same way: one file must do for both.
	word := strings.TrimSpace(strings.TrimPrefix(string(data), "\ufeff"))
	if word == "" || len(word) > maxPasswordFile {
		return "", fmt.Errorf("password file %s holds %d bytes: %w", file, len(word), backup.ErrInvalid)
	}
	return word, nil
}

func (e *Env) ask(key string) (string, error) {
	none := "cli.password.none"
	if key == "cli.password.from" {
		none += "-from"
	}
	ask := e.Ask
	if ask == nil {
		fd, ok := e.terminal()
		if !ok {
			return "", usage(none)
		}
		ask = func(prompt string) (string, error) { return e.hidden(fd, prompt) }
	}
	word, err := ask(e.t(key))
	if err == nil && word == "" {
		err = usage(none)
	}
	return word, err
}

func (e *Env) hidden(fd int, prompt string) (string, error) {
	if _, err := fmt.Fprint(e.Err, prompt); err != nil {
		return "", err
	}
	word, err := terminal.Hidden(fd)
	_, lineErr := fmt.Fprintln(e.Err)
	if err = errors.Join(err, lineErr); err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return word, nil
}
