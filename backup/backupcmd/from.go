package backupcmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"emrvault/backup/repository"
)

// fromFlags name a second repository, with a password of its own.
type fromFlags struct {
	location     string
	passwordFile string
}

func (f *fromFlags) add(cmd *cobra.Command, env *Env) {
	cmd.Flags().StringVar(&f.location, "from", "", env.t("cli.flag.from"))
	cmd.Flags().StringVar(&f.passwordFile, "from-password-file", "", env.t("cli.flag.from-password-file"))
}

// password finds the second repository's password, as that of the first is
// found, in variables of its own.
func (f *fromFlags) password(env *Env) (string, error) {
	file := f.passwordFile
	if file == "" {
		file = env.getenv("EMRVAULT_FROM_PASSWORD_FILE")
	}
	if file != "" {
		return env.passwordFrom(file)
	}
	if word := env.getenv("EMRVAULT_FROM_PASSWORD"); word != "" {
		return word, nil
	}
	return env.ask("cli.password.from")
}

// open opens the second repository and hands it to fn.
func (f *fromFlags) open(ctx context.Context, env *Env, fn func(*repository.Repository) error) (err error) {
	st, err := env.place(ctx, f.location)
	if err != nil {
		return err
	}
	word, err := f.password(env)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	repo, err := repository.Open(ctx, st, word, env.options...)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	defer func() { err = errors.Join(err, repo.Close()) }()
	return fn(repo)
}

// source opens the second repository for reading and hands it to fn; nil when
// none was named.
func (f *fromFlags) source(ctx context.Context, env *Env, fn func(context.Context, *repository.Repository) error) error {
	if f.location == "" {
		return fn(ctx, nil)
	}
	return f.open(ctx, env, func(repo *repository.Repository) error {
		lock, err := repo.Lock(ctx, repository.Read)
		if err != nil {
			return err
		}
		torn, err := repo.SalvageIndex(lock.Context())
		env.tellDamage(torn)
		if err == nil {
			err = fn(lock.Context(), repo)
		}
		return errors.Join(err, lock.Unlock())
	})
}
