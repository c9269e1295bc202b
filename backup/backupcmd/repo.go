package backupcmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/storage"
)

// repoFlags are those of every repo verb.
type repoFlags struct {
	location     string
	passwordFile string
	json         bool
	progress     bool
	dry          bool // nothing is written
	cache        cacheFlags
	writing      writeFlags
}

// repoCommand gathers the verbs on a repository.
func repoCommand(env *Env) *cobra.Command {
	f := &repoFlags{}
	cmd := &cobra.Command{Use: "repo", Short: env.t("cli.repo.short"), Args: noVerb, RunE: showHelp}
	cmd.SetFlagErrorFunc(flagError)
	p := cmd.PersistentFlags()
	p.StringVarP(&f.location, "repo", "r", "", env.t("cli.flag.repo"))
	p.StringVar(&f.passwordFile, "password-file", "", env.t("cli.flag.password-file"))
	p.BoolVar(&f.json, "json", false, env.t("cli.flag.json"))
	p.BoolVar(&f.progress, "progress", false, env.t("cli.flag.progress"))
	p.StringVar(&env.bandwidth, "bandwidth", "", env.t("cli.flag.bandwidth"))
	f.cache.add(cmd, env)
	cmd.AddCommand(
		initCommand(env, f), backupCommand(env, f), pointsCommand(env, f), lsCommand(env, f),
		restoreCommand(env, f), dumpCommand(env, f), checkCommand(env, f), forgetCommand(env, f),
		pruneCommand(env, f), unlockCommand(env, f), keyCommand(env, f), statsCommand(env, f),
		repairCommand(env, f), copyCommand(env, f), probeCommand(env, f), rewindCommand(env, f),
	)
	return cmd
}

// noVerb refuses a word that is no verb of the group.
func noVerb(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("cli.usage.verb", "verb", args[0], "group", cmd.CommandPath())
	}
	return nil
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// storage opens the place of -r.
func (f *repoFlags) storage(ctx context.Context, env *Env) (storage.Storage, error) {
	if f.location == "" {
		return nil, usage("cli.usage.repo")
	}
	st, err := env.place(ctx, f.location)
	if err == nil && f.dry {
		st = newDryStorage(st)
	}
	return st, err
}

// open opens the repository and hands it to fn.
func (f *repoFlags) open(ctx context.Context, env *Env, fn func(*repository.Repository) error) (err error) {
	st, err := f.storage(ctx, env)
	if err != nil {
		return err
	}
	word, err := env.password(f.passwordFile)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	opts, err := f.cache.options(env)
	if err == nil {
		opts, err = f.writing.options(opts)
	}
	if err != nil {
		return errors.Join(err, st.Close())
	}
	repo, err := repository.Open(ctx, st, word, opts...)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	defer func() {
		if closeErr := repo.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close repository: %w", closeErr)
		}
	}()
	return fn(repo)
}

// locked is open with a lock held around fn.
func (f *repoFlags) locked(ctx context.Context, env *Env, mode repository.LockMode, fn func(context.Context, *repository.Repository) error) error {
	return f.open(ctx, env, func(repo *repository.Repository) error {
		lock, err := repo.Lock(ctx, mode)
		if err != nil {
			return err
		}
		err = fn(lock.Context(), repo)
		return errors.Join(err, lock.Unlock())
	})
}

func initCommand(env *Env, f *repoFlags) *cobra.Command {
	return &cobra.Command{
		Use: "init -r REPO", Short: env.t("cli.init.short"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error { return runInit(ctx, env, f) }),
	}
}

func runInit(ctx context.Context, env *Env, f *repoFlags) error {
	st, err := f.storage(ctx, env)
	if err != nil {
		return err
	}
	word, err := env.firstPassword(f.passwordFile)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	repo, err := repository.Create(ctx, st, word, env.options...)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	id, location := repo.ID(), st.Location()
	if err := repo.Close(); err != nil {
		return fmt.Errorf("close repository: %w", err)
	}
	if f.json {
		return env.json(map[string]string{"id": id, "repository": location})
	}
	return env.say("cli.init.done", "id", id[:10], "location", location)
}

// filterFlags choose among snapshots.
type filterFlags struct {
	tags, paths []string
	host        string
}

func (f *filterFlags) add(cmd *cobra.Command, env *Env) {
	cmd.Flags().StringArrayVar(&f.tags, "tag", nil, env.t("cli.flag.filter-tag"))
	cmd.Flags().StringArrayVar(&f.paths, "path", nil, env.t("cli.flag.filter-path"))
	cmd.Flags().StringVar(&f.host, "host", "", env.t("cli.flag.filter-host"))
}

func (f *filterFlags) filter() snapshot.Filter {
	return snapshot.Filter{Host: f.host, Tags: f.tags, Paths: f.paths}
}
