package backupcmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"emrvault/appliance/table"
	"emrvault/backup/repository"
)

func unlockCommand(env *Env, f *repoFlags) *cobra.Command {
	var everyone bool
	cmd := &cobra.Command{
		Use: "unlock -r REPO", Short: env.t("cli.unlock.short"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error { return runUnlock(ctx, env, f, everyone) }),
	}
	cmd.Flags().BoolVar(&everyone, "remove-all", false, env.t("cli.flag.remove-all"))
	return cmd
}

func runUnlock(ctx context.Context, env *Env, f *repoFlags, everyone bool) error {
	return f.open(ctx, env, func(repo *repository.Repository) error {
		remove := repo.RemoveStaleLocks
		if everyone {
			remove = repo.RemoveAllLocks
		}
		n, err := remove(ctx)
		if err != nil {
			return err
		}
		left, err := repo.Locks(ctx)
		if err != nil {
			return err
		}
		if f.json {
			return env.json(map[string]any{"removed": n, "left": left})
		}
		_, err = fmt.Fprintln(env.Out, env.Lang.Plural("cli.unlock.done", n))
		for _, l := range left {
			err = errors.Join(err, env.say("cli.unlock.left", "user", l.User, "host", l.Host, "pid", l.PID, "time", l.Time))
		}
		return err
	})
}

func keyCommand(env *Env, f *repoFlags) *cobra.Command {
	var newFile, host, user string
	var confirm bool
	cmd := &cobra.Command{Use: "key", Short: env.t("cli.key.short"), Args: noVerb, RunE: showHelp}
	list := &cobra.Command{
		Use: "list -r REPO", Short: env.t("cli.key.list.short"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error { return runKeyList(ctx, env, f) }),
	}
	add := &cobra.Command{
		Use: "add -r REPO", Short: env.t("cli.key.add.short"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error {
			return runKeyAdd(ctx, env, f, newFile, repository.KeyHints{User: user, Host: host})
		}),
	}
	remove := &cobra.Command{
		Use: "remove -r REPO KEY", Short: env.t("cli.key.remove.short"), Args: count(1, 1),
		RunE: env.verb(func(ctx context.Context, args []string) error { return runKeyRemove(ctx, env, f, args[0], confirm) }),
	}
	passwd := &cobra.Command{
		Use: "passwd -r REPO", Short: env.t("cli.key.passwd.short"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error { return runKeyPasswd(ctx, env, f, newFile) }),
	}
	for _, c := range []*cobra.Command{add, passwd} {
		c.Flags().StringVar(&newFile, "new-password-file", "", env.t("cli.flag.new-password-file"))
	}
	add.Flags().StringVar(&host, "host", "", env.t("cli.flag.key-host"))
	add.Flags().StringVar(&user, "user", "", env.t("cli.flag.key-user"))
	remove.Flags().BoolVar(&confirm, "confirm", false, env.t("cli.flag.confirm"))
	cmd.AddCommand(list, add, remove, passwd)
	return cmd
}

func runKeyList(ctx context.Context, env *Env, f *repoFlags) error {
	return f.open(ctx, env, func(repo *repository.Repository) error {
		keys, err := repo.Keys(ctx)
		if err != nil {
			return err
		}
		if f.json {
			for _, k := range keys {
				if err := env.json(k); err != nil {
					return err
				}
			}
			return nil
		}
		var rows [][]string
		for _, k := range keys {
			mark := " "
			if k.Current {
				mark = "*"
			}
			rows = append(rows, []string{mark + k.ID[:min(8, len(k.ID))], k.User + "@" + k.Host, env.Lang.Time(k.Created)})
		}
		return table.Write(env.Out, rows)
	})
}

func runKeyAdd(ctx context.Context, env *Env, f *repoFlags, newFile string, hints repository.KeyHints) error {
	return f.locked(ctx, env, repository.Append, func(ctx context.Context, repo *repository.Repository) error {
		word, err := env.newPassword(newFile)
		if err != nil {
			return err
		}
		id, err := repo.AddKey(ctx, word, hints)
		if err != nil {
			return err
		}
		if f.json {
			return env.json(map[string]string{"id": id})
		}
		return env.say("cli.key.added", "id", id[:min(8, len(id))])
	})
}

func runKeyRemove(ctx context.Context, env *Env, f *repoFlags, id string, confirm bool) error {
	if !confirm {
		if err := env.say("cli.key.would-remove", "id", id); err != nil {
			return err
		}
		return unconfirmed()
	}
	return f.locked(ctx, env, repository.Exclusive, func(ctx context.Context, repo *repository.Repository) error {
		if err := repo.RemoveKey(ctx, id); err != nil {
			return err
		}
		if f.json {
			return env.json(map[string]string{"removed": id})
		}
		return env.say("cli.key.removed", "id", id)
	})
}

func runKeyPasswd(ctx context.Context, env *Env, f *repoFlags, newFile string) error {
	return f.locked(ctx, env, repository.Exclusive, func(ctx context.Context, repo *repository.Repository) error {
		word, err := env.newPassword(newFile)
		if err != nil {
			return err
		}
		if err := repo.ChangePassword(ctx, word); err != nil {
			return err
		}
		if f.json {
			return env.json(map[string]bool{"changed": true})
		}
		return env.say("cli.key.changed")
	})
}
